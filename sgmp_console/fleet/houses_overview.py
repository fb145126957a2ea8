"""All houses at a glance, for their list."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.fleet import edge_state, sync
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.sync import SyncState
from sgmp_console.store import House, findings, houses, standings
from sgmp_console.store.findings import Finding, State


@dataclass(frozen=True)
class HouseOverview:
    """`devices`: how many. `newest_ms` (UTC): the newest reading of any of them, None if there is none. `findings`: what is
    wrong in it now, the worst first."""

    house: House
    devices: int
    edge: EdgeStanding
    sync: SyncState
    newest_ms: int | None
    findings: tuple[Finding, ...] = ()


def overview(connection: sa.Connection, now_ms: int) -> list[HouseOverview]:
    """The houses that the account sees, in order of name, as they stand at `now_ms` (UTC)."""
    found = standings.of_all(connection)
    newest_ms = standings.newest_ms(connection)
    wrong: dict[int | None, list[Finding]] = {}
    for finding in sorted(findings.read(connection), key=_worst_first):
        wrong.setdefault(finding.house_id, []).append(finding)
    return [
        HouseOverview(
            house,
            standing.devices,
            edge_state.judge(standing.edge, now_ms),
            sync.judge(standing.newest, standing.edge, changed=standing.changed),
            newest_ms.get(house.house_id),
            tuple(wrong.get(house.house_id, ())),
        )
        for house in houses.list_all(connection)
        # A house that was created since then is there the next time.
        if (standing := found.get(house.house_id)) is not None
    ]


def _worst_first(finding: Finding) -> tuple[bool, int, int]:
    return finding.state is not State.ACTIVE, -finding.severity.rank, finding.from_ms


def valid_credentials(service: CredentialsService, house_ids: list[int]) -> dict[int, tuple[str, ...]]:
    """The ids of the certificates that let each house in, the oldest first. Raises Unavailable, Refused."""
    return {house_id: tuple(service.valid(house_id)) for house_id in house_ids}
