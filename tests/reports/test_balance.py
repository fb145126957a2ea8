"""The energy balance: every row is its source, every column its use, and any range is the sum of its slots."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgmp_console.reports.balance import (
    BALANCE_ITEMS,
    SOURCES,
    UNKNOWN,
    UNMATCHED,
    USES,
    Balance,
    Ledger,
    Totals,
    balance,
    car_in_load,
    ledger_from_ms,
    opening_ledger,
    weekly_balance,
)
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SlotMeans, calendar

NOON = 1_773_140_400_000  # 2026-03-10T11:00:00Z
CLOSE = 1e-9


def slots(start_ms: int, end_ms: int, values: np.ndarray) -> SlotMeans:
    """NaN stands for a slot without a value."""
    starts = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
    covered = np.isfinite(values)
    return SlotMeans(start_ms, end_ms, starts[covered], np.asarray(values, float)[covered])


def one_hour(**kwh: float) -> dict[str, SlotMeans]:
    """An hour of constant powers that give these energies; items that are not named are zero."""
    powers = {name: kwh.get(name, 0.0) for name in BALANCE_ITEMS}
    return {name: slots(0, HOUR_MS, np.full(12, power)) for name, power in powers.items()}


def total(*, load_contains_ev: bool = False, opening: Ledger | None = None, **kwh: float) -> Totals:
    hour = one_hour(**kwh)
    return balance(hour, 0, HOUR_MS, load_contains_ev=load_contains_ev, opening=opening or Ledger()).total


# --- What serves what ---------------------------------------------------------------------------------------------


def test_the_sun_serves_load_and_car_then_the_battery_then_the_export() -> None:
    day = total(solar=10, load=3, ev=1, battery_charging=2, grid_export=4)

    assert [day.flow("solar", use) for use in USES] == pytest.approx([3, 1, 2, 4])
    assert day.residual == pytest.approx(0)


def test_load_and_car_share_a_sun_that_is_not_enough_for_both() -> None:
    day = total(solar=2, grid_import=2, load=3, ev=1)

    assert (day.flow("solar", "load"), day.flow("solar", "ev")) == pytest.approx((1.5, 0.5))
    assert (day.flow("grid_import", "load"), day.flow("grid_import", "ev")) == pytest.approx((1.5, 0.5))


def test_the_battery_serves_the_house_before_the_export_and_the_grid_the_rest() -> None:
    day = total(battery_discharging=3, grid_import=1, load=4)
    assert day.flow("battery_discharging", "load") == pytest.approx(3)
    assert day.flow("grid_import", "load") == pytest.approx(1)

    night = total(battery_discharging=3, load=1, grid_export=2)
    assert night.flow("battery_discharging", "grid_export") == pytest.approx(2)


def test_import_and_export_within_one_slot_do_not_make_a_residual() -> None:
    """A cloud passes: 0.5 kWh came in and 0.5 kWh went out in the same five minutes."""
    day = total(solar=2, grid_import=0.5, load=2, grid_export=0.5)

    assert day.residual == pytest.approx(0)
    assert day.flow("solar", "grid_export") == pytest.approx(0.5)
    assert day.flow("grid_import", "load") == pytest.approx(0.5)


def test_a_battery_that_charges_and_discharges_within_one_slot_does_not_make_a_residual() -> None:
    day = total(solar=2, battery_discharging=1, load=2, battery_charging=1)
    assert (day.residual, day.flow("solar", "battery_charging")) == pytest.approx((0, 1))

    idle = total(battery_discharging=1, battery_charging=1)
    assert idle.flow("battery_discharging", "battery_charging") == pytest.approx(1)


# --- What does not add up -----------------------------------------------------------------------------------------


def test_what_no_source_accounts_for_is_shown_as_the_residual() -> None:
    day = total(solar=1, load=3)

    assert (day.flow("solar", "load"), day.flow(UNKNOWN, "load")) == pytest.approx((1, 2))
    assert day.residual == pytest.approx(2)


def test_what_no_use_accounts_for_is_shown_as_the_residual() -> None:
    day = total(solar=3, grid_import=1, load=2)

    assert (day.flow("solar", UNMATCHED), day.flow("grid_import", UNMATCHED)) == pytest.approx((1, 1))
    assert day.residual == pytest.approx(2)


def test_residuals_of_opposite_sign_do_not_cancel() -> None:
    hours = balance({**one_hour(solar=1), "load": slots(0, HOUR_MS, np.tile([0.0, 2.0], 6))}, 0, HOUR_MS)

    assert hours.total.residual == pytest.approx(1)


def test_more_export_and_charging_than_came_in_gives_no_negative_share() -> None:
    """From a public report: import 1.3, solar 5.4, export 6.15, charging 2.1 gave a self-sufficiency below zero."""
    day = total(grid_import=1.3, solar=5.4, grid_export=6.15, battery_discharging=0, battery_charging=2.1)

    assert day.consumption == 0
    assert day.autarky is None
    assert day.self_consumption is not None
    assert 0 <= day.self_consumption <= 1
    assert day.residual == pytest.approx(6.15 + 2.1 - 1.3 - 5.4)
    assert day.source("solar") == pytest.approx(5.4)
    assert day.use("grid_export") == pytest.approx(6.15)


def test_nothing_used_has_no_share() -> None:
    """From a public report: 0 kWh consumed, and yet a cost and a share."""
    day = total(grid_import=2, grid_export=2)

    assert (day.consumption, day.autarky, day.self_consumption) == (0, None, None)


def test_a_negative_mean_counts_as_zero() -> None:
    """An inverter takes a few watts at night."""
    assert total(solar=-0.01, grid_import=1, load=1).source("solar") == 0


# --- Autarky and self-consumption ---------------------------------------------------------------------------------


def test_stored_energy_counts_neither_twice_nor_as_used() -> None:
    """Maple, 23 November: import + discharging + solar was 40.6 kWh, and the house used 22.2."""
    day = total(
        solar=20.2,
        grid_import=9.1,
        battery_discharging=11.3,
        load=22.2,
        battery_charging=12.0,
        grid_export=6.4,
    )

    assert day.consumption == pytest.approx(22.2)
    assert sum(day.use(name) for name in USES) == pytest.approx(40.6)


def test_autarky_counts_the_grid_that_came_through_the_battery() -> None:
    stored = Ledger(solar=1.0, grid_import=3.0)
    night = total(battery_discharging=2, load=2, opening=stored)

    assert night.through_battery("grid_import", "load") == pytest.approx(1.5)
    assert night.autarky == pytest.approx(0.25)


def test_shares_of_a_range_are_sum_over_sum_and_no_mean_of_shares() -> None:
    hour = one_hour(solar=1, load=1)
    hour["grid_import"] = slots(0, HOUR_MS, np.array([0.0] * 11 + [9.0]))
    hour["load"] = slots(0, HOUR_MS, np.array([1.0] * 11 + [10.0]))

    assert balance(hour, 0, HOUR_MS).total.autarky == pytest.approx(12 / 21)


def test_consumption_of_unknown_origin_is_neither_own_nor_the_grids() -> None:
    day = total(solar=1, grid_import=1, load=4)

    assert day.consumed_from(UNKNOWN) == pytest.approx(2)
    assert day.autarky == pytest.approx(0.5)


# --- The battery's ledger -----------------------------------------------------------------------------------------


def test_the_ledger_keeps_what_came_from_sun_and_grid() -> None:
    hour = one_hour(solar=2, grid_import=1, battery_charging=3)
    closing = balance(hour, 0, HOUR_MS).closing

    assert (closing.solar, closing.grid_import, closing.unknown) == pytest.approx((2, 1, 0))


def test_a_discharge_takes_pro_rata() -> None:
    hour = one_hour(battery_discharging=2, load=2)
    result = balance(hour, 0, HOUR_MS, opening=Ledger(solar=3, grid_import=1))

    assert result.total.through_battery("solar", "load") == pytest.approx(1.5)
    assert (result.closing.solar, result.closing.grid_import) == pytest.approx((1.5, 0.5))


def test_what_the_ledger_does_not_have_is_of_unknown_origin() -> None:
    result = balance(one_hour(battery_discharging=2, load=2), 0, HOUR_MS, opening=Ledger(solar=0.5))

    assert result.total.through_battery("solar", "load") == pytest.approx(0.5)
    assert result.total.through_battery(UNKNOWN, "load") == pytest.approx(1.5)
    assert result.closing.stored_kwh == pytest.approx(0)


def test_losses_are_taken_pro_rata() -> None:
    limited = Ledger(solar=6, grid_import=3, unknown=1).limited(5)

    assert (limited.solar, limited.grid_import, limited.unknown) == pytest.approx((3, 1.5, 0.5))
    assert Ledger(solar=1).limited(5) == Ledger(solar=1)
    assert Ledger(solar=1).limited(-1).stored_kwh == 0


def test_a_night_that_exports_a_battery_charged_from_the_grid_says_so() -> None:
    charged = balance(one_hour(grid_import=4, battery_charging=4), 0, HOUR_MS).closing
    night = total(battery_discharging=4, grid_export=3, load=1, opening=charged)

    assert night.through_battery("grid_import", "grid_export") == pytest.approx(3)
    assert night.autarky == 0


# --- What is missing ----------------------------------------------------------------------------------------------


def test_a_slot_without_a_value_of_a_needed_item_is_counted_apart() -> None:
    hour = one_hour(solar=12, load=12)
    hour["grid_import"] = slots(0, HOUR_MS, np.array([0.0] * 9 + [np.nan] * 3))
    day = balance(hour, 0, HOUR_MS)

    assert (day.total.attributed, day.total.slots, day.total.not_attributed_hours) == (9, 12, 0.25)
    assert day.total.consumption == pytest.approx(9)
    assert day.missing["grid_import"] == 3
    assert day.missing["solar"] == 0


def test_an_item_that_the_house_does_not_have_is_zero() -> None:
    hour = {
        name: one for name, one in one_hour(grid_import=2, load=2).items() if name in ("grid_import", "load")
    }
    day = balance(hour, 0, HOUR_MS).total

    assert (day.attributed, day.residual, day.autarky) == (12, 0, 0)


def test_an_empty_range_has_no_energy_and_no_share() -> None:
    day = balance(one_hour(solar=1), 0, 0).total

    assert (day.slots, day.consumption, day.autarky) == (0, 0, None)


# --- Whether the load contains the car ----------------------------------------------------------------------------


def test_a_load_that_contains_the_car_is_taken_without_it() -> None:
    day = total(grid_import=5, load=5, ev=3, load_contains_ev=True)

    assert (day.use("load"), day.use("ev"), day.residual) == pytest.approx((2, 3, 0))


@pytest.mark.parametrize(("load", "contains"), [(5.0, True), (2.0, False)])
def test_the_setting_with_the_smaller_residual_is_suggested(load: float, contains: bool) -> None:
    hour = one_hour(grid_import=5, load=load, ev=3)

    assert car_in_load(hour, 0, HOUR_MS).suggestion is contains


def test_without_a_car_nothing_is_suggested() -> None:
    assert car_in_load(one_hour(grid_import=5, load=5), 0, HOUR_MS).suggestion is None


def test_a_balance_that_fits_neither_way_suggests_nothing() -> None:
    hour = one_hour(grid_import=6.5, load=5, ev=3)

    assert car_in_load(hour, 0, HOUR_MS).suggestion is None


def test_a_small_load_beside_a_fast_charger_is_evidence_all_the_same() -> None:
    hour = one_hour(grid_import=11.6, load=0.6, ev=11)

    assert car_in_load(hour, 0, HOUR_MS).suggestion is False


# --- Random days --------------------------------------------------------------------------------------------------


def random_weeks(seed: int, count: int) -> Iterator[tuple[dict[str, SlotMeans], list[int]]]:
    """Weeks of a house with sun, battery and car: gaps, clock changes, batteries that charge from the grid or export at
    night, meters that disagree on some days. Each with the bounds of its hours."""
    rng = np.random.default_rng(seed)
    first = date(2026, 1, 1)
    for _ in range(count):
        zone = str(rng.choice(["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"]))
        day = first + timedelta(days=int(rng.integers(365)))
        start, end = calendar.day(day, zone)[0], calendar.day(day + timedelta(days=6), zone)[1]
        n = (end - start) // SLOT_MS
        hour = np.arange(n) / 12 % 24

        def of_each_day(low: float, high: float, n: int = n) -> np.ndarray:
            return np.repeat(rng.uniform(low, high, 8), 288)[:n]

        sun = of_each_day(0, 12) * np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.2, 1, n)
        load = rng.uniform(0.1, 3, n)
        ev = np.where(rng.random(n) < 0.1, rng.uniform(1, 11), 0.0)
        battery = np.clip(rng.normal(0, 3, n), -5, 5) * (rng.random(n) < 0.7)  # > 0: discharging
        grid = load + ev - sun - battery
        overlap = rng.exponential(0.2, n) * (rng.random(n) < 0.2)  # both directions in one slot
        cycled = rng.exponential(0.2, n) * (rng.random(n) < 0.1)
        powers = {
            "solar": sun,
            "grid_import": np.maximum(grid, 0) + overlap,
            "battery_discharging": np.maximum(battery, 0) + cycled,
            "load": load,
            "ev": ev,
            "battery_charging": np.maximum(-battery, 0) + cycled,
            "grid_export": np.maximum(-grid, 0) + overlap,
        }
        disagrees = of_each_day(0, 1) < 0.5
        powers = {
            name: np.where(disagrees, np.maximum(p + rng.normal(0, 0.3, n), 0), p)
            for name, p in powers.items()
        }
        for _ in range(int(rng.integers(5))):
            gap = int(rng.integers(n))
            powers[str(rng.choice(BALANCE_ITEMS))][gap : gap + int(rng.integers(1, 60))] = np.nan
        means = {name: slots(start, end, p) for name, p in powers.items()}
        yield means, [*range(start, end, HOUR_MS), end]


def assert_close(one: np.ndarray, other: np.ndarray | int) -> None:
    assert np.abs(one - other).max(initial=0.0) < CLOSE


def assert_adds_up(day: Balance, means: dict[str, SlotMeans]) -> None:
    at = {name: np.searchsorted(one.starts, day.starts) for name, one in means.items()}
    kwh = {name: one.means[at[name]] / 12 for name, one in means.items()}
    assert (day.flows >= 0).all()
    assert (day.discharged >= 0).all()
    for row, name in enumerate(SOURCES):
        assert_close(day.flows[:, row].sum(axis=1), kwh[name])
    for column, name in enumerate(USES):
        assert_close(day.flows[:, :, column].sum(axis=1), kwh[name])
    residual = sum(kwh[name] for name in SOURCES) - sum(kwh[name] for name in USES)
    unmatched, unknown = day.flows[:, :, 4].sum(axis=1), day.flows[:, 3].sum(axis=1)
    assert_close(unmatched - unknown, residual)
    assert (np.minimum(unmatched, unknown) < CLOSE).all()
    assert_close(day.discharged.sum(axis=1), day.flows[:, 2])


def assert_same(one: Totals, other: Totals) -> None:
    assert_close(one.flows, other.flows)
    assert_close(one.discharged, other.discharged)
    assert (one.attributed, one.slots) == (other.attributed, other.slots)


@pytest.mark.parametrize("seed", range(10))
def test_rows_are_sources_columns_are_uses_and_a_week_is_the_sum_of_its_hours(seed: int) -> None:
    """Over all seeds 10,010 days."""
    ledger = Ledger()
    years = Totals()
    for means, bounds in random_weeks(seed, 143):
        week = balance(means, bounds[0], bounds[-1], opening=ledger)
        assert_adds_up(week, means)
        hours = week.parts(bounds)
        assert_same(sum(hours, Totals()), week.total)
        for part in (*hours, week.total):
            for share in (part.autarky, part.self_consumption):
                assert share is None or 0 <= share <= 1
        charged = week.flows[:, :, 2].sum() - week.flows[:, 2].sum()
        lent = week.discharged[:, 2].sum()  # of unknown origin, in part not held by the ledger
        assert week.closing.stored_kwh >= max(ledger.stored_kwh + charged, 0) - CLOSE
        assert week.closing.stored_kwh <= ledger.stored_kwh + charged + lent + CLOSE
        ledger = week.closing.limited(10.0)
        years = years + week.total
    assert 0 <= (years.autarky or 0) <= 1


def test_a_month_is_the_sum_of_its_days_whatever_parts_it_is_computed_in() -> None:
    zone = "Europe/Berlin"
    start, end = calendar.month(2026, 3, zone)  # with a day of 23 hours
    rng = np.random.default_rng(1)
    n = (end - start) // SLOT_MS
    means = {name: slots(start, end, rng.exponential(1.0, n)) for name in BALANCE_ITEMS}
    whole = balance(means, start, end)

    ledger, days = Ledger(), Totals()
    for first, last in calendar.days(start, end, zone):
        day = balance(means, first, last, opening=ledger)
        ledger = day.closing
        days = days + day.total

    assert_same(days, whole.total)
    assert ledger.solar == pytest.approx(whole.closing.solar)
    assert_same(sum(whole.parts([*range(start, end, HOUR_MS), end]), Totals()), whole.total)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "America/Havana"])
def test_what_a_slot_came_from_does_not_depend_on_the_range_asked_for(zone: str) -> None:
    start, end = calendar.month(2026, 3, zone)
    rng = np.random.default_rng(2)
    known_from = ledger_from_ms(start, zone)
    n = (end - known_from) // SLOT_MS
    means = {name: slots(known_from, end, rng.exponential(1.0, n)) for name in BALANCE_ITEMS}

    month = weekly_balance(means, start, end, zone)
    days = [weekly_balance(means, first, last, zone) for first, last in calendar.days(start, end, zone)]
    halves = [
        weekly_balance(means, first, last, zone)
        for first, last in ((start, NOON), (NOON, end))
        if first < last
    ]

    assert_same(sum((day.total for day in days), Totals()), month.total)
    assert_same(sum((half.total for half in halves), Totals()), month.total)
    np.testing.assert_allclose(np.concatenate([day.discharged for day in days]), month.discharged, atol=CLOSE)
    assert days[9].opening.solar == pytest.approx(opening_ledger(means, days[9].start_ms, zone).solar)


def test_a_week_opens_with_what_the_week_before_left() -> None:
    zone = "UTC"
    monday, after = calendar.day(date(2026, 3, 9), zone)
    known_from = ledger_from_ms(monday, zone)
    count = (after - known_from) // SLOT_MS
    charging = np.zeros(count)
    charging[288 * 6 : 288 * 6 + 24] = 2.0  # on Sunday, from the sun
    discharging = np.zeros(count)
    discharging[288 * 7 : 288 * 7 + 12] = 1.0
    means = {
        "solar": slots(known_from, after, charging),
        "battery_charging": slots(known_from, after, charging),
        "battery_discharging": slots(known_from, after, discharging),
        "load": slots(known_from, after, discharging),
    }

    day = weekly_balance(means, monday, after, zone)

    assert known_from == calendar.day(date(2026, 3, 2), zone)[0]
    assert day.total.through_battery("solar", "load") == pytest.approx(1.0)
    assert day.closing.solar == pytest.approx(3.0)


@given(
    st.fixed_dictionaries({name: st.one_of(st.just(0.0), st.floats(0, 1e6)) for name in BALANCE_ITEMS}),
    st.booleans(),
)
@example(dict.fromkeys(BALANCE_ITEMS, 0.0) | {"battery_charging": 5e-310, "battery_discharging": 1.0}, False)
@settings(deadline=None)
def test_any_powers_have_a_balance(kwh: dict[str, float], contains: bool) -> None:
    day = balance(one_hour(**kwh), 0, HOUR_MS, load_contains_ev=contains, opening=Ledger()).total

    assert day.autarky is None or 0 <= day.autarky <= 1
    assert day.self_consumption is None or 0 <= day.self_consumption <= 1
    scale = max(kwh.values()) or 1.0
    for name in SOURCES:
        assert day.source(name) == pytest.approx(kwh[name], abs=CLOSE * scale)
