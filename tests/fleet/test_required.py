"""The required list of analytic items is the playbook's."""

from __future__ import annotations

from sgmp_console import formula
from sgmp_console.fleet.required import required_items

PLAYBOOK = """
|battery|Sonnen battery current|sonnen.status.Pac_total_W/1000|Enabled|
|battery_charging|Sonnen battery charging current|-neg(sonnen.status.Pac_total_W/1000)|Enabled|
|battery_discharging|Sonnen battery discharging current|pos(sonnen.status.Pac_total_W/1000)|Enabled|
|ev|EV charging power|-egauge.A.EV|Enabled|
|ev_charge_duration|EV charge duration|events.::EV_END_CHARGING.duration|Disabled|
|ev_charge_energy|EV charge total energy before end of charge event|events.::EV_END_CHARGING.energy|Disabled|
|ev_event_count|Count of EV charge event|events.::EV_START_CHARGING|Disabled|
|grid_export|Positive grid power|pos(egauge.A.GridPower)|Disabled|
|grid_import|Negative grid power (0 included)|-neg(egauge.A.GridPower)|Disabled|
|gridpower|Grid power|-egauge.A.GridPower|Enabled|
|l1_frequency|L1 AC Frequency|egauge.A.L1_Frequency|Disabled|
|l1_voltage|L1 AC Voltage|egauge.A.L1_Voltage|Disabled|
|l2_voltage|L2 AC Voltage|egauge.A.L2_Voltage|Disabled|
|load|Load|-egauge.A.Load|Enabled|
|soc|Sonnen battery State of Charge|sonnen.battery.battery_status.relativestateofcharge|Enabled|
|solar|Solar Power from eGauge|pos(egauge.A.Solar)|Enabled|
"""


def test_the_list_is_the_playbooks() -> None:
    rows = [line.strip("|").split("|") for line in PLAYBOOK.strip().splitlines()]
    assert [
        [item.name, item.description, item.formula, "Enabled" if item.aggregated else "Disabled"]
        for item in required_items().values()
    ] == rows


def test_every_suggested_formula_can_be_read() -> None:
    for item in required_items().values():
        assert formula.parse(item.formula).identifiers
