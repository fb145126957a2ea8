"""All houses at a glance, for their list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.fleet import edge_state, sync
from sgmp_console.fleet.checklist import Checklist, checklist
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.required import required_items
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.store import House, findings, houses, standings
from sgmp_console.store.findings import Finding, Severity, State


@dataclass(frozen=True)
class HouseOverview:
    """`devices`: how many. `newest_ms` (UTC): the newest reading of any of them, None if there is none. `findings`: what is
    wrong in it now, the worst first. `checklist`: how far it is set up."""

    house: House
    devices: int
    edge: EdgeStanding
    sync: SyncState
    newest_ms: int | None
    findings: tuple[Finding, ...] = ()
    checklist: Checklist | None = None


@dataclass(frozen=True)
class FleetOverview:
    """`houses`: those that the account sees, in order of name. `general`: what is wrong with the whole deployment, the worst
    first. `watch_age_ms`: how long ago the watch last looked; None: it never did, or there are no houses."""

    houses: tuple[HouseOverview, ...]
    general: tuple[Finding, ...]
    watch_age_ms: int | None


def overview(connection: sa.Connection, now_ms: int) -> list[HouseOverview]:
    """The houses that the account sees, in order of name, as they stand at `now_ms` (UTC)."""
    return list(fleet(connection, now_ms).houses)


def fleet(connection: sa.Connection, now_ms: int) -> FleetOverview:
    """As `overview`, with what concerns all of them. Three statements, whatever the number of houses."""
    standing = standings.of_fleet(connection, required_items())
    wrong: dict[int | None, list[Finding]] = {}
    for finding in sorted(findings.read(connection), key=lambda finding: finding.urgency):
        wrong.setdefault(finding.house_id, []).append(finding)
    found = []
    for house in houses.list_all(connection):
        # A house that was created since then is there the next time.
        if (known := standing.houses.get(house.house_id)) is not None:
            of_house, newest_ms, setup = known
            edge = edge_state.judge(of_house.edge, now_ms)
            found.append(
                HouseOverview(
                    house,
                    of_house.devices,
                    edge,
                    sync.judge(of_house.newest, of_house.edge, changed=of_house.changed),
                    newest_ms,
                    tuple(wrong.get(house.house_id, ())),
                    checklist(setup, of_house.devices, edge, of_house.edge, newest_ms),
                )
            )
    return FleetOverview(tuple(found), tuple(wrong.get(None, ())), standing.watch_age_ms)


def badness(house: HouseOverview) -> tuple[object, ...]:
    """The key by which the worst house comes first: by the worst finding that needs somebody, by the number of each
    severity, then what was noted, an edge that is away, a configuration that is not confirmed, no data at all, the name.
    """
    active = Counter(finding.severity for finding in house.findings if finding.state is State.ACTIVE)
    by_severity = [-active[severity] for severity in sorted(Severity, key=lambda one: -one.rank)]
    worst = max((severity.rank for severity in active), default=-1)
    return (
        -worst,
        *by_severity,
        -(len(house.findings) - active.total()),
        not house.edge.is_away,
        house.sync.outcome is Outcome.IN_SYNC and not house.sync.changed,
        house.newest_ms is not None,
        house.house.name.casefold(),
        house.house.house_id,
    )


def valid_credentials(service: CredentialsService, house_ids: list[int]) -> dict[int, tuple[str, ...]]:
    """The ids of the certificates that let each house in, the oldest first. Raises Unavailable, Refused."""
    return {house_id: tuple(service.valid(house_id)) for house_id in house_ids}
