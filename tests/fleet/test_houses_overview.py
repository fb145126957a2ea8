"""All houses at a glance."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sgmp_console import store
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.fleet import devices, houses, houses_overview
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.store import Batch, Database, EventRow, House, ReadingRow
from sgmp_console.store.findings import Finding, Severity, State
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


def finding(severity: Severity, state: State = State.ACTIVE) -> Finding:
    return Finding(1, 1, "", "edge_offline", "", severity, NOW_MS, None, state=state)


def standing(number: int, found: tuple[Finding, ...]) -> HouseOverview:
    sync = SyncState(Outcome.IN_SYNC, 1, NOW_MS, None, changed=False)
    house = House(number, f"House {number}")
    return HouseOverview(house, 1, EdgeStanding(Presence.ONLINE, NOW_MS), sync, NOW_MS, found)


findings_of_a_house = st.lists(
    st.builds(finding, st.sampled_from(Severity), st.sampled_from([State.ACTIVE, State.SILENCED])), max_size=4
).map(tuple)


@given(st.lists(findings_of_a_house, max_size=12))
def test_the_worst_house_comes_first(each: list[tuple[Finding, ...]]) -> None:
    def active(house: HouseOverview) -> list[int]:
        return sorted(
            (one.severity.rank for one in house.findings if one.state is State.ACTIVE), reverse=True
        )

    houses = [standing(number, found) for number, found in enumerate(each)]
    order = sorted(houses, key=houses_overview.badness)
    worst = [active(one)[:1] for one in order]
    assert worst == sorted(worst, reverse=True)


def test_one_more_finding_makes_a_house_worse_and_taking_note_of_it_better() -> None:
    critical, warning = finding(Severity.CRITICAL), finding(Severity.WARNING)
    noted = finding(Severity.CRITICAL, State.ACKNOWLEDGED)
    each = [(), (noted,), (warning,), (critical,), (critical, warning), (critical, critical)]
    houses = [standing(number, found) for number, found in enumerate(each)]
    order = [one.house.house_id for one in sorted(houses, key=houses_overview.badness)]
    assert order == [5, 4, 3, 2, 1, 0]
