"""Who a client shows as being in a room, by the rule of docs/wire.md. Pure.

What the rule does not allow is said, and not mended: a difference that does not follow what is known, somebody who
comes again unchanged, or leaves without having been there.
"""

from dataclasses import dataclass, field


@dataclass
class Here:
    revision: int = 0
    count: int = 0
    # By key; ``None`` while the room tells a number alone.
    members: dict[str, dict] | None = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        return set(self.members or ())

    def take(self, frame: dict) -> None:
        """A ``presence`` frame, or what ``joined`` has as ``present``."""
        if "joined" in frame:
            self._change(frame)
        else:
            named = frame.get("members")
            self.members = None if named is None else {member["key"]: member for member in named}
        if frame["revision"] <= self.revision:
            self.odd.append(f"has revision {frame['revision']} after {self.revision}")
        self.revision, self.count = frame["revision"], frame["count"]
        if self.members is not None and len(self.members) != self.count:
            self.odd.append(f"counts {self.count} and names {len(self.members)}")

    def _change(self, frame: dict) -> None:
        if self.members is None or frame["revision"] != self.revision + 1:
            self.odd.append(f"is told a difference at {frame['revision']}, after {self.revision}")
            return
        if not frame["joined"] and not frame["left"]:
            self.odd.append(f"is told of no difference at {frame['revision']}")
        for member in frame["joined"]:
            if self.members.get(member["key"]) == member:
                self.odd.append(f"is told again of {member['name']}")
            self.members[member["key"]] = member
        for key in frame["left"]:
            if self.members.pop(key, None) is None:
                self.odd.append(f"is told that {key} left, who was not there")
