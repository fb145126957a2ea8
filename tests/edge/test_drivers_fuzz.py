"""Whatever a device sends, a driver ends with a reading or with one of the known outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_edge.common import DeviceError, ReadResult
from sgmp_edge.devices._egauge_webapi import WebApiMeter
from sgmp_edge.devices._egauge_xml import XmlMeter
from sgmp_edge.devices._http import Answer
from sgmp_edge.devices._powerflex_account import Row, parse_rows
from sgmp_edge.devices.egauge import EGauge
from sgmp_edge.devices.powerflex import PowerFlex
from sgmp_edge.devices.sonnen import Sonnen
from tests.edge.drivers_egauge import START, Meter, steady
from tests.edge.drivers_http import Request
from tests.edge.drivers_powerflex import COLUMNS, PowerFlexApi
from tests.edge.drivers_sonnen import CELLS, STATUS

MANY = settings(max_examples=120, deadline=None)

numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1e308, 2**63, 10**400, "1e999", "12", "x", ""])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8))
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """A text with up to four of its parts cut out or replaced."""
    body = text.encode()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 12))
        body = (
            body[:at]
            + draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"<", b"&x;", b"0"])))
            + body[at + length :]
        )
    return body


class Wire:
    """An HttpClient that answers with what the test made up."""

    who = "the device"

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)

    def request(self, method: str, path: str, **more: Any) -> Answer:
        return Answer(200, self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0])

    def expect_ok(self, answer: Answer) -> Answer:
        return answer

    def decode_json(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise DeviceError("not JSON") from error

    def close(self) -> None:
        pass


def meter() -> Meter:
    return Meter(
        [steady("A.Solar", "P", 5), steady("Grid & Co", "V", 7), steady("R", "d", 1)], ts=START + 300
    )


def read(result: Any) -> None:
    """A reading must be something that can be sent."""
    rows = [reading.data for reading in result.readings] if isinstance(result, ReadResult) else [result]
    json.dumps(rows, allow_nan=False)


def outcome(call: Callable[[], Any]) -> None:
    with suppress(DeviceError):
        read(call())


def egauge(kind: type, *bodies: bytes) -> EGauge:
    driver = EGauge({"ip": "127.0.0.1", "keys": ["A.Solar", "Grid", "ts"]})
    driver._meter = kind(Wire(*bodies), *(("user", "password") if kind is WebApiMeter else ()))
    return driver


@MANY
@given(damaged(meter().live()), st.binary(max_size=200))
def test_an_egauge_that_sends_damaged_xml(first: bytes, second: bytes) -> None:
    for bodies in ((first, meter().live().encode()), (meter().live().encode(), first), (second,)):
        driver = egauge(XmlMeter, *bodies)
        outcome(driver.read)
        outcome(driver.read)


@MANY
@given(damaged(meter().stored(START + 300, START)))
def test_an_egauge_that_sends_damaged_history(body: bytes) -> None:
    outcome(lambda: egauge(XmlMeter, body).recover(START * 1000, (START + 300) * 1000))


WEBAPI = meter()
WEBAPI.valid_tokens = {""}
REGISTERS = json.loads(
    WEBAPI.answer(Request("GET", f"/api/register?rate&time={START}:60:{START + 300}", {}, b"")).body
)


@MANY
@given(documents, st.sampled_from(["ts", "registers", "ranges", "error"]), documents)
def test_an_egauge_webapi_that_sends_any_json(document: Any, key: str, value: Any) -> None:
    for body in (document, {**REGISTERS, key: value}):
        driver = egauge(WebApiMeter, json.dumps(body).encode())
        outcome(driver.read)
        outcome(lambda driver=driver: driver.recover(START * 1000, (START + 300) * 1000))


@MANY
@given(
    documents,
    st.dictionaries(st.sampled_from([*STATUS, "ReturnCode", "error"]), documents, max_size=5),
    documents,
)
def test_a_sonnen_that_sends_any_json(document: Any, changes: dict[str, Any], cells: Any) -> None:
    for status, battery in (
        (document, cells),
        ({**STATUS, **changes}, CELLS),
        ({**STATUS, **changes}, {"battery_status": cells}),
    ):
        driver = Sonnen({"ip": "127.0.0.1", "interface": "v2"})
        (interface,) = driver._interfaces
        interface._http = Wire(json.dumps(status).encode(), json.dumps(battery).encode())
        outcome(driver.read)
        json.dumps(driver.state())


@MANY
@given(documents, st.lists(st.dictionaries(st.sampled_from(COLUMNS), scalars, max_size=5), max_size=4))
def test_a_powerflex_that_sends_any_json(document: Any, changes: list[dict[str, Any]]) -> None:
    outcome(lambda: [row for rows in parse_rows(document).values() for row in rows] and ReadResult())
    api = PowerFlexApi()
    for number, change in enumerate(changes):
        api.say(START + number, "ADAPTIVE" if number % 2 else "UNPLUGGED", 100, 8, **change)
    values = [[row[column] for column in COLUMNS] for row in api.rows]
    body = json.dumps({"data": {"results": [{"series": [{"columns": COLUMNS, "values": values}]}]}})
    driver = PowerFlex(
        {"acc_id": "03", "acs_id": "02", "url": "http://127.0.0.1:9", "username": "u", "password": "p"}
    )
    driver._account = Rows(json.loads(body))
    outcome(driver.read)
    json.dumps(driver.state(), allow_nan=False)


class Rows:
    """An account whose answer is made up."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def rows(self, acc_id: str, acs_id: str, start: float, now: float) -> tuple[list[Row], float]:
        return list(parse_rows(self._document).get((acc_id, acs_id), ())), now
