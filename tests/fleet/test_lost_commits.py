"""The commit at the end of an act is lost, or only its answer: what is elsewhere agrees with what the database did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgmp_console import store
from sgmp_console.cloud.cognito import UserPool
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.errors import Unavailable, UserError
from sgmp_console.fleet import accounts, houses
from sgmp_console.fleet.account_sheets import import_accounts
from sgmp_console.fleet.sheets import Existing
from sgmp_console.store import Database, sign_in
from tests.aws import LocalAws
from tests.database import TestDatabase
from tests.fleet.commits import CommitCutter, cutting

OWN = "Plum-Tree-42"


@pytest.fixture
def cutter(test_database: TestDatabase) -> Iterator[CommitCutter]:
    with cutting(test_database.url) as running:
        yield running


@pytest.fixture
def behind(cutter: CommitCutter) -> Iterator[Database]:
    """The owner's database behind the cutter."""
    opened = Database.connect(cutter.url)
    yield opened
    opened.dispose()


@pytest.fixture
def service(tmp_path: Path, deployment: str) -> LocalCredentials:
    return LocalCredentials(LocalAuthority(tmp_path / "authority"), deployment, "127.0.0.1:8883")


@pytest.fixture
def directory(aws: LocalAws) -> UserPool:
    client = aws.client("cognito-idp")
    pool = client.create_user_pool(
        PoolName="sgmp",
        UsernameAttributes=["email"],
        Schema=[{"Name": "home", "AttributeDataType": "String", "Mutable": True}],
    )["UserPool"]["Id"]
    made = client.create_user_pool_client(
        UserPoolId=pool, ClientName="c", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )
    return UserPool(aws.settings(), pool, made["UserPoolClient"]["ClientId"])


def _houses(database: Database) -> list[int]:
    with database.begin() as connection:
        return [house.house_id for house in store.houses.list_all(connection)]


def _emails(database: Database) -> list[str]:
    with database.begin() as connection:
        return [account.email for account in store.accounts.list_all(connection)]


def test_a_house_whose_commit_was_answered_in_vain_is_there(
    behind: Database, cutter: CommitCutter, service: LocalCredentials
) -> None:
    cutter.fault = "lost"
    made = houses.create_with_credentials(behind, service, "Maple House", time_zone="UTC")
    assert _houses(behind) == [made.house.house_id]
    assert service.valid(made.house.house_id) == [made.credentials.certificate_id]


def test_a_house_whose_commit_never_arrived_leaves_nothing(
    behind: Database, cutter: CommitCutter, service: LocalCredentials
) -> None:
    cutter.fault = "dropped"
    with pytest.raises(Unavailable, match="nothing is left of it"):
        houses.create_with_credentials(behind, service, "Maple House", time_zone="UTC")
    assert (_houses(behind), service.houses()) == ([], set())


def test_where_the_database_does_not_say_whether_a_house_is_there_the_error_says_so(
    database: Database, behind: Database, cutter: CommitCutter, service: LocalCredentials
) -> None:
    cutter.fault = "gone"
    with pytest.raises(
        Unavailable, match=r"not known whether .* If it is in the list, generate new credentials"
    ):
        houses.create_with_credentials(behind, service, "Maple House", time_zone="UTC")
    assert (len(_houses(database)), service.houses()) == (1, set())


def test_where_the_database_does_not_say_whether_an_account_is_there_the_error_says_so(
    database: Database, boss: None, behind: Database, cutter: CommitCutter, directory: UserPool
) -> None:
    cutter.fault = "gone"
    with pytest.raises(Unavailable, match=r"not known whether .* If ann@example\.org is in the list, reset"):
        _ann(behind, directory)
    assert directory.find("ann@example.org") is None


def test_a_deletion_whose_answer_was_lost_is_done(
    behind: Database, cutter: CommitCutter, service: LocalCredentials
) -> None:
    made = houses.create_with_credentials(behind, service, "Maple House", time_zone="UTC")
    cutter.fault = "lost"
    houses.delete(behind, made.house.house_id, service)
    assert (_houses(behind), service.houses()) == ([], set())


def test_a_deletion_that_never_arrived_is_repeated(
    behind: Database, cutter: CommitCutter, service: LocalCredentials
) -> None:
    made = houses.create_with_credentials(behind, service, "Maple House", time_zone="UTC")
    cutter.fault = "dropped"
    with pytest.raises(Unavailable):
        houses.delete(behind, made.house.house_id, service)
    houses.delete(behind, made.house.house_id, service)
    assert (_houses(behind), service.houses()) == ([], set())


