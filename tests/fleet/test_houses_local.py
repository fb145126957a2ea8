"""Houses with credentials from our own authority: both or neither, whatever fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from sgmp_console import store
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.errors import Cancelled, Refused, Unavailable, UserError
from sgmp_console.fleet import accounts, analytics, devices, houses
from sgmp_console.store import Database, sign_in
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "authority"


@pytest.fixture
def service(folder: Path, deployment: str) -> LocalCredentials:
    return LocalCredentials(LocalAuthority(folder), deployment, "127.0.0.1:8883")


def _break(folder: Path, file: str) -> Path:
    """Make a file of the authority unwritable, for root too. `rmdir` mends it."""
    obstacle = folder / f"{file}.new"
    obstacle.mkdir()
    return obstacle


def _names(database: Database) -> list[str]:
    with database.begin() as connection:
        return [house.name for house in store.houses.list_all(connection)]


def _revoked(folder: Path) -> int:
    return len(list(x509.load_pem_x509_crl((folder / "revoked.pem").read_bytes())))


def test_a_house_is_made_with_credentials_of_its_own(
    database: Database, service: LocalCredentials, deployment: str
) -> None:
    made = houses.create_with_credentials(database, service, " Maple House ", time_zone="UTC")
    assert made.house.name == "Maple House"
    assert made.credentials.client_id == f"{deployment}_house_{made.house.house_id}"
    assert service.valid(made.house.house_id) == [made.credentials.certificate_id]


def test_without_a_writable_authority_there_is_no_house(
    database: Database, service: LocalCredentials, folder: Path
) -> None:
    obstacle = _break(folder, "issued.json")
    with pytest.raises(Unavailable, match=r"was not created, and nothing is left of it: .* can't be written"):
        houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    assert _names(database) == []
    obstacle.rmdir()
    houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    assert _names(database) == ["Maple House"]


def test_a_database_that_goes_away_before_the_commit_leaves_no_credentials(
    database: Database, service: LocalCredentials
) -> None:
    with pytest.raises(Unavailable, match="was not created, and nothing is left of it"):
        houses.create_with_credentials(database, _Cut(service, database), "Maple House", time_zone="UTC")
    assert _names(database) == []
    assert service.houses() == set()


def test_new_credentials_are_shown_even_if_the_revocation_list_can_not_be_written(
    database: Database, service: LocalCredentials, folder: Path
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    obstacle = _break(folder, "revoked.pem")
    renewed = houses.renew_credentials(database, service, made.house.house_id)
    assert renewed.problem is not None
    assert renewed.credentials.certificate_id in service.valid(made.house.house_id)
    obstacle.rmdir()
    houses.revoke_others(database, service, made.house.house_id, renewed.credentials.certificate_id)
    assert service.valid(made.house.house_id) == [renewed.credentials.certificate_id]
    assert _revoked(folder) == 1


def test_new_credentials_are_shown_even_if_the_database_goes_away(
    database: Database, service: LocalCredentials
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    renewed = houses.renew_credentials(database, _Cut(service, database), made.house.house_id)
    assert service.valid(made.house.house_id) == [renewed.credentials.certificate_id]


def test_a_house_stays_until_its_credentials_are_revoked(
    database: Database, service: LocalCredentials, folder: Path
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    obstacle = _break(folder, "revoked.pem")
    with pytest.raises(Unavailable, match="was not deleted"):
        houses.delete(database, made.house.house_id, service)
    assert _names(database) == ["Maple House"]
    obstacle.rmdir()
    houses.delete(database, made.house.house_id, service)
    assert _names(database) == []
    assert _revoked(folder) == 1


def test_what_stands_in_the_way_of_deleting_is_listed(database: Database, service: LocalCredentials) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    house_id = made.house.house_id
    devices.create(database, house_id, "egauge", "egauge", EGAUGE)
    analytics.create(database, house_id, "one", "1+egauge.A", description="", aggregated=False)
    accounts.create(database, email="ann@example.org", name="Ann", role="visitor", house_id=house_id)
    with pytest.raises(
        UserError,
        match=r"still has 1 device \(egauge\), 1 analytic item \(one\) and 1 account \(ann@example\.org\)",
    ):
        houses.delete(database, house_id, service)
    assert service.valid(house_id) == [made.credentials.certificate_id]


def test_deleting_takes_the_waiting_configuration_away(
    database: Database, service: LocalCredentials, deployment: str
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    broker = _Broker()
    houses.delete(database, made.house.house_id, service, broker=broker, deployment=deployment)
    assert broker.published == [
        (f"{deployment}_config/{deployment}_house_{made.house.house_id}/devices", b"")
    ]


@pytest.mark.parametrize("role", ["researcher", "visitor"])
def test_only_who_manages_houses_renews_credentials(
    database: Database, service: LocalCredentials, test_database: TestDatabase, role: str
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    ann = accounts.create(
        database, email="ann@example.org", name="Ann", role=role, house_id=made.house.house_id
    )
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.account SET must_change_password = false")
    hers, _ = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", ann.initial_password
    )
    try:
        with pytest.raises(Refused):
            houses.renew_credentials(hers, service, made.house.house_id)
        with pytest.raises(Refused):
            houses.create_with_credentials(hers, service, "Another", time_zone="UTC")
        with pytest.raises(UserError):
            houses.delete(hers, made.house.house_id, service)
        with pytest.raises(Refused):
            houses.leftovers(hers, service)
    finally:
        hers.dispose()
    assert service.houses() == {made.house.house_id}
    assert service.valid(made.house.house_id) == [made.credentials.certificate_id]


class _Cut(LocalCredentials):
    """Ends the database's connections right after credentials were issued, as a crash of the server does."""

    def __init__(self, service: LocalCredentials, database: Database) -> None:
        super().__init__(service.authority, service.deployment, service.endpoint)
        object.__setattr__(self, "_database", database)

    def issue(self, house_id: int):  # type: ignore[no-untyped-def]
        issued = super().issue(house_id)
        other = Database.connect(_url(self._database))  # type: ignore[attr-defined]
        with other.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'sgmp-test'"
            )
        other.dispose()
        return issued


