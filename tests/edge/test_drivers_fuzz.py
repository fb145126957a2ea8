"""Whatever a device sends, a driver ends with a reading or with one of the known outcomes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_edge.common import DeviceError, ReadResult
from sgmp_edge.devices import _powerflex_account
from sgmp_edge.devices import powerflex as powerflex_driver
from sgmp_edge.devices.egauge import EGauge
from sgmp_edge.devices.powerflex import PowerFlex
from sgmp_edge.devices.sonnen import Sonnen
from tests.edge.drivers_egauge import START, Meter, steady
from tests.edge.drivers_http import HttpDevice, Reply, Request, as_json
from tests.edge.drivers_powerflex import COLUMNS, PASSWORD, USERNAME, PowerFlexApi
from tests.edge.drivers_sonnen import CELLS, STATUS

MANY = settings(max_examples=60, deadline=None)

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
        part = draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"<", b"&x;", b"0"])))
        body = body[:at] + part + body[at + length :]
    return body


@pytest.fixture(scope="module")
def device() -> Iterator[HttpDevice]:
    """Sends what the example at hand made up."""
    with pytest.MonkeyPatch.context() as patch:
        # Each poll is a new tick.
        patch.setattr(_powerflex_account, "_FRESH_S", -1)
        device = HttpDevice(lambda request: Reply(status=404))
        yield device
        device.close()


def outcome(call: Callable[[], Any]) -> None:
    """A reading must be something that can be sent; a failure one of the known ones."""
    with suppress(DeviceError):
        result = call()
        rows = [reading.data for reading in result.readings] if isinstance(result, ReadResult) else [result]
        json.dumps(rows, allow_nan=False)


def meter() -> Meter:
    return Meter(
        [steady("A.Solar", "P", 5), steady("Grid & Co", "V", 7), steady("R", "d", 1)], ts=START + 300
    )


def by_path(answers: dict[str, Reply]) -> Callable[[Request], Reply]:
    return lambda request: answers[request.path]


def logged_in(api: PowerFlexApi, body: Any) -> Callable[[Request], Reply]:
    """A service that lets everyone in and answers everything else with `body`."""
    return lambda request: api.answer(request) if request.path == "/login" else as_json(body)


def egauge(device: HttpDevice, *answers: Reply, **more: Any) -> EGauge:
    """A driver whose polls get these answers in turn."""
    turns = cycle(answers)
    device.answer = lambda request: next(turns)
    return EGauge({"ip": device.host, "keys": ["A.Solar", "Grid", "ts"], **more})


@MANY
@given(body=damaged(meter().live()), garbage=st.binary(max_size=200))
def test_an_egauge_that_sends_damaged_xml(device: HttpDevice, body: bytes, garbage: bytes) -> None:
    whole = Reply(meter().live())
    for answers in ((Reply(body), whole), (whole, Reply(body)), (Reply(garbage),)):
        driver = egauge(device, *answers)
        outcome(driver.read)
        outcome(driver.read)
        driver.close()


@MANY
@given(body=damaged(meter().stored(START + 300, START)))
def test_an_egauge_that_sends_damaged_history(device: HttpDevice, body: bytes) -> None:
    driver = egauge(device, Reply(body))
    outcome(lambda: driver.recover(START * 1000, (START + 300) * 1000))
    driver.close()


def webapi_document() -> dict[str, Any]:
    """What a WebAPI says of the last minutes."""
    made = meter()
    made.valid_tokens = {""}
    request = Request("GET", f"/api/register?rate&time={START}:60:{START + 300}", {}, b"")
    document: dict[str, Any] = json.loads(made.answer(request).body)
    return document


@MANY
@given(document=documents, key=st.sampled_from(["ts", "registers", "ranges", "error"]), value=documents)
def test_an_egauge_webapi_that_sends_any_json(
    device: HttpDevice, document: Any, key: str, value: Any
) -> None:
    for body in (document, {**webapi_document(), key: value}):
        driver = egauge(device, as_json(body), interface="webapi")
        outcome(driver.read)
        outcome(partial(driver.recover, START * 1000, (START + 300) * 1000))
        driver.close()


@MANY
@given(
    document=documents,
    changes=st.dictionaries(st.sampled_from([*STATUS, "ReturnCode", "error"]), documents, max_size=5),
    cells=documents,
)
def test_a_sonnen_that_sends_any_json(
    device: HttpDevice, document: Any, changes: dict[str, Any], cells: Any
) -> None:
    for status, battery in (
        (document, cells),
        ({**STATUS, **changes}, CELLS),
        ({**STATUS, **changes}, {"battery_status": cells}),
    ):
        answers = {"/api/v2/status": as_json(status), "/api/v2/battery": as_json(battery)}
        device.answer = by_path(answers)
        driver = Sonnen({"ip": device.host, "interface": "v2"})
        outcome(driver.read)
        json.dumps(driver.state(), allow_nan=False)
        driver.close()


@MANY
@given(
    document=documents,
    changes=st.lists(st.dictionaries(st.sampled_from(COLUMNS), scalars, max_size=5), max_size=4),
)
def test_a_powerflex_that_sends_any_json(
    device: HttpDevice, document: Any, changes: list[dict[str, Any]]
) -> None:
    api = PowerFlexApi()
    now = int(time.time())
    for number, change in enumerate(changes):
        api.say(now - 20 + number, "ADAPTIVE" if number % 2 else "UNPLUGGED", 100, 8, **change)
    values = [[row[column] for column in COLUMNS] for row in api.rows]
    rows = {"data": {"results": [{"series": [{"columns": COLUMNS, "values": values}]}]}}
    for body in (document, rows):
        device.answer = logged_in(api, body)
        driver = powerflex(device)
        outcome(driver.read)
        json.dumps(driver.state(), allow_nan=False)
        driver.close()


def powerflex(device: HttpDevice) -> PowerFlex:
    config = {"acc_id": "03", "acs_id": "02", "username": USERNAME, "password": PASSWORD}
    return PowerFlex({**config, "url": f"http://{device.host}"})


SONNEN_MEMORY = {"status": "v2", "battery": "v2", "alerts": ["alarm code 5"], "own_mode": "2"}
POWERFLEX_MEMORY = {
    "complete_to": START - 30.0,
    "last": START,
    "plugged": True,
    "energy": 700,
    "session": [START - 60, 700],
    "window": [[START - 10, True, 600], [START, True, 700]],
    "sent": [["EV_START_CHARGING", (START - 10) * 1000]],
    "power_in_kw": 1.0,
}


@MANY
@given(key=st.sampled_from(sorted(SONNEN_MEMORY)), value=documents)
def test_a_sonnen_whose_memory_was_damaged(device: HttpDevice, key: str, value: Any) -> None:
    device.answer = by_path({"/api/v2/status": as_json(STATUS), "/api/v2/battery": as_json(CELLS)})
    read_with_memory(Sonnen({"ip": device.host, "interface": "v2"}), {**SONNEN_MEMORY, key: value})


@MANY
@given(
    key=st.sampled_from(sorted(POWERFLEX_MEMORY)),
    value=documents
    | st.lists(st.tuples(scalars, scalars, scalars), max_size=2)
    | st.tuples(scalars, scalars),
)
def test_a_powerflex_whose_memory_was_damaged(device: HttpDevice, key: str, value: Any) -> None:
    api = PowerFlexApi()
    api.say(START + 10, "UNPLUGGED", 800, 8)
    device.answer = api.answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(powerflex_driver, "time", SimpleNamespace(time=lambda: START + 20.0))
        patch.setattr(powerflex_driver, "_CATCH_UP_S", 0.0)
        read_with_memory(powerflex(device), {**POWERFLEX_MEMORY, key: value})


def read_with_memory(driver: Any, memory: Any) -> None:
    """It refuses what is not a memory, so that the daemon makes another driver, or reads."""
    try:
        driver.restore(memory)
    except (ValueError, TypeError, AttributeError, OverflowError):
        pass
    else:
        outcome(driver.read)
        json.dumps(driver.state(), allow_nan=False)
    driver.close()
