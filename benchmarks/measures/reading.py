"""What was used and done up to a moment; between two of them lies what is measured."""

import time
from dataclasses import dataclass
from pathlib import Path

SCHEDULED = Path("/proc/self/schedstat")


@dataclass(frozen=True)
class Reading:
    at: float
    sent: int
    delivered: int
    acknowledged: int
    # CPU seconds: the server's, those of what it stands on by name, and the crowd's.
    cpu: float
    others: dict
    crowd: float
    # The seconds for which the crowd could have run, and had no core.
    crowd_waited: float

    @classmethod
    def take(cls, server, crowd):
        return cls(
            time.perf_counter(),
            len(crowd.sent),
            crowd.delivered,
            crowd.acknowledged,
            server.cpu(),
            server.cpu_of_others(),
            time.process_time(),
            int(SCHEDULED.read_text().split()[1]) / 1e9,
        )

    def __sub__(self, before):
        return Reading(
            self.at - before.at,
            self.sent - before.sent,
            self.delivered - before.delivered,
            self.acknowledged - before.acknowledged,
            self.cpu - before.cpu,
            {name: cpu - before.others[name] for name, cpu in self.others.items()},
            self.crowd - before.crowd,
            self.crowd_waited - before.crowd_waited,
        )

    @property
    def redis(self):
        """CPU seconds of all Redis servers."""
        return sum(cpu for name, cpu in self.others.items() if name.startswith("redis"))

    def shares(self):
        """Of a core, by the clock: whose CPU it was, and for how much of the time the crowd waited for one."""
        return {
            "server_cpu_share": self.cpu / self.at,
            **{f"{name}_cpu_share": cpu / self.at for name, cpu in self.others.items()},
            "crowd_cpu_share": self.crowd / self.at,
            "crowd_waited_share": self.crowd_waited / self.at,
        }


def percentile(values, share):
    """The value below which that share of them lies, by rank."""
    ranked = sorted(values)
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)]


def latency(seconds):
    """The two figures that are told of how long messages took."""
    return {"p50_ms": percentile(seconds, 0.50) * 1e3, "p99_ms": percentile(seconds, 0.99) * 1e3}
