"""The PowerFlex API: sign-in, and what several stations said, in InfluxDB's form."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tests.edge.drivers_http import Reply, Request, as_json

USERNAME = "user@domain.name"
PASSWORD = "my-super-strong-password"

COLUMNS = [
    "time",
    "acc_id",
    "acg_id",
    "acs_id",
    "charging_state",
    "energy_delivered",
    "mamps_actual",
    "peak_rate",
    "pilot_actual",
    "power",
    "voltage",
]


@dataclass
class PowerFlexApi:
    """`kw_unit` is what power is multiplied with: 1 as documented, 1e6 as stations were seen to do."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    kw_unit: float = 1
    tokens: set[str] = field(default_factory=set)
    logins: int = 0
    windows: list[tuple[int, int]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    """Said with HTTP 200 instead of rows."""
    refuses_with_200: bool = False
    refusal: Reply | None = None
    """What a measurement request with an unknown token gets, if not 401."""
    limit: int | None = None
    """The most rows that an answer has; it says `partial` if there are more."""
    order: str = "time"
    """Of the rows: `newest first`; `station`: each one's by itself, as a series of its own."""
    broken: list[Any] = field(default_factory=list)
    """Rows as they are sent, between the others."""
    gate: threading.Event | None = None
    """Answers wait for it, to find out who asks meanwhile."""

    def say(self, at: float, state: str, energy_mwh: float = 0, amperes: float = 0, **more: Any) -> None:
        """A row of the station 03/02, with 208 V."""
        row = {
            "time": at,
            "acc_id": "03",
            "acg_id": "01",
            "acs_id": "02",
            "charging_state": state,
            "energy_delivered": energy_mwh,
            "mamps_actual": amperes * 1000,
            "peak_rate": None,
            "pilot_actual": 16 if amperes else 0,
            "power": amperes * 208.0 / 1000 * self.kw_unit,
            "voltage": 208_000,
        }
        self.rows.append(row | more)

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(status=405)
        if request.path == "/login":
            given = request.json()
            if given != {"username": USERNAME, "password": PASSWORD}:
                return as_json({"msg": "Bad username or password"}, 401)
            self.logins += 1
            token = f"secret-token-{self.logins}"
            self.tokens = {token}
            return as_json({"access_token": token})
        if request.path == "/get_measurement_data":
            return self._measurements(request)
        return Reply(status=404)

    def _measurements(self, request: Request) -> Reply:
        if self.gate is not None:
            self.gate.wait(10)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            if self.refuses_with_200:
                return as_json({"msg": "Token has expired"})
            if self.refusal is not None:
                return self.refusal
            return as_json({"msg": "Token has expired"}, 401)
        asked = request.json()
        assert asked["measurement"] == "ct_response"
        start, end = asked["time_filter"]
        self.windows.append((start, end))
        if self.error is not None:
            return as_json(self.error)
        inside = [row for row in self.rows if start <= row["time"] < end]
        if self.order == "newest first":
            inside.reverse()
        elif self.order == "station":
            inside.sort(key=lambda row: str(row["acs_id"]))
        sent = inside[: self.limit] if self.limit else inside
        partial = {"partial": True} if len(sent) < len(inside) else {}
        result: dict[str, Any] = {"statement_id": 0, **partial}
        if sent or self.broken:
            values = self.broken + [[row[column] for column in COLUMNS] for row in sent]
            result["series"] = [{"name": "ct_response", "columns": COLUMNS, "values": values, **partial}]
        if sent and self.order == "station":
            columns = [column for column in COLUMNS if column not in ("acc_id", "acs_id")]
            result["series"] = [
                {
                    "tags": {"acc_id": acc_id, "acs_id": acs_id},
                    "columns": columns,
                    "values": [[row[column] for column in columns] for row in rows],
                }
                for (acc_id, acs_id), rows in groupby(sent, lambda row: (row["acc_id"], row["acs_id"]))
            ]
        return as_json({"data": {"results": [result]}})
