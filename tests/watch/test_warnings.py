"""What warnings of devices mean: what is wrong now, and what is over."""

from __future__ import annotations

from typing import Any

import pytest

from sgmp_console.store import Event
from sgmp_console.watch.sentences import sentence
from sgmp_console.watch.warnings import WarningGroup, warning_groups
from tests.reports.houses import event

DOWN = "Device is down: no answer within 3 s"


def warning(at_ms: int, text: str, change: str = "", device: str = "sonnen", **data: object) -> Event:
    return event(at_ms, device, "WARNING", data=text, **({"change": change, **data} if change else data))


def test_warnings_are_grouped_per_device_and_text_the_newest_first() -> None:
    events = [
        event(10, "sonnen", "WARNING", data="no answer within 3 s"),
        event(20, "egauge", "WARNING", data="no answer within 3 s"),
        event(30, "sonnen", "WARNING", data=" no answer within 3 s"),
        event(25, "sonnen", "WARNING"),
        event(40, "sonnen", "EV_START_CHARGING"),
    ]
    assert warning_groups(events) == (
        WarningGroup("sonnen", "no answer within 3 s", 2, 10, 30),
        WarningGroup("sonnen", "no text given", 1, 25, 25),
        WarningGroup("egauge", "no answer within 3 s", 1, 20, 20),
    )


def test_a_recovery_closes_the_outage_and_is_no_warning() -> None:
    events = [
        warning(100, DOWN, "down", since_ms=90),
        warning(200, DOWN, "still down", since_ms=90),
        warning(300, "Device is back", "back"),
    ]
    assert warning_groups(events) == (
        WarningGroup("sonnen", DOWN, 2, 90, 200, 300, is_outage=True, lasts=True),
    )


def test_each_outage_is_one_warning_and_the_active_one_comes_first() -> None:
    events = [
        warning(100, DOWN, "down"),
        warning(200, "Device is back", "back"),
        warning(250, "the meter is slow", device="egauge"),
        warning(400, "Device is down: the token was refused", "down"),
    ]
    groups = warning_groups(events)
    assert [(group.first_ms, group.is_active) for group in groups] == [(400, True), (250, True), (100, False)]


def test_a_recovery_of_something_that_is_not_known_is_nothing() -> None:
    assert warning_groups([warning(1, "Device is back", "back")]) == ()


def test_an_outage_is_over_once_the_device_delivers_again_without_saying_so() -> None:
    def delivered(device: str, after_ms: int) -> int | None:
        return 500 if device == "sonnen" and after_ms < 500 else None

    (group,) = warning_groups([warning(100, DOWN, "down")], delivered)
    assert (group.is_active, group.resolved_ms) == (False, 500)
    active, over = warning_groups([warning(100, DOWN, "down"), warning(600, DOWN, "down")], delivered)
    assert (active.first_ms, over.first_ms, over.resolved_ms) == (600, 100, 500)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("no value from register `A.Pool`; the meter has A.Load", "register `A.Pool` has values again"),
        ("the battery reports alarm overtemperature", "the battery no longer reports alarm overtemperature"),
    ],
)
def test_what_a_driver_says_is_over_closes_what_it_said_before(begins: str, ends: str) -> None:
    (group,) = warning_groups([warning(10, begins), warning(70, ends)])
    assert (group.text, group.first_ms, group.resolved_ms) == (begins, 10, 70)


def test_codes_say_what_begins_and_ends_whatever_the_text_says() -> None:
    pool: dict[str, Any] = {"condition": "silent_register", "subjects": ["A.Pool"]}
    events = [
        warning(10, "two silent", "begins", condition="silent_register", subjects=["A.Pool", "A.Sauna"]),
        warning(20, "another thing", "ends", condition="alert", subjects=["A.Pool"]),
        warning(30, "one is back", "ends", **pool),
    ]
    assert [group.is_active for group in warning_groups(events)] == [True]
    events.append(warning(40, "so is the other", "ends", condition="silent_register", subjects=["A.Sauna"]))
    (group,) = warning_groups(events)
    assert (group.text, group.count, group.first_ms, group.resolved_ms) == ("two silent", 1, 10, 40)


def test_with_codes_no_sentence_is_read() -> None:
    (group,) = warning_groups([warning(10, "the battery reports 7e+09 as Fac", "notice", condition=None)])
    assert (group.is_active, group.lasts) == (True, False)
    begun = warning(20, "the battery reports alarm x", "notice", condition=None)
    ended = warning(30, "the battery no longer reports alarm x", "notice", condition=None)
    assert len(warning_groups([begun, ended])) == 2


@pytest.mark.parametrize("subjects", [None, "A.Pool", [], [7, None], {"A": 1}])
def test_a_condition_without_readable_subjects_is_a_notice(subjects: object) -> None:
    begun = warning(10, "odd", "begins", condition="silent_register", subjects=subjects)
    ended = warning(20, "odder", "ends", condition="silent_register", subjects=subjects)
    (group,) = warning_groups([begun, ended])
    assert (group.text, group.is_active, group.lasts) == ("odd", True, False)


@pytest.mark.parametrize("newer_first", [False, True])
def test_an_edge_that_is_updated_meanwhile_ends_what_it_began(newer_first: bool) -> None:
    newer: dict[str, Any] = {"condition": "alert", "subjects": ["alarm x"]}
    begun = warning(
        10,
        "the battery reports alarm x",
        "begins" if newer_first else "notice",
        **(newer if newer_first else {}),
    )
    ended = warning(
        20,
        "the battery no longer reports alarm x",
        "notice" if newer_first else "ends",
        **({} if newer_first else newer),
    )
    (group,) = warning_groups([begun, ended])
    assert group.resolved_ms == 20


def test_a_warning_about_two_registers_lasts_until_both_have_values() -> None:
    both = "no value from register `A.Pool` and `A.Sauna`; the meter has A.Load"
    first = [warning(10, both), warning(70, "register `A.Pool` has values again")]
    assert [group.is_active for group in warning_groups(first)] == [True]
    second = [*first, warning(90, "register `A.Sauna` has values again")]
    assert [group.resolved_ms for group in warning_groups(second)] == [90]


def test_another_devices_recovery_closes_nothing() -> None:
    events = [warning(10, DOWN, "down"), warning(20, "Device is back", "back", device="egauge")]
    assert [group.is_active for group in warning_groups(events)] == [True]


@pytest.mark.parametrize(
    ("rule", "subject"), [("of_a_newer_watch", "x"), ("ingest_alarm", "of_a_newer_ingest")]
)
def test_what_another_version_found_is_shown_by_its_name(rule: str, subject: str) -> None:
    assert sentence(rule, "", subject, {"about": {}}).text == f"{rule} {subject}"
