"""The edge left alone: does it stay as small as it was, and on time?

    python -m tests.benchmarks.edge_soak --minutes 30 --speed 20

A house of eight devices: three simulated ones behind their real protocols, four that say when they were read, one that
hangs for ever. All that happens by the clock (polls, status, removal from the outbox, the life of the house) happens
`speed` times as often; each half minute something goes wrong and passes: a device, the broker, the wire.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import psutil

from sgmp_edge import contract
from tests.benchmarks.edge_house import MeasuredEdge, Simulator, simulator
from tests.mosquitto import TestBroker, TestClient, running_broker
from tests.waiting import wait_until

POLL_S = 4.0
BUDGET_RSS_MB = 45.0
BUDGET_JITTER_MS = 100.0
TROUBLE_EVERY_S = 30.0
LAST_TROUBLE_S = 180.0
"""The longest pause between two attempts to connect, and the time for a backlog of as long."""
WARM_UP = 0.2
"""Share of the run that is not counted: imports, first connections, caches that fill once."""
GROWTH_MB = 2.0
"""Between the first and the last third of what is counted: less is the noise of an allocator."""
SKIPPED_SHARE = 0.01
"""Of all ticks: later than a whole tick, which the jitter's budget allows one poll in a hundred."""
DEVICE_TROUBLES = ("slow", "hang", "refuse", "garbage", "truncated", "http_500", "stale_clock", "reboot")


@dataclass(frozen=True)
class Sample:
    at_s: float
    rss_mb: float
    fds: int
    threads: int
    cpu_s: float


