"""The list of roles, and the matrix of their permissions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import accounts, roles
from sgmp_console.store import Role
from sgmp_console.store import roles as stored_roles
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.roles.dialog import RoleDialog
from sgmp_console.ui.pages.roles.page import RolesPage
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.test_analytics_page import texts

Show = Callable[[], RolesPage]


@pytest.fixture
def show(qtbot: QtBot, view: MainView, deployed: Deployment) -> Show:
    def shown() -> RolesPage:
        view.start(deployed.houses[0].house_id)
        view.show_page("roles")
        page = view.page("roles")
        assert isinstance(page, RolesPage)
        qtbot.waitUntil(lambda: not page.busy() and page.found is not None)
        return page

    return shown


@pytest.fixture
def operator(deployed: Deployment) -> Role:
    return roles.create(
        deployed.owner,
        "operator",
        description="Looks after devices",
        permissions={"view_dashboards", "view_devices", "manage_devices"},
    )


def stored(deployed: Deployment) -> dict[str, Role]:
    with deployed.owner.begin() as connection:
        return {role.name: role for role in stored_roles.list_all(connection)}


def choose(page: RolesPage, name: str) -> None:
    page.table.select({role.role_id for role in page.table.rows() if role.name == name})


def opened(page: RolesPage, act: str) -> RoleDialog:
    page.action(act).trigger()
    return next(one for one in page.findChildren(RoleDialog) if one.isVisible())


def test_roles_are_listed_with_members_and_permissions(
    qtbot: QtBot, operator: Role, show: Show, view: MainView, appearance: Appearance
) -> None:
    page = show()
    model = page.table.proxy
    rows = {
        model.index(row, 0).data(): [model.index(row, column).data() for column in (2, 3, 4)]
        for row in range(model.rowCount())
    }
    assert rows["operator"] == ["3", "0", ""]
    assert rows["admin"][1:] == ["1", "Built in"]
    choose(page, "operator")
    save_pictures(view, "roles_list", appearance)


def test_a_role_is_made_of_chosen_permissions(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    dialog = opened(page, "create")
    dialog.perform()
    assert dialog.name_field.problem == "Enter a name."
    dialog.name.setText("installer")
    dialog.boxes["manage_devices"].click()
    assert "Has no effect without “View devices”." in texts(dialog)
    save_pictures(dialog, "role_create", appearance)
    dialog.boxes["view_devices"].click()
    assert "Has no effect without" not in texts(dialog)
    dialog.perform()
    qtbot.waitUntil(lambda: "installer" in stored(deployed))
    assert stored(deployed)["installer"].permissions == {"manage_devices", "view_devices"}
    qtbot.waitUntil(lambda: [role.name for role in page.table.chosen()] == ["installer"])


def test_a_built_in_role_is_only_shown(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    choose(page, "researcher")
    assert page.action("edit").text() == "Open"
    assert not page.action("delete").isEnabled()
    dialog = opened(page, "edit")
    assert not dialog.act.isVisible()
    assert not any(box.isEnabled() for box in dialog.boxes.values())
    assert all(entry.isReadOnly() and entry.isEnabled() for entry in (dialog.name, dialog.description))
    assert "Built-in roles can't be changed." in dialog.message_bar.text()
    save_pictures(dialog, "role_built_in", appearance)
    dialog.reject()
    assert not dialog.isVisible()


def test_a_role_begins_like_another(qtbot: QtBot, operator: Role, show: Show) -> None:
    page = show()
    choose(page, "operator")
    dialog = opened(page, "copy")
    chosen = {name for name, box in dialog.boxes.items() if box.isChecked()}
    assert chosen == operator.permissions
    assert dialog.name.text() == ""
    dialog.reject()


def test_a_role_in_use_is_not_deleted_and_its_members_are_named(
    qtbot: QtBot, operator: Role, show: Show, deployed: Deployment
) -> None:
    accounts.create(
        deployed.owner,
        email="otto@example.org",
        name="Otto",
        role="operator",
        house_id=deployed.houses[0].house_id,
    )
    page = show()
    choose(page, "operator")
    page.action("delete").trigger()
    qtbot.waitUntil(lambda: "otto@example.org" in page.message_bar.text())
    assert "operator" in stored(deployed)
    qtbot.waitUntil(lambda: not page.busy())


def test_an_unused_role_is_deleted_after_a_question(
    qtbot: QtBot, operator: Role, show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "operator")
    page.action("delete").trigger()
    (question,) = page.findChildren(ConfirmDialog)
    assert question.act.text() == "Delete role operator"
    question.act.click()
    qtbot.waitUntil(lambda: "operator" not in stored(deployed))
    qtbot.waitUntil(lambda: not page.busy())


def test_theirs_can_be_taken_where_somebody_else_changed_the_role(
    qtbot: QtBot, operator: Role, show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "operator")
    dialog = opened(page, "edit")
    dialog.description.setText("mine")
    roles.update(deployed.owner, replace(operator, description="theirs"))
    dialog.perform()
    qtbot.waitUntil(lambda: "theirs" in dialog.message_bar.buttons())
    dialog.message_bar.buttons()["theirs"].click()
    assert dialog.description.text() == "theirs"
    dialog.reject()
    assert not dialog.isVisible()
