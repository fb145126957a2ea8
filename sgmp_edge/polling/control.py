"""Setpoints with a lease: whatever is commanded lapses, and is undone when it does, at SIGTERM, and at the next start.

A lease is on the disk before its command reaches the device, and leaves it when the device was given back: however
the edge ends, a device never stays under a command that nobody renews. Belongs to the main loop.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sgmp_edge import contract
from sgmp_edge.backoff import BackOff
from sgmp_edge.common import DeviceError
from sgmp_edge.contract import CommandCode, CommandOutcome, Outcome
from sgmp_edge.threads import Loop

from . import drivers
from .device import Device, same_device
from .drivers import CallResult
from .poller import Poller

log = logging.getLogger(__name__)

RETRY_RELEASE = BackOff(2.0, 60.0)
MAX_REMEMBERED = 256
"""Requests remembered, since a broker may deliver one twice."""
CLOCK_TOLERANCE_MS = 5_000
"""How far the two clocks may differ before a command counts as issued in the future."""


class Store(Protocol):
    """Stores an event of the edge and texts of state in one transaction; `then(durable)` on another thread."""

    def __call__(
        self,
        kind: str | None,
        data: Mapping[str, Any],
        states: Mapping[str, str | None],
        then: Callable[[bool], None] | None = None,
    ) -> None: ...


@dataclass(frozen=True)
class _Refusal:
    code: CommandCode
    reason: str


@dataclass
class Lease:
    """One command in force."""

    device: contract.DeviceConfig
    request: str
    undo: Mapping[str, Any] | None
    lapses_at: float
    """Monotonic seconds; in the past: it is being undone."""
    tries: int = 0
    releasing: bool = False
    followed: bool = False
    """The device carried it out; no poll since shows otherwise."""
    left: bool = False
    """The device ended it by itself, which was reported: its release is not."""

    @property
    def key(self) -> str:
        return f"lease/{self.device.device_id}"

    def text(self) -> str:
        return json.dumps({"request": self.request, "undo": self.undo})


class Control:
    """`states` is what the outbox held at the start; `now_ms` the wall clock."""

    def __init__(
        self,
        loop: Loop,
        poller: Poller,
        store: Store,
        *,
        enabled: bool,
        states: Mapping[str, str],
        now_ms: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._poller = poller
        self._store = store
        self._enabled = enabled
        self._now_ms = now_ms
        self._leases: dict[int, Lease] = {}
        self._left = {key: text for key, text in states.items() if key.startswith("lease/")}
        self._seen: OrderedDict[str, None] = OrderedDict()

    # --- Commands ------------------------------------------------------------------------------------------------

    def receive(self, name: str, payload: bytes) -> None:
        """Carry out a command for the device `name`, or say why not."""
        try:
            command = contract.parse_command(payload)
        except contract.ContractError as error:
            self._refuse(name, contract.request_of(payload), _Refusal(CommandCode.INVALID, str(error)))
            return
        if command.request in self._seen:
            return
        self._seen[command.request] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        admitted = self._admit(name, command)
        if isinstance(admitted, _Refusal):
            self._refuse(name, command.request, admitted)
            return
        device, seconds = admitted
        lease = Lease(device.config, command.request, command.undo, time.monotonic() + seconds)
        stored = partial(self._leased, device, lease, command)
        self._store(
            None, {}, {lease.key: lease.text()}, lambda durable: self._loop.post(partial(stored, durable))
        )

    def _admit(self, name: str, command: contract.Command) -> tuple[Device, float] | _Refusal:
        """The device and for how many seconds the command holds, or why it is not carried out."""
        device = self._poller.find(name)
        if not self._enabled:
            return _Refusal(
                CommandCode.CONTROL_OFF,
                "control is off on this edge; set allow_control = True in its config.py",
            )
        if device is None:
            return _Refusal(CommandCode.UNKNOWN_DEVICE, f"this edge has no device {name!r}")
        if device.hung:
            return _Refusal(CommandCode.NOT_ANSWERING, "the device does not answer")
        if command.issued_ms is None:
            return device, command.ttl_s
        age_ms = self._now_ms() - command.issued_ms
        if age_ms < -CLOCK_TOLERANCE_MS:
            return _Refusal(
                CommandCode.IN_THE_FUTURE,
                "it was issued in the future; the clocks of console and edge differ",
            )
        left_s = command.ttl_s - max(age_ms, 0) / 1000
        if left_s <= 0:
            return _Refusal(CommandCode.TOO_LATE, "it came after its time-to-live was over")
        return device, left_s

    def _leased(self, device: Device, lease: Lease, command: contract.Command, durable: bool) -> None:
        if not durable:
            refusal = _Refusal(CommandCode.NOT_STORED, "the edge's disk takes no lease")
            self._refuse(lease.device.name, lease.request, refusal)
            return
        if self._poller.get(lease.device.device_id) is not device:
            refusal = _Refusal(CommandCode.RECONFIGURED, "the device was reconfigured")
            self._refuse(lease.device.name, lease.request, refusal, forget=lease)
            return
        before = self._leases.get(lease.device.device_id)
        self._leases[lease.device.device_id] = lease
        if before is not None:
            self._result(before.device.name, before.request, CommandOutcome.REPLACED)

        def use(driver: Any) -> CallResult:
            if time.monotonic() >= lease.lapses_at:
                raise DeviceError("its time was over before the device was free")
            if not drivers.can_release(driver) and command.undo is None:
                raise DeviceError("its driver can't undo a command by itself; the command must carry `undo`")
            return drivers.act(driver, command.data)

        device.call(use, self._handed_back(self._acted, device, lease))

    def _acted(self, device: Device, lease: Lease, result: CallResult) -> None:
        device.finished()
        if result.outcome is not Outcome.OK:
            log.warning("%s: a command failed: %s", device.config.name, result.text)
            self._result(
                device.config.name,
                lease.request,
                CommandOutcome.FAILED,
                code=CommandCode.DEVICE_FAILED,
                reason=result.text,
            )
            lease.lapses_at = 0.0  # whether it reached the device is not known: it is undone
            return
        lease.followed, device.left_command = True, None  # what a poll before it saw does not count
        answer = dict(result.answer or {})
        clamped = answer.pop("clamped", None)
        left_ms = int((lease.lapses_at - time.monotonic()) * 1000)
        log.info("%s: command %s carried out for %.0f s", device.config.name, lease.request, left_ms / 1000)
        self._result(
            device.config.name,
            lease.request,
            CommandOutcome.DONE,
            read_back=answer or None,
            clamped=clamped,
            expires_ms=self._now_ms() + left_ms,
        )

    # --- Their end -----------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Undo what an earlier life of the edge left behind; call once the devices are known."""
        for key, text in self._left.items():
            device = next(
                (each for each in self._poller.devices if key == f"lease/{each.config.device_id}"), None
            )
            if device is None:
                log.error("A device that was under a command is not configured any more; check it by hand")
                self._store(None, {}, {key: None})
                continue
            self._leases[device.config.device_id] = Lease(device.config, *_left_by(text), 0.0)
        self._left = {}

    def reconfigure(self, wanted: Sequence[contract.DeviceConfig]) -> None:
        """Give back the devices that a new configuration takes away or changes, before it does."""
        by_id = {config.device_id: config for config in wanted}
        for lease in list(self._leases.values()):
            config = by_id.get(lease.device.device_id)
            if config is None or not same_device(lease.device, config):
                self._release(lease)

    def wake(self) -> float:
        """Undo what has lapsed or was ended by its device; seconds until the next lapses."""
        sleep = 3600.0
        now = time.monotonic()
        for lease in list(self._leases.values()):
            self._check_followed(lease)
            if lease.releasing:
                continue
            if lease.lapses_at <= now:
                self._release(lease)
            else:
                sleep = min(sleep, lease.lapses_at - now)
        return sleep

    def _check_followed(self, lease: Lease) -> None:
        device = self._poller.get(lease.device.device_id)
        watched = device is not None and lease.followed and not lease.releasing
        reason = device.left_command if device is not None and watched else None
        if reason is None:
            return
        name = lease.device.name
        log.warning("%s: command %s is over: %s", name, lease.request, reason)
        self._result(
            name, lease.request, CommandOutcome.FAILED, code=CommandCode.LEFT_BY_ITSELF, reason=reason
        )
        lease.followed, lease.left = False, True
        lease.lapses_at = 0.0  # undone all the same: what else the command did to the device is not known

    def release_all(self) -> None:
        """Let everything lapse now."""
        self._enabled = False
        for lease in self._leases.values():
            lease.lapses_at = 0.0
        self.wake()

    def idle(self) -> bool:
        """Whether no command is in force."""
        return not self._leases

    def _release(self, lease: Lease) -> None:
        device = self._poller.get(lease.device.device_id)
        if device is None or not same_device(device.config, lease.device):
            self._leases.pop(lease.device.device_id, None)
            self._result(
                lease.device.name,
                lease.request,
                CommandOutcome.RELEASE_FAILED,
                code=CommandCode.RECONFIGURED,
                reason="the device was reconfigured before it could be given back",
                forget=lease,
            )
            return
        lease.releasing = True

        def use(driver: Any) -> CallResult:
            if drivers.can_release(driver):
                return drivers.release(driver)
            return drivers.act(driver, lease.undo) if lease.undo is not None else CallResult(Outcome.OK)

        device.call(use, self._handed_back(self._released, device, lease))

    def _released(self, device: Device, lease: Lease, result: CallResult) -> None:
        device.finished()
        lease.releasing = False
        name = lease.device.name
        current = self._leases.get(lease.device.device_id) is lease
        if result.outcome is Outcome.OK:
            log.info("%s: given back to its own control", name)
            if current and lease.left:
                del self._leases[lease.device.device_id]
                self._store(None, {}, {lease.key: None})
            elif current:
                del self._leases[lease.device.device_id]
                self._result(
                    name, lease.request, CommandOutcome.RELEASED, read_back=result.answer, forget=lease
                )
            return
        lease.tries += 1
        lease.lapses_at = time.monotonic() + RETRY_RELEASE.after(lease.tries)
        if lease.tries == 1 and current:
            log.error("%s: could not be given back (%s); it is tried again", name, result.text)
            self._result(
                name,
                lease.request,
                CommandOutcome.RELEASE_FAILED,
                code=CommandCode.DEVICE_FAILED,
                reason=result.text,
            )

    def _handed_back(
        self, then: Callable[[Device, Lease, CallResult], None], device: Device, lease: Lease
    ) -> Callable[[CallResult], None]:
        return lambda result: self._loop.post(partial(then, device, lease, result))

    def _refuse(self, name: str, request: str, refusal: _Refusal, *, forget: Lease | None = None) -> None:
        log.warning("A command for %s was refused: %s", name, refusal.reason)
        self._result(
            name, request, CommandOutcome.REFUSED, code=refusal.code, reason=refusal.reason, forget=forget
        )

    def _result(
        self, name: str, request: str, outcome: CommandOutcome, *, forget: Lease | None = None, **more: object
    ) -> None:
        data: dict[str, object] = {"request": request, "device": name, "outcome": outcome}
        data |= {key: value for key, value in more.items() if value is not None}
        self._store(contract.COMMAND_RESULT, data, {forget.key: None} if forget else {})


def _left_by(text: str) -> tuple[str, Mapping[str, Any] | None]:
    """Request and undo of a lease as an earlier life wrote it down; what can't be read of it is left out."""
    try:
        lease = json.loads(text)
    except ValueError:
        lease = None
    if not isinstance(lease, dict):
        return "", None
    request, undo = lease.get("request"), lease.get("undo")
    return request if isinstance(request, str) else "", undo if isinstance(undo, dict) else None
