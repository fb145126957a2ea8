"""The fleet: a thousand houses from the click to the picture, read again, what the houses of one screen did lately, and a turn of
the watch over all of them."""

from __future__ import annotations

import os
from functools import partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import sqlalchemy as sa
from PySide6.QtWidgets import QApplication

from sgmp_console.fleet import analytics, houses_overview
from sgmp_console.fleet import houses as fleet_houses
from sgmp_console.reports.fleet import OpeningLedger, read_pulses
from sgmp_console.store import House
from sgmp_console.store import houses as stored_houses
from sgmp_console.timeseries import SLOT_MS, Series
from sgmp_console.ui.pages.fleet.page import FleetPage
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.watch import service
from tests.benchmarks import charts
from tests.benchmarks.result import Result, ms, once, seconds
from tests.benchmarks.world import DAY_MS, World, make_devices, settle
from tests.reports.stored import work_off_late_ranges
from tests.series import write_series
from tests.statements import counting

HOUSES, ON_SCREEN = 1000, 25
"""All of them; of which readings of 16 days are stored."""

TURN_S = 10.0
"""A sixth of the minute that a notification has."""

_FIELDS = {
    "egauge": ("A.Solar", "A.GridPower", "A.Load", "A.EV"),
    "sonnen": ("status.Pac_total_W", "battery.battery_status.relativestateofcharge"),
}

_FURNISH = (
    "INSERT INTO sgmp.house (name, time_zone) SELECT 'Fleet ' || n, 'Europe/Berlin' FROM generate_series(1, :houses) n",
    "INSERT INTO sgmp.device (house_id, name, type, config)"
    ' SELECT h.house_id, t, t, \'{"ip": "192.0.2.1", "interval": 4}\''
    " FROM sgmp.house h, unnest(ARRAY['egauge', 'sonnen', 'powerflex']) t WHERE h.name LIKE 'Fleet %'",
    "INSERT INTO sgmp.series (house_id, device_id, field)"
    " SELECT d.house_id, d.device_id, 'field_' || f FROM sgmp.device d JOIN sgmp.house h USING (house_id),"
    " generate_series(1, 8) f WHERE h.name LIKE 'Fleet %'",
    "INSERT INTO sgmp.reading (series_id, ts, value)"
    " SELECT s.series_id, date_trunc('second', now()) - interval '5 seconds' * a, 1 FROM sgmp.series s"
    " JOIN sgmp.house h USING (house_id), generate_series(1, 10) a WHERE h.name LIKE 'Fleet %'",
    "INSERT INTO sgmp.house_state (house_id, status, status_at, heard_at)"
    " SELECT h.house_id, jsonb_build_object('state', 'online', 'backlog', h.house_id % 50, 'software', '1.4.2',"
    " 'devices', jsonb_build_object('egauge', 'ok', 'sonnen', 'ok', 'powerflex', 'ok')), now(), now()"
    " FROM sgmp.house h WHERE h.name LIKE 'Fleet %' ON CONFLICT DO NOTHING",
    "INSERT INTO sgmp.finding (house_id, device_name, rule, subject, severity, from_at, seen_at, opened_at)"
    " SELECT h.house_id, 'egauge', rule, '', (ARRAY['info', 'warning', 'critical'])[1 + h.house_id % 3], now(), now(), now()"
    " FROM sgmp.house h, unnest(ARRAY['device_down', 'device_silent', 'edge_clock']) rule WHERE h.name LIKE 'Fleet %'",
)


def measure(world: World) -> list[Result]:
    with world.database.begin() as connection:
        for statement in _FURNISH:
            connection.execute(sa.text(statement), {"houses": HOUSES})
        connection.exec_driver_sql("ANALYZE")
    read_s = seconds(lambda: _read(world), 5)
    with counting() as sent:
        _read(world)
    number = f"{HOUSES:,} houses"
    return [
        Result(f"fleet of {number}, read", ms(read_s), "", read_s * 1000, 200, at_least=False, unit="ms"),
        Result("the same", f"{len(sent)} statements", "", len(sent), 3, at_least=False, unit="statements"),
        *_page(world, number),
        *_pulses(world),
        _turn(world, number),
    ]


