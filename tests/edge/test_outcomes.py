"""Whatever a driver returns or raises becomes one of the known outcomes, and no secret gets out."""

from __future__ import annotations

import asyncio
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge import common, contract
from sgmp_edge.common import (
    BadAnswer,
    DeviceError,
    Event,
    NotReady,
    Reading,
    ReadResult,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from sgmp_edge.contract import Outcome, declarations
from sgmp_edge.polling import drivers
from sgmp_edge.polling.drivers import CallResult, Catalogue, Redactor

DEVICE = contract.DeviceConfig(7, "meter", "thing", {"password": "s3cret-pass", "ip": "10.0.0.1"})
REDACT = Redactor(contract.undeclared_type("thing"), DEVICE.config)


class Driver:
    """Returns or raises what it is told."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def read(self) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


class Unspeakable(DeviceError):
    """Its outcome is none, and its text can't be had."""

    outcome: ClassVar[Any] = ["down"]  # type: ignore[misc]

    def __str__(self) -> str:
        raise ValueError("no text")


def outcome_of(result: Any) -> CallResult:
    return drivers.guarded(lambda: drivers.read(Driver(result), DEVICE, 4000), REDACT)


def bodies(outcome: CallResult) -> list[Any]:
    return [json.loads(message.payload) for message in outcome.messages]


def test_a_dict_is_one_row_at_the_tick() -> None:
    outcome = outcome_of({"a": 1, "b": {"c": "2"}})
    assert outcome.outcome == "ok"
    assert bodies(outcome) == [{"a": 1, "b": {"c": "2"}}]
    assert [(m.timestamp_ms, m.kind, m.device_id, m.device_name) for m in outcome.messages] == [
        (4000, "data", 7, "meter")
    ]


def test_a_result_has_rows_and_events_at_their_own_times() -> None:
    result = ReadResult()
    result.readings = [Reading(1000, {"a": 1}), Reading(2000, {"a": 2})]
    result.events = [Event(1500, "EV_START_CHARGING", {})]
    outcome = outcome_of(result)
    assert [(m.timestamp_ms, m.kind) for m in outcome.messages] == [
        (1000, "data"),
        (2000, "data"),
        (1500, "event"),
    ]
    assert bodies(outcome)[2] == {"type": "EV_START_CHARGING", "data": {}}


@pytest.mark.parametrize("empty", [{}, ReadResult()])
def test_nothing_new_is_a_good_poll_without_messages(empty: Any) -> None:
    assert outcome_of(empty) == CallResult(Outcome.OK)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unreachable("refused"), "unreachable"),
        (TimedOut("slow"), "timed_out"),
        (Unauthorized("no"), "unauthorized"),
        (BadAnswer("html"), "bad_answer"),
        (NotReady("booting"), "not_ready"),
        (DeviceError("other"), "error"),
        (KeyError("field"), "error"),
        (RecursionError(), "error"),
        (SystemExit(3), "error"),
        (asyncio.CancelledError(), "error"),
        (Unspeakable(), "error"),
        (None, "not_ready"),
    ],
)
def test_what_is_raised_becomes_an_outcome_of_the_closed_set(error: Any, outcome: str) -> None:
    found = outcome_of(error)
    assert found.outcome == outcome
    assert found.outcome in Outcome
    assert found.text


def test_a_text_of_several_lines_is_one_line_of_the_log() -> None:
    text = outcome_of(BadAnswer("the meter says:\r\n\x1b[2J\nERROR all is well")).text
    assert text == "the meter says: [2J ERROR all is well"


def test_a_bug_in_a_driver_is_told_with_its_place() -> None:
    assert outcome_of(KeyError("field")).text.startswith("KeyError in test_outcomes.py, line ")


@pytest.mark.parametrize(
    "secret_error",
    [
        ValueError("https://user:s3cret-pass@10.0.0.1/"),
        Unreachable("no route for s3cret-pass"),
        KeyError("s3cret-pass"),
    ],
)
def test_no_secret_is_in_any_text(secret_error: Exception) -> None:
    assert "s3cret" not in outcome_of(secret_error).text


def test_only_declared_secrets_are_taken_out_of_texts_of_declared_types() -> None:
    kind = contract.device_types()["sonnen"]
    redact = Redactor(kind, {"ip": "10.0.0.1", "serial": "12345", "token": "t0ken"})
    assert redact("10.0.0.1 refused t0ken") == "10.0.0.1 refused ***"


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        [1, 2],
        "text",
        ReadResult(readings=[Reading("noon", {"a": 1})]),  # type: ignore[arg-type]
        ReadResult(readings=[Reading(-1, {"a": 1})]),
        ReadResult(readings=[Reading(10**20, {"a": 1})]),
        ReadResult(readings=[Reading(1, 5)]),  # type: ignore[arg-type]
        ReadResult(events=[Event(1, "", {})]),
        {"a": object()},
        {"a": b"bytes"},
        {(1, 2): "tuple key"},
        {"a": "x" * contract.MAX_READING_BYTES},
    ],
)
def test_what_is_no_reading_is_an_error_that_says_so(wrong: Any) -> None:
    found = outcome_of(wrong)
    assert found.outcome == "error"
    assert found.messages == []
    assert len(found.text) > 10


def test_what_json_has_no_number_for_is_null() -> None:
    body = {
        "a": math.nan,
        "b": [math.inf, {"c": -math.inf}],
        "d": Decimal("1.5"),
        "e": Decimal("NaN"),
        "f": (1,),
    }
    assert bodies(outcome_of(body)) == [{"a": None, "b": [None, {"c": None}], "d": 1.5, "e": None, "f": [1]}]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=10), json_like, max_size=6))
