"""A sonnenBatterie: the local interfaces v1 and v2, and the maker's remote one.

A setpoint holds until it is replaced, and counts in manual mode (1) only; any other mode is self-consumption.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.house import House, State
from sgmp_console.demo.simulator.server import Request, Response, SimulatedDevice

MANUAL = "1"
_NOMINAL_DC_V = 51.2
_NO_SENSOR = -273.15
_SETPOINT = re.compile(r"/setpoint/(charge|discharge)/(\d{1,6})")
_CLOUD = re.compile(r"/proxy/([^/]+)(/api/.*)")


def automatic_mode(house: House) -> str:
    """The number of self-consumption where the house stands: 8 in the US, 2 elsewhere."""
    return "8" if house.mains.leg_v < 200 else "2"


class SonnenBattery(SimulatedDevice):
    """`token` guards v2 (but for its status) and the remote interface; v1 is open, as real ones are.

    `interfaces`: those of v1, v2 and cloud that it answers. `mode`: the one it is in, without it self-consumption.
    """

    name = "sonnen"
    MODES: Mapping[str, str] = {
        "null_fields": "has null in `fields` (Pac_total_W, Sac2, Sac3, relativestateofcharge)",
        "missing_register": "leaves out `register` (Pac_total_W)",
        "alarm": "raises `name` (overtemperaturecharge) in v1, a code in v2",
        "no_sensor": "reports -273.15 for its temperatures",
        "empty_object": "answers {} where the token is wrong or missing, as older firmware does",
        "ignores_setpoints": "says yes to commands and does nothing",
        "return_code": "answers 200 to commands of v1 with ReturnCode 1, and does nothing",
    }

    def __init__(
        self,
        house: House,
        clock: SimulatedClock,
        token: str = "",
        serial: str = "12345",
        mode: str | None = None,
        interfaces: frozenset[str] = frozenset({"v1", "v2", "cloud"}),
    ) -> None:
        super().__init__(clock)
        self._house = house
        self._token = token
        self._serial = serial
        self._interfaces = interfaces
        self._mode = mode or automatic_mode(house)
        self._setpoint_w = 0.0
        self._commands = Lock()

    def respond(self, request: Request) -> Response:
        path = request.path
        cloud = _CLOUD.fullmatch(path)
        if cloud:
            if "cloud" not in self._interfaces:
                return _not_found()
            if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
                return Response.of_json({"error": "Unauthorized"}, 401)
            if cloud[1] != self._serial:
                return _not_found()
            return self._v2(request, cloud[2]) if "/v2/" in path else self._v1(request, cloud[2])
        if path.startswith("/api/v2/"):
            if "v2" not in self._interfaces:
                return _not_found()
            if path != "/api/v2/status" and self._token and request.headers.get("auth-token") != self._token:
                lenient = self.misbehaviour.mode == "empty_object"
                return Response.of_json({} if lenient else {"error": "Unauthorized"}, 200 if lenient else 401)
            return self._v2(request, path)
        return self._v1(request, path) if "v1" in self._interfaces else _not_found()

    # --- Interfaces -----------------------------------------------------------------------------------------------

    def _v1(self, request: Request, path: str) -> Response:
        if path == "/api/v1/status":
            return self._answer(self._status(self._state()))
        if path == "/api/battery":
            return self._answer(self._battery_v1(self._state()))
        setpoint = _SETPOINT.fullmatch(path.removeprefix("/api/v1"))
        if setpoint:
            done = self._set(setpoint_w=float(setpoint[2]) * (-1 if setpoint[1] == "charge" else 1))
            return Response.of_json({"ReturnCode": "0" if done else "1"})
        if path == "/api/setting" and "EM_OperatingMode" in request.query:
            done = self._set(mode=request.query["EM_OperatingMode"])
            return Response.of_json({"ReturnCode": "0" if done else "1"})
        if path in ("/api/configuration", "/api/setting"):
            return Response.of_json(self._configuration())
        return _not_found()

    def _v2(self, request: Request, path: str) -> Response:
        if path == "/api/v2/status":
            return self._answer(self._status(self._state()))
        if path == "/api/v2/battery":
            return self._answer(self._battery_v2(self._state()))
        if path == "/api/v2/latestdata":
            return self._answer(self._latest_data(self._state()))
        setpoint = _SETPOINT.fullmatch(path.removeprefix("/api/v2"))
        if setpoint and request.method == "POST":
            self._set(setpoint_w=float(setpoint[2]) * (-1 if setpoint[1] == "charge" else 1))
            return Response.of_json(True, 201)
        if path == "/api/v2/configurations" and request.method == "PUT":
            asked = _form_or_json(request)
            if "EM_OperatingMode" not in asked:
                return Response.of_json({"error": "Bad Request"}, 400)
            self._set(mode=asked["EM_OperatingMode"])
            return Response.of_json({"EM_OperatingMode": self._configuration()["EM_OperatingMode"]})
        if path == "/api/v2/configurations":
            return Response.of_json(self._configuration())
        if path.startswith("/api/v2/configurations/"):
            name = path.rpartition("/")[2]
            configuration = self._configuration()
            return Response.of_json({name: configuration[name]}) if name in configuration else _not_found()
        return _not_found()

    def _set(self, *, mode: str | None = None, setpoint_w: float | None = None) -> bool:
        """Take a command; False if the battery is out to ignore it and admits it."""
        if self.misbehaviour.mode == "return_code":
            return False
        if self.misbehaviour.mode == "ignores_setpoints":
            return True
        with self._commands:
            self._mode = self._mode if mode is None else mode
            self._setpoint_w = self._setpoint_w if setpoint_w is None else setpoint_w
            self._house.command(
                self._clock.house_ms(self.now_ms()), manual=self._mode == MANUAL, setpoint_w=self._setpoint_w
            )
        return True

    def _configuration(self) -> dict[str, str]:
        battery = self._house.battery
        with self._commands:
            return {
                "DE_Software": "1.14.5",
                "EM_OperatingMode": self._mode,
                "EM_USOC": "0",
                "IC_BatteryModules": "2",
                "IC_InverterMaxPower_w": str(round(max(battery.charge_w, battery.discharge_w))),
            }

    # --- What it measures -------------------------------------------------------------------------------------------

    def _state(self) -> State | None:
        """None while it boots."""
        return (
            None
            if self.misbehaviour.mode == "reboot"
            else self._house.at(self._clock.house_ms(self.now_ms()))
        )

    def _status(self, state: State | None) -> dict[str, Any]:
        with self._commands:
            mode = self._mode
        return status(self._house, state, self.now_ms(), mode)

    def _battery_v2(self, state: State | None) -> dict[str, Any]:
        values = self._sensors(battery_measurements(self._house, state))
        return {**values, "systemalarm": 1.0} if self.misbehaviour.mode == "alarm" else values

    def _battery_v1(self, state: State | None) -> dict[str, Any]:
        values = self._sensors(battery_measurements(self._house, state))
        texts: dict[str, Any] = {
            name: f"{values[name]:.{digits}f}" for name, digits in _V1_DIGITS.items() if name in values
        }
        texts["systemtime"] = str(self.now_ms() // 1000)
        alarms = dict.fromkeys(
            ("communicationerror", "lowvoltage", "overvoltage", "overtemperaturecharge"), 0
        )
        if self.misbehaviour.mode == "alarm":
            alarms[self.misbehaviour.option("name", "overtemperaturecharge")] = 1
        return {
            "alarms": alarms,
            "battery_status": texts,
            "battery_status_units": dict(_V1_UNITS),
            "system_status": {"systemready": 0 if state is None else 1, "systemalarmstatus": 0},
            "warnings": dict.fromkeys(("communicationerror", "loginfailure", "undervoltage"), 0),
        }

    def _latest_data(self, state: State | None) -> dict[str, Any]:
        shown = self._status(state)
        with self._commands:
            setpoint = self._setpoint_w if self._mode == MANUAL else shown["Pac_total_W"]
        names = ("Consumption_W", "GridFeedIn_W", "Pac_total_W", "Production_W", "RSOC", "Timestamp", "USOC")
        return {
            **{name: shown[name] for name in names},
            "FullChargeCapacity": round(self._house.battery.capacity_wh),
            "SetPoint_W": round(setpoint),
            "UTC_Offet": round(_offset(self._house, self.now_ms()).total_seconds() / 3600),
            "ic_status": {"statebms": "ready", "statecorecontrolmodule": "ongrid", "nrbatterymodules": 2},
        }

    def _sensors(self, values: dict[str, float]) -> dict[str, float]:
        if self.misbehaviour.mode == "no_sensor":
            return {name: _NO_SENSOR if "temperature" in name else value for name, value in values.items()}
        return values

    def _answer(self, value: dict[str, Any]) -> Response:
        mode, option = self.misbehaviour.mode, self.misbehaviour.option
        if mode == "null_fields":
            fields = option("fields", ["Pac_total_W", "Sac2", "Sac3", "relativestateofcharge"])
            value = _replaced(value, dict.fromkeys(fields))
        if mode == "missing_register":
            value = _replaced(value, {option("register", "Pac_total_W"): ...})
        return Response.of_json(value)


def status(house: House, state: State | None, time_ms: int, mode: str) -> dict[str, Any]:
    """The body of `status`, the same in v1 and v2; all zeros without a state, as while booting."""
    here = datetime.datetime.fromtimestamp(time_ms / 1000, house.zone)
    values = dict.fromkeys(_NUMBERS, 0) if state is None else status_measurements(house, state)
    return {
        **{name: bool(value) if name.startswith(_FLAGS) else value for name, value in values.items()},
        "BackupBuffer": "0",
        "IsSystemInstalled": 1,
        "OperatingMode": mode,
        "Sac2": None,
        "Sac3": None,
        "SystemStatus": "OnGrid",
        "Timestamp": here.strftime("%Y-%m-%d %H:%M:%S"),
    }


def status_measurements(house: House, state: State) -> dict[str, float]:
    """What `status` measures, flags as 0 and 1. W, VA, %, Wh, V, Hz."""
    consumption, production = round(state.load_w + state.ev_w), round(state.solar_w)
    battery_w, feed_in = round(state.battery_w), round(-state.grid_w)
    charge, floor = state.charge, house.battery.floor
    charging, discharging = int(battery_w < -10), int(battery_w > 10)
    importing, exporting, producing = int(feed_in < -10), int(feed_in > 10), int(production > 10)
    return {
        "Apparent_output": abs(battery_w),
        "BatteryCharging": charging,
        "BatteryDischarging": discharging,
        "Consumption_Avg": consumption,
        "Consumption_W": consumption,
        "Fac": round(state.frequency_hz, 3),
        "FlowConsumptionBattery": discharging,
        "FlowConsumptionGrid": importing,
        "FlowConsumptionProduction": producing,
        "FlowGridBattery": charging & importing,
        "FlowProductionBattery": charging & producing,
        "FlowProductionGrid": exporting & producing,
        "GridFeedIn_W": feed_in,
        "Pac_total_W": battery_w,
        "Production_W": production,
        "RSOC": round(charge * 100),
        "RemainingCapacity_Wh": round(charge * house.battery.capacity_wh),
        "Sac1": abs(battery_w),
        "USOC": max(0, round((charge - floor) / (1 - floor) * 100)),
        "Uac": round(state.l1_v + state.l2_v if house.mains.leg_v < 200 else state.l1_v),
        "Ubat": round(_dc_voltage(state)),
    }


_FLAGS = ("BatteryCharging", "BatteryDischarging", "Flow")
_NUMBERS = (
    "Apparent_output",
    "BatteryCharging",
    "BatteryDischarging",
    "Consumption_Avg",
    "Consumption_W",
    "Fac",
    "FlowConsumptionBattery",
    "FlowConsumptionGrid",
    "FlowConsumptionProduction",
    "FlowGridBattery",
    "FlowProductionBattery",
    "FlowProductionGrid",
    "GridFeedIn_W",
    "Pac_total_W",
    "Production_W",
    "RSOC",
    "RemainingCapacity_Wh",
    "Sac1",
    "USOC",
    "Uac",
    "Ubat",
)


def battery_measurements(house: House, state: State | None) -> dict[str, float]:
    """The body of v2's `battery`; v1 has most of the same, as text. V, A, Ah, degrees C, %."""
    if state is None:
        return dict.fromkeys((*_V1_DIGITS, "fullchargecapacitywh", "usableremainingcapacity"), 0.0)
    battery = house.battery
    full_ah = battery.capacity_wh / _NOMINAL_DC_V
    volts = _dc_voltage(state)
    amps = round(-state.battery_w / volts, 3)
    cell_v = volts / 16
    warmth = 21.0 + 4 * abs(state.battery_w) / battery.discharge_w
    limit = round(max(battery.charge_w, battery.discharge_w) / _NOMINAL_DC_V, 2)
    days = state.time_ms / 86_400_000 - 18_000
    return {
        "chargecurrentlimit": limit,
        "cyclecount": float(int(days * 0.7) + house.seed % 200),
        "dischargecurrentlimit": limit,
        "fullchargecapacity": round(full_ah, 2),
        "fullchargecapacitywh": battery.capacity_wh,
        "maximumcelltemperature": round(warmth + 0.9, 2),
        "maximumcellvoltage": round(cell_v + 0.006, 3),
        "maximummodulecurrent": amps,
        "maximummoduledcvoltage": round(volts + 0.03, 2),
        "minimumcelltemperature": round(warmth - 0.9, 2),
        "minimumcellvoltage": round(cell_v - 0.006, 3),
        "minimummodulecurrent": amps,
        "minimummoduledcvoltage": round(volts - 0.03, 2),
        "relativestateofcharge": round(state.charge * 100, 1),
        "remainingcapacity": round(full_ah * state.charge, 2),
        "stateofhealth": 99.0,
        "systemalarm": 0.0,
        "systemcurrent": amps,
        "systemdcvoltage": round(volts, 2),
        "systemstatus": 49.0,
        "systemtime": 0.0,
        "systemwarning": 0.0,
        "usableremainingcapacity": round(full_ah * max(0.0, state.charge - battery.floor), 2),
    }


