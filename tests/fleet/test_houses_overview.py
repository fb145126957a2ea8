"""All houses at a glance."""

from __future__ import annotations

from pathlib import Path

from sgmp_console import store
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.fleet import devices, houses, houses_overview
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.sync import Outcome
from sgmp_console.store import Batch, Database, EventRow, House, ReadingRow
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE

NOW_MS = 1_790_000_000_000


def test_each_house_says_what_it_has_and_how_its_edge_stands(database: Database, house: House) -> None:
    houses.create(database, "Harbor House", time_zone="Europe/Berlin")
    egauge = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    with database.begin() as connection:
        store.readings.write(
            connection,
            Batch(
                readings=[
                    ReadingRow(house.house_id, egauge.device_id, "egauge", NOW_MS - 4000, {"A.Load": 1.5})
                ],
                events=[
                    EventRow(
                        house.house_id,
                        contract.EDGE_DEVICE_ID,
                        contract.EDGE_DEVICE_NAME,
                        NOW_MS - 30_000,
                        contract.EDGE_STATUS,
                        {"state": "online"},
                    )
                ],
            ),
        )
    with database.begin() as connection:
        harbor, maple = houses_overview.overview(connection, NOW_MS)
    assert (harbor.house.name, harbor.devices, harbor.newest_ms) == ("Harbor House", 0, None)
    assert harbor.edge.presence is Presence.NEVER
    assert (maple.house, maple.devices, maple.newest_ms) == (house, 1, NOW_MS - 4000)
    assert maple.edge.presence is Presence.ONLINE
    assert (maple.sync.outcome, maple.sync.changed) == (Outcome.NEVER, True)


def test_valid_credentials_are_told_oldest_first(database: Database, tmp_path: Path, deployment: str) -> None:
    service = LocalCredentials(LocalAuthority(tmp_path / "authority"), deployment, "127.0.0.1:8883")
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    house_id = made.house.house_id
    renewed = houses.renew_credentials(database, service, house_id, revoke_older=False)
    assert houses_overview.valid_credentials(service, [house_id, 99]) == {
        house_id: (made.credentials.certificate_id, renewed.credentials.certificate_id),
        99: (),
    }
