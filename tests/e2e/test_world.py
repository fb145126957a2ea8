"""What the other tests rely on: edges get in with their credentials and only so, mail arrives, consoles are two."""

from __future__ import annotations

import pytest

from sgmp_console.cloud import services
from sgmp_console.fleet import accounts, devices, houses, sync
from sgmp_console.store import sign_in
from sgmp_edge import contract
from tests.e2e.test_sign_in import locally
from tests.e2e.world import World
from tests.waiting import wait_until


@pytest.mark.slow
def test_an_edge_gets_in_until_its_credentials_are_revoked(world: World) -> None:
    opened = services.open_services(world.profile)
    assert opened.credentials is not None
    assert opened.broker is not None
    made = houses.create_with_credentials(
        world.owner, opened.credentials, "Maple House", time_zone="America/Los_Angeles"
    )
    house_id = made.house.house_id
    devices.create(world.owner, house_id, "egauge", "egauge", world.devices().config("egauge"))
    world.start_ingest()
    edge = world.edge()
    edge.install(contract.dump_credentials(made.credentials))
    edge.configure(house_id, world.deployment)
    edge.start()
    sync.synchronize(world.owner, opened.broker, world.deployment, house_id)
    wait_until(lambda: "A.GridPower" in world.values(house_id, "egauge"), explain=world.logs)
    before = len(edge.log())
    opened.credentials.revoke_others(house_id, None)
    wait_until(lambda: "No connection to the broker" in edge.log()[before:], explain=world.logs)
    assert edge.stop() == 0
    assert "Connected to the broker" not in edge.log()[before:]


def test_a_new_account_is_mailed_a_password_that_works(world: World) -> None:
    opened = services.open_services(world.profile)
    accounts.create(
        world.owner,
        email="ann@example.org",
        name="Ann",
        role="visitor",
        house_id=None,
        directory=opened.directory,
        mailer=opened.mailer,
    )
    password = world.mailed_password("ann@example.org")
    database, account = sign_in(world.profile.database_url, world.deployment, "ann@example.org", password)
    database.dispose()
    assert account.must_change_password


@locally
def test_two_consoles_are_open_at_once(world: World) -> None:
    ann = world.person("ann@example.org", "admin")
    first, second = world.console(), world.console()
    first.sign_in(world.admin)
    second.sign_in(ann)
    first.wait_for(world.admin.email)
    second.wait_for(ann.email)
    assert ann.email not in first.words()
