"""A poller on a loop of its own with devices that do as they are told, for tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sgmp_edge import contract
from sgmp_edge.delivery.outbox import Message
from sgmp_edge.polling.drivers import Catalogue
from sgmp_edge.polling.poller import Poller
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
        script.inside += 1
        script.most_inside = max(script.most_inside, script.inside)
        script.reads.append(time.time())
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


class House:
    """What the daemon is around a poller. `puts`: messages, states and liveness of each transaction."""

    def __init__(self, states: Mapping[str, str] | None = None, interval_s: float = INTERVAL_S) -> None:
        self.puts: list[tuple[list[Message], dict[str, str | None], bool]] = []
        self.states: dict[str, str] = dict(states or {})
        self.also: list[Callable[[], float]] = []
        self.loop = Loop("test house", self._wake)
        self.poller = Poller(
            self.loop, Catalogue(TYPES), self._put, interval_s=interval_s, states=self.states
        )
        self.loop.start()

    def apply(self, *devices: contract.DeviceConfig) -> None:
        self.on_loop(lambda: self.poller.apply(devices))

    def on_loop(self, call: Callable[[], Any]) -> Any:
        """Make a call on the house's loop and wait for its result."""
        done = threading.Event()
        result: list[Any] = []

        def make() -> None:
            try:
                result.append(call())
            finally:
                done.set()

        self.loop.post(make)
        assert done.wait(WAIT_S)
        return result[0]

    def messages(self, name: str, kind: str = "data") -> list[Message]:
        return [m for put, _, _ in list(self.puts) for m in put if m.device_name == name and m.kind == kind]

    def events(self, name: str) -> list[Any]:
        return [json.loads(message.payload) for message in self.messages(name, "event")]

    def close(self) -> None:
        for script in Script.all.values():
            script.gate.set()
        self.on_loop(lambda: self.poller.close(2.0))
        self.loop.stop()
        assert self.loop.join(WAIT_S)

    def _wake(self) -> float:
        return min([self.poller.wake(), *(wake() for wake in self.also)])

    def _put(
        self, messages: Sequence[Message], states: Mapping[str, str | None], *, live: bool = True
    ) -> None:
        self.puts.append((list(messages), dict(states), live))
        for key, value in states.items():
            if value is None:
                self.states.pop(key, None)
            else:
                self.states[key] = value
