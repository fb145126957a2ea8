"""The sixteen items of the playbook, on readings small enough to check by eye."""

import pytest

from sgmp_console.formula import parse
from sgmp_console.timeseries import Series

REQUIRED: dict[str, tuple[str, dict[float, float]]] = {
    "battery": ("sonnen.status.Pac_total_W/1000", {-1500: -1.5, 0: 0, 800: 0.8}),
    "battery_charging": ("-neg(sonnen.status.Pac_total_W/1000)", {-1500: 1.5, 0: 0, 800: 0}),
    "battery_discharging": ("pos(sonnen.status.Pac_total_W/1000)", {-1500: 0, 0: 0, 800: 0.8}),
    "ev": ("-egauge.A.EV", {-7.2: 7.2, 0: 0}),
    "ev_charge_duration": ("events.::EV_END_CHARGING.duration", {3_600_000: 3_600_000}),
    "ev_charge_energy": ("events.::EV_END_CHARGING.energy", {12_000_000: 12_000_000}),
    "ev_event_count": ("events.::EV_START_CHARGING", {1: 1}),
    "grid_export": ("pos(egauge.A.GridPower)", {-2: 0, 0: 0, 3: 3}),
    "grid_import": ("-neg(egauge.A.GridPower)", {-2: 2, 0: 0, 3: 0}),
    "gridpower": ("-egauge.A.GridPower", {-2: 2, 0: 0, 3: -3}),
    "l1_frequency": ("egauge.A.L1_Frequency", {59.98: 59.98}),
    "l1_voltage": ("egauge.A.L1_Voltage", {119.5: 119.5}),
    "l2_voltage": ("egauge.A.L2_Voltage", {120.5: 120.5}),
    "load": ("-egauge.A.Load", {-1.25: 1.25}),
    "soc": ("sonnen.battery.battery_status.relativestateofcharge", {55: 55}),
    "solar": ("pos(egauge.A.Solar)", {-0.01: 0, 4.5: 4.5}),
}


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_item_has_one_identifier_and_the_value_of_the_playbook(name: str) -> None:
    text, expected = REQUIRED[name]
    formula = parse(text)
    (identifier,) = formula.identifiers
    timestamps = range(1_000, 1_000 + 4_000 * len(expected), 4_000)

    result = formula.evaluate({identifier: Series(timestamps, list(expected))})

    assert result.timestamps.tolist() == list(timestamps)
    assert result.values.tolist() == pytest.approx(list(expected.values()))


def test_import_minus_export_is_grid_power_at_every_reading() -> None:
    series = {"egauge.A.GridPower": Series([0, 4_000, 8_000], [-2.5, 0.0, 1.25])}
    grid_import = parse("-neg(egauge.A.GridPower)").evaluate(series)
    grid_export = parse("pos(egauge.A.GridPower)").evaluate(series)
    gridpower = parse("-egauge.A.GridPower").evaluate(series)

    assert (grid_import.values - grid_export.values).tolist() == gridpower.values.tolist()
