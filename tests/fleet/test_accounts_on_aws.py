"""Accounts with a Cognito user pool beside them: the same users and passwords in both, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.cloud.cognito import UserPool, group_of, role_of
from sgmp_console.cloud.directory import DirectoryUser
from sgmp_console.errors import Refused, SgmpError, Unavailable, UserError
from sgmp_console.fleet import accounts
from sgmp_console.store import Account, Database, House, sign_in
from tests.aws import LocalAws
from tests.database import TestDatabase

KINDS = ["error", "hang", "lost"]


def _create_ann(
    database: Database, directory: UserPool | None = None, house_id: int | None = None
) -> accounts.NewAccount:
    return accounts.create(
        database,
        email="ann@example.org",
        name="Ann",
        role="researcher",
        house_id=house_id,
        directory=directory or accounts.LOCAL,
    )


class Pool:
    """A user pool as resources/aws asks for, looked at past the proxy and past our own code."""

    def __init__(self, aws: LocalAws) -> None:
        self.client = aws.client("cognito-idp")
        pool = self.client.create_user_pool(
            PoolName="sgmp",
            UsernameAttributes=["email"],
            Schema=[{"Name": "home", "AttributeDataType": "String", "Mutable": True}],
        )
        self.id = pool["UserPool"]["Id"]
        made = self.client.create_user_pool_client(
            UserPoolId=self.id, ClientName="console", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )
        self.client_id = made["UserPoolClient"]["ClientId"]

    def users(self) -> dict[str, Any]:
        users = self.client.list_users(UserPoolId=self.id)["Users"]
        return {
            next(one["Value"] for one in user["Attributes"] if one["Name"] == "email"): user for user in users
        }

    def groups(self, email: str) -> list[str]:
        found = self.client.admin_list_groups_for_user(UserPoolId=self.id, Username=email)["Groups"]
        return [group["GroupName"] for group in found]

    def sign_in(self, email: str, password: str) -> str:
        """`ok`, the challenge's name, or `refused`."""
        try:
            answer = self.client.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
                ClientId=self.client_id,
            )
        except self.client.exceptions.NotAuthorizedException:
            return "refused"
        return str(answer.get("ChallengeName", "ok"))


@pytest.fixture
def pool(aws: LocalAws) -> Pool:
    return Pool(aws)


@pytest.fixture
def directory(aws: LocalAws, pool: Pool) -> UserPool:
    return UserPool(aws.settings(), pool.id, pool.client_id)


def _emails(database: Database) -> list[str]:
    with database.begin() as connection:
        return [account.email for account in store.accounts.list_all(connection)]


@pytest.fixture
def ann(database: Database, directory: UserPool, house: House) -> accounts.NewAccount:
    return _create_ann(database, directory, house.house_id)


def test_a_new_account_is_a_user_who_must_change_the_mailed_password(
    database: Database, pool: Pool, ann: accounts.NewAccount, house: House
) -> None:
    user = pool.users()["ann@example.org"]
    attributes = {one["Name"]: one["Value"] for one in user["Attributes"]}
    assert (attributes["custom:home"], attributes["name"]) == (str(house.house_id), "Ann")
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert pool.groups("ann@example.org") == ["researcher"]
    assert pool.sign_in("ann@example.org", ann.initial_password) == "NEW_PASSWORD_REQUIRED"
    assert ann.mailed
    assert _emails(database) == ["ann@example.org"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["AdminGetUser", "CreateGroup", "AdminAddUserToGroup"])
def test_a_call_that_fails_in_creation_leaves_nothing(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool, call: str, kind: str
) -> None:
    aws.fail(call, kind)
    with pytest.raises(SgmpError, match=r"ann@example\.org was not created, and nothing is left of it"):
        _create_ann(database, directory)
    assert (pool.users(), _emails(database)) == ({}, [])
    _create_ann(database, directory)
    assert list(pool.users()) == _emails(database) == ["ann@example.org"]


