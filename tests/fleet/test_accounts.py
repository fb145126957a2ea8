"""The first administrator, and accounts with an initial password."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmp_console import cli, commands, settings, store
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import accounts
from sgmp_console.store import Database, sign_in
from tests.database import TestDatabase
from tests.smtp import SmtpServer, running_smtp


def test_the_first_administrator_signs_in_with_the_initial_password(
    database: Database, test_database: TestDatabase
) -> None:
    made = accounts.create_first_admin(database, email="Ann@Example.org", name=" Ann ")
    signed_in, account = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", made.initial_password
    )
    signed_in.dispose()
    assert (account.name, account.role, account.must_change_password) == ("Ann", "admin", True)


def test_there_is_only_one_first_administrator(database: Database) -> None:
    accounts.create_first_admin(database, email="ann@example.org", name="Ann")
    with pytest.raises(UserError, match=r"an administrator already: ann@example\.org"):
        accounts.create_first_admin(database, email="bob@example.org", name="Bob")


def test_an_account_needs_a_name(database: Database) -> None:
    with pytest.raises(UserError, match="name of its user"):
        accounts.create(database, email="ann@example.org", name=" ", role="admin", house_id=None)


def test_initial_passwords_differ_and_are_never_shown_by_accident(database: Database) -> None:
    made = accounts.create_first_admin(database, email="ann@example.org", name="Ann")
    assert made.initial_password not in repr(made)
    assert len({accounts.initial_password() for _ in range(100)}) == 100


# --- Initial passwords by mail ------------------------------------------------------------------------------------


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with running_smtp() as running:
        yield running


def _emails(database: Database) -> list[str]:
    with database.begin() as connection:
        return [account.email for account in store.accounts.list_all(connection)]


def test_the_initial_password_is_mailed_where_that_can_be_done(database: Database, smtp: SmtpServer) -> None:
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port)
    made = accounts.create_first_admin(database, email="ann@example.org", name="Ann", mailer=mailer)
    assert made.mailed
    assert made.initial_password in str(smtp.mails[0].get_payload())
    reset = accounts.reset_password(database, made.account.account_id, mailer=mailer)
    assert reset.mailed
    assert reset.initial_password in str(smtp.mails[1].get_payload())


def test_without_mail_the_initial_password_is_for_showing_once(database: Database) -> None:
    assert not accounts.create_first_admin(database, email="ann@example.org", name="Ann").mailed


@pytest.mark.parametrize("fault", ["recipient", "busy", "data", "hang", "lost"])
def test_an_account_whose_mail_fails_does_not_come_to_be(
    database: Database, test_database: TestDatabase, smtp: SmtpServer, fault: str
) -> None:
    timeout_s = 1.0 if fault == "hang" else 10.0
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port, timeout_s=timeout_s)
    smtp.fault = fault
    with pytest.raises(SgmpError, match=r"ann@example\.org was not created, and nothing is left of it"):
        accounts.create_first_admin(database, email="ann@example.org", name="Ann", mailer=mailer)
    assert _emails(database) == []
    with database.begin() as connection:
        roles = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%%ann@example.org'"
        )
        assert roles.scalar_one() == 0
    made = accounts.create_first_admin(database, email="ann@example.org", name="Ann", mailer=mailer)
    signed_in, _ = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", made.initial_password
    )
    signed_in.dispose()


def test_a_reset_whose_mail_fails_leaves_the_password_as_it_was(
    database: Database, test_database: TestDatabase, smtp: SmtpServer
) -> None:
    made = accounts.create_first_admin(database, email="ann@example.org", name="Ann")
    smtp.fault = "recipient"
    mailer = SmtpMailer("127.0.0.1", "sgmp@example.org", smtp.port)
    with pytest.raises(UserError, match="was not reset"):
        accounts.reset_password(database, made.account.account_id, mailer=mailer)
    signed_in, _ = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", made.initial_password
    )
    signed_in.dispose()


def test_initial_passwords_keep_the_usual_rules() -> None:
    for password in (accounts.initial_password() for _ in range(200)):
        assert re.search(r"[a-z]", password)
        assert re.search(r"[A-Z]", password)
        assert re.search(r"[0-9]", password)


def test_the_command_line_mails_through_the_profiles_server(
    test_database: TestDatabase,
    smtp: SmtpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = settings.Profile(
        "Here",
        test_database.address,
        smtp_host="127.0.0.1",
        smtp_port=smtp.port,
        smtp_sender="sgmp@example.org",
    )
    monkeypatch.setattr(settings, "configuration_folder", lambda: tmp_path)
    settings.save_profiles(tmp_path, [profile])
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    for act in (["create", "ann@example.org", "--name", "Ann"], ["reset", "ann@example.org"]):
        assert cli.main(["--profile", "Here", "admin", *act, "--json"]) == commands.OK
        assert json.loads(capsys.readouterr().out) == {"email": "ann@example.org", "mailed": True}
    assert len(smtp.mails) == 2
