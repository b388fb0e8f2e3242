"""Compares what people saw, and what they were told was kept, with the log. Pure."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from chaos.evidence import MESSAGE, REMOVAL, Letters, Log, Record, Run, Said, Seen
from chaos.shown import Past, Screen


class Fault(Enum):
    """``WRONG`` is what is none of the promises' words and still must not be, such as an ack with another's offset.

    ``HERE``: in the end somebody is shown who is not there, or is not shown who is.
    """

    LOST = "lost"
    DOUBLED = "doubled"
    DISORDERED = "out of order"
    WRONG = "wrong"
    HERE = "wrongly here"


@dataclass(frozen=True)
class Finding:
    fault: Fault
    sentence: str


def judge(logs: Iterable[Log], records: Iterable[Record], letters: Iterable[Letters]) -> list[Finding]:
    """Everything that is not as promised; an empty list is the proof."""
    by_room = {log.room: log for log in logs}
    letters = list(letters)
    sent = {room: {said.id: said for each in letters if each.room == room for said in each.sent} for room in by_room}
    pasts = {room: Past(log, sent[room]) for room, log in by_room.items()}
    return [
        *(finding for room, log in by_room.items() for finding in judge_log(log, sent[room], pasts[room])),
        *(finding for letter in letters for finding in judge_letters(letter, by_room[letter.room])),
        *(finding for it in records for finding in judge_record(it, by_room[it.room], pasts[it.room])),
    ]


def judge_here(who: str, shown: Mapping[str, set[str]], here: Mapping[str, set[str]]) -> Iterator[Finding]:
    """What somebody is shown in each room in the end, against who is there."""
    for room, keys in shown.items():
        for key in keys - here[room]:
            yield Finding(Fault.HERE, f"{room}: {who} is shown {key}, who is not there")
        for key in here[room] - keys:
            yield Finding(Fault.HERE, f"{room}: {who} is not shown {key}, who is there")


def counts(findings: Iterable[Finding]) -> dict[Fault, int]:
    found = Counter(finding.fault for finding in findings)
    return {fault: found[fault] for fault in Fault}


# The log itself.


def judge_log(log: Log, sent: Mapping[str, Said], past: Past) -> Iterator[Finding]:
    """The offsets 1 to its head, each once, and each id once; each row as it was sent, or as it was changed last."""
    have = Counter(row.offset for row in log.rows)
    yield from _offsets(have, log)
    for entry_id, number in Counter(row.id for row in log.rows).items():
        for _ in range(number - 1):
            yield Finding(Fault.DOUBLED, f"{log.room}: {entry_id} is in the log {number} times")
    for row in past.idle:
        yield Finding(Fault.WRONG, f"{log.room}: {row.id} at {row.offset} changes {row.target}, where no message is")
    for row in log.rows:
        if have[row.offset] == 1:
            yield from _row(row, sent, past, f"{log.room}: {row.id} at {row.offset}")


def _offsets(have: Mapping[int, int], log: Log) -> Iterator[Finding]:
    for offset in range(1, log.head + 1):
        if offset not in have:
            yield Finding(Fault.LOST, f"{log.room}: there is no row with the offset {offset}; the head is {log.head}")
    for offset, number in have.items():
        if number > 1:
            yield Finding(Fault.DOUBLED, f"{log.room}: {number} rows have the offset {offset}")
        if not 0 < offset <= log.head:
            yield Finding(Fault.WRONG, f"{log.room}: a row has the offset {offset}; the head is {log.head}")


def _row(row: Seen, sent: Mapping[str, Said], past: Past, where: str) -> Iterator[Finding]:
    said = sent.get(row.id)
    if said is None:
        yield Finding(Fault.WRONG, f"{where}: nobody sent it")
    elif (row.kind, row.target) != (said.kind, said.target):
        yield Finding(Fault.WRONG, f"{where} is a {row.kind} of {row.target}; sent was a {said.kind} of {said.target}")
    text, version = past.today(row)
    if row.text != text and text is None:
        yield Finding(Fault.WRONG, f"{where} was removed, and its words are there: {row.text:.40}")
    elif (row.text, row.version) != (text, version):
        yield Finding(
            Fault.WRONG, f"{where} has {_short(row.text)}, changed by {row.version}; it is {_short(text)}, by {version}"
        )


# What publishers were told.


def judge_letters(letters: Letters, log: Log) -> Iterator[Finding]:
    """What was acknowledged is there, where the ack said it is; and all in the order in which it was sent."""
    offsets: defaultdict[str, list[int]] = defaultdict(list)
    for row in log.rows:
        offsets[row.id].append(row.offset)
    where = f"{letters.room}: {letters.who}'s"
    acked = {entry_id for entry_id, _ in letters.acks}
    yield from _answers(letters, acked, offsets, where)
    for entry_id, offset in letters.acks if letters.tells_offsets else ():
        if entry_id in offsets and offset not in offsets[entry_id]:
            yield Finding(Fault.WRONG, f"{where} {entry_id} was acknowledged at {offset} and is at {offsets[entry_id]}")
    yield from _in_order(letters, offsets, where)
    yield from _refusals(letters, acked, where)
    own = {said.id for said in letters.sent}
    if len(senders := {row.sender for row in log.rows if row.id in own}) > 1:
        yield Finding(Fault.WRONG, f"{where} letters are those of {len(senders)} senders: {sorted(senders)}")


def _answers(
    letters: Letters, acked: Container[str], offsets: Mapping[str, list[int]], where: str
) -> Iterator[Finding]:
    for said in letters.sent:
        if said.id in acked and said.id not in offsets:
            yield Finding(Fault.LOST, f"{where} {said.id} was acknowledged and is not in the log")
        if said.id not in acked and said.id not in letters.refused:
            yield Finding(Fault.WRONG, f"{where} {said.id} was never answered")
        if said.id in letters.refused and said.id in offsets:
            yield Finding(Fault.WRONG, f"{where} {said.id} was refused, and is at {offsets[said.id]}")


def _in_order(letters: Letters, offsets: Mapping[str, list[int]], where: str) -> Iterator[Finding]:
    last = 0
    for said in letters.sent:
        if said.id in offsets:
            first = min(offsets[said.id])
            if first < last:
                yield Finding(Fault.DISORDERED, f"{where} {said.id} is at {first}; one sent before it is at {last}")
            last = max(last, first)


def _refusals(letters: Letters, acked: Container[str], where: str) -> Iterator[Finding]:
    """Of one's own messages everything can be changed until one has removed it, and nothing after that."""
    removed: set[int | None] = set()
    for said in letters.sent:
        if said.target in removed and said.id in acked:
            yield Finding(Fault.WRONG, f"{where} {said.id} changed {said.target}, which they had removed before")
        if said.target not in removed and said.id in letters.refused:
            yield Finding(Fault.WRONG, f"{where} {said.id} was refused, and {said.target} could be changed")
        if said.kind == REMOVAL:
            removed.add(said.target)


