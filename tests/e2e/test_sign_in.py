"""Signing in and out with real windows, locally and on AWS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgmp_console import store
from sgmp_console.cloud import services
from sgmp_console.fleet import accounts as fleet_accounts
from sgmp_console.fleet import houses
from sgmp_console.keychain import Keychain
from tests.e2e.world import Person, World
from tests.test_keychain import Memory
from tests.ui.conftest import save_picture
from tests.ui.houses import outage

ANN = "ann@example.org"
OWN = Person(ANN, "Fig-Orchard-43")

locally = pytest.mark.parametrize("world", ["local"], indirect=True)
"""For what does not depend on where users and certificates are kept."""


def invite(world: World, role: str = "admin") -> None:
    """An account as its page makes it: the initial password is mailed."""
    opened = services.open_services(world.profile)
    fleet_accounts.create(
        world.owner,
        email=ANN,
        name="Ann",
        role=role,
        house_id=None,
        directory=opened.directory,
        mailer=opened.mailer,
    )


def account_of(world: World, email: str) -> store.Account:
    with world.owner.begin() as connection:
        return next(one for one in store.accounts.list_all(connection) if one.email == email)


def test_an_administrator_signs_in_and_sees_the_main_view(world: World) -> None:
    window = world.console()
    view = window.sign_in(world.admin)
    assert view.session.account.email == world.admin.email
    window.wait_for("There are no houses yet")
    window.sign_out()
    assert window.console.session() is None


def test_the_mailed_password_must_be_changed_before_anything_else(world: World) -> None:
    invite(world)
    initial = Person(ANN, world.mailed_password(ANN))
    window = world.console()
    window.fill_sign_in(initial)
    window.wait_for("Choose a password")
    save_picture(window.console, "choose_password")
    window.type_into("New password", "short")
    window.type_into("New password again", "shorter")
    window.press("Set password")
    window.wait_for("A password has at least 12 characters.")
    window.wait_for("This is not the same.")
    save_picture(window.console, "choose_password_problems")
    window.type_into("New password", OWN.password)
    window.type_into("New password again", OWN.password)
    window.press("Set password")
    window.wait_for("There are no houses yet")
    window.sign_out()
    window.sign_in(OWN)
    window.sign_out()
    window.fill_sign_in(initial)
    window.wait_for("The database refused the sign-in")
    assert not account_of(world, ANN).must_change_password
    directory = services.directory(world.profile)
    if world.kind == "aws":
        with pytest.raises(Exception, match="does not accept the current password"):
            directory.change_own_password(ANN, initial.password, OWN.password + "x")


def test_ones_own_password_is_changed(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    window.press("Your account")
    dialog = window.dialog("Your account")
    assert world.admin.email in window.words(dialog)
    save_picture(dialog, "own_account")
    window.type_into("Current password", "wrong", dialog)
    window.type_into("New password", OWN.password, dialog)
    window.type_into("New password again", OWN.password, dialog)
    window.press("Change password", dialog)
    window.wait_for("The current password is wrong.", dialog)
    save_picture(dialog, "own_account_wrong")
    assert window.field("New password", dialog).text() == OWN.password  # type: ignore[attr-defined]
    window.type_into("Current password", world.admin.password, dialog)
    window.press("Change password", dialog)
    window.wait_for("The password is changed.", dialog)
    window.press("Close", dialog)
    window.view.session.database.dispose()  # what comes next needs a new connection
    houses.create(world.owner, "Maple House", time_zone="America/Los_Angeles")
    window.view.switcher.opened.emit()
    window.wait(lambda: bool(window.view.houses()), "the new house")
    window.sign_out()
    window.sign_in(Person(world.admin.email, OWN.password))


@locally
def test_typed_passwords_are_not_thrown_away_by_mistake(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    window.press("Your account")
    dialog = window.dialog("Your account")
    window.type_into("New password", OWN.password, dialog)
    window.press("Close", dialog)
    window.press("Keep editing", window.dialog("Discard"))
    assert dialog.isVisible()
    window.press("Close", dialog)
    window.press("Discard changes", window.dialog("Discard"))
    window.wait_closed(dialog)


@locally
def test_a_disabled_account_hears_so(world: World) -> None:
    ann = world.person(ANN, "visitor")
    fleet_accounts.update(world.owner, replace(account_of(world, ANN), enabled=False))
    window = world.console()
    window.fill_sign_in(ann)
    window.wait_for("This account is disabled. An administrator can enable it")
    save_picture(window.console, "sign_in_disabled")


@locally
@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("disable", "This account is disabled."),
        ("delete", "You were signed out: the account was deleted"),
        ("reset", "You were signed out: the account was deleted, or its password was changed or reset"),
    ],
)
def test_an_account_revoked_in_the_middle_of_a_session_is_signed_out(
    world: World, act: str, told: str
) -> None:
    ann = world.person(ANN, "admin")
    window = world.console()
    window.sign_in(ann)
    window.press("Your account")
    window.dialog("Your account")
    account = account_of(world, ANN)
    if act == "disable":
        fleet_accounts.update(world.owner, replace(account, enabled=False))
    elif act == "delete":
        fleet_accounts.delete(world.owner, [account.account_id])
    else:
        fleet_accounts.reset_password(world.owner, account.account_id)
        with world.owner.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                (store.access.login_name(world.deployment, ANN),),
            )
    window.wait_for(told)
    assert window.console.session() is None
    assert window.console.sign_in.isVisible()
    save_picture(window.console, f"signed_out_{act}")


@locally
def test_pages_follow_a_changed_role_when_the_operator_reloads(world: World) -> None:
    ann = world.person(ANN, "admin")
    window = world.console()
    view = window.sign_in(ann)
    assert view.session.may("manage_analytics")
    fleet_accounts.update(world.owner, replace(account_of(world, ANN), role="visitor"))
    view.look_at_account()
    window.wait_for("Your role or its permissions have changed")
    save_picture(window.console, "role_changed")
    window.press("Reload pages")
    window.wait(lambda: window.view is not view, "the pages to be made anew")
    assert window.view.session.account.role == "visitor"
    assert not window.view.session.may("manage_analytics")
    window.wait_gone("Analytics")


@locally
def test_wrong_passwords_are_slowed_down(world: World) -> None:
    window = world.console()
    for _ in range(3):
        window.fill_sign_in(Person(world.admin.email, "wrong"))
        window.wait(window.console.sign_in.password.isEnabled, "the answer")
        window.wait_for("The database refused the sign-in")
    assert not window.console.sign_in.submit.isEnabled()
    window.wait_for("Sign in possible in")
    save_picture(window.console, "sign_in_slowed_down")
    window.sign_in(world.admin)


@locally
def test_an_outage_loses_nothing_of_what_was_typed(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    window.press("Your account")
    dialog = window.dialog("Your account")
    window.type_into("Current password", world.admin.password, dialog)
    window.type_into("New password", OWN.password, dialog)
    window.type_into("New password again", OWN.password, dialog)
    with outage(world.database):
        window.view.look_at_account()
        window.wait_for("The database has not answered for")
        window.press("Change password", dialog)
        window.wait_for("The database is not available", dialog)
        save_picture(dialog, "own_account_offline")
        save_picture(window.console, "offline_behind_dialog")
    window.wait_gone("The database has not answered for")
    assert dialog.isVisible()
    window.press("Change password", dialog)
    window.wait_for("The password is changed.", dialog)


@locally
def test_a_password_is_remembered_in_the_keyring_until_it_is_unticked(world: World) -> None:
    backend = Memory()
    window = world.console(keychain=Keychain(backend))
    page = window.console.sign_in
    window.wait(page.remember.isVisible, "the offer to remember")
    window.tick("Remember in this computer's keyring")
    save_picture(window.console, "sign_in_keyring")
    window.sign_in(world.admin)
    window.wait(lambda: world.admin.password in backend.kept.values(), "the keyring")
    window.sign_out()
    window.wait(lambda: page.password.text() == world.admin.password, "the remembered password")
    window.tick("Remember in this computer's keyring", False)
    window.wait(lambda: not backend.kept, "the keyring to forget")


@locally
def test_without_a_real_keyring_nothing_is_offered(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    window.sign_out()
    assert not window.console.sign_in.remember.isVisible()


@pytest.mark.expected_warnings("The keyring of this computer can't be")
@locally
def test_a_keyring_that_fails_is_reported_and_stops_nothing(world: World) -> None:
    backend = Memory()
    window = world.console(keychain=Keychain(backend))
    window.wait(window.console.sign_in.remember.isVisible, "the offer to remember")
    window.tick("Remember in this computer's keyring")
    backend.locked = True
    window.sign_in(world.admin)
    window.wait_for("The keyring of this computer can't be written")
    save_picture(window.console, "keyring_failed")
    window.press("Dismiss")