@pytest.fixture
def boss(database: Database) -> None:
    accounts.create_first_admin(database, email="boss@example.org", name="Boss")


def _ann(database: Database, directory: UserPool) -> accounts.NewAccount:
    return accounts.create(
        database, email="ann@example.org", name="Ann", role="visitor", house_id=None, directory=directory
    )


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_an_account_is_in_both_or_in_neither(
    behind: Database, cutter: CommitCutter, directory: UserPool, fault: str
) -> None:
    cutter.fault = fault
    if fault == "dropped":
        with pytest.raises(Unavailable, match="A mail with a password that does not work may have been sent"):
            _ann(behind, directory)
        assert (_emails(behind), directory.list_all()) == (["boss@example.org"], [])
    made = _ann(behind, directory)
    assert [user.email for user in directory.list_all()] == [made.account.email]
    assert "ann@example.org" in _emails(behind)


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_a_change_is_in_both_or_in_neither(
    behind: Database, cutter: CommitCutter, directory: UserPool, fault: str
) -> None:
    account = _ann(behind, directory).account
    cutter.fault = fault
    wanted = replace(account, role="researcher")
    if fault == "dropped":
        with pytest.raises(Unavailable):
            accounts.update(behind, wanted, directory=directory)
    else:
        assert accounts.update(behind, wanted, directory=directory).role == "researcher"
    with behind.begin() as connection:
        stored = store.accounts.get(connection, account.account_id)
    found = directory.find("ann@example.org")
    assert found is not None
    assert found.role == stored.role == ("visitor" if fault == "dropped" else "researcher")


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_accounts_are_imported_into_both_or_into_neither(
    behind: Database, cutter: CommitCutter, directory: UserPool, tmp_path: Path, fault: str
) -> None:
    account = _ann(behind, directory).account
    file = tmp_path / "accounts.csv"
    file.write_text("email,role\nann@example.org,researcher\n")
    cutter.fault = fault

    def run() -> None:
        import_accounts(behind, file, existing=Existing.UPDATE, dry_run=False, directory=directory)

    if fault == "dropped":
        with pytest.raises(Unavailable, match="Nothing was imported, and nothing is left of it"):
            run()
    else:
        run()
    with behind.begin() as connection:
        stored = store.accounts.get(connection, account.account_id)
    found = directory.find("ann@example.org")
    assert found is not None
    assert found.role == stored.role == ("visitor" if fault == "dropped" else "researcher")


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_accounts_are_deleted_from_both_or_from_neither(
    behind: Database, cutter: CommitCutter, directory: UserPool, fault: str
) -> None:
    account = _ann(behind, directory).account
    cutter.fault = fault
    if fault == "dropped":
        with pytest.raises(Unavailable):
            accounts.delete(behind, [account.account_id], directory=directory)
        assert [user.enabled for user in directory.list_all()] == [True]
        assert "ann@example.org" in _emails(behind)
    accounts.delete(behind, [account.account_id], directory=directory)
    assert (_emails(behind), directory.list_all()) == (["boss@example.org"], [])


@pytest.mark.usefixtures("boss")
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_a_password_is_the_same_in_both(
    database: Database, test_database: TestDatabase, cutter: CommitCutter, directory: UserPool, fault: str
) -> None:
    made = _ann(database, directory)
    hers, _ = sign_in(cutter.address, test_database.deployment, "ann@example.org", made.initial_password)
    cutter.fault = fault
    try:
        if fault == "dropped":
            with pytest.raises(Unavailable):
                accounts.change_own_password(
                    hers, "ann@example.org", made.initial_password, OWN, directory=directory
                )
        else:
            accounts.change_own_password(
                hers, "ann@example.org", made.initial_password, OWN, directory=directory
            )
    finally:
        hers.dispose()
    now = made.initial_password if fault == "dropped" else OWN
    again, _ = sign_in(test_database.address, test_database.deployment, "ann@example.org", now)
    try:
        accounts.change_own_password(again, "ann@example.org", now, "Fig-Orchard-43", directory=directory)
        with pytest.raises(UserError, match="current password"):
            directory.change_own_password("ann@example.org", now, OWN)
    finally:
        again.dispose()