# What clients were given.


def judge_record(record: Record, log: Log, past: Past) -> Iterator[Finding]:
    """Each run without a gap, the last one up to the head; the same entries as in the log; and shown as they are."""
    where = f"{record.room}: {record.who}"
    if not record.runs:
        yield Finding(Fault.WRONG, f"{where} was never let in")
        return
    rows = {row.offset: row for row in log.rows}
    # An offset is missed if it lies between the client's first start and its end, and no run has it; where a log was
    # renewed, only within each run.
    for number, run in enumerate(record.runs):
        yield from _page(run, rows, where)
        yield from _run(run, where)
        for seen in (*run.page, *run.seen):
            yield from _entry(seen, rows.get(seen.offset), past, where, afterwards=record.afterwards)
        last = number == len(record.runs) - 1
        end = log.head if last else max((seen.offset for seen in run.seen), default=run.start)
        given = {seen.offset for seen in run.seen}
        for offset in range(run.start + 1, end + 1):
            if offset in rows and offset not in given:
                yield Finding(Fault.LOST, f"{where} was never given {offset} ({rows[offset].id})")
    yield from _starts(record, log, rows, where)
    yield from _screen(Screen.of(record.runs[-1]), rows, where)


def _page(run: Run, rows: Mapping[int, Seen], where: str) -> Iterator[Finding]:
    """From its first entry to the start all messages; where it has a change, all changes too."""
    given = [seen.offset for seen in run.page]
    if given != sorted({*given}) or any(offset > run.start for offset in given):
        yield Finding(Fault.DISORDERED, f"{where} was given a page of {given}, up to {run.start}")
    wanted = {seen.kind for seen in run.page} | {MESSAGE}
    for offset in range(min(given, default=run.start + 1), run.start + 1):
        if offset in rows and offset not in given and (wanted > {MESSAGE} or rows[offset].kind == MESSAGE):
            yield Finding(Fault.LOST, f"{where} was given a page without {offset} ({rows[offset].id})")


