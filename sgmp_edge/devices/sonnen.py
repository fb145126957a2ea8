"""sonnen battery storage.

The battery has had three interfaces: v1 on port 8080, later on port 80, and v2 on port 80; besides, the vendor's
cloud passes v1 through. Whichever answers, the fields are the same: `status.*` as the battery names them, and its
battery values as `battery.battery_status.*`. Positive power discharges; positive grid feed-in exports.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sgmp_edge.common import (
    AT_TICK,
    BadAnswer,
    DeviceError,
    Event,
    NotReady,
    Reading,
    ReadResult,
)
from sgmp_edge.contract import WARNING, DriverCondition, WarningChange
from sgmp_edge.devices._notices import Notices
from sgmp_edge.devices._sonnen_documents import alerts_of, battery_fields, status_fields
from sgmp_edge.devices._sonnen_interfaces import V1, V2, Fallback, interfaces

DEVICE_TYPE = {
    "name": "sonnen",
    "title": "sonnenBatterie",
    "fields": {
        "ip": {
            "title": "Local address",
            "kind": "host",
            "required": True,
            "help": "IP address or host name of the battery; a port only where it is not the usual 80 or 8080.",
        },
        "serial": {
            "title": "Serial number",
            "kind": "text",
            "help": "For the remote interface, used when the battery does not answer locally.",
        },
        "token": {
            "title": "Token",
            "kind": "text",
            "secret": True,
            "help": "Authorization token of the remote interface; also sent to the battery itself unless it has "
            "a token of its own.",
        },
        "interval": {},
        "interface": {
            "title": "Interface",
            "kind": "choice",
            "choices": ["auto", "v2", "v1", "cloud"],
            "default": "auto",
            "help": "`auto` tries v2, v1 and the remote interface, and stays with the one that answers.",
        },
        "scheme": {},
        "certificate_sha256": {},
        "local_token": {
            "title": "Token of the battery",
            "kind": "text",
            "secret": True,
            "help": "The JSON API token from the battery's own page, where it differs from the token above.",
        },
        "cloud_url": {
            "title": "Remote address",
            "kind": "url",
            "default": "https://core-api.sonnenbatterie.de",
            "help": "Web address of the remote interface.",
        },
        "max_charge_w": {
            "title": "Charge limit (W)",
            "kind": "integer",
            "minimum": 0,
            "maximum": 100000,
            "help": "The most that a control message may charge with. Without it, charging is refused.",
        },
        "max_discharge_w": {
            "title": "Discharge limit (W)",
            "kind": "integer",
            "minimum": 0,
            "maximum": 100000,
            "help": "The most that a control message may discharge with. Without it, discharging is refused.",
        },
        "self_consumption_mode": {
            "title": "Mode after control",
            "kind": "choice",
            "choices": ["8", "2"],
            "help": "Operating mode that is self-consumption: 8 in the US, 2 in Europe and Australia. Without it, "
            "the mode that was in force before.",
        },
    },
    "example": {
        "ip": "198.129.119.220",
        "serial": "12345",
        "token": "0123456701234567012345670123456701234567012345670123456701234567",
    },
    "units": {
        r"status\.(.+_W|Consumption_Avg)": "W",
        r"status\.(Apparent_output|Sac\d)": "VA",
        r"status\.(RSOC|USOC|BackupBuffer)": "%",
        r"status\.RemainingCapacity_Wh": "Wh",
        r"status\.(Uac|Ubat)": "V",
        r"status\.Fac": "Hz",
        r"battery\.battery_status\.(relativestateofcharge|stateofhealth)": "%",
        r"battery\.battery_status\..*voltagenum": "",
        r"battery\.battery_status\..*voltage": "V",
        r"battery\.battery_status\..*(current|currentlimit)": "A",
        r"battery\.battery_status\..*temperature": "°C",
        r"battery\.battery_status\..*capacitywh": "Wh",
        r"battery\.battery_status\..*capacity": "Ah",
        r"battery\.battery_status\.systemtime": "s",
    },
}

POWER = "Pac_total_W"
"""Power of the battery, which the playbook's formulas need."""