@dataclass
class Soak:
    """What was measured. Lateness: ms between a tick and the call of a driver's `read()`."""

    speed: float
    samples: list[Sample] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    machine_late_ms: list[float] = field(default_factory=list)
    """How much longer than asked for a pause of our own was: where that is long, a late poll is not the edge's fault."""
    polls: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    timestamps: dict[str, set[int]] = field(default_factory=dict)
    reads: dict[str, set[int]] = field(default_factory=dict)
    """Of each metronome: the numbers of its readings that arrived."""
    tracebacks: int = 0

    @property
    def counted(self) -> list[Sample]:
        """Samples after the warm-up."""
        start = self.samples[-1].at_s * WARM_UP
        return [sample for sample in self.samples if sample.at_s >= start]

    @property
    def rss_growth_mb(self) -> float:
        counted = self.counted
        third = max(len(counted) // 3, 1)
        first, last = counted[:third], counted[-third:]
        return statistics.median(s.rss_mb for s in last) - statistics.median(s.rss_mb for s in first)

    @property
    def cpu_share(self) -> float:
        """Of one core."""
        first, last = self.counted[0], self.counted[-1]
        return (last.cpu_s - first.cpu_s) / max(last.at_s - first.at_s, 1e-9)

    @property
    def lost(self) -> int:
        """Readings of metronomes that never arrived."""
        return sum(max(numbers) - min(numbers) + 1 - len(numbers) for numbers in self.reads.values())

    @property
    def skipped(self) -> int:
        """Ticks at which a metronome was not read: the machine stood still for longer than a tick, which at 20 times
        the speed is 0.2 s."""
        step = round(POLL_S / self.speed * 1000)
        ticks = sum((max(at) - min(at)) // step + 1 - len(at) for at in self.timestamps.values())
        return ticks - self.lost

    def late_percentile(self, percent: float) -> float:
        return sorted(self.late_ms)[min(int(len(self.late_ms) * percent / 100), len(self.late_ms) - 1)]

    def summary(self) -> dict[str, Any]:
        counted = self.counted
        return {
            "minutes": round(self.samples[-1].at_s / 60, 2),
            "speed": self.speed,
            "polls": sum(self.polls.values()),
            "lost": self.lost,
            "skipped_ticks": self.skipped,
            "troubles": dict(self.troubles),
            "rss_mb": {
                "first": round(counted[0].rss_mb, 1),
                "last": round(counted[-1].rss_mb, 1),
                "highest": round(max(s.rss_mb for s in self.samples), 1),
                "growth": round(self.rss_growth_mb, 2),
            },
            "fds": [min(s.fds for s in counted), max(s.fds for s in counted)],
            "threads": [min(s.threads for s in counted), max(s.threads for s in counted)],
            "cpu_percent_of_a_core": round(self.cpu_share * 100, 2),
            "cpu_percent_at_speed_1": round(self.cpu_share * 100 / self.speed, 2),
            "machine_late_ms": round(max(self.machine_late_ms), 1),
            "late_ms": {f"p{percent}": round(self.late_percentile(percent), 1) for percent in (50, 99, 99.9)},
            "tracebacks": self.tracebacks,
        }

    def failures(self, *, jitter_ms: float = BUDGET_JITTER_MS) -> list[str]:
        """What is not as it should be, said with its number. `jitter_ms`: how late one poll in a hundred may be."""
        said = []
        highest = max(s.rss_mb for s in self.samples)
        if highest >= BUDGET_RSS_MB:
            said.append(f"resident memory reached {highest:.1f} MB of {BUDGET_RSS_MB:g}")
        if self.rss_growth_mb > GROWTH_MB:
            said.append(f"resident memory grew by {self.rss_growth_mb:.1f} MB")
        for what in ("fds", "threads"):
            counted = [getattr(sample, what) for sample in self.counted]
            third = max(len(counted) // 3, 1)
            before, after = statistics.median(counted[:third]), statistics.median(counted[-third:])
            # A broker or device that was away for one sample takes a connection away, no more.
            if after > before + 1:
                said.append(f"{what} grew from {before:g} to {after:g}")
        on_time = max(self.machine_late_ms) < BUDGET_JITTER_MS / 2
        if on_time and self.late_percentile(99) >= jitter_ms:
            said.append(f"polls were {self.late_percentile(99):.0f} ms late (99 %) beside a hung device")
        if self.lost:
            said.append(f"{self.lost} readings never arrived")
        if on_time and self.skipped > SKIPPED_SHARE * len(self.late_ms):
            said.append(f"{self.skipped} ticks of {len(self.late_ms)} passed without a poll")
        if self.tracebacks:
            said.append(f"{self.tracebacks} tracebacks in the log")
        return said


def run(minutes: float, speed: float, *, seed: int = 1, trouble_every_s: float = TROUBLE_EVERY_S) -> Soak:
    """Blocks for `minutes` and the time it takes to begin and end."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgmp-soak-")))
        broker = stack.enter_context(running_broker())
        devices = stack.enter_context(simulator("--speed", str(speed)))
        ingest = TestClient(broker, broker.files_for("sgmp_ingest"), "sgmp_ingest", session_s=600)
        stack.callback(ingest.close)
        ingest.wait_connected()
        ingest.subscribe(contract.read_filter("sgmp"))
        edge = MeasuredEdge(
            folder,
            broker,
            poll_interval_s=POLL_S / speed,
            status_interval_s=max(60.0 / speed, 1.0),
            resend_s=60.0 / speed,
            backlog_spread_s=30.0 / speed,
        )
        stack.callback(edge.close)
        metronomes = [contract.DeviceConfig(10 + n, f"metronome_{n}", "metronome", {}) for n in range(4)]
        hung = contract.DeviceConfig(20, "hung", "metronome", {"hang": True})
        edge.configure(*devices.configs(), *metronomes, hung)
        soak = Soak(speed)
        process = edge.start()
        beating = {metronome.name for metronome in metronomes} | devices.addresses.keys()
        # A busy machine takes seconds to start a program; what it opens meanwhile is not growth.
        wait_until(lambda: _receive(soak, ingest) or soak.polls.keys() >= beating)  # type: ignore[func-returns-value]
        _watch(soak, process, ingest, minutes * 60, _Troubles(chance, broker, devices, soak, trouble_every_s))
        # A trouble may have come at the very end: what it held up may still follow, beside live readings.
        deadline = time.monotonic() + LAST_TROUBLE_S
        _receive(soak, ingest)
        while soak.lost and time.monotonic() < deadline:
            threading.Event().wait(0.2)
            _receive(soak, ingest)
        edge.stop()
        assert soak.late_ms, f"no reading arrived: {edge.logged()}"
        soak.tracebacks = edge.logged().count("Traceback")
        return soak


class _Troubles:
    """Something goes wrong now and then."""

    def __init__(
        self, chance: random.Random, broker: TestBroker, devices: Simulator, soak: Soak, every_s: float
    ) -> None:
        self._chance = chance
        self._broker = broker
        self._devices = devices
        self._soak = soak
        self._every_s = every_s
        self._next_s = every_s

    def look(self, at_s: float) -> None:
        if at_s < self._next_s:
            return
        self._next_s += self._every_s
        if self._chance.random() < 0.3:
            self._soak.troubles["broker restarted"] += 1
            self._broker.stop()
            self._broker.start()
        else:
            device = self._chance.choice(sorted(self._devices.addresses))
            mode = self._chance.choice(DEVICE_TROUBLES)
            self._soak.troubles[mode] += 1
            self._devices.misbehave(device, mode, self._every_s / 5)


def _watch(
    soak: Soak, process: psutil.Popen, ingest: TestClient, seconds: float, troubles: _Troubles
) -> None:
    started = time.monotonic()
    while (at_s := time.monotonic() - started) < seconds:
        with process.oneshot():
            times = process.cpu_times()
            sample = Sample(
                at_s,
                process.memory_info().rss / 1_000_000,
                process.num_fds(),
                process.num_threads(),
                times.user + times.system,
            )
        soak.samples.append(sample)
        troubles.look(at_s)
        _receive(soak, ingest)
        paused = time.monotonic()
        threading.Event().wait(1.0)
        soak.machine_late_ms.append((time.monotonic() - paused - 1.0) * 1000)


def _receive(soak: Soak, ingest: TestClient) -> None:
    while True:
        try:
            topic, payload = ingest.received.get_nowait()
        except Empty:
            return
        where = contract.parse_read_topic("sgmp", topic)
        if where.kind != "data":
            continue
        if where.device_name.startswith("metronome"):
            seen = soak.timestamps.setdefault(where.device_name, set())
            if where.timestamp_ms in seen:
                continue  # sent once more after a reconnect
            seen.add(where.timestamp_ms)
            reading = json.loads(payload)
            soak.reads.setdefault(where.device_name, set()).add(reading["reads"])
            soak.late_ms.append(reading["at_ms"] - where.timestamp_ms)
        soak.polls[where.device_name] += 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.edge_soak", description="The edge's soak."
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    soak = run(given.minutes, given.speed, seed=given.seed)
    failures = soak.failures()
    print(json.dumps({**soak.summary(), "failures": failures}, indent=2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
