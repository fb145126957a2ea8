"""Every figure of every report beside the same number worked out from the readings by `oracle`.

A house lives through what happens to one: readings are raw, then aggregated; an edge brings late what an outage kept;
raw readings are dropped. At each stage each figure over each range is the same, to 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sgmp_console.reports import periods
from sgmp_console.reports.item_source import Source
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind
from sgmp_console.store import Database
from sgmp_console.timeseries import Series
from tests.database import TestDatabase, TestServer
from tests.reports.beside_oracle import (
    CAR_IN_LOAD,
    CHANGES,
    DAY,
    MINUTE,
    POWER,
    REPORTS,
    StoredHouse,
    midnight,
    months_of,
    restless,
    visit,
    wrong_figures,
    wrong_reasons,
    wrong_rows,
    wrong_sessions,
)
from tests.reports.houses import BATTERY, SOC, without
from tests.reports.oracle import HOUR, ChargerEvent, Field, Oracle
from tests.reports.stored import drop_old_readings, work_off_late_ranges


def ranges(zone: str, now_ms: int) -> dict[str, Period]:
    found = {
        "last 24 hours": periods.last_24_hours(now_ms, zone),
        "last 7 days": periods.last_7_days(now_ms, zone),
        "the running month": periods.parse("month", now_ms, zone),
        "the running day": periods.parse("today", now_ms, zone),
    }
    for change in CHANGES[zone]:
        found |= {
            f"the day {change}": periods.day(change, zone),
            f"the month of {change}": months_of(change, zone),
            f"the year {change.year}": periods.year(change.year, zone),
            f"a range cut within hours around {change}": periods.custom(
                midnight(zone, change) - 3 * DAY - 85 * MINUTE,
                midnight(zone, change) + 2 * DAY + 25 * MINUTE,
                zone,
            ),
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("zone", CHANGES)
def test_every_figure_is_right_through_the_life_of_a_house(
    database: Database, test_database: TestDatabase, database_server: TestServer, zone: str
) -> None:
    house = StoredHouse(database, test_database, zone, CAR_IN_LOAD[zone])
    late: dict[Field, Series] = {}
    for seed, change in enumerate(CHANGES[zone]):
        month = months_of(change, zone)
        day = midnight(zone, change)
        fields = restless(month.start_ms - 9 * DAY, month.end_ms + 5 * DAY, seed, (day - DAY, day + 2 * DAY))
        # Nobody heard of the house for nine hours, nor of its battery for a day. One device of the two comes late.
        outage = day - 5 * DAY + 7 * MINUTE
        alone = day + 3 * DAY
        of_battery = {key: fields[key] for key in (BATTERY, SOC)}
        late |= {
            key: Series(np.r_[late[key].timestamps, part.timestamps], np.r_[late[key].values, part.values])
            if key in late
            else part
            for key, series in fields.items()
            for part in [series.between(outage, outage + 9 * HOUR)]
            if key not in of_battery
        }
        fields = without(fields, outage, outage + 9 * HOUR)
        house.store(
            fields
            | without(of_battery, outage, outage + 9 * HOUR)
            | without({key: fields[key] for key in of_battery}, alone, alone + DAY)
        )
        house.charge(
            [
                *visit(month.start_ms - 2 * HOUR, month.start_ms + 3 * HOUR, 14_000_000),
                *visit(day + HOUR, day + 5 * HOUR, 9_000_500),
                ChargerEvent(day + 30 * HOUR, "powerflex", starts=True),  # its end got lost
                *visit(day + 40 * HOUR, day + 47 * HOUR, 20_000_000),
            ]
        )
        power = np.arange(day + HOUR, day + 5 * HOUR, MINUTE)
        house.store({POWER: Series(power, np.where(power // (20 * MINUTE) % 3 == 0, 0.02, 6.6))})
    now_ms = months_of(CHANGES[zone][1], zone).end_ms + 4 * DAY + 10 * HOUR + 7 * MINUTE
    house.charge([ChargerEvent(now_ms - 5 * HOUR, "powerflex", starts=True)])

    def assert_all_right(
        stage: str,
        source: Source,
        oracle: Oracle,
        *,
        of: Sequence[str] = (),
        rows: bool = False,
        raw_is_gone: bool = False,
    ) -> None:
        every = ranges(zone, now_ms)
        for name, period in every.items() if not of else ((name, every[name]) for name in of):
            for kind in REPORTS:
                report = house.report(kind, period, now_ms)
                about = f"{stage}, {name}, {kind.value}"
                # TimescaleDB keeps slots of the stations, too, from which sessions are approximate then.
                is_approximate = raw_is_gone and database_server.has_timescale
                wrong = wrong_figures(report, oracle, now_ms)
                assert [one for one in wrong if not (is_approximate and one[0] == "charging")] == [], about
                if kind is Kind.EV and not is_approximate:
                    assert wrong_sessions(report, oracle, now_ms) == [], about
                assert wrong_reasons(report, oracle, raw_is_gone) == [], about
                if rows and period.end_ms - period.start_ms < 7 * DAY:
                    assert wrong_rows(report, oracle) == [], about
        figure = house.report(Kind.SOLAR, months_of(CHANGES[zone][1], zone), now_ms).figure("energy")
        assert figure.why.source is source, stage

    house.create_items()
    oracle = house.oracle()
    # TimescaleDB has aggregates of everything, at once.
    at_first = Source.AGGREGATES if database_server.has_timescale else Source.RAW
    first, second = CHANGES[zone]
    some = ("last 7 days", f"the day {second}", f"the month of {second}")
    others = (f"the day {first}", f"the month of {first}", f"a range cut within hours around {first}")
    assert_all_right("raw readings", at_first, oracle, of=others, rows=True)
    house.populate()
    assert_all_right("aggregated", Source.AGGREGATES, oracle, of=some)
    house.store(late)
    oracle = house.oracle()
    assert_all_right("late readings have come", Source.AGGREGATES, oracle, rows=True)
    work_off_late_ranges(test_database.url)
    assert_all_right("late readings are worked off", Source.AGGREGATES, oracle, of=some)
    drop_old_readings(test_database.url)
    oracle.forget(POWER)  # nothing else was kept of it
    assert_all_right(
        "raw readings are gone",
        Source.AGGREGATES,
        oracle,
        of=(*some, *others, f"the year {second.year}"),
        raw_is_gone=True,
    )
