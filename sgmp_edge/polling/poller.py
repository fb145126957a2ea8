"""Polls all devices on shared ticks. Belongs to the main loop: `wake` is its regular work."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Protocol

from sgmp_edge import contract
from sgmp_edge.contract import Outcome
from sgmp_edge.delivery.outbox import Message
from sgmp_edge.threads import Loop

from .clock import Clock, Mark
from .device import Device, interval_ms, same_device
from .drivers import CallResult, Catalogue

log = logging.getLogger(__name__)

GATHER_S = 0.15
"""How long the readings of a tick wait for each other, to go to disk in one transaction."""
LONGEST_SLEEP_S = 1.0
"""So that a step of the clock is noticed."""
CLOCK_KEY = "clock"


class Put(Protocol):
    def __call__(
        self, messages: Sequence[Message], states: Mapping[str, str | None], *, live: bool = True
    ) -> None: ...


class Poller:
    """`put` takes what is to be stored; `states` is what the outbox held at the start; `earliest_ms`: see Clock."""

    def __init__(
        self,
        loop: Loop,
        catalogue: Catalogue,
        put: Put,
        *,
        interval_s: float,
        states: Mapping[str, str],
        earliest_ms: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock(_mark(states.get(CLOCK_KEY)), earliest_ms=earliest_ms)
        self._loop = loop
        self._catalogue = catalogue
        self._put = put
        self._interval_ms = max(int(interval_s * 1000), 200)
        self._states: dict[str, str] = dict(states)
        self._devices: dict[int, Device] = {}
        self._retired: list[Device] = []
        self._batch: list[Message] = []
        self._batch_states: dict[str, str | None] = {}
        self._batch_since: float | None = None
        self._paused = False
        self._waits_for_clock = False
        self.polls = 0
        """Polls that gave a reading, since the start."""

    # --- Which devices -------------------------------------------------------------------------------------------

    def apply(self, wanted: Sequence[contract.DeviceConfig]) -> None:
        """Poll these devices from now on. One whose type and config stay keeps its driver, whatever its name."""
        by_id = {config.device_id: config for config in wanted}
        self._retired = [device for device in self._retired if not device.join(0.0)]
        for device_id, device in list(self._devices.items()):
            config = by_id.get(device_id)
            if config is not None and same_device(device.config, config):
                device.config = config
            else:
                del self._devices[device_id]
                device.close()
                self._retired.append(device)
                self._states.pop(device.state_key, None)
                if config is None:
                    self._later({device.state_key: None})
        for config in wanted:
            if config.device_id not in self._devices:
                interval = interval_ms(config, self._catalogue.types()[config.type], self._interval_ms)
                saved = self._states.pop(f"device/{config.device_id}", None)
                device = Device(config, self._catalogue, interval, saved)
                device.due_ms = self.clock.next_tick(interval)
                self._devices[config.device_id] = device
        # Memory of devices that were taken away while the edge was off.
        for key in [key for key in self._states if key.startswith("device/")]:
            del self._states[key]
            self._later({key: None})

    def find(self, name: str) -> Device | None:
        """The device of a name."""
        return next((each for each in self._devices.values() if each.config.name == name), None)

    def get(self, device_id: int) -> Device | None:
        """The device of an id, whatever its name is now."""
        return self._devices.get(device_id)

    @property
    def devices(self) -> list[Device]:
        return list(self._devices.values())

    def health(self) -> dict[str, Outcome]:
        """State by device name: an outcome, or `starting`."""
        return {device.config.name: device.health.state for device in self._devices.values()}

    def poll_times(self) -> dict[str, int]:
        """Milliseconds of the last poll that gave a reading, by device name."""
        return {
            device.config.name: device.poll_ms
            for device in self._devices.values()
            if device.poll_ms is not None
        }

    # --- Regular work --------------------------------------------------------------------------------------------

    def wake(self) -> float:
        """Start what is due, hand over what was gathered; seconds until there is more to do."""
        step = self.clock.step_ms()
        if step:
            log.warning("The clock was set %s by %.1f s", "forward" if step > 0 else "back", abs(step) / 1000)
            for device in self._devices.values():
                device.due_ms = self.clock.next_tick(device.interval_ms)
        now = self.clock.now_ms()
        if not self._paused and self._clock_is_set():
            for device in self._devices.values():
                if self._is_due(device, now):
                    self._start(device, now)
                elif not device.busy:
                    self._start_recovery(device)
        return self._hand_over(now)

    def _is_due(self, device: Device, now_ms: int) -> bool:
        if device.rest_until_s is not None:
            if time.monotonic() < device.rest_until_s:
                return False
            device.rest_until_s = None
            device.due_ms = self.clock.next_tick(device.interval_ms)
        return now_ms >= device.due_ms

    def _clock_is_set(self) -> bool:
        waited, self._waits_for_clock = self._waits_for_clock, not self.clock.is_set()
        if self._waits_for_clock and not waited:
            log.warning(
                "The clock is behind the last reading or the edge's own files; polls wait until it is set, or for"
                " five minutes"
            )
        if waited and not self._waits_for_clock:
            for device in self._devices.values():
                device.due_ms = self.clock.next_tick(device.interval_ms)
        return not self._waits_for_clock

    def poll_all_once(self) -> None:
        """Poll each device now, outside the ticks; for `--once`."""
        now = self.clock.now_ms()
        for device in self._devices.values():
            self._start(device, now, tick=now)

    def pause(self) -> None:
        """Start no more polls."""
        self._paused = True

    def idle(self) -> bool:
        """Whether no poll is on its way and nothing waits to be handed over."""
        return not self._batch and not any(device.busy for device in self._devices.values())

    def close(self, timeout_s: float) -> None:
        """Hand over what there is and end the drivers; one that hangs is left behind."""
        self._flush()
        deadline = time.monotonic() + timeout_s
        everyone = [*self._devices.values(), *self._retired]
        for device in self._devices.values():
            device.close()
        for device in everyone:
            if not device.join(max(deadline - time.monotonic(), 0.0)):
                log.warning("%s: the driver did not end in time", device.config.name)
        self._devices.clear()

    def _start(self, device: Device, now: int, tick: int | None = None) -> None:
        interval = device.interval_ms
        at = tick if tick is not None else now // interval * interval
        device.due_ms = self.clock.next_tick(interval, max(now, at))
        if device.busy:
            self._gather(device.overdue(now), device)
            return
        timestamp = self.clock.timestamp(at)
        device.read(timestamp, partial(self._hand_back, self._polled, device, timestamp))

    def _start_recovery(self, device: Device) -> None:
        chunk = device.next_gap()
        if chunk is not None:
            device.recover(*chunk, partial(self._hand_back, self._recovered, device, chunk))

    def _hand_back(
        self, then: Callable[..., None], device: Device, about: object, result: CallResult
    ) -> None:
        """On the driver's thread."""
        self._loop.post(partial(then, device, about, result))

    def _polled(self, device: Device, timestamp: int, result: CallResult) -> None:
        device.finished()
        if self._devices.get(device.config.device_id) is not device:
            return  # taken away meanwhile
        now = self.clock.now_ms()
        messages = device.polled(timestamp, now, result)
        if result.outcome is Outcome.OK:
            self.polls += 1
            self._batch_states[device.state_key] = device.saved_state()
        self._gather(messages, device)

    def _recovered(self, device: Device, chunk: tuple[int, int], result: CallResult) -> None:
        device.finished()
        if self._devices.get(device.config.device_id) is not device:
            return
        messages = device.recovered(chunk, result)
        self._put(messages, {device.state_key: device.saved_state()}, live=False)

    def _gather(self, messages: list[Message], device: Device) -> None:
        self._batch += messages
        if self._batch_since is None and (self._batch or self._batch_states):
            self._batch_since = time.monotonic()

    def _later(self, states: Mapping[str, str | None]) -> None:
        self._batch_states.update(states)
        if self._batch_since is None:
            self._batch_since = time.monotonic()

    def _hand_over(self, now: int) -> float:
        """Flush when the tick is complete; seconds until the next thing."""
        sleep = LONGEST_SLEEP_S
        if self._batch_since is not None:
            waited = time.monotonic() - self._batch_since
            if waited >= GATHER_S or not any(
                device.busy and not device.hung for device in self._devices.values()
            ):
                self._flush()
            else:
                sleep = GATHER_S - waited
        if not self._paused and not self._waits_for_clock:
            for device in self._devices.values():
                sleep = min(sleep, self._wait_s(device, now))
        return max(sleep, 0.0)

    def _wait_s(self, device: Device, now_ms: int) -> float:
        if device.rest_until_s is not None:
            return device.rest_until_s - time.monotonic()
        return (device.due_ms - now_ms) / 1000

    def _flush(self) -> None:
        if self._batch_since is None:
            return
        states = {**self._batch_states, CLOCK_KEY: json.dumps(asdict(self.clock.mark))}
        self._put(self._batch, states)
        self._batch, self._batch_states, self._batch_since = [], {}, None


def _mark(saved: str | None) -> Mark:
    if saved is None:
        return Mark()
    try:
        mark = json.loads(saved)
        return Mark(int(mark["newest_ms"]), int(mark["latest_ms"]), int(mark["shift_ms"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        log.warning("The newest timestamp of before can't be read; polls start from the clock as it is")
        return Mark()
