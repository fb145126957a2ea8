"""Accounts from CSV files and into them: all or none, with initial passwords that reach their users once."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.cloud.cognito import UserPool
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.errors import Cancelled, SgmpError, UserError
from sgmp_console.fleet import account_sheets, accounts
from sgmp_console.fleet.account_sheets import AccountsImported
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused
from sgmp_console.store import Account, Database, House, sign_in
from tests.aws import LocalAws
from tests.database import TestDatabase
from tests.fleet.test_accounts_on_aws import Pool
from tests.smtp import SmtpServer, running_smtp

TWO = (
    "email,name,role,house,enabled",
    "Rea@example.org,Rea,researcher,Maple House,",
    "vic@example.org,Vic,visitor,Maple House,no",
)


@pytest.fixture(autouse=True)
def administrator(database: Database) -> None:
    """There is always one."""
    accounts.create_first_admin(database, email="ada@example.org", name="Ada")


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with running_smtp() as running:
        yield running


@pytest.fixture
def pool(aws: LocalAws) -> Pool:
    return Pool(aws)


@pytest.fixture
def directory(aws: LocalAws, pool: Pool) -> UserPool:
    return UserPool(aws.settings(), pool.id, pool.client_id)


def sheet(folder: Path, *lines: str) -> Path:
    file = folder / "accounts.csv"
    file.write_text("\n".join(lines), "utf-8")
    return file


def run(database: Database, file: Path, **more: Any) -> AccountsImported:
    options: dict[str, Any] = {"existing": Existing.REFUSE, "dry_run": False, **more}
    return account_sheets.import_accounts(database, file, **options)


def stored(database: Database) -> dict[str, Account]:
    """All but the administrator."""
    with database.begin() as connection:
        return {one.email: one for one in store.accounts.list_all(connection) if one.role != "admin"}


def test_a_line_is_an_account_that_signs_in_with_its_initial_password(
    database: Database, test_database: TestDatabase, house: House, tmp_path: Path
) -> None:
    imported = run(database, sheet(tmp_path, *TWO))
    found = stored(database)
    rea, vic = found["rea@example.org"], found["vic@example.org"]
    assert (rea.name, rea.role, rea.house_id, rea.enabled) == ("Rea", "researcher", house.house_id, True)
    assert (vic.role, vic.enabled) == ("visitor", False)
    password = imported.to_hand_over()[0].initial_password
    signed_in, account = sign_in(test_database.address, test_database.deployment, "rea@example.org", password)
    signed_in.dispose()
    assert account.must_change_password


def test_a_dry_run_makes_no_account_and_mails_nothing(
    database: Database, house: House, tmp_path: Path, smtp: SmtpServer
) -> None:
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port)
    imported = run(database, sheet(tmp_path, *TWO), dry_run=True, mailer=mailer)
    assert imported.plan.count(Action.CREATE) == 2
    assert (stored(database), smtp.mails, imported.created) == ({}, [], ())


def test_initial_passwords_are_mailed_where_they_can_be(
    database: Database, house: House, tmp_path: Path, smtp: SmtpServer
) -> None:
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port)
    imported = run(database, sheet(tmp_path, *TWO), mailer=mailer)
    assert [mail["To"] for mail in smtp.mails] == ["rea@example.org", "vic@example.org"]
    assert imported.to_hand_over() == ()
    assert imported.mail_problem == ""


def test_a_mail_that_is_refused_changes_nothing_else_and_its_password_is_handed_over(
    database: Database, house: House, tmp_path: Path, smtp: SmtpServer
) -> None:
    smtp.fault = "recipient"
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port)
    imported = run(database, sheet(tmp_path, *TWO), mailer=mailer)
    assert [one.account.email for one in imported.to_hand_over()] == ["rea@example.org"]
    assert "takes no mail for rea@example.org" in imported.mail_problem
    assert [mail["To"] for mail in smtp.mails] == ["vic@example.org"]
    assert len(stored(database)) == 2


def test_passwords_go_into_a_file_that_only_its_owner_can_read(
    database: Database, house: House, tmp_path: Path
) -> None:
    imported = run(database, sheet(tmp_path, *TWO))
    file = tmp_path / "passwords.csv"
    account_sheets.write_passwords(file, imported.created)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text("utf-8-sig")
    assert all(one.initial_password in text for one in imported.created)
    assert all(one.initial_password not in repr(imported) for one in imported.created)
    with pytest.raises(UserError, match="exists already"):
        account_sheets.write_passwords(file, imported.created)


def test_every_line_that_is_wrong_is_told_with_its_column(
    database: Database, house: House, tmp_path: Path
) -> None:
    accounts.create(database, email="there@example.org", name="T", role="visitor", house_id=house.house_id)
    file = sheet(
        tmp_path,
        "email;name;role;house;enabled",
        "no address;A;visitor;;",
        "a@example.org;;visitor;;",
        "b@example.org;B;;;",
        "c@example.org;C;emperor;;",
        "d@example.org;D;visitor;Nowhere;",
        "e@example.org;E;visitor;;perhaps",
        "there@example.org;T;visitor;;",
        "f@example.org;F;visitor;Maple House;",
        "F@Example.org;F;visitor;Maple House;",
    )
    plan = run(database, file, dry_run=True).plan
    assert [(one.line, one.column) for one in plan.problems] == [
        (2, "email"),
        (3, "name"),
        (4, "role"),
        (5, ""),
        (6, "house"),
        (7, "enabled"),
        (8, "email"),
        (10, "email"),
    ]
    assert plan.problems[3].sentence == "There is no role emperor."
    with pytest.raises(ImportRefused):
        run(database, file)
    assert list(stored(database)) == ["there@example.org"]


def test_what_was_exported_can_be_changed_and_imported_again(
    database: Database, house: House, tmp_path: Path
) -> None:
    run(database, sheet(tmp_path, *TWO))
    before = stored(database)
    file = tmp_path / "out.csv"
    with database.begin() as connection:
        assert account_sheets.export_accounts(connection, file) == 3
    imported = run(database, file, existing=Existing.UPDATE)
    assert imported.plan.count(Action.NOTHING) == 3
    assert stored(database) == before
    file.write_text(file.read_text("utf-8-sig").replace(",Vic,visitor,", ",Victoria,researcher,"), "utf-8")
    imported = run(database, file, existing=Existing.UPDATE)
    assert (imported.plan.count(Action.UPDATE), imported.created) == (1, ())
    vic = stored(database)["vic@example.org"]
    assert (vic.name, vic.role) == ("Victoria", "researcher")


def test_cancelling_leaves_everything_as_it_was(database: Database, house: House, tmp_path: Path) -> None:
    def progress(done: int, _everything: int) -> None:
        if done == 1:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        run(database, sheet(tmp_path, *TWO), progress=progress)
    assert stored(database) == {}


# --- With a user pool -----------------------------------------------------------------------------------------------


def test_a_user_pool_gets_the_same_users(
    database: Database, house: House, tmp_path: Path, aws: LocalAws, pool: Pool, directory: UserPool
) -> None:
    imported = run(database, sheet(tmp_path, *TWO), directory=directory)
    assert imported.to_hand_over() == ()
    assert set(pool.users()) == {"rea@example.org", "vic@example.org"}
    assert pool.users()["vic@example.org"]["Enabled"] is False
    assert pool.groups("rea@example.org") == ["researcher"]


@pytest.mark.parametrize("kind", ["error", "lost"])
def test_where_the_second_user_can_not_be_made_nothing_is_left_of_the_first(
    database: Database,
    house: House,
    tmp_path: Path,
    aws: LocalAws,
    pool: Pool,
    directory: UserPool,
    kind: str,
) -> None:
    aws.fail("AdminAddUserToGroup", kind, times=5, after=1)
    with pytest.raises(
        SgmpError,
        match=r"Nothing was imported, and nothing is left of it: .* passwords that do not work may have been sent",
    ):
        run(database, sheet(tmp_path, *TWO), directory=directory)
    aws.heal()
    assert stored(database) == {}
    assert pool.users() == {}
    run(database, sheet(tmp_path, *TWO), directory=directory)
    assert len(pool.users()) == 2


def test_a_changed_user_is_set_back_where_a_later_one_fails(
    database: Database, house: House, tmp_path: Path, aws: LocalAws, pool: Pool, directory: UserPool
) -> None:
    run(database, sheet(tmp_path, *TWO), directory=directory)
    file = sheet(tmp_path, "email,role", "rea@example.org,visitor", "vic@example.org,researcher")
    aws.fail("AdminUpdateUserAttributes", "error", after=1)
    with pytest.raises(SgmpError):
        run(database, file, existing=Existing.UPDATE, directory=directory)
    aws.heal()
    assert pool.groups("rea@example.org") == ["researcher"]
    assert stored(database)["rea@example.org"].role == "researcher"


def test_no_error_holds_a_password(database: Database, house: House, tmp_path: Path) -> None:
    pattern = re.compile(r"[A-Za-z2-9]{5}(-[A-Za-z2-9]{5}){3}")
    with pytest.raises(ImportRefused) as caught:
        run(database, sheet(tmp_path, *TWO, "c@example.org,C,emperor,,"))
    assert not pattern.search(str(caught.value) + repr(caught.value.plan))
