"""What is said of a house's analytic items at a glance, and of continuous aggregation beforehand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sgmp_console.errors import UserError
from sgmp_console.fleet import analytics, devices
from sgmp_console.fleet.analytics_overview import (
    AggregatedField,
    AnalyticsOverview,
    aggregation_effect,
    aggregation_state,
    overview,
)
from sgmp_console.formula import parse
from sgmp_console.store import Database, House, population
from sgmp_console.timeseries import Series
from tests.database import TestServer
from tests.fleet.configs import EGAUGE
from tests.series import write_series

NOW_MS = 1_750_000_200_000
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def meter(database: Database, house: House) -> None:
    """With a reading every six hours of the last ten days."""
    made = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    t = np.arange(NOW_MS - 10 * DAY_MS, NOW_MS, DAY_MS // 4)
    with database.begin() as connection:
        values = {field: Series(t, np.ones(len(t))) for field in ("A.Load", "A.EV")}
        write_series(connection, house.house_id, made.device_id, values)


def seen(database: Database, house: House) -> AnalyticsOverview:
    with database.begin() as connection:
        return overview(connection, house.house_id)


def test_items_come_with_their_users_and_whether_they_are_exact(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    analytics.create(database, house.house_id, "twice", "2*analytics.load")
    analytics.create(database, house.house_id, "squared", "analytics.load^2")
    analytics.create(database, house.house_id, "sessions", "events.::EV_START_CHARGING")
    rows = {row.item.name: row for row in seen(database, house).items}
    assert rows["load"].used_by == ("squared", "twice")
    assert {name for name, row in rows.items() if row.exact} == {"load", "twice"}
    assert [name for name, row in rows.items() if row.required] == ["load"]


def test_required_items_that_the_house_lacks_are_in_the_playbook_s_order(
    database: Database, house: House
) -> None:
    analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    missing = seen(database, house).missing
    assert missing[:3] == ("battery", "battery_charging", "battery_discharging")
    assert "load" not in missing
    assert len(missing) == 15


def test_an_item_that_is_not_counted_yet_says_so_until_it_is(
    database: Database, house: House, database_server: TestServer
) -> None:
    analytics.create(database, house.house_id, "load", "-egauge.A.Load", aggregated=True)
    before = seen(database, house).items[0].populated
    analytics.populate(database, house.house_id)
    assert (before, seen(database, house).items[0].populated) == (database_server.has_timescale, True)


def test_a_house_that_is_not_there_is_refused(database: Database, house: House) -> None:
    with database.begin() as connection, pytest.raises(UserError, match="no such house"):
        overview(connection, house.house_id + 1)


def test_it_is_told_what_is_new_what_is_shared_and_how_much_is_stored(
    database: Database, house: House, database_server: TestServer
) -> None:
    item = analytics.create(database, house.house_id, "load", "-egauge.A.Load", aggregated=True)
    analytics.populate(database, house.house_id)
    formula = parse("egauge.A.Load - egauge.A.EV + egauge.A.Load")
    days = 0 if database_server.has_timescale else 11
    with database.begin() as connection:
        state = aggregation_state(connection, house.house_id)
        count = partial(population.days_to_count, connection, until_ms=NOW_MS)
        effect = aggregation_effect(state, formula, count)
        own = aggregation_effect(state, parse("egauge.A.Load"), count, item_id=item.item_id)
    assert effect.fields == (AggregatedField("egauge.A.Load", ("load",)), AggregatedField("egauge.A.EV", ()))
    assert effect.stored_days == days
    # An item's own aggregates are no one else's, but there is nothing left to count.
    assert (own.fields, own.stored_days) == ((AggregatedField("egauge.A.Load", ()),), 0)


def test_what_cannot_be_aggregated_says_why(database: Database, house: House) -> None:
    formula = parse("events.::EV_START_CHARGING")
    with database.begin() as connection:
        effect = aggregation_effect(aggregation_state(connection, house.house_id), formula, lambda _: 0)
    assert effect.refusal is not None
    assert "event identifier" in effect.refusal
