"""Polling: shared ticks, no device in another's way, nobody hammered, gaps healed."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from sgmp_edge.common import Reading, ReadResult, TimedOut, Unauthorized, Unreachable
from sgmp_edge.polling.clock import Mark
from sgmp_edge.polling.device import GAP_CHUNK_MS
from sgmp_edge.polling.drivers import Catalogue
from sgmp_edge.polling.poller import Poller
from sgmp_edge.threads import Loop
from tests.edge.house import INTERVAL_S, NOW, House, Script, device
from tests.waiting import wait_until

Open = Callable[..., House]
HOUR_MS = 3_600_000


def polled(house: House, name: str, times: int = 3) -> None:
    before = len(house.messages(name))
    house.until(lambda: len(house.messages(name)) >= before + times)


def test_devices_of_a_house_share_timestamps_at_multiples_of_the_interval(house: Open) -> None:
    Script("a"), Script("b")
    running = house()
    running.apply(device(1, "a"), device(2, "b"))
    polled(running, "a", 4)
    polled(running, "b", 1)
    a, b = ([m.timestamp_ms for m in running.messages(name)] for name in "ab")
    assert a[:4] == b[:4]
    assert all(each % 200 == 0 for each in a)
    assert statistics.mode(later - earlier for earlier, later in pairwise(a)) == 200


def test_readings_of_a_tick_are_stored_in_one_transaction(house: Open) -> None:
    for name in "abc":
        Script(name)
    running = house()
    running.apply(device(1, "a"), device(2, "b"), device(3, "c"))
    polled(running, "c", 5)
    together = [put for put, _, _ in running.puts if {m.device_name for m in put} == {"a", "b", "c"}]
    assert len(together) >= 4


def test_a_device_can_have_an_interval_of_its_own(house: Open) -> None:
    Script("fast"), Script("slow")
    running = house()
    running.apply(device(1, "fast"), device(2, "slow", interval=1))
    polled(running, "slow", 2)
    slow = [m.timestamp_ms for m in running.messages("slow")]
    assert slow[1] - slow[0] == 1000
    assert all(each % 1000 == 0 for each in slow)


def test_beside_a_hung_device_the_others_are_polled_on_time(house: Open) -> None:
    hung, quick = Script("hung"), Script("quick")
    hung.gate.clear()
    running = house()
    running.apply(device(1, "hung"), device(2, "quick"))
    polled(running, "quick", 10)
    late = [at - m.timestamp_ms / 1000 for at, m in zip(quick.reads, running.messages("quick"), strict=False)]
    assert len(hung.reads) == 1
    assert statistics.median(late) < INTERVAL_S


@pytest.mark.expected_warnings("meter: timed_out")
def test_a_device_that_hangs_is_down_with_a_warning_and_back_when_it_answers(
    house: Open,
) -> None:
    script = Script("meter")
    script.gate.clear()
    running = house()
    running.apply(device(1, "meter"))
    running.until(lambda: len(running.events("meter")) == 1)
    assert running.events("meter")[0]["data"]["outcome"] == "timed_out"
    assert running.poller.health() == {"meter": "timed_out"}
    script.gate.set()
    running.until(lambda: len(running.events("meter")) == 2)
    assert running.events("meter")[1]["data"]["change"] == "back"


def test_no_device_is_ever_read_twice_at_once(house: Open) -> None:
    script = Script("slow")
    running = house()
    running.apply(device(1, "slow"))
    for _ in range(3):
        script.gate.clear()
        reads = len(script.reads)
        running.until(lambda: len(script.reads) > reads)  # noqa: B023
        running.pass_time(0.5)
        script.gate.set()
        running.until(lambda: script.inside == 0)
    assert script.most_inside == 1


@pytest.mark.expected_warnings("meter: unreachable")
def test_a_dead_device_is_left_alone_more_and_more_and_polled_at_each_tick_once_it_is_back(
    house: Open,
) -> None:
    script = Script("meter")
    script.answer = Unreachable("connection refused")
    running = house()
    running.apply(device(1, "meter"))
    running.until(lambda: len(script.reads) >= 4)
    pauses = [later - earlier for earlier, later in pairwise(script.reads)]
    assert pauses[2] > 1.5 * pauses[0]
    script.answer = {"power": 1.0}
    polled(running, "meter", 4)
    stamps = [m.timestamp_ms for m in running.messages("meter")]
    assert statistics.mode(later - earlier for earlier, later in pairwise(stamps)) == 200
    assert [event["data"]["change"] for event in running.events("meter")] == ["down", "back"]


@pytest.mark.expected_warnings("meter: unauthorized")
def test_refused_credentials_are_not_tried_again_until_the_config_changes(house: Open) -> None:
    script = Script("meter")
    script.answer = Unauthorized("wrong password")
    running = house()
    running.apply(device(1, "meter"))
    running.until(lambda: len(running.events("meter")) == 1)
    running.pass_time(600.0)
    assert len(script.reads) == 1
    script.answer = {"power": 1.0}
    running.apply(device(1, "meter", password="right"))
    polled(running, "meter")


@pytest.mark.expected_warnings("broken: error")
def test_a_class_that_cannot_be_made_is_a_device_that_is_down_and_no_more(house: Open) -> None:
    Script("broken"), Script("meter")
    running = house()
    running.apply(device(1, "broken", broken=True), device(2, "meter"))
    running.until(lambda: len(running.events("broken")) == 1)
    assert "ValueError in house.py" in running.events("broken")[0]["data"]["data"]
    polled(running, "meter")


# --- A new configuration ------------------------------------------------------------------------------------------


def test_a_class_that_wants_to_end_the_program_is_a_device_that_is_down_until_it_thinks_better(
    house: Open,
) -> None:
    script = Script("meter")
    script.answer = SystemExit("good bye")
    running = house()
    running.apply(device(1, "meter"))
    running.until(lambda: running.poller.health() == {"meter": "error"})
    script.answer = {"power": 1}
    running.until(lambda: running.poller.health() == {"meter": "ok"})


def test_a_device_whose_config_stays_keeps_its_driver_even_under_a_new_name(house: Open) -> None:
    for name in ("meter", "other"):
        Script(name)
    running = house()
    running.apply(device(1, "meter"), device(2, "other"))
    polled(running, "meter")
    renamed = device(1, "meter")
    running.apply(
        type(renamed)(1, "new_name", renamed.type, renamed.config), device(2, "other", changed=True)
    )
    polled(running, "new_name")
    polled(running, "other")
    assert (Script.all["meter"].made, Script.all["meter"].closed) == (1, 0)
    assert (Script.all["other"].made, Script.all["other"].closed) == (2, 1)


def test_a_device_that_was_taken_away_is_polled_no_more_and_its_memory_forgotten(house: Open) -> None:
    script = Script("meter")
    script.memory = {"seen": 1}
    running = house()
    running.apply(device(1, "meter", "remembering"))
    polled(running, "meter")
    assert "device/1" in running.states
    running.apply()
    wait_until(lambda: script.closed == 1)
    running.until(lambda: "device/1" not in running.states)
    count = len(script.reads)
    running.pass_time(5.0)
    assert len(script.reads) == count


# --- Memory and gaps ----------------------------------------------------------------------------------------------


def test_a_drivers_memory_is_stored_with_the_reading_it_belongs_to_and_given_back(house: Open) -> None:
    script = Script("charger")
    script.memory = {"session": {"energy": 5}}
    running = house()
    running.apply(device(1, "charger", "remembering"))
    polled(running, "charger", 1)
    put, states, _ = next(each for each in running.puts if each[0])
    assert put[0].device_name == "charger"
    assert json.loads(json.loads(states["device/1"] or "")["driver"]) == {"session": {"energy": 5}}

    again = house(states=running.states)
    again.apply(device(1, "charger", "remembering"))
    polled(again, "charger", 1)
    assert script.restored == [{"session": {"energy": 5}}]


def test_memory_of_another_config_is_not_given_to_the_driver(house: Open) -> None:
    script = Script("charger")
    script.memory = {"session": 1}
    running = house()
    running.apply(device(1, "charger", "remembering"))
    polled(running, "charger", 1)
    again = house(states=running.states)
    again.apply(device(1, "charger", "remembering", station="04"))
    polled(again, "charger", 1)
    assert script.restored == []


@pytest.mark.expected_warnings("its memory can't be read")
@pytest.mark.parametrize(
    "odd", [{"last_ok_ms": "soon"}, {"last_ok_ms": math.inf}, {"gaps": [[0, math.inf]]}, {"gaps": 5}]
)
def test_a_device_whose_memory_cannot_be_read_is_polled_without_it(house: Open, odd: dict[str, Any]) -> None:
    Script("meter")
    running = house()
    running.apply(device(1, "meter", "remembering"))
    polled(running, "meter", 1)
    saved = json.loads(running.states["device/1"]) | odd
    running.apply()
    again = house(states={"device/1": json.dumps(saved)})
    again.apply(device(1, "meter", "remembering"))
    polled(again, "meter", 2)


@pytest.mark.expected_warnings("The newest timestamp of before can't be read")
@pytest.mark.parametrize(
    "saved", ["", "null", '{"newest_ms": 1e999, "latest_ms": 1, "shift_ms": 0}', "[" * 100_000]
)
def test_a_newest_timestamp_that_cannot_be_read_is_none(saved: str) -> None:
    loop = Loop("poller")
    poller = Poller(loop, Catalogue(), lambda *_, **__: None, interval_s=1, states={"clock": saved})
    assert poller.clock.mark == Mark()


def after_an_outage(house: Open, hours: int) -> House:
    """A house whose device gave its last reading `hours` ago."""
    first = house()
    first.apply(device(1, "meter", "remembering"))
    polled(first, "meter", 1)
    saved = json.loads(first.states["device/1"])
    saved["last_ok_ms"] -= hours * HOUR_MS
    first.apply()
    return house(states={"device/1": json.dumps(saved)})


def test_after_an_outage_the_devices_own_history_fills_the_gap_beside_live_polling(house: Open) -> None:
    script = Script("meter")
    script.history = ReadResult(readings=[Reading(60_000, {"power": 2.0})])
    running = after_an_outage(house, 15)
    running.apply(device(1, "meter", "remembering"))
    running.until(lambda: len(script.asked) == 3)
    polled(running, "meter", 2)
    start, end = script.asked[0][0], script.asked[-1][1]
    assert 15 * HOUR_MS <= end - start < 15 * HOUR_MS + 60_000
    assert [b - a for a, b in script.asked[:2]] == [GAP_CHUNK_MS] * 2
    assert [a for a, _ in script.asked[1:]] == [b for _, b in script.asked[:-1]]
    # It is asked before its answer is kept.
    running.until(lambda: json.loads(running.states["device/1"])["gaps"] == [])
    recovered = [put for put, _, live in running.puts if not live]
    assert [m.timestamp_ms for put in recovered for m in put] == [60_000] * 3


@pytest.mark.expected_warnings("the gap stays")
def test_a_gap_is_remembered_until_its_history_was_read(house: Open) -> None:
    script = Script("meter")
    script.history = TimedOut("no answer")
    running = after_an_outage(house, 2)
    running.apply(device(1, "meter", "remembering"))
    running.until(lambda: len(script.asked) == 1)
    polled(running, "meter", 2)
    assert len(json.loads(running.states["device/1"])["gaps"]) == 1
    running.apply()
    script.history = ReadResult()
    saved = next(s["device/1"] for _, s, _ in reversed(running.puts) if s.get("device/1"))
    again = house(states={"device/1": saved or ""})
    again.apply(device(1, "meter", "remembering"))
    again.until(lambda: len(script.asked) == 2)
    again.until(lambda: json.loads(again.states["device/1"])["gaps"] == [])
    assert script.asked[0][0] == script.asked[1][0]


def test_a_device_without_history_keeps_its_gap(house: Open) -> None:
    Script("meter")
    running = house()
    running.apply(device(1, "meter"))
    polled(running, "meter")
    assert all(live for _, _, live in running.puts)


@pytest.mark.expected_warnings("The clock was set")
def test_a_device_that_asks_to_be_left_alone_is_not_polled_before_and_a_step_of_the_clock_changes_nothing(
    house: Open,
) -> None:
    script = Script("charger")
    script.answer = TimedOut("too many requests")
    script.answer.retry_after_s = 1.5
    running = house()
    running.apply(device(1, "charger"))
    running.until(lambda: len(script.reads) == 1)
    for step_s in (86_400.0, -86_400.0):
        NOW.stepped_s = step_s
        running.pass_time(0.5)
        assert len(script.reads) == 1
    script.answer = {"power": 1.0}
    running.until(lambda: len(script.reads) >= 2)
    assert script.reads[1] - script.reads[0] >= 1.5


def test_credentials_that_worked_a_moment_ago_are_tried_again_soon(house: Open) -> None:
    script = Script("battery")
    running = house()
    running.apply(device(1, "battery"))
    polled(running, "battery", 1)
    script.answer = Unauthorized("401")
    reads = len(script.reads)
    running.until(lambda: len(script.reads) > reads + 1)
    script.answer = {"power": 1.0}
    polled(running, "battery", 3)
    assert running.events("battery") == []
