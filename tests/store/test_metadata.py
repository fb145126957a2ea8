"""Houses, devices and analytic items: names, and changes that don't overwrite each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.store import ChangedMeanwhile, Database
from tests.store.conftest import Place, make_place


def test_a_house_keeps_what_it_was_given(database: Database) -> None:
    with database.begin() as connection:
        made = store.houses.create(connection, " Nord ", description="am See", time_zone="Europe/Berlin")
        assert (made.name, made.description, made.time_zone) == ("Nord", "am See", "Europe/Berlin")
        assert store.houses.get(connection, made.house_id) == made
        assert store.houses.by_name(connection, "Nord") == made
        assert store.houses.list_all(connection) == [made]


def test_a_house_knows_whether_its_load_contains_the_car_and_where_it_is(database: Database) -> None:
    menlo = store.Place(37.4536, -122.1818)
    with database.begin() as connection:
        made = store.houses.create(connection, "Nord", load_contains_ev=True, place=menlo)
        assert (made.load_contains_ev, made.place) == (True, menlo)
        changed = store.houses.update(connection, replace(made, load_contains_ev=False, place=None))
        assert (changed.load_contains_ev, changed.place) == (False, None)
        (change, *_) = store.audit.read(connection, subject="Nord")
        assert change.before == {"load_contains_ev": True, "latitude": 37.4536, "longitude": -122.1818}
        assert change.after == {"load_contains_ev": False, "latitude": None, "longitude": None}


@pytest.mark.parametrize("degrees", [(90.1, 0.0), (0.0, -180.5), (float("nan"), 0.0)])
def test_a_place_lies_on_the_earth(database: Database, degrees: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="90 degrees south and north"), database.begin() as connection:
        store.houses.create(connection, "Nord", place=store.Place(*degrees))


@pytest.mark.parametrize("name", ["", "  ", "x" * 65])
def test_a_house_needs_a_name(database: Database, name: str) -> None:
    with pytest.raises(UserError, match="needs a name"), database.begin() as connection:
        store.houses.create(connection, name)


def test_names_of_houses_are_unique_and_free_again_after_deletion(database: Database) -> None:
    with database.begin() as connection:
        first = store.houses.create(connection, "North")
        with pytest.raises(UserError, match="exists already"):
            store.houses.create(connection, "North")
        store.houses.delete(connection, first.house_id)
        assert store.houses.create(connection, "North").house_id != first.house_id
        with pytest.raises(UserError, match="no such house"):
            store.houses.get(connection, first.house_id)


def test_the_second_of_two_changes_is_told_and_overwrites_nothing(place: Place) -> None:
    with place.database.begin() as connection:
        item = store.analytics.create(connection, place.house.house_id, "solar", "pos(meter.A)")
        rows: list[tuple[Callable[..., Any], Any]] = [
            (store.houses.update, place.house),
            (store.devices.update, place.meter),
            (store.analytics.update, item),
        ]
        for update, row in rows:
            first = update(connection, replace(row, description="first"))
            assert first.description == "first"
            with pytest.raises(ChangedMeanwhile):
                update(connection, replace(row, description="second"))
            assert update(connection, replace(first, description="third")).description == "third"


@pytest.mark.parametrize(
    "name", ["", "1st", "a-b", "a b", "events", "analytics", "_edge", "ä", "x" * 65, "a\n"]
)
def test_a_device_name_can_stand_in_a_formula(place: Place, name: str) -> None:
    with pytest.raises(UserError, match="starts with a letter"), place.database.begin() as connection:
        store.devices.create(connection, place.house.house_id, name, "egauge", {})


@pytest.mark.parametrize("name", ["", "1st", "a-b", "ä", "x" * 65, "a\n"])
def test_so_can_an_analytic_items(place: Place, name: str) -> None:
    with pytest.raises(UserError, match="starts with a letter"), place.database.begin() as connection:
        store.analytics.create(connection, place.house.house_id, name, "1")


def test_names_are_unique_in_their_house(place: Place, database: Database) -> None:
    make_place(database, "South")  # has a device `meter`, too
    with database.begin() as connection:
        with pytest.raises(UserError, match="exists already"):
            store.devices.create(connection, place.house.house_id, "meter", "egauge", {})
        store.analytics.create(connection, place.house.house_id, "solar", "1")
        with pytest.raises(UserError, match="exists already"):
            store.analytics.create(connection, place.house.house_id, "solar", "2")


def test_a_device_config_is_kept_and_never_shown(place: Place) -> None:
    config = {"ip": "198.51.100.7", "nested": {"token": "t0ps3cret"}, "keys": ["A", "ts"]}
    with place.database.begin() as connection:
        made = store.devices.create(connection, place.house.house_id, "sonnen", "sonnen", config)
    with place.database.begin() as connection:
        assert store.devices.reveal(connection, made.device_id) == config
        shown = store.devices.get(connection, made.device_id).config
    # `nested` and `keys` are no settings of this type, so whether they are secret is not known.
    assert shown == {"ip": "198.51.100.7", "nested": "***", "keys": "***"}
    assert "198.51.100.7" not in repr(made)


def test_a_deleted_device_is_listed_nowhere(place: Place) -> None:
    with place.database.begin() as connection:
        store.devices.delete(connection, place.meter.device_id)
        assert store.devices.list_all(connection, place.house.house_id) == []
        with pytest.raises(UserError, match="no such device"):
            store.devices.get(connection, place.meter.device_id)
        with pytest.raises(UserError, match="no such device"):
            store.devices.delete(connection, place.meter.device_id)
        with pytest.raises(ChangedMeanwhile):
            store.devices.update(connection, place.meter)


def test_an_analytic_item_can_be_edited_and_deleted(place: Place) -> None:
    with place.database.begin() as connection:
        made = store.analytics.create(
            connection, place.house.house_id, "solar", "pos(meter.A)", aggregated=True, unit="kW"
        )
        changed = store.analytics.update(connection, replace(made, formula="meter.A", aggregated=False))
        assert store.analytics.list_all(connection, place.house.house_id) == [changed]
        store.analytics.delete(connection, made.item_id)
        with pytest.raises(UserError, match="no such analytic item"):
            store.analytics.get(connection, made.item_id)
