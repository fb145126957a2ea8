"""The playbook's "Creating an account", with real windows, locally and on AWS."""

from __future__ import annotations

from sgmp_console.fleet import houses
from sgmp_console.ui.pages.accounts.page import AccountsPage
from tests.e2e.world import Person, World
from tests.ui.conftest import save_picture

VERA = "vera@example.org"


def test_an_account_is_created_and_sees_exactly_what_its_role_allows(world: World) -> None:
    houses.create(world.owner, "Maple House", time_zone="Europe/Berlin")
    houses.create(world.owner, "Harbor House", time_zone="Europe/Berlin")
    window = world.console()
    window.sign_in(world.admin)
    page = window.open_page("accounts")
    assert isinstance(page, AccountsPage)
    window.press("Create account")
    dialog = window.dialog()
    window.type_into("Email", VERA, dialog)
    window.type_into("Name", "Vera Vance", dialog)
    window.choose("Role", "visitor", dialog)
    window.choose("House", "Maple House", dialog)
    save_picture(dialog, "e2e_account_create")
    window.press("Create account", dialog)
    window.wait_closed(dialog)
    window.wait_for(f"{VERA} was created. The initial password was mailed.")
    window.wait(lambda: any(row[0] == VERA for row in window.rows()), "the new account in the list")
    row = next(row for row in window.rows() if row[0] == VERA)
    assert row[2:] == ["visitor", "Maple House", "Initial password", "–"]

    theirs = world.console()
    theirs.fill_sign_in(Person(VERA, world.mailed_password(VERA)))
    theirs.wait_for("Choose a password")
    own = Person(VERA, "Fig-Orchard-43")
    theirs.type_into("New password", own.password)
    theirs.type_into("New password again", own.password)
    theirs.press("Set password")
    theirs.wait_for("House: Maple House")
    view = theirs.view
    assert [
        page
        for page in ("devices", "analytics", "houses", "accounts", "roles")
        if view.services.has_page(page)
    ] == []
    assert view.services.has_page("home")
    assert "Harbor House" not in theirs.words()

    page.reload()
    window.wait(
        lambda: next(row for row in window.rows() if row[0] == VERA)[4] == "", "the password is changed"
    )
