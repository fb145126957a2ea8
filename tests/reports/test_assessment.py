"""What the editor says about a formula costs few statements: it asks at each pause in typing."""

from __future__ import annotations

import time

from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.reports import assessment
from sgmp_console.store import Database
from tests.fleet.configs import EGAUGE
from tests.statements import counting


def test_the_values_of_a_formula_are_read_without_reading_the_items_and_devices_again(
    database: Database,
) -> None:
    house_id = houses.create(database, "Maple House", time_zone="UTC").house_id
    devices.create(database, house_id, "meter", "egauge", EGAUGE)
    analytics.create(database, house_id, "load", "meter.A.Load")
    now_ms = time.time_ns() // 1_000_000
    found = assessment.assess(
        database, house_id, "analytics.load * 2", name="twice", item_id=0, now_ms=now_ms
    )
    assert found.formula is not None
    assert found.items == {"load": "meter.A.Load"}
    with counting() as sent:
        shown = assessment.preview(
            database, house_id, found.formula, items=found.items, name="twice", now_ms=now_ms
        )
    assert shown.problem == ""
    assert not [
        statement for statement in sent if "analytic_items" in statement or "sgmp.devices" in statement
    ]
    assert len(sent) <= 3