@pytest.mark.parametrize("kind", ["error", "hang"])
def test_a_user_that_was_not_made_leaves_no_account(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool, kind: str
) -> None:
    aws.fail("AdminCreateUser", kind)
    with pytest.raises(Unavailable, match="nothing is left of it"):
        _create_ann(database, directory)
    assert (pool.users(), _emails(database)) == ({}, [])


def test_a_user_that_was_made_though_the_answer_was_lost_is_taken(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool
) -> None:
    aws.fail("AdminCreateUser", "lost")
    made = _create_ann(database, directory)
    assert pool.sign_in("ann@example.org", made.initial_password) == "NEW_PASSWORD_REQUIRED"
    assert aws.calls.count("AdminCreateUser") == 1


def test_what_can_not_be_undone_is_said_and_replaced_by_the_next_attempt(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool
) -> None:
    aws.fail("AdminAddUserToGroup", "error")
    aws.fail("AdminDeleteUser", "error")
    with pytest.raises(Unavailable, match="may have been left in the user pool"):
        _create_ann(database, directory)
    assert _emails(database) == []
    made = _create_ann(database, directory)
    assert pool.sign_in("ann@example.org", made.initial_password) == "NEW_PASSWORD_REQUIRED"
    assert len(pool.users()) == 1


def test_somebody_elses_user_is_not_taken_over(database: Database, pool: Pool, directory: UserPool) -> None:
    pool.client.admin_create_user(UserPoolId=pool.id, Username="ann@example.org")
    pool.client.admin_set_user_password(
        UserPoolId=pool.id, Username="ann@example.org", Password="Own-Passw0rd", Permanent=True
    )
    with pytest.raises(UserError, match=r"has a user ann@example\.org already"):
        _create_ann(database, directory)
    assert pool.sign_in("ann@example.org", "Own-Passw0rd") == "ok"
    assert _emails(database) == []


def test_a_user_whom_somebody_else_makes_at_the_same_time_is_left_alone(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool
) -> None:
    aws.fail("AdminCreateUser", "meanwhile")
    with pytest.raises(UserError, match=r"has a user ann@example\.org already"):
        _create_ann(database, directory)
    assert list(pool.users()) == ["ann@example.org"]
    assert _emails(database) == []


def test_no_failure_quotes_the_password(
    database: Database, aws: LocalAws, directory: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "initial_password", lambda: "too-weak-secret")
    with pytest.raises(SgmpError) as failure:
        accounts.reset_password(
            database,
            _create_ann(database).account.account_id,
            directory=_Weak(directory),
        )
    assert "too-weak-secret" not in "".join(_texts(failure.value))


class _Weak(UserPool):
    """With a user in the pool, so that the password is what is refused."""

    def __init__(self, pool: UserPool) -> None:
        super().__init__(pool._aws, pool._pool_id, pool._client_id)
        self.add(DirectoryUser("ann@example.org", "Ann", "researcher", None), "Str0ng-enough")


def _texts(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__


# --- Passwords ----------------------------------------------------------------------------------------------------

OWN = "Plum-Tree-42"
OTHER = "Fig-Orchard-43"


@pytest.fixture
def signed_in(test_database: TestDatabase, ann: accounts.NewAccount) -> Iterator[Database]:
    database, _ = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", ann.initial_password
    )
    yield database
    database.dispose()


def _signs_in(where: TestDatabase, password: str) -> bool:
    try:
        database, _ = sign_in(where.address, where.deployment, "ann@example.org", password)
    except UserError:
        return False
    database.dispose()
    return True


def test_the_first_sign_in_changes_both_passwords(
    test_database: TestDatabase,
    signed_in: Database,
    pool: Pool,
    directory: UserPool,
    ann: accounts.NewAccount,
) -> None:
    accounts.change_own_password(signed_in, "ann@example.org", ann.initial_password, OWN, directory=directory)
    assert pool.sign_in("ann@example.org", OWN) == "ok"
    assert _signs_in(test_database, OWN)
    assert not _signs_in(test_database, ann.initial_password)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["InitiateAuth", "RespondToAuthChallenge"])
