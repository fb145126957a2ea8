"""All houses at a glance, for their list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.fleet import edge_state, sync
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.sync import SyncState
from sgmp_console.store import House, devices, houses, readings


@dataclass(frozen=True)
class HouseOverview:
    """`devices`: how many. `newest_ms` (UTC): the newest reading of any of them, None if there is none."""

    house: House
    devices: int
    edge: EdgeStanding
    sync: SyncState
    newest_ms: int | None


def overview(connection: sa.Connection, now_ms: int) -> list[HouseOverview]:
    """The houses that the account sees, in order of name, as they stand at `now_ms` (UTC)."""
    counts = Counter(devices.houses_of_all(connection))
    return [
        HouseOverview(
            house,
            counts[house.house_id],
            edge_state.standing(connection, house.house_id, now_ms),
            sync.state(connection, house.house_id),
            max((at for at, _ in readings.latest(connection, house.house_id).values()), default=None),
        )
        for house in houses.list_all(connection)
    ]


def valid_credentials(service: CredentialsService, house_ids: list[int]) -> dict[int, tuple[str, ...]]:
    """The ids of the certificates that let each house in, the oldest first. Raises Unavailable, Refused."""
    return {house_id: tuple(service.valid(house_id)) for house_id in house_ids}
