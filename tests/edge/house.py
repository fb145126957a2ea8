"""A poller with devices that do as they are told, for tests: in a time of its own, in which nothing is ever late."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sgmp_edge import contract
from sgmp_edge.delivery.outbox import Message
from sgmp_edge.polling.clock import Clock, Mark
from sgmp_edge.polling.drivers import Catalogue
from sgmp_edge.polling.poller import CLOCK_KEY, Poller
from sgmp_edge.threads import Loop
from tests.waiting import WAIT_S

INTERVAL_S = 0.2


class Script:
    """How a device behaves now, and what was asked of it. One per device, by its config's `script`."""

    all: dict[str, Script] = {}  # noqa: RUF012 - the registry is the point

    def __init__(self, name: str) -> None:
        self.name = name
        self.answer: Any = {"power": 1.0}
        self.gate = threading.Event()
        self.gate.set()
        self.reads: list[float] = []
        self.made = 0
        self.closed = 0
        self.inside = 0
        self.most_inside = 0
        self.memory: Any = None
        self.restored: list[Any] = []
        self.asked: list[tuple[int, int]] = []
        self.history: Any = None
        self.acts: list[Any] = []
        self.releases = 0
        self.left: str | None = None
        Script.all[name] = self


class Scripted:
    """A driver that does what its script says."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.script = Script.all[config["script"]]
        self.script.made += 1
        if config.get("broken"):
            raise ValueError("broken config")

    def read(self) -> Any:
        script = self.script
        script.reads.append(NOW.monotonic())
        script.inside += 1
        script.most_inside = max(script.most_inside, script.inside)
        try:
            assert script.gate.wait(WAIT_S)
            if isinstance(script.answer, BaseException):
                raise script.answer
            return script.answer
        finally:
            script.inside -= 1

    def close(self) -> None:
        self.script.closed += 1


class Remembering(Scripted):
    """Has memory and a history of its own."""

    def state(self) -> Any:
        return self.script.memory

    def restore(self, memory: Any) -> None:
        self.script.restored.append(memory)

    def recover(self, start_ms: int, end_ms: int) -> Any:
        self.script.asked.append((start_ms, end_ms))
        if isinstance(self.script.history, Exception):
            raise self.script.history
        return self.script.history


class Commanded(Scripted):
    """Can be commanded and given back."""

    def act(self, data: Any) -> Any:
        if isinstance(self.script.answer, Exception):
            raise self.script.answer
        self.script.acts.append(data)
        return (
            {"power_w": data.get("power_w"), "clamped": {"power_w": [9000, 3000]}}
            if "power_w" in data
            else None
        )

    def left_command(self) -> str | None:
        return self.script.left

    def release(self) -> None:
        if isinstance(self.script.answer, Exception):
            raise self.script.answer
        self.script.releases += 1


class Irrevocable(Scripted):
    """Can be commanded, but not given back by itself: as in the playbook."""

    def act(self, data: Any) -> None:
        self.script.acts.append(data)


TYPES: dict[str, type] = {
    "scripted": Scripted,
    "remembering": Remembering,
    "commanded": Commanded,
    "irrevocable": Irrevocable,
}


def device(device_id: int, name: str, kind: str = "scripted", **config: Any) -> contract.DeviceConfig:
    return contract.DeviceConfig(device_id, name, kind, {"script": name, **config})


class Time:
    """The time of houses, which passes only where they have nothing left to do: as the module `time` for the edge."""

    def __init__(self) -> None:
        self._passed_at = time.time()
        self.stepped_s = 0.0
        """By how much the wall clock was set."""

    def monotonic(self) -> float:
        return self._passed_at

    def time(self) -> float:
        return self._passed_at + self.stepped_s

    def go_on(self, seconds: float) -> None:
        self._passed_at += seconds


NOW = Time()


class _Loop(Loop):
    """Turned by the test, on its own thread."""

    def __init__(self) -> None:
        super().__init__("test house")
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def post(self, call: Callable[[], None]) -> None:
        self.calls.put(call)


class House:
    """What the daemon is around a poller. `puts`: messages, states and liveness of each transaction.

    Devices have threads of their own. All else happens in `until` and `pass_time`.
    """

    def __init__(self, states: Mapping[str, str] | None = None, interval_s: float = INTERVAL_S) -> None:
        self.puts: list[tuple[list[Message], dict[str, str | None], bool]] = []
        self.states: dict[str, str] = dict(states or {})
        self.also: list[Callable[[], float]] = []
        self.loop = _Loop()
        mark = json.loads(self.states.get(CLOCK_KEY, "{}"))
        self.poller = Poller(
            self.loop,
            Catalogue(TYPES),
            self.put,
            interval_s=interval_s,
            states=self.states,
            clock=Clock(Mark(**mark), NOW.time, NOW.monotonic),
        )

    def apply(self, *devices: contract.DeviceConfig) -> None:
        self.poller.apply(devices)

    def until(self, condition: Callable[[], object], within_s: float = 600.0) -> None:
        """Go on until it is true; an AssertionError when so much of the house's time has passed."""
        limit = NOW.monotonic() + within_s
        while not self._turn(condition, limit):
            assert NOW.monotonic() < limit, "it did not happen in time"

    def pass_time(self, seconds: float) -> None:
        """Go on for so much of the house's time."""
        limit = NOW.monotonic() + seconds
        while NOW.monotonic() < limit:
            self._turn(lambda: False, limit)

    def messages(self, name: str, kind: str = "data") -> list[Message]:
        return [m for put, _, _ in self.puts for m in put if m.device_name == name and m.kind == kind]

    def events(self, name: str) -> list[Any]:
        return [json.loads(message.payload) for message in self.messages(name, "event")]

    def close(self) -> None:
        for script in Script.all.values():
            script.gate.set()
        self.poller.close(WAIT_S)

    def put(
        self, messages: Sequence[Message], states: Mapping[str, str | None], *, live: bool = True
    ) -> None:
        self.puts.append((list(messages), dict(states), live))
        for key, value in states.items():
            if value is None:
                self.states.pop(key, None)
            else:
                self.states[key] = value

    def _turn(self, condition: Callable[[], object], limit: float) -> bool:
        """Do what there is to do, and wait for what will come of it; only then let time pass. Whether it is true now."""
        deadline = time.monotonic() + WAIT_S
        while True:
            while not self.loop.calls.empty():
                self.loop.calls.get()()
            sleep_s = min([self.poller.wake(), *(wake() for wake in self.also)])
            if condition():
                return True
            if not self._is_answering() and self.loop.calls.empty():
                break
            assert time.monotonic() < deadline, "a device did not answer"
            with suppress(queue.Empty):
                self.loop.calls.get(timeout=0.01)()
        NOW.go_on(max(min(sleep_s, limit - NOW.monotonic()), 0.001))
        return False

    def _is_answering(self) -> bool:
        """Whether a device is at work, and not held up by its script."""
        scripts = (
            Script.all[device.config.config["script"]] for device in self.poller.devices if device.busy
        )
        return any(script.gate.is_set() or not script.inside for script in scripts)
