"""What the web system before this one got wrong about numbers, and the test that states that we do not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

FAULTS = {
    "energy is the mean over 12, whatever the period": "timeseries/test_slots.py::test_energy_is_that_of_the_power_for_any_range",
    "cumulative curves take every point for five minutes": (
        "timeseries/test_slots.py::test_cumulative_energy_of_hourly_readings_is_not_that_of_five_minutes"
    ),
    "a mean is multiplied by the time that went by, gaps included": (
        "timeseries/test_slots.py::test_a_gap_neither_adds_energy_nor_stretches_the_mean"
    ),
    "an hourly view changes every formula of the field: clipped after averaging": (
        "formula/test_linear.py::test_imports_are_not_clipped_after_averaging"
    ),
    "an hourly view changes what other items show": (
        "reports/test_plan_same_numbers.py::test_slots_hours_and_extremes_are_those_of_every_reading"
    ),
    "pos and neg turn missing into zero": "formula/test_evaluation.py::test_a_missing_value_stays_missing",
    "two devices with other timestamps give zeros": (
        "formula/test_evaluation.py::test_two_devices_that_share_no_timestamp_give_nothing_rather_than_zeros"
    ),
    "-2^2 is 4, and 1e-5 is rejected": "formula/test_grammar.py::test_numbers_operators_and_functions",
    "9^9^9^9 blocks a worker": (
        "formula/test_grammar.py::test_an_error_points_at_the_place_and_says_what_to_write"
    ),
    "current tiles show the maximum": (
        "reports/test_house_day.py::test_the_current_value_is_the_newest_one_and_no_maximum"
    ),
    "now never advances": "reports/test_live.py::test_bringing_forward_equals_loading",
    "frequency is drawn on an axis from 0 to 100": (
        "ui/test_ticks.py::test_frequency_is_scaled_to_its_data_but_noise_does_not_fill_the_pane"
    ),
    "series are joined by index": "formula/test_evaluation.py::test_series_are_joined_by_time_not_by_index",
    "days are cut in another zone": (
        "timeseries/test_calendar.py::test_an_instant_belongs_to_the_houses_day_not_to_utcs"
    ),
    "BETWEEN counts edges twice": "timeseries/test_slots.py::test_neighbouring_ranges_count_no_reading_twice",
    "deleting several items removes the wrong aggregates": (
        "fleet/test_analytics.py::test_deleting_several_items_releases_their_fields_and_no_others"
    ),
    "an update without the flag makes aggregates": (
        "fleet/test_analytics.py::test_a_change_of_an_item_that_does_not_ask_aggregates_nothing"
    ),
    "an event identifier with the flag hides the value": (
        "fleet/test_analytics.py::test_aggregation_of_events_and_items_is_refused_with_the_reason"
    ),
    "circles are not found": "fleet/test_analytics.py::test_a_circle_is_refused_with_its_path",
    "names, functions and arity are not checked until read": (
        "fleet/test_analytics.py::test_a_wrong_formula_is_refused_at_its_place"
    ),
}


@pytest.mark.parametrize("named", FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_has_its_test(named: str) -> None:
    file, _, test = named.partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
