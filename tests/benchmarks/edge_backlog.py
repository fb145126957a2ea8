"""A house comes back after a day without a connection: its backlog goes at the broker's permitted rate, oldest first,
and what is measured meanwhile arrives as if there were none.

    python -m tests.benchmarks.edge_backlog                 # eight devices x 21,600 messages: half an hour
    python -m tests.benchmarks.edge_backlog --messages 200  # of each device
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sgmp_edge import contract
from sgmp_edge.delivery.outbox import Message, Outbox
from sgmp_edge.settings import OUTBOX_FILE
from tests.benchmarks.edge_house import MeasuredEdge
from tests.mosquitto import TestClient, running_broker

DEVICES = 8
DAY = 21_600
"""Messages of one device in a day, at one each 4 s."""
PERMITTED_PER_S = 100.0
"""AWS IoT Core's limit of publishes for one connection."""
LIVE_AGE_BUDGET_S = 2.0
PAYLOAD_BYTES = 400
CHUNK = 5_000
SLACK_S = 60.0
BURST = 10
"""Messages that a limit allows at once, generously."""
ON_TIME_S = 0.1
"""How late a pause of ours may end on a machine that is quiet enough to judge seconds."""
_PAUSE_S = 0.05


class Arrivals(queue.Queue[tuple[str, bytes]]):
    """Of a test client; each stamped when it came, by the wall clock."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def put(self, item: tuple[str, bytes], block: bool = True, timeout: float | None = None) -> None:
        self.times.append(time.time())
        super().put(item, block, timeout)


@dataclass
class Drained:
    """Times in seconds; `live_age_s`: from the tick of a reading to its arrival, while the backlog went."""

    backlog: int
    seconds: float = 0.0
    live_age_s: list[float] = field(default_factory=list)
    arrived: int = 0
    repeated: int = 0
    out_of_order: int = 0
    missing_ticks: int = 0
    per_s: Counter[int] = field(default_factory=Counter)
    """Messages of any kind that arrived in each second of the clock."""
    rss_mb: float = 0.0
    cpu_share: float = 0.0
    machine_late_s: float = 0.0
    """How much longer than asked for a pause of our own was: a machine so late says nothing of the edge's seconds."""

    @property
    def busiest_s(self) -> int:
        return max(self.per_s.values())

    @property
    def rate(self) -> float:
        """Messages a second, live ones included, over the whole seconds of the drain."""
        whole = sorted(self.per_s)[1:-1]
        return sum(self.per_s[second] for second in whole) / max(len(whole), 1)

    def age(self, percent: float) -> float:
        ages = sorted(self.live_age_s)
        return ages[min(int(len(ages) * percent / 100), len(ages) - 1)]

    def summary(self) -> dict[str, Any]:
        return {
            "backlog": self.backlog,
            "drained_in_s": round(self.seconds, 1),
            "messages_per_s": round(self.rate, 1),
            "busiest_second": self.busiest_s,
            "live_readings": len(self.live_age_s),
            "live_age_s": {f"p{percent}": round(self.age(percent), 3) for percent in (50, 99, 100)},
            "missing": self.backlog - self.arrived,
            "missing_live_ticks": self.missing_ticks,
            "repeated": self.repeated,
            "out_of_order": self.out_of_order,
            "machine_late_s": round(self.machine_late_s, 3),
            "rss_mb": round(self.rss_mb, 1),
            "cpu_percent_of_a_core": round(self.cpu_share * 100, 1),
        }

    def failures(self) -> list[str]:
        said = []
        if self.arrived < self.backlog or self.missing_ticks:
            said.append(
                f"{self.backlog - self.arrived} messages and {self.missing_ticks} live ones are missing"
            )
        if self.out_of_order:
            said.append(f"{self.out_of_order} messages of the backlog overtook older ones")
        sent, permitted = (
            sum(self.per_s.values()),
            PERMITTED_PER_S * (self.seconds + self.machine_late_s) + BURST,
        )
        if sent > permitted:
            said.append(f"{sent} messages went in {self.seconds:.1f} s; {permitted:.0f} are permitted")
        if self.machine_late_s < ON_TIME_S:
            if self.age(100) >= LIVE_AGE_BUDGET_S:
                said.append(f"a live reading was {self.age(100):.1f} s old when it arrived")
            if not 0.85 * PERMITTED_PER_S <= self.rate <= PERMITTED_PER_S * 1.01:
                said.append(f"{self.rate:.0f} messages a second went; {PERMITTED_PER_S:g} are permitted")
            if self.busiest_s > PERMITTED_PER_S * 1.05:
                said.append(
                    f"{self.busiest_s} messages went in one second; {PERMITTED_PER_S:g} are permitted"
                )
        return said


