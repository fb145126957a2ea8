"""A sonnenBatterie with its interfaces of three generations, and the vendor's cloud in front of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.edge.drivers_http import Reply, Request, as_json

SERIAL = "67682"
LOCAL_TOKEN = "local-token-0123456789"
CLOUD_TOKEN = "cloud-token-0123456789"

STATUS: dict[str, Any] = {
    "Apparent_output": 812,
    "BackupBuffer": "10",
    "BatteryCharging": False,
    "BatteryDischarging": True,
    "Consumption_Avg": 1290,
    "Consumption_W": 1300,
    "Fac": 59.98,
    "GridFeedIn_W": -100,
    "OperatingMode": "2",
    "Pac_total_W": 800,
    "Production_W": 400,
    "RSOC": 64,
    "Sac1": 800,
    "Sac2": None,
    "Sac3": None,
    "SystemStatus": "OnGrid",
    "Timestamp": "2024-05-01 12:00:00",
    "USOC": 61,
    "Uac": 240,
    "Ubat": 52,
    "dischargeNotAllowed": False,
}
CELLS: dict[str, float] = {
    "cyclecount": 138.0,
    "fullchargecapacity": 201.98,
    "maximumcelltemperature": 21.5,
    "minimummoduletemperature": -273.15,
    "relativestateofcharge": 64.0,
    "systemalarm": 0.0,
    "systemdcvoltage": 52.1,
    "systemwarning": 0.0,
}
BOOTING = {key: 0 if isinstance(value, int | float) else value for key, value in STATUS.items()}


@dataclass
class Battery:
    """`offers` names the interfaces that it has: v1, v2, cloud."""

    offers: set[str] = field(default_factory=lambda: {"v1", "v2", "cloud"})
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    cells: dict[str, float] = field(default_factory=lambda: dict(CELLS))
    alarms: dict[str, int] = field(default_factory=lambda: {"overtemperaturecharge": 0})
    mode: str = "2"
    setpoint_w: int = 0
    follows: bool = True
    """Whether it changes its mode when told to; under remote control it does not."""
    return_code: int = 0

    def answer(self, request: Request) -> Reply:
        path = request.path
        if path.startswith(f"/proxy/{SERIAL}/"):
            if request.headers.get("Authorization") != f"Bearer {CLOUD_TOKEN}":
                return as_json({"error": "unauthorized"}, 401)
            if "cloud" not in self.offers:
                return Reply(status=502)
            return self._v1(request, path.removeprefix(f"/proxy/{SERIAL}"))
        if path.startswith("/api/v2/") and "v2" in self.offers:
            if path != "/api/v2/status" and request.headers.get("Auth-Token") != LOCAL_TOKEN:
                return as_json({"error": "Unauthorized"}, 401)
            return self._v2(request, path.removeprefix("/api/v2/"))
        if not path.startswith("/api/v2/") and "v1" in self.offers:
            return self._v1(request, path)
        return Reply(status=404)

    def _v1(self, request: Request, path: str) -> Reply:
        if path == "/api/v1/status":
            return as_json(self._now())
        if path == "/api/battery":
            text = {key: f"{value:.3f}" for key, value in self.cells.items()}
            return as_json({"alarms": self.alarms, "warnings": {}, "battery_status": text})
        if path == "/api/setting":
            self._set_mode(request.query["EM_OperatingMode"][0])
            return as_json({"ReturnCode": self.return_code})
        if path.startswith("/api/v1/setpoint/"):
            return self._setpoint(path) if not self.return_code else as_json({"ReturnCode": self.return_code})
        return Reply(status=404)

    def _v2(self, request: Request, rest: str) -> Reply:
        if rest == "status":
            return as_json(self._now())
        if rest == "battery":
            return as_json(self.cells)
        if rest == "latestdata":
            return as_json({"SetPoint_W": self.setpoint_w, "Pac_total_W": self.status["Pac_total_W"]})
        if rest == "configurations/EM_OperatingMode":
            return as_json({"EM_OperatingMode": self.mode})
        if rest == "configurations" and request.method == "PUT":
            self._set_mode(_form(request)["EM_OperatingMode"])
            return as_json({"EM_OperatingMode": self.mode})
        if rest.startswith("setpoint/") and request.method == "POST":
            return self._setpoint(rest)
        return Reply(status=404)

    def _now(self) -> dict[str, Any]:
        return {**self.status, "OperatingMode": self.mode}

    def _set_mode(self, mode: str) -> None:
        if self.follows:
            self.mode = mode

    def _setpoint(self, path: str) -> Reply:
        *_, action, watts = path.split("/")
        if self.mode != "1":
            return as_json(False)
        self.setpoint_w = int(watts) if action == "discharge" else -int(watts)
        return as_json(True)


def _form(request: Request) -> dict[str, str]:
    """A body as a form or as JSON: the battery takes both."""
    if request.body.startswith(b"{"):
        found: dict[str, str] = json.loads(request.body)
        return found
    return {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