def test_after_a_failure_at_the_first_sign_in_both_have_the_same_password(
    test_database: TestDatabase,
    signed_in: Database,
    aws: LocalAws,
    pool: Pool,
    directory: UserPool,
    ann: accounts.NewAccount,
    call: str,
    kind: str,
) -> None:
    initial = ann.initial_password
    aws.fail(call, kind)
    if (call, kind) == ("RespondToAuthChallenge", "lost"):
        accounts.change_own_password(signed_in, "ann@example.org", initial, OWN, directory=directory)
    else:
        with pytest.raises(Unavailable):
            accounts.change_own_password(signed_in, "ann@example.org", initial, OWN, directory=directory)
        assert pool.sign_in("ann@example.org", initial) == "NEW_PASSWORD_REQUIRED"
        assert _signs_in(test_database, initial)
        accounts.change_own_password(signed_in, "ann@example.org", initial, OWN, directory=directory)
    assert pool.sign_in("ann@example.org", OWN) == "ok"
    assert _signs_in(test_database, OWN)


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_failure_at_a_change_both_have_the_same_password(
    test_database: TestDatabase,
    signed_in: Database,
    aws: LocalAws,
    pool: Pool,
    directory: UserPool,
    ann: accounts.NewAccount,
    kind: str,
) -> None:
    accounts.change_own_password(signed_in, "ann@example.org", ann.initial_password, OWN, directory=directory)
    again, _ = sign_in(test_database.address, test_database.deployment, "ann@example.org", OWN)
    aws.fail("ChangePassword", kind)
    try:
        accounts.change_own_password(again, "ann@example.org", OWN, OTHER, directory=directory)
    except Unavailable:
        assert kind != "lost"
        accounts.change_own_password(again, "ann@example.org", OWN, OTHER, directory=directory)
    finally:
        again.dispose()
    assert pool.sign_in("ann@example.org", OTHER) == "ok"
    assert _signs_in(test_database, OTHER)


def test_a_password_that_the_pool_finds_weak_is_changed_nowhere(
    test_database: TestDatabase, signed_in: Database, directory: UserPool, ann: accounts.NewAccount
) -> None:
    with pytest.raises(UserError, match="stronger password"):
        accounts.change_own_password(
            signed_in, "ann@example.org", ann.initial_password, "NoSymbols4theStrict", directory=directory
        )
    assert _signs_in(test_database, ann.initial_password)


def test_the_wrong_present_password_changes_nothing(
    test_database: TestDatabase, signed_in: Database, directory: UserPool, ann: accounts.NewAccount
) -> None:
    with pytest.raises(UserError, match="current password is wrong"):
        accounts.change_own_password(signed_in, "ann@example.org", "Wrong-123", OWN, directory=directory)
    assert _signs_in(test_database, ann.initial_password)


def test_where_the_pool_has_another_password_nothing_changes_and_the_way_out_is_told(
    test_database: TestDatabase, signed_in: Database, directory: UserPool, ann: accounts.NewAccount
) -> None:
    directory.set_temporary_password("ann@example.org", OTHER)
    with pytest.raises(UserError, match="does not accept the current password"):
        accounts.change_own_password(
            signed_in, "ann@example.org", ann.initial_password, OWN, directory=directory
        )
    assert _signs_in(test_database, ann.initial_password)


def test_after_a_change_the_session_goes_on(
    test_database: TestDatabase, signed_in: Database, directory: UserPool, ann: accounts.NewAccount
) -> None:
    accounts.change_own_password(signed_in, "ann@example.org", ann.initial_password, OWN, directory=directory)
    signed_in.dispose()  # whoever comes next needs a new connection
    with signed_in.begin() as connection:
        assert not store.accounts.current(connection).must_change_password


