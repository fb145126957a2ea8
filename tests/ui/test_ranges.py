"""Ranges of time: presets, arrows, titles; days and months are the house's."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.ui.window.frame import ranges

ZONE = "America/Los_Angeles"
HOUR = 3_600_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)


NOW = at("2025-05-14 14:03:12")


def test_the_last_24_hours_end_with_the_running_slot() -> None:
    shown = ranges.of_preset("last_24_hours", NOW, ZONE)
    assert (shown.start_ms, shown.end_ms) == (at("2025-05-13 14:05"), at("2025-05-14 14:05"))


def test_today_is_the_day_of_the_house() -> None:
    shown = ranges.of_preset("today", NOW, ZONE)
    assert (shown.start_ms, shown.end_ms) == (at("2025-05-14"), at("2025-05-15"))


def test_the_day_before_a_day_of_25_hours_has_24() -> None:
    sunday = ranges.of_preset("today", at("2025-11-02 12:00"), ZONE)
    assert sunday.end_ms - sunday.start_ms == 25 * HOUR
    saturday = ranges.shifted(sunday, False, NOW, ZONE)
    assert saturday.end_ms - saturday.start_ms == 24 * HOUR
    assert ranges.title(saturday, ZONE) == "Sat 1 Nov 2025"


def test_the_month_before_march_is_february() -> None:
    march = ranges.of_preset("month", at("2025-03-20"), ZONE)
    february = ranges.shifted(march, False, NOW, ZONE)
    assert (february.start_ms, february.end_ms) == (at("2025-02-01"), at("2025-03-01"))
    assert ranges.title(february, ZONE) == "February 2025"


@pytest.mark.parametrize("preset", ["last_24_hours", "today", "last_7_days", "month"])
def test_back_and_forward_again_is_the_preset_again(preset: ranges.Preset) -> None:
    shown = ranges.of_preset(preset, NOW, ZONE)
    before = ranges.shifted(shown, False, NOW, ZONE)
    assert (before.preset, before.end_ms) == ("custom", shown.start_ms)
    assert ranges.shifted(before, True, NOW, ZONE) == shown


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 10**10))
def test_a_chosen_range_snaps_outwards_to_slots(start: int, length: int) -> None:
    shown = ranges.custom(start, start + length)
    assert shown.start_ms % 300_000 == shown.end_ms % 300_000 == 0
    assert start - 300_000 < shown.start_ms <= start
    assert start + length <= shown.end_ms < start + length + 300_000


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        ranges.custom(NOW, NOW)


def test_a_range_says_what_it_is() -> None:
    assert ranges.title(ranges.of_preset("last_7_days", NOW, ZONE), ZONE) == "Last 7 days"
    days = ranges.custom(at("2025-05-05"), at("2025-05-09"))
    assert ranges.title(days, ZONE) == "Mon 5 May to Thu 8 May"
    hours = ranges.custom(at("2025-05-05 06:00"), at("2025-05-06 18:30"))
    assert ranges.title(hours, ZONE) == "Mon 5 May 06:00 to Tue 6 May 18:30"
