"""Two operators change the same thing: the second is told, and nothing is overwritten silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.errors import Conflict
from sgmp_console.fleet import accounts, analytics, devices, houses, roles
from sgmp_console.store import Database, sign_in
from tests.database import TestDatabase
from tests.e2e.test_sign_in import locally
from tests.e2e.world import World
from tests.fleet.configs import EGAUGE


@dataclass(frozen=True)
class Thing:
    """Something that can be changed: how it is read, another version of it, how that is stored."""

    read: Callable[[Any], Any]
    changed: Callable[[Any, str], Any]
    save: Callable[[Database, Any], Any]


def _thing(kind: str, house_id: int) -> Thing:
    def first(found: list[Any]) -> Any:
        return found[-1]

    things = {
        "account": Thing(
            lambda connection: next(
                one for one in store.accounts.list_all(connection) if one.email == "ann@example.org"
            ),
            lambda one, text: replace(one, name=text),
            accounts.update,
        ),
        "house": Thing(
            lambda connection: store.houses.get(connection, house_id),
            lambda one, text: replace(one, description=text),
            houses.update,
        ),
        "device": Thing(
            lambda connection: first(store.devices.list_all(connection, house_id)),
            lambda one, text: replace(one, description=text),
            devices.update,
        ),
        "role": Thing(
            lambda connection: next(
                one for one in store.roles.list_all(connection) if one.name == "operator"
            ),
            lambda one, text: replace(one, description=text),
            roles.update,
        ),
        "analytic item": Thing(
            lambda connection: first(store.analytics.list_all(connection, house_id)),
            lambda one, text: replace(one, description=text),
            analytics.update,
        ),
    }
    return things[kind]


@pytest.fixture
def sessions(world: World, test_database: TestDatabase) -> Iterator[tuple[Database, Database]]:
    """Two administrators, signed in at once."""
    other = world.person("bob@example.org", "admin")
    opened = [
        sign_in(test_database.address, world.deployment, who.email, who.password)[0]
        for who in (world.admin, other)
    ]
    yield opened[0], opened[1]
    for one in opened:
        one.dispose()


@locally
@pytest.mark.parametrize("kind", ["account", "house", "device", "role", "analytic item"])
def test_the_second_is_reported_and_nothing_is_overwritten(
    world: World, sessions: tuple[Database, Database], kind: str
) -> None:
    house_id = houses.create(world.owner, "Maple House", time_zone="UTC").house_id
    devices.create(world.owner, house_id, "egauge", "egauge", EGAUGE)
    analytics.create(world.owner, house_id, "solar", "pos(egauge.A.Solar)")
    roles.create(world.owner, "operator", description="", permissions={"view_devices"})
    world.person("ann@example.org", "visitor", house_id)
    thing = _thing(kind, house_id)
    read = []
    for session in sessions:
        with session.begin() as connection:
            read.append(thing.read(connection))
    thing.save(sessions[0], thing.changed(read[0], "The first change"))
    with pytest.raises(Conflict, match="Nothing was overwritten"):
        thing.save(sessions[1], thing.changed(read[1], "The second change"))
    with sessions[1].begin() as connection:
        now = thing.read(connection)
    assert now == thing.changed(now, "The first change")
    thing.save(sessions[1], thing.changed(now, "The second change"))