_V1_DIGITS = {
    "chargecurrentlimit": 3,
    "cyclecount": 0,
    "dischargecurrentlimit": 3,
    "fullchargecapacity": 3,
    "maximumcelltemperature": 2,
    "maximumcellvoltage": 3,
    "maximummodulecurrent": 3,
    "maximummoduledcvoltage": 3,
    "minimumcelltemperature": 2,
    "minimumcellvoltage": 3,
    "minimummodulecurrent": 3,
    "minimummoduledcvoltage": 3,
    "relativestateofcharge": 1,
    "remainingcapacity": 3,
    "stateofhealth": 1,
    "systemalarm": 0,
    "systemcurrent": 3,
    "systemdcvoltage": 3,
    "systemstatus": 0,
    "systemtime": 0,
    "systemwarning": 0,
}
"""The measurements v1 shows as text, with their decimals."""

_V1_UNITS = {
    name: "V" if "voltage" in name else "A" if "current" in name else "C" if "temperature" in name else unit
    for name, unit in (
        *((name, "") for name in _V1_DIGITS),
        ("cyclecount", "count"),
        ("fullchargecapacity", "Ah"),
        ("remainingcapacity", "Ah"),
        ("relativestateofcharge", "%"),
        ("stateofhealth", "%"),
        ("systemtime", "sec"),
    )
}


def _dc_voltage(state: State) -> float:
    return _NOMINAL_DC_V * (0.955 + 0.075 * state.charge) + 0.0001 * -state.battery_w


def _offset(house: House, time_ms: int) -> datetime.timedelta:
    return datetime.datetime.fromtimestamp(time_ms / 1000, house.zone).utcoffset() or datetime.timedelta()


def _form_or_json(request: Request) -> dict[str, str]:
    """A body in either form; empty for one that is neither."""
    try:
        given = request.json()
    except ValueError:
        given = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _replaced(value: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A body with some fields changed at any depth; `...` leaves a field out."""
    changed = {}
    for name, old in value.items():
        new = changes.get(name, _replaced(old, changes) if isinstance(old, dict) else old)
        if new is not ...:
            changed[name] = new
    return changed


def _not_found() -> Response:
    return Response.of_json({"error": "Not Found"}, 404)