@pytest.mark.parametrize("call", ["AdminGetUser", "AdminSetUserPassword"])
@pytest.mark.parametrize("kind", ["error", "lost"])
def test_a_reset_that_failed_is_repeated(
    database: Database,
    test_database: TestDatabase,
    aws: LocalAws,
    pool: Pool,
    directory: UserPool,
    ann: accounts.NewAccount,
    call: str,
    kind: str,
) -> None:
    aws.fail(call, kind)
    with pytest.raises(Unavailable, match="Reset it again"):
        accounts.reset_password(database, ann.account.account_id, directory=directory)
    reset = accounts.reset_password(database, ann.account.account_id, directory=directory)
    assert pool.sign_in("ann@example.org", reset.initial_password) == "NEW_PASSWORD_REQUIRED"
    assert _signs_in(test_database, reset.initial_password)
    assert not reset.mailed


# --- Changing, deleting, listing ----------------------------------------------------------------------------------


def test_role_house_name_and_state_are_changed_in_both(
    database: Database, pool: Pool, directory: UserPool, ann: accounts.NewAccount
) -> None:
    changed = replace(ann.account, name="Ann B", role="admin", house_id=None)
    accounts.create(database, email="boss@example.org", name="Boss", role="admin", house_id=None)
    changed = accounts.update(database, changed, directory=directory)
    assert directory.find("ann@example.org") == DirectoryUser("ann@example.org", "Ann B", "admin", None)
    assert pool.groups("ann@example.org") == ["admin"]
    accounts.update(database, replace(changed, enabled=False), directory=directory)
    assert not pool.users()["ann@example.org"]["Enabled"]


@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize(
    "call",
    ["AdminUpdateUserAttributes", "AdminAddUserToGroup", "AdminRemoveUserFromGroup", "AdminDisableUser"],
)
def test_a_change_that_failed_is_taken_back_everywhere(
    database: Database,
    aws: LocalAws,
    directory: UserPool,
    ann: accounts.NewAccount,
    call: str,
    kind: str,
) -> None:
    accounts.create(database, email="boss@example.org", name="Boss", role="admin", house_id=None)
    before = directory.find("ann@example.org")
    wanted = replace(ann.account, name="Ann B", role="visitor", enabled=False)
    aws.fail(call, kind)
    with pytest.raises(Unavailable, match="was not changed"):
        accounts.update(database, wanted, directory=directory)
    assert directory.find("ann@example.org") == before
    with database.begin() as connection:
        assert store.accounts.get(connection, ann.account.account_id) == ann.account
    accounts.update(database, wanted, directory=directory)
    assert directory.find("ann@example.org") == DirectoryUser(
        "ann@example.org", "Ann B", "visitor", ann.account.house_id, enabled=False
    )


@pytest.fixture
def crew(database: Database, directory: UserPool) -> list[Account]:
    accounts.create(database, email="boss@example.org", name="Boss", role="admin", house_id=None)
    return [
        accounts.create(
            database,
            email=f"{name}@example.org",
            name=name,
            role="visitor",
            house_id=None,
            directory=directory,
        ).account
        for name in ("bob", "cleo")
    ]


def test_several_accounts_are_deleted_at_once(
    database: Database, pool: Pool, directory: UserPool, crew: list[Account]
) -> None:
    assert accounts.delete(database, [one.account_id for one in crew], directory=directory) is None
    assert (pool.users(), _emails(database)) == ({}, ["boss@example.org"])


@pytest.mark.parametrize("kind", KINDS)
def test_if_one_can_not_be_deleted_none_is(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool, crew: list[Account], kind: str
) -> None:
    aws.fail("AdminDisableUser", kind, after=1)
    with pytest.raises(Unavailable, match="No account was deleted"):
        accounts.delete(database, [one.account_id for one in crew], directory=directory)
    assert _emails(database) == ["bob@example.org", "boss@example.org", "cleo@example.org"]
    assert [user["Enabled"] for user in pool.users().values()] == [True, True]
    assert accounts.delete(database, [one.account_id for one in crew], directory=directory) is None