MANUAL_MODE = "1"
"""The operating mode in which setpoints count."""

SETTLE_S = 3.0
"""How long a command may take until the battery reports its new mode."""

_TIME_FOR_A_POLL_S = 6.0
_STALE_S = 120.0
"""A status with the same time for so long is a frozen one; a live one is renewed every few seconds."""

T = TypeVar("T")


class Sonnen:
    """Fields are `status.*` and `battery.battery_status.*`, in the battery's own names and units (W, %, V, A)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = dict(config)
        self._interfaces = interfaces(config)
        self._status = Fallback("status", self._interfaces)
        self._battery = Fallback("battery", self._interfaces, pause_s=60)
        self._alerts: frozenset[str] = frozenset()
        self._notices = Notices()
        self._clock: tuple[object, float] = (None, 0.0)
        self._own_mode: str | None = None
        self._manual_since: float | None = None
        """Monotonic; None while nothing is commanded."""
        self._left_mode: str | None = None

    def read(self) -> dict[str, Any] | ReadResult:
        """One row; with events where an alert came or went.

        Raises NotReady while the battery boots or its values stand still, besides what can happen to a request.
        """
        deadline = time.monotonic() + _TIME_FOR_A_POLL_S
        document = self._status.fetch(deadline)
        self._refuse_frozen(document.get("Timestamp"))
        status, odd = status_fields(document)
        cells, alerts, faults = self._cells(deadline)
        faults = odd | faults
        if "relativestateofcharge" not in cells and "RSOC" in status:
            cells["relativestateofcharge"] = status["RSOC"]
        self._note_mode(status.get("OperatingMode"))
        row = {"status": status, "battery": {"battery_status": cells}}
        if POWER not in status and POWER not in odd:
            faults["power"] = f"the battery gives no {POWER}"
        events = self._events(alerts, faults)
        return ReadResult([Reading(AT_TICK, row)], events) if events else row

    def act(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out `{"action": "charge" | "discharge", "power_w": W}` or `{"action": "self_consumption"}`.

        The power is clamped to the config's limit. Returns what the battery reports afterwards: `operating_mode`,
        `setpoint_w` (positive discharges; absent where the interface does not report it), and `clamped` if it was.
        Raises DeviceError for a command that can't be carried out as it stands. If the battery does not follow, it is
        given back to its own automatic mode.
        """
        action = data.get("action")
        if action == "self_consumption":
            self.release()
            return self._commanded(_read_back)
        if action not in ("charge", "discharge"):
            raise DeviceError("`action` must be charge, discharge or self_consumption")
        asked, limit = data.get("power_w"), self._config.get(f"max_{action}_w")
        if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 <= asked < math.inf:
            raise DeviceError("`power_w` must be a number of watts from 0")
        if limit is None:
            raise DeviceError(
                f"the device has no `max_{action}_w` in its config; without a limit it takes no {action}"
            )
        power = min(round(asked), int(limit))

        def command(interface: V1 | V2) -> dict[str, Any]:
            if interface.off_grid():
                raise NotReady("the battery runs off grid and takes no setpoint")
            self._note_mode(interface.mode())
            interface.set_mode(MANUAL_MODE)
            try:
                interface.set_power(action, power)
                _await_mode(interface, MANUAL_MODE)
                self._manual_since = time.monotonic()
                return _read_back(interface)
            except DeviceError:
                self._give_back(interface)
                raise

        done = self._commanded(command)
        return done if power == asked else {**done, "clamped": {"power_w": [asked, power]}}

    def release(self) -> None:
        """End manual mode: back to the config's mode, else the one the battery was in; harmless to repeat."""
        self._manual_since = None
        self._commanded(self._give_back)

    def state(self) -> dict[str, Any]:
        return {
            "status": self._status.served_by,
            "battery": self._battery.served_by,
            "alerts": sorted(self._alerts),
            "own_mode": self._own_mode,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._status.begin_with(state.get("status"))
        self._battery.begin_with(state.get("battery"))
        self._alerts = frozenset(map(str, state.get("alerts") or ()))
        mode = state.get("own_mode")
        self._own_mode = None if mode is None else str(mode)

    def close(self) -> None:
        for interface in self._interfaces:
            interface.close()

    def _cells(self, deadline: float) -> tuple[dict[str, Any], frozenset[str], dict[str, str]]:
        """(battery fields, alerts, what is wrong with them). Power does not wait for cell values."""
        if self._battery.served_by is None:
            self._battery.begin_with(self._status.served_by)
        try:
            document = self._battery.fetch(deadline)
            cells, odd = battery_fields(document)
            return cells, alerts_of(document), odd
        except DeviceError as error:
            return {}, self._alerts, {"cells": f"cell values are missing: {error}"}

    def _refuse_frozen(self, stamp: object) -> None:
        now = time.monotonic()
        if stamp is None or stamp != self._clock[0]:
            self._clock = (stamp, now)
        elif now - self._clock[1] > _STALE_S:
            raise NotReady(f"the battery's clock stands still at {str(stamp)[:40]}")

    def _events(self, alerts: frozenset[str], faults: Mapping[str, str]) -> list[Event]:
        """Alerts that came or went since the last poll, and faults of the documents."""
        warnings: list[dict[str, object]] = []
        for change, verb, changed in (
            (WarningChange.BEGINS, "reports", alerts - self._alerts),
            (WarningChange.ENDS, "no longer reports", self._alerts - alerts),
        ):
            for alert in sorted(changed):
                about = {"change": change, "condition": DriverCondition.ALERT, "subjects": [alert]}
                warnings.append({"data": f"the battery {verb} {alert}", **about})
        warnings += [{"data": text} for text in self._notices.new(faults)]
        self._alerts = alerts
        return [Event(AT_TICK, WARNING, data) for data in warnings]

    def _commanded(self, command: Callable[[V1 | V2], T]) -> T:
        """Do it over the first local interface that takes commands; the one that serves is asked first."""
        local = [interface for interface in self._interfaces if isinstance(interface, V1 | V2)]
        local.sort(key=lambda interface: interface.name != self._status.served_by)
        failures: list[DeviceError] = []
        for interface in local:
            try:
                return command(interface)
            except DeviceError as error:
                failures.append(error)
        raise (
            failures[0] if failures else NotReady("the battery takes commands over its local interface only")
        )

    def left_command(self) -> str | None:
        """Why the battery no longer follows its command, as the last status has it."""
        if self._manual_since is None or self._left_mode is None:
            return None
        return f"the battery left manual mode by itself; it is in operating mode {self._left_mode}"

    def _note_mode(self, mode: object) -> None:
        """Remember the battery's own mode, to give it back."""
        self._left_mode = None
        if mode is None or str(mode) == MANUAL_MODE:
            return
        self._own_mode = str(mode)
        # A status may be a few seconds older than the command.
        if self._manual_since is not None and time.monotonic() - self._manual_since > SETTLE_S:
            self._left_mode = str(mode)[:40]

    def _give_back(self, interface: V1 | V2) -> None:
        if interface.mode() != MANUAL_MODE:
            return
        mode = self._config.get("self_consumption_mode") or self._own_mode
        if mode is None:
            raise BadAnswer(
                "set `self_consumption_mode` in the config: 8 in the US, 2 in Europe and Australia"
            )
        interface.set_mode(mode)
        _await_mode(interface, mode)


def _await_mode(interface: V1 | V2, mode: str) -> None:
    """Wait until the battery reports this mode. Raises BadAnswer if it does not follow."""
    deadline = time.monotonic() + SETTLE_S
    while (current := interface.mode()) != mode:
        if time.monotonic() > deadline:
            raise BadAnswer(
                f"the battery stays in operating mode {current} instead of {mode}; is it under remote control?"
            )
        time.sleep(0.25)


def _read_back(interface: V1 | V2) -> dict[str, Any]:
    done: dict[str, Any] = {"operating_mode": int(interface.mode())}
    setpoint = interface.setpoint_w()
    return done if setpoint is None else {**done, "setpoint_w": setpoint}
