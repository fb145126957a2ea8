"""Every message is read, or refused whole with the reason."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.ingest.decode import Decoded, UnknownSender, decode
from sgmp_console.measurements import (
    AHEAD_MS,
    EARLIEST_MS,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_VALUE,
    Problem,
    Unreadable,
    flatten,
    parse,
)
from sgmp_edge.contract import ReadTopic, read_topic

NOW = 1_750_000_000_000
DIRECTORY = {(7, 0): "_edge", (7, 3): "sonnen", (8, 0): "_edge"}


def topic(kind: str = "data", **changes: Any) -> str:
    where = {"house_id": 7, "device_id": 3, "device_name": "sonnen", "timestamp_ms": NOW, "kind": kind}
    return read_topic("sgmp", ReadTopic(**{**where, **changes}))


def read(content: Any, kind: str = "data", **changes: Any) -> Decoded:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode("sgmp", DIRECTORY, topic(kind, **changes), payload, NOW)


def values(content: Any) -> dict[str, float]:
    reading = read(content).reading
    return {} if reading is None else dict(reading.values)


def texts(content: Any) -> dict[str, str]:
    found = read(content).texts
    return {} if found is None else dict(found.texts)


def reason(content: Any, kind: str = "data", **changes: Any) -> str:
    with pytest.raises(Unreadable) as refused:
        read(content, kind, **changes)
    return str(refused.value)


# --- Fields -------------------------------------------------------------------------------------------------------------


def test_nested_objects_are_flattened_with_dots_and_lists_by_index() -> None:
    content = {"battery": {"battery_status": {"relativestateofcharge": "55"}}, "phases": [1, {"v": 2}, [3]]}
    assert values(content) == {
        "battery.battery_status.relativestateofcharge": 55.0,
        "phases.0": 1.0,
        "phases.1.v": 2.0,
        "phases.2.0": 3.0,
    }


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (5, 5.0),
        (-1.5, -1.5),
        (True, 1.0),
        (False, 0.0),
        ("12.50", 12.5),
        (" -3 ", -3.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("+7", 7.0),
        (10**30, 1e30),
    ],
)
def test_numbers_numeric_texts_and_booleans_are_values(given_value: Any, expected: float) -> None:
    assert values({"x": given_value}) == {"x": expected}
    assert texts({"x": given_value}) == {}


@pytest.mark.parametrize("nothing", [b"null", b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"-inf"'])
def test_null_nan_and_infinities_are_dropped_and_take_nothing_with_them(nothing: bytes) -> None:
    found = read(b'{"x": ' + nothing + b', "y": 1}')
    assert found.reading is not None
    assert found.reading.values == {"y": 1.0}
    assert found.texts is None


@pytest.mark.parametrize("text", ["OnGrid", "", "1_000", "0x10", "1,5", "12:30", "१२", "1e", "."])
def test_other_text_is_text(text: str) -> None:
    assert texts({"x": text}) == {"x": text}
    assert values({"x": text}) == {}


def test_what_postgresql_can_not_keep_is_replaced_in_texts() -> None:
    assert texts(b'{"x": "a\\u0000b", "y": "\\ud800!"}') == {"x": "a\ufffdb", "y": "?!"}


def test_a_message_of_nulls_is_read_and_holds_nothing() -> None:
    assert read({"x": None, "y": {}, "z": []}) == Decoded()


def test_the_row_says_whose_it_is() -> None:
    reading = read({"x": 1}).reading
    assert reading is not None
    assert (reading.house_id, reading.device_id, reading.device_name, reading.timestamp_ms) == (
        7,
        3,
        "sonnen",
        NOW,
    )


# --- Events -------------------------------------------------------------------------------------------------------------


def test_an_event_is_read() -> None:
    event = read({"type": "EV_END_CHARGING", "data": {"duration": 5, "energy": 1.5}}, "event").event
    assert event is not None
    assert (event.type, event.data, event.device_id) == (
        "EV_END_CHARGING",
        {"duration": 5, "energy": 1.5},
        3,
    )


@pytest.mark.parametrize(
    "content", [{"type": "EV_START_CHARGING"}, {"type": "EV_START_CHARGING", "data": None}]
)
def test_an_event_may_be_without_data(content: Any) -> None:
    event = read(content, "event").event
    assert event is not None
    assert event.data == {}


def test_the_edge_reports_events_about_itself() -> None:
    event = read({"type": "EDGE_STATUS", "data": {}}, "event", device_id=0, device_name="_edge").event
    assert event is not None
    assert event.device_id == 0
    assert "not readings" in reason({"x": 1}, device_id=0, device_name="_edge")


def test_event_data_is_what_jsonb_takes() -> None:
    event = read(
        b'{"type": "WARNING", "data": {"a\\u0000": ["\\ud83d", NaN, 1e999, 1e101, {"b": "\\u0000"}]}}',
        "event",
    ).event
    assert event is not None
    assert event.data == {"a\ufffd": ["?", None, None, None, {"b": "\ufffd"}]}


@pytest.mark.parametrize("kind", [None, "", 5, "two words", "EV-START", "X" * 65, ["WARNING"]])
def test_an_events_type_is_a_name(kind: Any) -> None:
    assert "type" in reason({"type": kind}, "event")


@pytest.mark.parametrize("data", ["text", 5, [1], True])
def test_an_events_data_are_an_object(data: Any) -> None:
    assert "not an object" in reason({"type": "WARNING", "data": data}, "event")


# --- Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'x': 1}", "not JSON"),
        (b'{"x": 1} x', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "a JSON list, not an object"),
        (b"5", "a JSON number, not an object"),
        (b"null", "a JSON null, not an object"),
        (b'"x"', "a JSON text, not an object"),
        (b'{"x": 1, "x": 2}', "Two of its values are called 'x'"),
        (b'{"a.b": 1, "a": {"b": 2}}', "Two of its values are called 'a.b'"),
        (b'{"": 1}', "has no name"),
        (b'{"x": ' + b"[" * 100_000 + b"1" + b"]" * 100_000 + b"}", "levels deep"),
        (b'{"' + b"x" * 300 + b'": 1}', "more than 255 characters"),
        (b'{"a\\u0000": 1}', "can't be shown"),
        (b'{"\\ud800": 1}', "can't be shown"),
        (b'{"a\\nb": 1}', "can't be shown"),
        (b'{"x": "' + b"y" * 20_000 + b'"}', "more than 10000 characters"),
    ],
)
def test_what_can_not_be_read_is_refused_with_the_reason(payload: bytes, part: str) -> None:
    assert part in reason(payload)


def nested(depth: int) -> Any:
    return {"x": nested(depth - 1)} if depth > 1 else {"x": 1}


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ('"Pool\\u0000Pump": 250', Problem.NAME_UNPRINTABLE),
        ('"": 1', Problem.UNNAMED),
        ('"' + "x" * 300 + '": 1', Problem.NAME_TOO_LONG),
        ('"x": 1, "x": 2', Problem.REPEATED),
        ('"x": {"y": 1}, "x.y": 2', Problem.REPEATED),
        ('"x": "' + "y" * 20_000 + '"', Problem.TEXT_TOO_LONG),
        ('"x": 1.1e100', Problem.OUT_OF_RANGE),
        ('"x": -1e308', Problem.OUT_OF_RANGE),
        ('"x": 1e999', Problem.OUT_OF_RANGE),
        ('"x": "2e100"', Problem.OUT_OF_RANGE),
        ('"x": ' + "9" * 5000, Problem.OUT_OF_RANGE),
        ('"x": ' + json.dumps(nested(MAX_DEPTH)), Problem.TOO_DEEP),
    ],
)
def test_an_odd_field_costs_only_itself(odd: str, problem: Problem) -> None:
    found = read(f'{{"Grid": 5, {odd}, "mode": "auto"}}'.encode())
    assert found.reading is not None
    assert found.texts is not None
    assert found.reading.values == {"Grid": 5.0}
    assert found.texts.texts == {"mode": "auto"}
    assert [one.problem for one in found.odd] == [problem]


def test_more_fields_than_a_message_may_have_cost_the_rest() -> None:
    found = read({f"f{i}": i for i in range(MAX_FIELDS + 100)})
    assert found.reading is not None
    assert len(found.reading.values) == MAX_FIELDS
    assert [one.problem for one in found.odd] == [Problem.TOO_MANY]


def test_a_blank_that_only_looks_like_one_becomes_one() -> None:
    assert values({"Pool\u00a0Pump": 250}) == {"Pool Pump": 250.0}


def test_a_value_at_the_bound_is_a_value() -> None:
    assert values({"x": MAX_VALUE, "y": -MAX_VALUE}) == {"x": MAX_VALUE, "y": -MAX_VALUE}


def test_odd_data_of_an_event_cost_only_themselves() -> None:
    found = read({"type": "WARNING", "data": {"data": "hot", "deep": nested(MAX_DEPTH)}}, "event")
    assert found.event is not None
    assert found.event.data["data"] == "hot"
    assert [one.problem for one in found.odd] == [Problem.TOO_DEEP]


def test_edges_of_before_write_their_milliseconds_with_a_fraction() -> None:
    where = f"sgmp_read/sgmp_house_7/3/sonnen/{NOW}.0/data"
    reading = decode("sgmp", DIRECTORY, where, b'{"x": 1}', NOW).reading
    assert reading is not None
    assert reading.timestamp_ms == NOW


@pytest.mark.parametrize(
    "wrong",
    ["", "sgmp_read", "other_read/sgmp_house_7/3/sonnen/1/data", "sgmp_read/sgmp_house_x/3/sonnen/1/data"],
)
def test_a_topic_of_another_shape_is_refused(wrong: str) -> None:
    with pytest.raises(Unreadable, match="topic can't be read"):
        decode("sgmp", DIRECTORY, wrong, b"{}", NOW)


def test_who_is_unknown_is_told_apart_since_it_may_be_new() -> None:
    with pytest.raises(UnknownSender, match="no house 9"):
        read({"x": 1}, house_id=9)
    with pytest.raises(UnknownSender, match="no device 4"):
        read({"x": 1}, device_id=4)
    with pytest.raises(UnknownSender, match="no device 3"):
        read({"x": 1}, house_id=8)


def test_another_name_than_the_devices_is_refused() -> None:
    assert "is called sonnen, not battery" in reason({"x": 1}, device_name="battery")


def test_a_time_may_be_minutes_ahead_of_its_reception_and_no_more() -> None:
    read({"x": 1}, timestamp_ms=NOW + AHEAD_MS)
    assert "5 minutes ahead" in reason({"x": 1}, timestamp_ms=NOW + AHEAD_MS + 1)
    read({"x": 1}, timestamp_ms=EARLIEST_MS)
    assert "was not set" in reason({"x": 1}, timestamp_ms=EARLIEST_MS - 1)


# --- In general ---------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()),
    st.sampled_from(["data", "event"]),
)
def test_any_payload_is_read_or_refused(payload: bytes, kind: str) -> None:
    try:
        found = read(payload, kind)
    except Unreadable:
        return
    if found.reading:
        assert all(math.isfinite(value) for value in found.reading.values.values())
    if found.texts:
        assert all("\0" not in text and text.encode() is not None for text in found.texts.texts.values())
    if found.event:
        json.dumps(found.event.data, allow_nan=False, ensure_ascii=False).encode()


@given(st.text(max_size=100), st.integers(0, 2**70))
def test_any_topic_is_read_or_refused(text: str, number: int) -> None:
    for one in (
        text,
        f"sgmp_read/sgmp_house_{number}/{number}/sonnen/{number}/data",
        f"{text}/7/3/sonnen/1/data",
    ):
        with pytest.raises(Unreadable):
            decode("sgmp", {}, one, b"{}", NOW)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.floats(-MAX_VALUE, MAX_VALUE)))
def test_a_flat_object_of_numbers_is_itself(content: dict[str, float]) -> None:
    assert flatten(content).values == content


@given(
    st.lists(st.tuples(st.text(max_size=8), json_values), min_size=1, max_size=8),
    st.integers(0, 8),
    st.sampled_from(
        ['"\\u0000": 1', '"": 2', '"q": 1e200', '"q": {"r": 1}, "q.r": 2', '"t": "' + "y" * 10_001 + '"']
    ),
)
def test_an_odd_field_among_any_others_changes_none_of_them(
    fields: list[tuple[str, Any]], place: int, odd: str
) -> None:
    kept = {f"f{name}": value for name, value in fields}
    before = flatten(parse(json.dumps(kept).encode()))
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in kept.items()]
    parts.insert(place % (len(parts) + 1), odd)
    after = flatten(parse(f"{{{', '.join(parts)}}}".encode()))
    assert after.values == before.values
    assert after.texts == before.texts
    assert len(after.odd) > len(before.odd) or set(map(str, after.odd)) >= set(map(str, before.odd))