def test_a_user_that_stays_behind_is_disabled_said_and_replaced(
    database: Database, aws: LocalAws, pool: Pool, directory: UserPool, crew: list[Account]
) -> None:
    aws.fail("AdminDeleteUser", "error")
    left = accounts.delete(database, [one.account_id for one in crew], directory=directory)
    assert left is not None
    assert "bob@example.org" in left
    assert [user["Enabled"] for user in pool.users().values()] == [False]
    assert accounts.unlike_directory(database, directory) == [
        "bob@example.org is in the directory without an account here; delete that user there.",
        "boss@example.org has no user in the directory; reset the password to make one.",
    ]
    accounts.create(
        database, email="bob@example.org", name="Bob", role="visitor", house_id=None, directory=directory
    )
    assert [user["Enabled"] for user in pool.users().values()] == [True]


def test_the_last_administrator_stays_in_both(database: Database, pool: Pool, directory: UserPool) -> None:
    boss = accounts.create_first_admin(database, email="boss@example.org", name="Boss", directory=directory)
    with pytest.raises(UserError, match="last administrator"):
        accounts.delete(database, [boss.account.account_id], directory=directory)
    assert pool.users()["boss@example.org"]["Enabled"]


def test_users_are_listed_beyond_one_page(pool: Pool, directory: UserPool) -> None:
    pool.client.create_group(UserPoolId=pool.id, GroupName="visitor")
    for number in range(65):
        email = f"user{number:03}@example.org"
        pool.client.admin_create_user(UserPoolId=pool.id, Username=email)
        pool.client.admin_add_user_to_group(UserPoolId=pool.id, Username=email, GroupName="visitor")
    users = directory.list_all()
    assert [user.email for user in users] == [f"user{number:03}@example.org" for number in range(65)]
    assert {user.role for user in users} == {"visitor"}


@pytest.mark.parametrize("role", ["admin", "Grid operator", "50% off", "a\tb"])
def test_a_role_has_a_group_of_its_own(role: str) -> None:
    assert role_of(group_of(role)) == role
    assert not any(character.isspace() for character in group_of(role))


def test_permissions_that_lack_are_named(database: Database, aws: LocalAws, directory: UserPool) -> None:
    aws.fail("AdminCreateUser", "refused")
    with pytest.raises(Refused, match="may not call AdminCreateUser"):
        _create_ann(database, directory)


def test_all_users_are_listed_however_many_pages_they_take(pool: Pool, directory: UserPool) -> None:
    emails = [f"user{number:03}@example.org" for number in range(130)]  # AWS gives 60 at a time
    pool.client.create_group(UserPoolId=pool.id, GroupName="visitor")
    for email in emails:
        pool.client.admin_create_user(
            UserPoolId=pool.id, Username=email, UserAttributes=[{"Name": "email", "Value": email}]
        )
        pool.client.admin_add_user_to_group(UserPoolId=pool.id, Username=email, GroupName="visitor")
    listed = directory.list_all()
    assert [user.email for user in listed] == emails
    assert {user.role for user in listed} == {"visitor"}


def test_a_call_that_aws_throttles_is_made_again(aws: LocalAws, pool: Pool) -> None:
    aws.fail("AdminGetUser", "throttled", times=2)
    patient = UserPool(aws.settings(attempts=3), pool.id, pool.client_id)
    assert patient.find("nobody@example.org") is None
    assert aws.calls.count("AdminGetUser") == 3


def test_throttling_without_end_is_told(aws: LocalAws, pool: Pool, directory: UserPool) -> None:
    aws.fail("AdminGetUser", "throttled", times=None)
    with pytest.raises(Unavailable, match="Try again in a minute"):
        directory.find("nobody@example.org")
