"""What passwords people may choose, and that nothing about the others is given away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sgmp_console.errors import UserError
from sgmp_console.fleet import accounts, passwords
from sgmp_console.store import Database, sign_in
from tests.database import TestDatabase


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Plum-Tree-42",
        "xK9$mQ2#vL7!",
        "ann likes plum trees",
        "äöü-grün-blau-7",
    ],
)
def test_long_and_varied_is_enough(password: str) -> None:
    assert passwords.problem(password, email="ann@example.org", name="Ann Miller") is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "at least 12"),
        ("short-one-1", "at least 12"),
        ("ab1-" * 65, "at most 256"),
        (" plum tree 4242", "space"),
        ("plum\ttree\x00 4242", "seen"),
        ("ann.miller@example.org", "own name"),
        ("Ann.Miller12", "own name"),
        ("millermiller", "own name"),
        ("aaaaaaaaaaaa", "over and over"),
        ("abcabcabcabc", "over and over"),
        ("sgmp-console1", "first that anybody would try"),
        ("Ab1!xAb1!xAb1!", "over and over"),
        ("123456789012", "in a row"),
        ("abcdefghijklm", "in a row"),
        ("zyxwvutsrqpon", "in a row"),
        ("Password1234", "first that anybody"),
        ("Administrator1!", "first that anybody"),
        ("ann12345678!", "guessed quickly"),
        ("qwertzuiop12", "guessed quickly"),
        ("P4ssw0rd2026", "guessed quickly"),
    ],
)
def test_what_would_be_guessed_is_refused(password: str, why: str) -> None:
    problem = passwords.problem(password, email="ann.miller@example.org", name="Ann Miller")
    assert problem is not None
    assert why in problem


def test_initial_passwords_keep_the_rules() -> None:
    assert all(passwords.problem(accounts.initial_password()) is None for _ in range(200))


@pytest.fixture
def ann(database: Database, test_database: TestDatabase) -> Iterator[tuple[Database, str]]:
    """Signed in with her initial password."""
    made = accounts.create(database, email="ann@example.org", name="Ann Miller", role="admin", house_id=None)
    hers, _ = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", made.initial_password
    )
    yield hers, made.initial_password
    hers.dispose()


def test_the_initial_password_is_changed_for_a_good_one(
    ann: tuple[Database, str], test_database: TestDatabase
) -> None:
    hers, initial = ann
    for new in ("Ann Miller 1", initial):
        with pytest.raises(UserError) as caught:
            accounts.change_own_password(hers, "ann@example.org", initial, new)
        assert new not in str(caught.value)
    accounts.change_own_password(hers, "ann@example.org", initial, "correct horse battery")
    again, account = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", "correct horse battery"
    )
    again.dispose()
    assert not account.must_change_password


def test_a_password_is_not_changed_by_who_does_not_know_it(ann: tuple[Database, str]) -> None:
    with pytest.raises(UserError, match="current password is wrong"):
        accounts.change_own_password(ann[0], "ann@example.org", "not it", "correct horse battery")
