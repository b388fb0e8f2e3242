"""What is drawn of which figures. How it is drawn stands in plots.py, which needs matplotlib."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One figure of a case: a bar for each entrant; or a line, where the case is a curve."""

    case: str
    figure: str
    title: str


@dataclass(frozen=True)
class Picture:
    """`text` is for who does not see it."""

    text: str
    panels: tuple[Panel, ...]

    def panels_of(self, results):
        """Those for which something was measured."""
        return [each for each in self.panels if each.case in results.cases and results.any_has(each.case, each.figure)]


# By the name of the file.
PICTURES = {
    "fanout": Picture(
        "Deliveries a second in a room of 500 members, with 4 and with 256 messages in flight",
        (
            Panel("fanout-4", "deliveries_per_s", "deliveries/s, 4 in flight"),
            Panel("fanout-256", "deliveries_per_s", "deliveries/s, 256 in flight"),
        ),
    ),
    "cost": Picture(
        "The server's CPU for a delivery, with 4 and with 256 messages in flight",
        (
            Panel("fanout-4", "cpu_us_per_delivery", "CPU µs a delivery, 4 in flight"),
            Panel("fanout-256", "cpu_us_per_delivery", "CPU µs a delivery, 256 in flight"),
        ),
    ),
    "storing": Picture(
        "Messages stored and acknowledged a second, and how long one takes where nothing else happens",
        (
            Panel("storing", "stored_per_s", "stored and acknowledged/s"),
            Panel("idle", "p50_ms", "idle: p50 in ms, less is better"),
        ),
    ),
    "connections": Picture(
        "Memory of an idle connection, and connections that come in a second",
        (
            Panel("connections", "kib_per_connection", "KiB a connection, less is better"),
            Panel("connections", "connects_per_s", "connects, and joins, /s"),
        ),
    ),
    "delivered": Picture(
        "What readers have in the end whose connections are cut every few seconds",
        (
            Panel("delivered", "delivered_percent", "% delivered"),
            Panel("delivered", "doubled", "doubled, less is better"),
        ),
    ),
    "growth": Picture(
        "The server's CPU for a delivery by the members of a room, and for a publish by the rooms that are followed",
        (
            Panel("members", "cpu_us_per_member", "CPU µs a delivery without the publish's own, by members"),
            Panel("rooms", "cpu_us_many", "CPU µs a publish, 16 in flight, by rooms"),
        ),
    ),
    "layer": Picture(
        "Messages of the channel layer for a publish, by server processes",
        (
            Panel("layer-one", "layer_messages_per_publish", "layer messages a publish, one at a time"),
            Panel("layer-many", "layer_messages_per_publish", "layer messages a publish, many in flight"),
        ),
    ),
    "processes": Picture(
        "Deliveries and stored messages a second, by server processes, with one Redis and with two",
        (
            Panel("processes-fanout", "deliveries_per_s", "deliveries/s, by processes"),
            Panel("processes-storing", "stored_per_s", "stored and acknowledged/s, by processes"),
        ),
    ),
    "processes-cost": Picture(
        "The server's CPU for a delivery and for a publish, by server processes, with one Redis and with two",
        (
            Panel("processes-fanout", "cpu_us_per_delivery", "CPU µs a delivery, by processes"),
            Panel("processes-storing", "cpu_us_per_publish", "CPU µs a publish, by processes"),
        ),
    ),
}
