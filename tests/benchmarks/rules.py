"""Rules of operators: a thousand houses with three rules of all houses and one of their own, judged in one turn of the watch."""

from __future__ import annotations

import time

import sqlalchemy as sa

from sgmp_console.fleet.required import required_items
from sgmp_console.watch import operator_rules
from tests.benchmarks.result import Result, seconds
from tests.benchmarks.world import World

HOUSES = 1000
BUDGET = 2000
"""Rules in a second: a turn of the watch with a thousand houses takes two more, and the next follows within 20."""

_FURNISH = (
    "INSERT INTO sgmp.house (name, time_zone) SELECT 'Ruled ' || n, 'Europe/Berlin' FROM generate_series(1, :houses) n",
    "INSERT INTO sgmp.device (house_id, name, type, config) SELECT h.house_id, t, t, '{}'"
    " FROM sgmp.house h, unnest(ARRAY['egauge', 'sonnen']) t WHERE h.name LIKE 'Ruled %'",
    "INSERT INTO sgmp.series (house_id, device_id, field) SELECT d.house_id, d.device_id, f"
    " FROM sgmp.device d JOIN sgmp.house h USING (house_id), unnest(ARRAY['A.Load', 'A.L1_Voltage', 'A.EV',"
    " 'battery.battery_status.relativestateofcharge']) f"
    " WHERE h.name LIKE 'Ruled %' AND (d.name = 'sonnen') = (f LIKE 'battery%')",
    "INSERT INTO sgmp.reading (series_id, ts, value)"
    " SELECT s.series_id, date_trunc('second', now()) - interval '4 seconds' * a, 1 FROM sgmp.series s"
    " JOIN sgmp.house h USING (house_id), generate_series(0, 149) a WHERE h.name LIKE 'Ruled %'",
    "INSERT INTO sgmp.analytic_item (house_id, name, formula, unit) SELECT h.house_id, i.name, i.formula, ''"
    " FROM sgmp.house h, unnest(CAST(:names AS text[]), CAST(:formulas AS text[])) AS i (name, formula) WHERE h.name LIKE 'Ruled %'",
    "INSERT INTO sgmp.rule (name, formula, above, threshold, hold_s, clear_s, severity, enabled)"
    " SELECT f, f, true, 100, 60, 0, 'warning', true FROM unnest(ARRAY['analytics.soc', 'analytics.load',"
    " 'abs(analytics.l1_voltage - 230)']) f",
    "INSERT INTO sgmp.rule (house_id, name, formula, above, threshold, hold_s, clear_s, severity, enabled)"
    " SELECT h.house_id, 'own', 'analytics.ev - analytics.load', true, 100, 60, 0, 'warning', true"
    " FROM sgmp.house h WHERE h.name LIKE 'Ruled %'",
)


def measure(world: World) -> list[Result]:
    """Ten minutes of a reading each 4 s are stored; the last two are read."""
    items = required_items().values()
    values = {
        "houses": HOUSES,
        "names": [one.name for one in items],
        "formulas": [one.formula for one in items],
    }
    with world.database.begin() as connection:
        for statement in _FURNISH:
            needed = {key: value for key, value in values.items() if f":{key}" in statement}
            connection.execute(sa.text(statement), needed)
        connection.exec_driver_sql("ANALYZE")
        houses = (
            connection.exec_driver_sql("SELECT house_id FROM sgmp.house WHERE name LIKE 'Ruled %%'")
            .scalars()
            .all()
        )
    lasts_ms = {house_id: {"egauge": 120_000, "sonnen": 120_000} for house_id in houses}

    def judge() -> list[operator_rules.RuleInHouse]:
        with world.database.begin() as connection:
            return operator_rules.standings(connection, int(time.time() * 1000), lasts_ms)

    judged = len(judge())
    taken_s = seconds(judge, 5)
    with world.database.begin() as connection:  # out of the way of the others
        connection.exec_driver_sql("DELETE FROM sgmp.rule")
        connection.exec_driver_sql("UPDATE sgmp.house SET deleted_at = now() WHERE name LIKE 'Ruled %%'")
    rate = judged / taken_s
    what = f"rules judged in a second, {judged:,} in {HOUSES:,} houses"
    return [
        Result(
            what, f"{rate:,.0f} ({taken_s * 1000:.0f} ms a turn)", "", rate, BUDGET, at_least=True, unit=""
        )
    ]
