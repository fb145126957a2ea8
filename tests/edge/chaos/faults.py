"""What goes wrong in a run: for each part of the chain a list of faults to draw from, by seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from tests.benchmarks.edge_house import Simulator
from tests.edge.chaos import page, wire
from tests.edge.chaos.house import House

Fault = Callable[[random.Random], None]

DEVICE_MODES = {
    "egauge": (
        *("slow", "hang", "refuse", "garbage", "truncated", "http_500", "stale_clock", "reboot"),
        *("null_fields", "missing_register", "counter_jump", "serial_change", "offline", "login_page"),
    ),
    "sonnen": (
        *(
            "slow",
            "hang",
            "refuse",
            "garbage",
            "truncated",
            "http_500",
            "stale_clock",
            "reboot",
            "null_fields",
        ),
        *("missing_register", "wrong_password", "alarm", "no_sensor", "empty_object"),
    ),
    "powerflex": (
        *(
            "slow",
            "hang",
            "refuse",
            "garbage",
            "truncated",
            "http_500",
            "stale_clock",
            "reboot",
            "null_fields",
        ),
        *("error_in_200", "no_series", "forget_tokens"),
    ),
}


class Tally:
    """Faults that happened, by what they were; counted from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    @property
    def counts(self) -> Counter[str]:
        return Counter(self._counts)


class Trouble:
    """One part of the chain and its own thread, on which its faults happen one after another.

    A thread of its own also because servers end with the thread that started them.
    """

    def __init__(self, name: str, seed: int, tally: Tally) -> None:
        self._name = name
        self._chance = random.Random(f"{seed}/{name}")
        self._tally = tally
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def do(self, call: Callable[[], Any]) -> Any:
        """Make a call on the thread; its result."""
        return self._thread.submit(call).result()

    def begin(
        self,
        faults: Mapping[str, Fault],
        count: int,
        calm_s: tuple[float, float],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Future[None]:
        """Have `count` faults happen, each kind about as often, with a calm before each; in a calm, each half second,
        what is to be done `meanwhile`."""
        plan: list[str] = []
        while len(plan) < count:  # in rounds, so that each kind comes about as often
            plan += self._chance.sample(sorted(faults), min(len(faults), count - len(plan)))
        return self._thread.submit(self._go, faults, plan, calm_s, meanwhile)

    def _go(
        self,
        faults: Mapping[str, Fault],
        plan: Sequence[str],
        calm_s: tuple[float, float],
        meanwhile: Callable[[], None],
    ) -> None:
        for kind in plan:
            calm_until = time.monotonic() + self._chance.uniform(*calm_s)
            while (left_s := calm_until - time.monotonic()) > 0:
                time.sleep(min(left_s, 0.5))
                meanwhile()
            faults[kind](self._chance)
            self._tally.add(f"{self._name.split('-')[0]}: {kind}")

    def close(self) -> None:
        self._thread.shutdown()


def of_edge(house: House) -> dict[str, Fault]:
    """Its process, its clock, its disk. Nothing kills it while its disk refuses: then memory is all there is."""

    def kill(_: random.Random) -> None:
        house.kill()
        house.start()

    def kill_between_steps(chance: random.Random) -> None:
        house.kill_between_steps(chance)
        house.start()

    def power_cut(chance: random.Random) -> None:
        house.lose_power(chance)
        house.start()

    def restart(_: random.Random) -> None:
        house.terminate()
        house.start()

    def clock_far_back(chance: random.Random) -> None:
        step = chance.randint(90_000, 200_000)
        house.far_steps += 1
        house.step_clock(-step)
        time.sleep(chance.uniform(1.5, 3.0))
        house.step_clock(step)

    def boot_without_clock(chance: random.Random) -> None:
        house.kill()
        house.step_clock(-500_000)
        house.start()
        time.sleep(chance.uniform(1.0, 2.0))
        house.step_clock(500_000)

    def disk(*how: int) -> Fault:
        return lambda chance: house.break_disk(chance.choice(how), chance.uniform(0.8, 2.0))

    return {
        "killed": kill,
        "killed between steps": kill_between_steps,
        "power cut": power_cut,
        "restarted": restart,
        "frozen": lambda chance: house.freeze(chance.uniform(0.3, 2.0)),
        "clock forward": lambda chance: house.step_clock(chance.randint(1_500, 30_000)),
        "clock back": lambda chance: house.step_clock(-chance.randint(1_100, 3_000)),
        "clock far back": clock_far_back,
        "boot without clock": boot_without_clock,
        "disk full": disk(page.DISK_FULL),
        "disk fails": disk(page.DISK_WRITE_FAILS, page.DISK_SYNC_FAILS),
    }


def of_devices(simulator: Simulator) -> dict[str, Fault]:
    """Every kind of device error that the simulators know."""

    def misbehave(device: str, mode: str) -> Fault:
        def go(chance: random.Random) -> None:
            seconds = chance.uniform(0.6, 1.2)
            simulator.misbehave(device, mode, seconds)
            time.sleep(seconds)

        return go

    return {
        f"{device} {mode}": misbehave(device, mode)
        for device, modes in DEVICE_MODES.items()
        for mode in modes
    }


def of_wire(the_wire: wire.Wire) -> dict[str, Fault]:
    def broken(mode: str, longest_s: float) -> Fault:
        def go(chance: random.Random) -> None:
            the_wire.become(mode, chance.uniform(0.05, 0.5))
            time.sleep(chance.uniform(0.2, longest_s))
            the_wire.become(wire.WHOLE)

        return go

    return {
        "cut": broken(wire.CUT, 1.5),
        "half open": broken(wire.SILENT, 2.5),
        "slow": broken(wire.SLOW, 2.0),
        "reset in a packet": broken(wire.TORN, 0.5),
    }


def of_process(
    kill: Callable[[], None],
    start: Callable[[], None],
    stop: Callable[[], None],
    freeze: Callable[[float], None],
) -> dict[str, Fault]:
    """Of a server or of ingest."""

    def killed(chance: random.Random) -> None:
        kill()
        time.sleep(chance.uniform(0.0, 0.8))
        start()

    def restarted(_: random.Random) -> None:
        stop()
        start()

    return {
        "killed": killed,
        "restarted": restarted,
        "frozen": lambda chance: freeze(chance.uniform(0.3, 2.5)),
    }
