"""Reading a device once for the console's "Test", without adopting it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sgmp_edge import contract
from sgmp_edge.contract import Outcome
from sgmp_edge.threads import Loop

from . import drivers
from .device import Device
from .drivers import CallResult, Catalogue

log = logging.getLogger(__name__)

AT_ONCE = 2
LEFT_BEHIND = 8
"""Drivers that may hang in tests that were given up; each is a thread that nothing can end."""
TRIES = 3
"""A driver that differences two answers has nothing to say after its first."""
PAUSE_S = 1.5
DEADLINE_S = 30.0


class Probes:
    """Belongs to the main loop. `report` gets the type and data of an event."""

    def __init__(
        self,
        loop: Loop,
        catalogue: Catalogue,
        report: Callable[[str, Mapping[str, Any]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._catalogue = catalogue
        self._report = report
        self._now_ms = now_ms
        self._running: dict[str, tuple[Device, float]] = {}
        self._left_behind: list[Device] = []

    def receive(self, payload: bytes) -> None:
        """Start a probe, or say why not."""
        try:
            probe = contract.parse_probe(payload, self._catalogue.types())
        except contract.ContractError as error:
            self._answer(contract.request_of(payload), Outcome.REFUSED, str(error))
            return
        if probe.request in self._running:
            return
        self._left_behind = [device for device in self._left_behind if not device.join(0.0)]
        if len(self._running) >= AT_ONCE or len(self._left_behind) >= LEFT_BEHIND:
            self._answer(
                probe.request,
                Outcome.REFUSED,
                "the edge is testing other devices; try again in half a minute",
            )
            return
        config = contract.DeviceConfig(contract.EDGE_DEVICE_ID, "probe", probe.type, probe.config)
        device = Device(config, self._catalogue, 1000, None)
        self._running[probe.request] = (device, time.monotonic() + DEADLINE_S)
        self._read(probe.request, device, 1)

    def wake(self) -> float:
        """Answer for probes that hang; seconds until there is more to do."""
        now = time.monotonic()
        for request, (_, deadline) in list(self._running.items()):
            if now >= deadline:
                self._end(request, Outcome.TIMED_OUT, f"the device did not answer within {DEADLINE_S:.0f} s")
        return min((deadline - now for _, deadline in self._running.values()), default=3600.0)

    def _read(self, request: str, device: Device, attempt: int) -> None:
        def use(driver: Any) -> CallResult:
            if attempt > 1:
                time.sleep(PAUSE_S)  # on the device's own thread
            return drivers.read(driver, device.config, self._now_ms())

        device.call(
            use, lambda result: self._loop.post(partial(self._done, request, device, attempt, result))
        )

    def _done(self, request: str, device: Device, attempt: int, result: CallResult) -> None:
        device.finished()
        if request not in self._running:
            return
        if result.outcome is Outcome.NOT_READY and attempt < TRIES:
            self._read(request, device, attempt + 1)
            return
        rows = [json.loads(message.payload) for message in result.messages if message.kind == "data"]
        self._end(request, result.outcome, result.text, rows[-1] if rows else None)

    def _end(self, request: str, outcome: Outcome, text: str, reading: Any = None) -> None:
        device, _ = self._running.pop(request)
        device.close()
        self._left_behind.append(device)
        if outcome is Outcome.OK and reading is None:
            text = "the device answers, but has nothing to report now"
        self._answer(request, outcome, text, reading)

    def _answer(self, request: str, outcome: Outcome, text: str, reading: Any = None) -> None:
        log.info("Test of a device: %s %s", outcome, text)
        self._report(
            contract.PROBE_RESULT, {"request": request, "outcome": outcome, "text": text, "reading": reading}
        )
