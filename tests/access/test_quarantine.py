"""Who may act on messages in quarantine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused
from tests.access.scene import Scene, set_up
from tests.database import TestServer


@pytest.fixture(scope="module")
def scene(database_server: TestServer) -> Iterator[Scene]:
    with database_server.database() as where, set_up(where) as made:
        yield made


def test_an_account_acts_on_messages_of_its_own_house_only(scene: Scene) -> None:
    with scene.owner.begin() as connection:
        numbers = {one.house_id: one.quarantine_id for one in store.quarantine.list_all(connection)}
    installer = scene.people["installer"]
    with installer.begin() as connection:
        assert store.quarantine.request_replay(connection, list(numbers.values())) == 1
        assert store.quarantine.discard(connection, [numbers[scene.other.house_id]]) == 0
        (own,) = store.quarantine.list_all(connection)
        assert (own.house_id, own.replay) == (scene.own.house_id, True)
        assert set(store.quarantine.usage(connection)) == {scene.own.house_id}
    with scene.owner.begin() as connection:
        (entry,) = store.audit.read(connection, acts=["replay"])
        assert (entry.house_id, entry.kind) == (scene.own.house_id, "quarantine")


@pytest.mark.parametrize("person", ["visitor", "researcher", "clerk"])
def test_who_manages_no_devices_acts_on_none(scene: Scene, person: str) -> None:
    with pytest.raises(Refused), scene.people[person].begin() as connection:
        store.quarantine.discard(connection, [1])
