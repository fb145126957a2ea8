"""A simulated house with its three devices on loopback, in this process."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sgmp_console.demo.simulator import House
from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.egauge import EgaugeMeter
from sgmp_console.demo.simulator.powerflex import PowerflexService
from sgmp_console.demo.simulator.server import DeviceServer
from sgmp_console.demo.simulator.sonnen import SonnenBattery

ZONE = "America/Los_Angeles"
TOKEN = "token-of-the-battery"
USERNAME, PASSWORD = "owner", "secret-of-the-owner"

T = TypeVar("T")


class Running:
    """The house, its clock, and its servers by device name."""

    def __init__(
        self,
        house: House,
        clock: SimulatedClock,
        *,
        meter: Mapping[str, Any],
        battery: Mapping[str, Any],
        service: Mapping[str, Any],
    ) -> None:
        self.house = house
        self.clock = clock
        self.servers: dict[str, DeviceServer] = {}
        DeviceServer(EgaugeMeter(house, clock, **meter), self.servers)
        DeviceServer(SonnenBattery(house, clock, **{"token": TOKEN, **battery}), self.servers)
        DeviceServer(PowerflexService(house, clock, USERNAME, PASSWORD, **service), self.servers)

    def url(self, device: str, path: str) -> str:
        return f"http://{self.servers[device].address}{path}"

    def misbehave(self, device: str, mode: str, seconds: float | None = None, **options: Any) -> None:
        self.servers[device].misbehave(mode, seconds, **options)


@contextmanager
def running(
    clock: SimulatedClock | None = None,
    *,
    house: House | None = None,
    meter: Mapping[str, Any] | None = None,
    battery: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
) -> Iterator[Running]:
    """Serve a house until the block ends; without one given, one that may be commanded.

    The mappings are further arguments of its devices.
    """
    made = Running(
        house or new_house(),
        clock or daytime(),
        meter=meter or {},
        battery=battery or {},
        service=service or {},
    )
    try:
        for server in made.servers.values():
            server.start()
        yield made
    finally:
        for server in made.servers.values():
            server.stop()


def new_house() -> House:
    return House(1, ZONE, 37.42, -122.20)


def daytime() -> SimulatedClock:
    """A sunny morning, with a battery that is neither empty nor full."""
    return SimulatedClock(epoch_ms=local(2026, 3, 22, 10, 20))


def local(*when: int) -> int:
    """UTC ms of a wall clock time of the house."""
    return round(datetime.datetime(*when, tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)  # type: ignore[misc,arg-type]


def until(get: Callable[[], T], right: Callable[[T], bool], within_s: float = 5.0) -> T:
    """Ask again and again until the answer is right; the last answer when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        answer = get()
        if right(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)
