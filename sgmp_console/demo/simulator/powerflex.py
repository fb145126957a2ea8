"""PowerFlex's service: one account, several charging stations, an answer as InfluxDB gives it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from sgmp_console.demo.simulator.cars import UNPLUGGED, Station, StationState
from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.house import House, State
from sgmp_console.demo.simulator.server import Request, Response, SimulatedDevice
from sgmp_console.demo.simulator.tokens import Tokens

PERIOD_MS = 4_000
"""The service has a row of each station every four seconds."""

_MAX_ROWS = 10_000
_TOKEN_S = 86_400.0
_COLUMNS = (
    "time",
    "acc_id",
    "acg_id",
    "acn_id",
    "acs_id",
    "charging_state",
    "energy_delivered",
    "evse_address",
    "evse_type",
    "mamps_actual",
    "peak_rate",
    "phases",
    "pilot_actual",
    "power",
    "space_number",
    "version",
    "voltage",
)
_PLACE_OF = {name: index for index, name in enumerate(_COLUMNS)}


class PowerflexService(SimulatedDevice):
    """The house's own station is `acs_id` of garage `acc_id`; its neighbours charge cars of other people.

    `power_in_mw`: `power` in mW as it has been seen, else in kW as documented.
    """

    name = "powerflex"
    MODES: Mapping[str, str] = {
        "null_fields": "has null in `fields` (power, mamps_actual, energy_delivered)",
        "missing_register": "leaves out the column `register` (power)",
        "error_in_200": "answers 200 with an error where the series should be",
        "no_series": "answers every window as an empty one",
    }
    ONCE: Mapping[str, str] = {"forget_tokens": "no token is good any more"}

    def __init__(
        self,
        house: House,
        clock: SimulatedClock,
        username: str,
        password: str,
        acc_id: str = "03",
        acs_id: str = "02",
        power_in_mw: bool = True,
    ) -> None:
        super().__init__(clock)
        self._house = house
        self._username = username
        self._password = password
        self._power_in_mw = power_in_mw
        self._tokens = Tokens(_TOKEN_S)
        self._stations: dict[tuple[str, str], Station] = {(acc_id, acs_id): house.charger}
        neighbours = [
            place for place in ((acc_id, "01"), (acc_id, "03"), ("02", acs_id)) if place != (acc_id, acs_id)
        ]
        for place in neighbours[:2]:
            self._stations[place] = Station(house.seed, "/".join(place), house.zone)

    def begin(self, mode: str, options: Mapping[str, Any]) -> None:
        super().begin(mode, options)
        columns = list(options.get("fields", [])) if mode == "null_fields" else []
        columns += [options["register"]] if "register" in options else []
        for column in columns:
            if column not in _PLACE_OF:
                raise ValueError(f"no column {column!r}; there are {', '.join(_COLUMNS)}")
        if mode == "forget_tokens":
            self._tokens.forget()

    def start_over(self) -> None:
        self._tokens.forget()

    def respond(self, request: Request) -> Response:
        if request.method != "POST":
            return Response.of_json({"message": "Method Not Allowed"}, 405)
        try:
            asked = request.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return Response.of_json({"message": "Bad Request"}, 400)
        if request.path == "/login":
            return self._login(asked)
        if request.path != "/get_measurement_data":
            return Response.of_json({"message": "Not Found"}, 404)
        if not self._tokens.accepts(request.headers.get("authorization", "")):
            return Response.of_json({"message": "Unauthorized"}, 401)
        return self._measurements(asked)

    def _login(self, asked: dict[str, Any]) -> Response:
        known = asked.get("username") == self._username and secrets.compare_digest(
            str(asked.get("password")).encode("utf-8"), self._password.encode("utf-8")
        )
        if not known:
            return Response.of_json({"message": "Unauthorized"}, 401)
        return Response.of_json({"access_token": self._tokens.issue()})

    def _measurements(self, asked: dict[str, Any]) -> Response:
        mode, option = self.misbehaviour.mode, self.misbehaviour.option
        window = _window(asked.get("time_filter"))
        if asked.get("measurement") != "ct_response" or window is None:
            return _results({"error": "invalid query"})
        if mode == "error_in_200":
            return _results({"error": "timeout"})
        rows: list[list[Any]] = []
        if mode != "no_series":
            for row in self._rows(window[0], min(window[1], self.now_ms())):
                rows.append(row)
                if len(rows) >= _MAX_ROWS:
                    break
        if not rows:
            return _results({})
        columns = list(_COLUMNS)
        if mode == "null_fields":
            for name in option("fields", ["power", "mamps_actual", "energy_delivered"]):
                for row in rows:
                    row[_PLACE_OF[name]] = None
        if mode == "missing_register":
            left_out = _PLACE_OF[option("register", "power")]
            del columns[left_out]
            for row in rows:
                del row[left_out]
        series: dict[str, Any] = {"name": "ct_response", "columns": columns, "values": rows}
        if len(rows) >= _MAX_ROWS:
            series["partial"] = True
        return _results({"series": [series]})

    def _rows(self, start_ms: int, end_ms: int) -> Iterator[list[Any]]:
        """The rows of all stations in [start_ms, end_ms], oldest first."""
        for time_ms in range(-(-start_ms // PERIOD_MS) * PERIOD_MS, end_ms + 1, PERIOD_MS):
            house_ms = self._clock.house_ms(time_ms)
            volts = charging_voltage(self._house, self._house.at(house_ms))
            for (acc_id, acs_id), station in self._stations.items():
                state = station.at(house_ms)
                power_w = round(state.power_w, 3)
                yield [
                    time_ms / 1000,
                    acc_id,
                    "01",
                    "0032",
                    acs_id,
                    state.charging_state,
                    round(state.energy_wh * 1000 / self._clock.speed),
                    f"0032-{acc_id}-01-{acs_id}",
                    "AeroVironment",
                    round(power_w / volts * 1000),
                    None,
                    "AB",
                    pilot_a(state),
                    round(power_w * 1000) if self._power_in_mw else round(power_w / 1000, 3),
                    f"S{acs_id}",
                    "1",
                    round(volts * 1000),
                ]


def charging_voltage(house: House, state: State) -> float:
    """V at the station: between both legs in the US, of one phase elsewhere."""
    return state.l1_v + state.l2_v if house.mains.leg_v < 200 else state.l1_v


def pilot_a(state: StationState) -> int:
    """The current the station offers a car, A."""
    return 0 if state.charging_state == UNPLUGGED else 40


def _window(asked: Any) -> tuple[int, int] | None:
    """A time filter in ms; None for one that is none."""
    if not isinstance(asked, list) or len(asked) != 2:
        return None
    if not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in asked):
        return None
    return round(asked[0] * 1000), round(asked[1] * 1000)


def _results(result: dict[str, Any]) -> Response:
    return Response.of_json({"data": {"results": [{"statement_id": 0, **result}]}})