def run(messages_per_device: int = DAY, *, poll_s: float = 4.0) -> Drained:
    """Blocks until the backlog has arrived."""
    result = Drained(DEVICES * messages_per_device)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgmp-backlog-")))
        broker = stack.enter_context(running_broker())
        ingest = TestClient(broker, broker.files_for("sgmp_ingest"), "sgmp_ingest")
        stack.callback(ingest.close)
        ingest.wait_connected()
        arrivals = Arrivals()
        ingest.received = arrivals
        ingest.subscribe(contract.read_filter("sgmp"))
        edge = MeasuredEdge(folder, broker, poll_interval_s=poll_s, backlog_spread_s=0)
        stack.callback(edge.close)
        edge.configure(*(contract.DeviceConfig(n, _name(n), "metronome", {}) for n in range(1, DEVICES + 1)))
        _fill(edge.home / OUTBOX_FILE, messages_per_device)
        process = edge.start()
        with _lateness(result):
            _watch(result, arrivals, process, poll_s)
        edge.stop()
    return result


def _name(device_id: int) -> str:
    return f"device_{device_id}"


def _fill(path: Path, messages_per_device: int) -> None:
    """As an edge leaves its outbox that polled each 4 s and had no connection."""
    outbox = Outbox(path, max_bytes=10**9)
    pad = "x" * PAYLOAD_BYTES
    start_ms = (int(time.time()) - 86_400) // 4 * 4000
    chunk: list[Message] = []
    for tick in range(messages_per_device):
        for n in range(1, DEVICES + 1):
            body = json.dumps({"n": tick, "pad": pad}).encode()
            chunk.append(Message(n, _name(n), start_ms + tick * 4000, "data", body))
        if len(chunk) >= CHUNK:
            outbox.put(chunk)
            chunk = []
    outbox.put(chunk)
    outbox.close()


@contextmanager
def _lateness(result: Drained) -> Iterator[None]:
    """Meanwhile note how late pauses end."""
    over = threading.Event()

    def pause() -> None:
        while not over.is_set():
            began = time.monotonic()
            over.wait(_PAUSE_S)
            result.machine_late_s = max(result.machine_late_s, time.monotonic() - began - _PAUSE_S)

    thread = threading.Thread(target=pause, name="lateness")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(result: Drained, arrivals: Arrivals, process: psutil.Popen, poll_s: float) -> None:
    started = time.monotonic()
    limit_s = result.backlog / PERMITTED_PER_S * 1.3 + SLACK_S
    seen: set[str] = set()
    latest: dict[int, int] = {}
    live: dict[int, set[int]] = {}
    first_s = last_s = 0.0
    for count, (topic, payload) in enumerate(_each(arrivals, started + limit_s)):
        at_s = arrivals.times[count]
        where = contract.parse_read_topic("sgmp", topic)
        first_s, last_s = first_s or at_s, at_s
        result.per_s[int(at_s)] += 1
        if topic in seen:
            result.repeated += 1
        elif where.kind == "data":
            seen.add(topic)
            if "n" in json.loads(payload):
                result.arrived += 1
                result.out_of_order += where.timestamp_ms < latest.get(where.device_id, 0)
                latest[where.device_id] = where.timestamp_ms
            else:
                result.live_age_s.append(at_s - where.timestamp_ms / 1000)
                live.setdefault(where.device_id, set()).add(where.timestamp_ms)
        if result.arrived == result.backlog:
            break
    result.seconds = last_s - first_s
    step_ms = round(poll_s * 1000)
    result.missing_ticks = sum((max(at) - min(at)) // step_ms + 1 - len(at) for at in live.values())
    times = process.cpu_times()
    result.cpu_share = (times.user + times.system) / max(time.monotonic() - started, 1e-9)
    result.rss_mb = process.memory_info().rss / 1_000_000


def _each(arrivals: Arrivals, until_s: float) -> Iterator[tuple[str, bytes]]:
    """What comes, until the time (monotonic) is over."""
    while (left_s := until_s - time.monotonic()) > 0:
        with suppress(queue.Empty):
            yield arrivals.get(timeout=min(left_s, 1.0))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.edge_backlog", description="An edge back from an outage."
    )
    parser.add_argument("--messages", type=int, default=DAY, help="of each of the eight devices")
    parser.add_argument("--poll", type=float, default=4.0, metavar="SECONDS")
    given = parser.parse_args(arguments)
    drained = run(given.messages, poll_s=given.poll)
    failures = drained.failures()
    print(json.dumps({**drained.summary(), "failures": failures}, indent=2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