def _run(run: Run, where: str) -> Iterator[Finding]:
    given: set[int] = set()
    last = run.start
    for seen in run.seen:
        if seen.offset in given or seen.offset <= run.start:
            yield Finding(Fault.DOUBLED, f"{where} was given {seen.offset} again, after {last}")
        elif seen.offset != last + 1:
            yield Finding(Fault.DISORDERED, f"{where} was given {seen.offset} right after {last}")
        given.add(seen.offset)
        last = seen.offset


def _entry(seen: Seen, row: Seen | None, past: Past, where: str, *, afterwards: bool) -> Iterator[Finding]:
    """The same as in the log, with a text that it had in the version that it came in."""
    if row is None or (row.id, row.kind, row.target) != (seen.id, seen.kind, seen.target):
        have = f"{row.kind} {row.id}" if row else "nothing"
        yield Finding(Fault.WRONG, f"{where} was given {seen.kind} {seen.id} at {seen.offset}; there is {have}")
    elif seen.text not in past.texts(row, seen.version):
        yield Finding(
            Fault.WRONG, f"{where} was given {seen.id} as {_short(seen.text)}, changed by {seen.version}: it never was"
        )
    elif afterwards and seen.text is not None and past.is_removed(row):
        yield Finding(Fault.WRONG, f"{where} came when {seen.id} had long been removed, and was given its words")


def _screen(screen: Screen, rows: Mapping[int, Seen], where: str) -> Iterator[Finding]:
    for offset, text in screen.texts.items():
        if offset in rows and text != (now := rows[offset].text):
            yield Finding(Fault.WRONG, f"{where} shows {_short(text)} at {offset} in the end; it is {_short(now)}")


def _starts(record: Record, log: Log, rows: Mapping[int, Seen], where: str) -> Iterator[Finding]:
    """A client may be made to start over because its log was renewed, and for no other reason."""
    for earlier, later in zip(record.runs, record.runs[1:], strict=False):
        end = max((seen.offset for seen in earlier.seen), default=earlier.start)
        where_to = f"{later.epoch} {later.start}, after {earlier.epoch} {end}"
        if earlier.epoch == later.epoch or len(log.epochs) == 1:
            yield Finding(Fault.WRONG, f"{where} had to start over at {where_to}, for no reason")
            first = min((seen.offset for seen in later.page), default=later.start + 1)
            for offset in range(end + 1, first):
                if offset in rows:
                    yield Finding(Fault.LOST, f"{where} was never given {offset}: it had to start over")
        elif {later.epoch, earlier.epoch} <= {*log.epochs} and _age(later, log) > _age(earlier, log):
            yield Finding(Fault.WRONG, f"{where} had to start over at {where_to}, which is an earlier epoch")
    if record.runs[-1].epoch in log.epochs[:-1]:
        yield Finding(Fault.WRONG, f"{where} ended in {record.runs[-1].epoch!r}; the log's epoch is {log.epochs[-1]!r}")
    for run in record.runs:
        if run.epoch not in log.epochs and (run.epoch, run.seen) != ("", []):
            yield Finding(Fault.WRONG, f"{where} was in the epoch {run.epoch!r}; the log has had {log.epochs}")


def _age(run: Run, log: Log) -> int:
    """How many epochs ago it was."""
    return len(log.epochs) - log.epochs.index(run.epoch)


def _short(text: str | None) -> str:
    return "blank" if text is None else f"{text:.40}"
