"""What the editor shows of a formula takes few statements, and a pause in typing none."""

from __future__ import annotations

import time

import numpy as np

from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.reports import assessment
from sgmp_console.store import Database
from sgmp_console.timeseries import Series
from tests.fleet.configs import EGAUGE
from tests.series import write_series
from tests.statements import counting


def test_the_values_of_a_formula_are_read_without_reading_the_items_and_devices_again(
    database: Database,
) -> None:
    house_id = houses.create(database, "Maple House", time_zone="UTC").house_id
    devices.create(database, house_id, "meter", "egauge", EGAUGE)
    analytics.create(database, house_id, "load", "meter.A.Load")
    now_ms = time.time_ns() // 1_000_000
    known = assessment.read_house(database, house_id, now_ms)
    found = assessment.assess(known, "analytics.load * 2", name="twice", item_id=0)
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


def test_a_pause_in_typing_reads_nothing_but_the_days_of_fields_that_are_new_in_the_formula(
    database: Database,
) -> None:
    house_id = houses.create(database, "Maple House", time_zone="UTC").house_id
    meter = devices.create(database, house_id, "meter", "egauge", EGAUGE)
    now_ms = time.time_ns() // 1_000_000
    with database.begin() as connection:
        read = Series(np.array([now_ms - 5000]), np.array([1.0]))
        write_series(connection, house_id, meter.device_id, {"A.Load": read, "A.EV": read})
    known = assessment.read_house(database, house_id, now_ms)

    def cost(text: str) -> int:
        with counting() as sent:
            found = assessment.assess(known, text, name="twice", item_id=0)
        assert found.error is None
        return len(sent)

    assert [
        cost(text)
        for text in (
            "meter.A.Load",
            "meter.A.Load + 1",
            "meter.A.Load + meter.A.EV",
            "meter.A.Pool",
            "2 * meter.A.EV",
        )
    ] == [1, 0, 1, 0, 1]