def _read(world: World) -> houses_overview.FleetOverview:
    with world.database.begin() as connection:
        return houses_overview.fleet(connection, world.end_ms)


def _page(world: World, number: str) -> list[Result]:
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    with world.database.begin() as connection:
        every = stored_houses.list_all(connection)
    appearance = Appearance(application, "light")
    with charts.tasks() as tasks, charts.session(world, "fleet@example.org") as session:
        view = MainView(session, every[:1], tasks, appearance, listen=charts.nothing)
        view.resize(1280, 800)
        view.show()
        view.start()
        try:
            first_s = once(partial(_paint, view, application))
            page = view.page("fleet")
            assert isinstance(page, FleetPage)
            shown_s = seconds(page.show_rows, 5)
            page.search.setText("findings>0")
            filtered_s = seconds(partial(_type, page), 6)
        finally:
            view.close_down()
            view.close()
            view.deleteLater()
    return [
        Result(f"first paint of {number}", ms(first_s), "", first_s * 1000, 1000, at_least=False, unit="ms"),
        _of_the_window(f"{number} shown again", shown_s),
        _of_the_window(f"{number} filtered, a letter", filtered_s),
    ]


def _of_the_window(what: str, taken_s: float) -> Result:
    """The window does not answer meanwhile."""
    return Result(what, ms(taken_s), "", taken_s * 1000, charts.BLOCK_MS, at_least=False, unit="ms")


def _paint(view: MainView, application: QApplication) -> None:
    view.show_page("fleet")
    page = view.page("fleet")
    assert isinstance(page, FleetPage)
    charts.pass_until(application, lambda: page.found is not None)
    view.grab()


def _type(page: FleetPage) -> None:
    """One letter more, or one less."""
    text = page.search.text()
    page.search.setText(f"{text} d" if text == "findings>0" else "findings>0")


def _pulses(world: World) -> list[Result]:
    """First with the two weeks before that the batteries' content follows from, then as it is read every five minutes."""
    measured = [_measured(world, number) for number in range(ON_SCREEN)]
    work_off_late_ranges(world.url)
    settle(world)
    openings: dict[int, OpeningLedger] = {}

    def read() -> None:
        with world.database.begin() as connection:
            pulses = read_pulses(connection, measured, world.end_ms, openings)
        openings.update({one: pulse.opening for one, pulse in pulses.items() if pulse.opening})

    first_s = once(read)
    again_s = seconds(read, 3)
    return [
        Result(f"{what} of {ON_SCREEN} houses", ms(taken_s), "", taken_s * 1000, None, False, "ms")
        for what, taken_s in (("pulses, the first of a day,", first_s), ("pulses", again_s))
    ]


def _turn(world: World, number: str) -> Result:
    """The watch looks at all houses; a notification has a minute after a rule's hold time."""
    taken_s = seconds(lambda: service.turn(world.database, "bench"), 3)
    what = f"a turn of the watch over {number}"
    return Result(what, ms(taken_s), "", taken_s, TURN_S, at_least=False, unit="s")


def _measured(world: World, number: int) -> House:
    house = fleet_houses.create(world.database, f"Measured {number}", time_zone="Europe/Berlin")
    ids = make_devices(world.database, house.house_id)
    timestamps = np.arange(world.end_ms - 16 * DAY_MS, world.end_ms, SLOT_MS, dtype=np.int64)
    rng = np.random.default_rng(number)
    with world.database.begin() as connection:
        for kind, fields in _FIELDS.items():
            series = {field: Series(timestamps, rng.normal(1, 0.5, len(timestamps))) for field in fields}
            write_series(connection, house.house_id, ids[kind], series)
    analytics.create_required(world.database, house.house_id)
    analytics.populate(world.database, house.house_id)
    return house
