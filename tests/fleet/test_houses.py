"""Houses: unique by name, in a zone of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgmp_console import store
from sgmp_console.errors import Taken, UserError
from sgmp_console.fleet import devices, houses
from sgmp_console.store import ChangedMeanwhile, Database, House
from tests.fleet.configs import EGAUGE


def test_a_house_is_made(database: Database) -> None:
    made = houses.create(database, " Maple House ", description="Two cars ", time_zone="Europe/Berlin")
    with database.begin() as connection:
        assert store.houses.get(connection, made.house_id) == made
    assert (made.name, made.description, made.time_zone) == ("Maple House", "Two cars", "Europe/Berlin")


def test_a_name_is_unique_in_the_deployment(database: Database, house: House) -> None:
    with pytest.raises(UserError, match="A house Maple House exists already"):
        houses.create(database, "Maple House", time_zone="UTC")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65])
def test_a_name_that_nobody_can_read_is_refused(database: Database, name: str) -> None:
    with pytest.raises(UserError):
        houses.create(database, name, time_zone="UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime"])
def test_a_zone_must_exist(database: Database, zone: str) -> None:
    with pytest.raises(UserError, match="time zone"):
        houses.create(database, "North", time_zone=zone)


def test_description_and_zone_can_be_changed(database: Database, house: House) -> None:
    changed = houses.update(database, replace(house, description="Empty", time_zone="UTC"))
    assert (changed.name, changed.description, changed.time_zone) == (house.name, "Empty", "UTC")


def test_the_second_of_two_operators_is_told(database: Database, house: House) -> None:
    houses.update(database, replace(house, description="One"))
    with pytest.raises(ChangedMeanwhile, match="House Maple House"):
        houses.update(database, replace(house, description="Two"))


def test_a_house_with_devices_is_not_deleted(database: Database, house: House) -> None:
    device = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    with pytest.raises(UserError, match=r"still has 1 device \(egauge\)"):
        houses.delete(database, house.house_id)
    devices.delete(database, house.house_id, [device.device_id])
    houses.delete(database, house.house_id)
    with database.begin() as connection:
        assert store.houses.list_all(connection) == []


def test_names_that_differ_in_their_case_only_are_the_same(database: Database) -> None:
    houses.create(database, "Maple House", time_zone="UTC")
    with pytest.raises(Taken, match="A house Maple House exists already"):
        houses.create(database, " maple house ", time_zone="UTC")
