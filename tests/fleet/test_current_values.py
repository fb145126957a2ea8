"""The newest value of each item of a house, for their list."""

from __future__ import annotations

import numpy as np

from sgmp_console.fleet import analytics, devices
from sgmp_console.reports.current_values import LOOKBACK_MS, current_values
from sgmp_console.store import Database, House
from sgmp_console.timeseries import Series
from tests.fleet.configs import EGAUGE
from tests.series import write_series

NOW_MS = 1_750_000_200_000


def test_items_have_their_newest_value_where_they_have_one_lately(database: Database, house: House) -> None:
    meter = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    t = np.array([NOW_MS - LOOKBACK_MS - 5000, NOW_MS - 4000, NOW_MS - 2000])
    with database.begin() as connection:
        values = {"A.Load": Series(t, np.array([1.0, 2.0, 3.0])), "A.EV": Series(t[:1], np.array([7.0]))}
        write_series(connection, house.house_id, meter.device_id, values)
    analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    analytics.create(database, house.house_id, "twice", "2*analytics.load")
    analytics.create(database, house.house_id, "long_ago", "egauge.A.EV")
    analytics.create(database, house.house_id, "elsewhere", "1/(egauge.A.Load - 3)")
    with database.begin() as connection:
        found = current_values(connection, house.house_id, NOW_MS)
    assert found == {
        "load": (NOW_MS - 2000, -3.0),
        "twice": (NOW_MS - 2000, -6.0),
        "elsewhere": (NOW_MS - 4000, -1.0),
    }