def test_any_data_becomes_valid_json_or_an_error(data: dict[str, Any]) -> None:
    outcome = outcome_of(data)
    assert outcome.outcome in Outcome
    for message in outcome.messages:
        json.loads(message.payload, parse_constant=pytest.fail)


def test_a_drivers_memory_comes_with_its_reading() -> None:
    class Remembering(Driver):
        def state(self) -> dict[str, int]:
            return {"seen": 5}

    outcome = drivers.read(Remembering({"a": 1}), DEVICE, 4000)
    assert outcome.state == '{"seen":5}'


def test_every_declared_type_has_a_driver() -> None:
    catalogue = Catalogue()
    for name in contract.device_types():
        assert callable(getattr(catalogue.driver_class(name), "read", None))


def test_the_map_comes_before_the_folder() -> None:
    catalogue = Catalogue({"egauge": Driver, "my_device": Driver})
    assert catalogue.driver_class("egauge") is Driver
    assert catalogue.driver_class("my_device") is Driver
    assert catalogue.types()["my_device"].problems({"anything": [1]}) == []
    assert catalogue.types()["egauge"].problems({"anything": [1]}) != []


@pytest.mark.expected_warnings("contract.declarations: ")
def test_a_broken_file_among_the_drivers_harms_no_other_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.py").write_text(
        "DEVICE_TYPE = {'name': 'good', 'title': 'Good', 'fields': {}, 'example': {}}\n"
    )
    (tmp_path / "syntax.py").write_text("DEVICE_TYPE = {\n")
    (tmp_path / "computed.py").write_text("DEVICE_TYPE = make()\n")
    (tmp_path / "partial.py").write_text("DEVICE_TYPE = {'name': 'partial'}\n")
    (tmp_path / "twice.py").write_text(
        "DEVICE_TYPE = {'name': 'good', 'title': 'Again', 'fields': {}, 'example': {}}\n"
    )
    (tmp_path / "binary.py").write_bytes(b"\xff\x00")
    monkeypatch.setattr(declarations, "DRIVER_FOLDER", tmp_path)
    assert {name: kind.title for name, kind in contract.device_types().items()} == {"good": "Good"}


@pytest.mark.expected_warnings("contract.declarations: ")
@pytest.mark.parametrize(
    ("program", "names"),
    [
        ('DEVICE_TYPES: dict[str, type] = {"my_device": MyDevice, "other": Other}', {"my_device", "other"}),
        ("from x import Y\nDEVICE_TYPES = {'my_device': Y, VARIABLE: Y, 5: Y, **more}", {"my_device"}),
        ("DEVICE_TYPES = make()", set()),
        ("DEVICE_TYPES = {", set()),
        ("", set()),
    ],
)
def test_a_type_of_the_programs_map_takes_any_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, names: set[str]
) -> None:
    (tmp_path / "Main_Publisher.py").write_text(program)
    monkeypatch.setattr(declarations, "PROGRAM_FILE", tmp_path / "Main_Publisher.py")
    types = contract.device_types()
    assert types.keys() == names | {name for name, kind in types.items() if kind.declared}
    assert all(types[name].problems({"any": ["thing"]}) == [] for name in names)


def test_a_declaration_counts_more_than_the_programs_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Main_Publisher.py").write_text('DEVICE_TYPES = {"sonnen": Mine}')
    monkeypatch.setattr(declarations, "PROGRAM_FILE", tmp_path / "Main_Publisher.py")
    assert contract.device_types()["sonnen"].declared


def test_an_unknown_type_has_no_driver() -> None:
    with pytest.raises(DeviceError, match="no driver for the type 'toaster'"):
        Catalogue().driver_class("toaster")


@pytest.mark.expected_warnings("is left out of the result")
def test_an_answer_that_the_broker_would_not_take_is_left_out_of_the_result() -> None:
    class Talkative:
        def act(self, data: Any) -> Any:
            return {"a": "x" * data["size"]}

    assert drivers.act(Talkative(), {"size": 10}).answer == {"a": "x" * 10}
    assert drivers.act(Talkative(), {"size": contract.MAX_READING_BYTES}) == CallResult(Outcome.OK)


def test_each_way_a_driver_can_fail_is_an_outcome_of_the_contract() -> None:
    kinds = [
        kind for kind in vars(common).values() if isinstance(kind, type) and issubclass(kind, DeviceError)
    ]
    failures = set(Outcome) - {Outcome.OK, Outcome.STARTING, Outcome.REFUSED}
    assert {kind.outcome for kind in kinds} == failures


def test_what_a_newer_edge_says_is_read_as_the_general_code() -> None:
    for newer in ("overheated", None, 5, ["down"]):
        assert Outcome.of(newer) is Outcome.ERROR
        assert contract.WarningChange.of(newer) is contract.WarningChange.NOTICE
        assert contract.WarningKind.of(newer) is contract.WarningKind.DRIVER
    assert contract.WarningChange.of("still down") is contract.WarningChange.STILL_DOWN


def test_a_warning_of_a_driver_says_that_it_is_one() -> None:
    def data(event: Event) -> Any:
        return bodies(outcome_of(ReadResult(events=[event])))[0]["data"]

    assert data(Event(5, "WARNING", {"data": "a lid is open"})) == {
        "data": "a lid is open",
        "kind": "driver",
        "change": "notice",
        "condition": None,
    }
    assert data(Event(5, "EV_START_CHARGING", {})) == {}