def _url(database: Database) -> str:
    given = database.parameters
    return f"postgresql://{given['user']}:{given['password']}@{database.address}"


class _Broker:
    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        self.published.append((topic, payload))


# --- Cancelling, and what audit says ------------------------------------------------------------------------------


def _cancelled() -> None:
    raise Cancelled("Cancelled.")


def test_a_cancelled_creation_leaves_nothing(database: Database, service: LocalCredentials) -> None:
    points: list[int] = []

    def second() -> None:
        points.append(1)
        if len(points) == 2:
            _cancelled()

    for checkpoint in (_cancelled, second):
        with pytest.raises(Cancelled, match="Maple House was not created, and nothing is left of it"):
            houses.create_with_credentials(
                database, service, "Maple House", time_zone="UTC", checkpoint=checkpoint
            )
        assert (_names(database), service.houses()) == ([], set())


def test_a_cancelled_renewal_or_deletion_changes_nothing(
    database: Database, service: LocalCredentials
) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    with pytest.raises(Cancelled):
        houses.renew_credentials(database, service, made.house.house_id, checkpoint=_cancelled)
    with pytest.raises(Cancelled):
        houses.delete(database, made.house.house_id, service, checkpoint=_cancelled)
    assert _names(database) == ["Maple House"]
    assert service.valid(made.house.house_id) == [made.credentials.certificate_id]


def test_audit_tells_what_became_of_credentials(database: Database, service: LocalCredentials) -> None:
    made = houses.create_with_credentials(database, service, "Maple House", time_zone="UTC")
    house_id, first = made.house.house_id, made.credentials.certificate_id
    second = houses.renew_credentials(database, service, house_id, revoke_older=False).credentials
    houses.revoke_others(database, service, house_id, second.certificate_id)
    houses.delete(database, house_id, service)
    with database.begin() as connection:
        entries = store.audit.read(connection, kinds=["credentials"], house_id=house_id)
    assert [(entry.act, entry.after) for entry in reversed(entries)] == [
        ("issue_credentials", {"certificates": [first]}),
        ("issue_credentials", {"certificates": [second.certificate_id]}),
        ("revoke_credentials", {"certificates": [first]}),
        ("remove_credentials", None),
    ]
