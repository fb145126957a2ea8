"""The list of accounts, its acts, and the dialogs of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import accounts
from sgmp_console.store import Account, roles
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.import_dialog import ImportDialog
from sgmp_console.ui.pages.accounts.dialogs import CreateAccount, EditAccount
from sgmp_console.ui.pages.accounts.page import AccountsPage, account_columns
from sgmp_console.ui.pages.accounts.password_once import PasswordOnce
from sgmp_console.ui.parts.rows import RowsModel
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.finding import acts_of, is_loading, open_context_menu, press_in_notice
from tests.ui.houses import outage
from tests.ui.test_analytics_page import texts

Show = Callable[[], AccountsPage]


@pytest.fixture
def show(qtbot: QtBot, view: MainView, deployed: Deployment) -> Show:
    def shown() -> AccountsPage:
        view.start(deployed.houses[0].house_id)
        view.show_page("accounts")
        page = view.page("accounts")
        assert isinstance(page, AccountsPage)
        qtbot.waitUntil(lambda: not page.busy() and not is_loading(page))
        return page

    return shown


@pytest.fixture
def some(deployed: Deployment) -> list[Account]:
    house = deployed.houses[0].house_id
    made = (("vera@example.org", "Vera", "visitor"), ("rosa@example.org", "Rosa", "researcher"))
    return [
        accounts.create(deployed.owner, email=email, name=name, role=role, house_id=house).account
        for email, name, role in made
    ]


def emails(page: AccountsPage) -> list[str]:
    model = page.table.proxy
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def stored(deployed: Deployment) -> dict[str, Account]:
    with deployed.owner.begin() as connection:
        return {account.email: account for account in stored_accounts.list_all(connection)}


def choose(page: AccountsPage, *wanted: str) -> None:
    page.table.select({row.account.account_id for row in page.table.rows() if row.account.email in wanted})


def asked(page: AccountsPage) -> ConfirmDialog:
    return next(one for one in page.findChildren(ConfirmDialog) if one.isVisible())


def creating(page: AccountsPage) -> CreateAccount:
    page.action("create").trigger()
    return page.findChildren(CreateAccount)[-1]


def fill(dialog: CreateAccount, email: str, name: str, role: str, house: int | None = None) -> None:
    dialog.email.setText(email)
    dialog.name.setText(name)
    dialog.role.setCurrentIndex(dialog.role.findData(role))
    if house is not None:
        dialog.house.setCurrentIndex(dialog.house.findData(house))


# --- The list --------------------------------------------------------------------------------------------------------


def test_every_account_has_a_row_with_its_state(
    qtbot: QtBot, some: list[Account], show: Show, view: MainView, appearance: Appearance
) -> None:
    page = show()
    assert emails(page) == ["ada@example.org", "rosa@example.org", "vera@example.org"]
    states = [page.table.proxy.index(row, 4).data() for row in range(3)]
    assert states == ["You", "Initial password", "Initial password"]
    assert [page.table.proxy.index(row, 3).data() for row in range(2)] == ["All houses", "Maple House"]
    choose(page, "rosa@example.org")
    page.table.setFocus()
    save_pictures(view, "accounts_list", appearance)
    view.resize(1920, 1080)
    save_pictures(view, "accounts_list", appearance)


def test_the_model_keeps_qt_s_contract_empty_and_filled(some: list[Account], show: Show) -> None:
    rows = show().table.rows()
    model = RowsModel(account_columns(), lambda row: row.account.account_id)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_rows(rows)
    model.set_rows(rows)
    model.set_rows(())
    assert tester.model() is model


def test_words_are_searched_in_every_column_and_escape_ends_it(some: list[Account], show: Show) -> None:
    page = show()
    page.search.setFocus()
    QTest.keyClicks(page.search, "maple visitor")
    assert emails(page) == ["vera@example.org"]
    assert page.count.text() == "1 of 3 accounts"
    QTest.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.count.text() == "3 accounts"


def test_the_context_menu_has_what_the_toolbar_has(some: list[Account], show: Show) -> None:
    page = show()
    choose(page, "vera@example.org", "rosa@example.org")
    menu = open_context_menu(page)
    offered = acts_of(menu)
    ids = ("export", "import", "delete", "enable", "disable", "reset", "edit", "create")
    buttons = {
        (page.button(id_).text(), page.button(id_).isEnabled()) for id_ in ids if page.action(id_).isVisible()
    }
    assert offered == buttons
    assert ("Delete 2 accounts", True) in offered
    assert ("Edit", False) in offered
    menu.close()


def test_chosen_rows_are_copied_for_spreadsheets(some: list[Account], show: Show) -> None:
    page = show()
    choose(page, "vera@example.org")
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert (
        QGuiApplication.clipboard().text() == "vera@example.org\tVera\tvisitor\tMaple House\tInitial password"
    )


def test_what_is_chosen_stays_chosen_when_the_list_is_read_again(
    qtbot: QtBot, some: list[Account], show: Show
) -> None:
    page = show()
    choose(page, "rosa@example.org")
    page.reload()
    qtbot.waitUntil(lambda: not page.busy())
    assert [row.account.email for row in page.table.chosen()] == ["rosa@example.org"]


# --- Creating --------------------------------------------------------------------------------------------------------


def test_an_account_is_created_and_its_password_shown_once(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    dialog = creating(page)
    fill(dialog, "eve@example.org", "Eve Adams", "visitor", deployed.houses[1].house_id)
    save_pictures(dialog, "account_create", appearance)
    QTest.keyClick(dialog, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(page.findChildren(PasswordOnce)))
    once = page.findChildren(PasswordOnce)[0]
    save_pictures(once, "account_password_once", appearance)
    assert len(once.password.text()) == 23
    once.copy.click()
    assert QGuiApplication.clipboard().text() == once.password.text()
    once.reject()
    question = once.findChildren(ConfirmDialog)[0]
    assert "can't be shown again" in texts(question)
    question.keep.click()
    once.passed_on.click()
    once.close_button.click()
    qtbot.waitUntil(lambda: "eve@example.org" in emails(page))
    made = stored(deployed)["eve@example.org"]
    assert (made.house_id, made.must_change_password) == (deployed.houses[1].house_id, True)


def test_what_is_missing_is_said_at_its_field_and_nothing_is_sent(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    dialog = creating(page)
    dialog.perform()
    assert dialog.email_field.problem == "Enter the email address they sign in with."
    assert dialog.role_field.problem == "Choose what the account may do."
    fill(dialog, "eve@example.org", "", "visitor")
    dialog.perform()
    assert dialog.email_field.problem == ""
    assert dialog.house_field.problem == "The role visitor sees one house. Choose which."
    assert not dialog.busy
    save_pictures(dialog, "account_create_problems", appearance)
    dialog.discard()


def test_a_role_for_all_houses_asks_for_no_house(show: Show) -> None:
    dialog = creating(show())
    fill(dialog, "eve@example.org", "Eve", "admin")
    assert not dialog.house_field.isVisibleTo(dialog)
    dialog.discard()


def test_a_taken_email_loses_nothing_that_was_typed(
    qtbot: QtBot, some: list[Account], show: Show, appearance: Appearance
) -> None:
    dialog = creating(show())
    fill(dialog, "vera@example.org", "Vera Again", "admin")
    dialog.perform()
    qtbot.waitUntil(lambda: not dialog.busy)
    assert dialog.email_field.problem == "An account for vera@example.org exists already."
    assert dialog.name.text() == "Vera Again"
    assert dialog.act.isEnabled()
    save_pictures(dialog, "account_create_refused", appearance)
    dialog.discard()


def test_without_the_database_what_was_typed_stays_and_can_be_sent_again(
    qtbot: QtBot, show: Show, view: MainView, test_database: TestDatabase
) -> None:
    page = show()
    dialog = creating(page)
    fill(dialog, "eve@example.org", "Eve", "admin")
    with outage(test_database):
        dialog.perform()
        qtbot.waitUntil(lambda: not dialog.busy)
        assert "What was typed is still here." in dialog.message_bar.text()
        assert not view.services.connection.online
    dialog.perform()
    qtbot.waitUntil(lambda: bool(page.findChildren(PasswordOnce)))
    page.findChildren(PasswordOnce)[0].accept()


def test_leaving_asks_only_where_something_was_typed(show: Show) -> None:
    page = show()
    dialog = creating(page)
    dialog.reject()
    assert not dialog.isVisible()
    dialog = creating(page)
    QTest.keyClicks(dialog.name, "Eve")
    dialog.reject()
    (question,) = dialog.findChildren(ConfirmDialog)
    assert dialog.isVisible()
    question.act.click()
    assert not dialog.isVisible()


def test_waiting_can_be_ended_and_the_form_is_usable_again(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    dialog = creating(page)
    fill(dialog, "eve@example.org", "Eve", "admin")
    with deployed.owner.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE sgmp.account IN ACCESS EXCLUSIVE MODE")
        dialog.perform()
        assert dialog.act.text() == "Creating account"
        assert not dialog.fields.isEnabled()
        save_pictures(dialog, "account_create_busy", appearance)
        dialog.cancel.click()
        assert not dialog.busy
        assert dialog.fields.isEnabled()
        assert "may still be carried out" in dialog.message_bar.text()
    dialog.discard()


# --- Editing ---------------------------------------------------------------------------------------------------------


def test_a_change_by_somebody_else_is_reported_and_one_chooses(
    qtbot: QtBot, some: list[Account], show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    choose(page, "vera@example.org")
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    (dialog,) = page.findChildren(EditAccount)
    assert (dialog.email.isReadOnly(), dialog.email.isEnabled()) == (True, True)
    assert dialog.focusWidget() is dialog.name
    dialog.name.setText("Vera Mine")
    theirs = stored(deployed)["vera@example.org"]
    accounts.update(deployed.owner, Account(**{**vars(theirs), "name": "Vera Theirs"}))
    dialog.perform()
    qtbot.waitUntil(lambda: "mine" in dialog.message_bar.buttons())
    assert "name Vera Theirs" in dialog.message_bar.text()
    assert stored(deployed)["vera@example.org"].name == "Vera Theirs"
    save_pictures(dialog, "account_conflict", appearance)
    dialog.message_bar.buttons()["mine"].click()
    qtbot.waitUntil(lambda: stored(deployed)["vera@example.org"].name == "Vera Mine")
    qtbot.waitUntil(lambda: not page.busy())


def test_an_account_that_was_deleted_meanwhile_is_reported(
    qtbot: QtBot, some: list[Account], show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "vera@example.org")
    page.action("edit").trigger()
    (dialog,) = page.findChildren(EditAccount)
    accounts.delete(deployed.owner, [some[0].account_id])
    dialog.name.setText("Vera Late")
    dialog.perform()
    qtbot.waitUntil(lambda: "There is no such account" in dialog.message_bar.text())
    assert dialog.name.text() == "Vera Late"
    dialog.discard()


# --- The other acts --------------------------------------------------------------------------------------------------


def test_several_accounts_are_deleted_after_a_question_that_names_them(
    qtbot: QtBot, some: list[Account], show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    choose(page, "vera@example.org", "rosa@example.org")
    page.action("delete").trigger()
    question = asked(page)
    assert question.act.text() == "Delete 2 accounts"
    assert not question.act.isDefault()
    assert "rosa@example.org, vera@example.org" in texts(question)
    save_pictures(question, "account_delete", appearance)
    question.act.click()
    qtbot.waitUntil(lambda: emails(page) == ["ada@example.org"])


@pytest.mark.parametrize("act", ["delete", "disable"])
def test_nobody_deletes_or_disables_the_account_they_are_signed_in_with(show: Show, act: str) -> None:
    page = show()
    choose(page, "ada@example.org")
    page.action(act).trigger()
    assert not [one for one in page.findChildren(ConfirmDialog) if one.isVisible()]
    assert page.message_bar.text().startswith(f"You can't {act} the account you are signed in with.")


def test_an_account_is_disabled_and_enabled_again(
    qtbot: QtBot, some: list[Account], show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "vera@example.org")
    page.action("disable").trigger()
    asked(page).act.click()
    qtbot.waitUntil(lambda: not stored(deployed)["vera@example.org"].enabled)
    qtbot.waitUntil(lambda: page.action("enable").isVisible())
    page.action("enable").trigger()
    qtbot.waitUntil(lambda: stored(deployed)["vera@example.org"].enabled)
    qtbot.waitUntil(lambda: page.action("disable").isVisible() and not page.busy())


def test_a_reset_password_is_shown_once_where_no_mail_is_sent(
    qtbot: QtBot, some: list[Account], show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "vera@example.org")
    page.action("reset").trigger()
    asked(page).act.click()
    qtbot.waitUntil(lambda: bool(page.findChildren(PasswordOnce)))
    once = page.findChildren(PasswordOnce)[0]
    profile = deployed.profile
    database, account = stored_accounts.sign_in(
        profile.database_url, profile.deployment, "vera@example.org", once.password.text()
    )
    database.dispose()
    assert account.must_change_password
    once.accept()
    qtbot.waitUntil(lambda: not page.busy())


def test_only_roles_are_offered_that_the_operator_may_grant(
    qtbot: QtBot, show: Show, deployed: Deployment, view: MainView
) -> None:
    page = show()
    assert page.found is not None
    mine = view.session.account.permissions
    with deployed.owner.begin() as connection:
        everything = roles.list_all(connection)
    dialog = creating(page)
    offered = {dialog.role.itemData(place) for place in range(1, dialog.role.count())}
    assert offered == {role.name for role in everything if role.permissions <= mine}
    dialog.reject()


def test_a_list_that_cannot_be_read_says_so_and_can_be_retried(
    qtbot: QtBot,
    some: list[Account],
    show: Show,
    test_database: TestDatabase,
    appearance: Appearance,
    view: MainView,
) -> None:
    with outage(test_database):
        page = show()
        assert "The accounts could not be loaded" in texts(page)
        save_pictures(view, "accounts_offline", appearance)
    press_in_notice(page, "retry")
    qtbot.waitUntil(lambda: len(emails(page)) == 3)


def test_everything_that_takes_focus_in_the_dialog_has_a_name(show: Show) -> None:
    dialog = creating(show())
    seen = []

    def after(widget: QWidget) -> QWidget:
        following = widget.nextInFocusChain()
        assert following is not None
        return following

    widget = after(dialog.email)
    while widget is not dialog.email:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible():
            seen.append(widget.accessibleName() or getattr(widget, "text", str)())
        widget = after(widget)
    assert all(seen)
    assert seen.index("Name") < seen.index("Role") < seen.index("Cancel") < seen.index("Create account")
    dialog.reject()


def test_a_form_is_never_lower_so_that_no_button_comes_up_under_the_pointer(
    show: Show, qapp: QApplication
) -> None:
    dialog = creating(show())
    qapp.processEvents()
    high = dialog.height()
    dialog.perform()  # each field says what is missing
    grown = dialog.height()
    assert grown >= high
    fill(dialog, "vera@example.org", "Vera", "admin")
    assert dialog.valid()
    assert dialog.height() >= grown  # what the role is for may need a line more
    dialog.reject()


def test_the_fields_of_a_form_end_where_its_buttons_end(show: Show) -> None:
    dialog = creating(show())

    def right(widget: QWidget) -> int:
        return widget.mapTo(dialog, widget.rect().topRight()).x()

    assert right(dialog.email) == right(dialog.name) == right(dialog.act)
    dialog.reject()


# --- Files -----------------------------------------------------------------------------------------------------------


def test_accounts_are_exported_without_passwords(
    qtbot: QtBot, some: list[Account], show: Show, tmp_path: Path
) -> None:
    page = show()
    page.action("export").trigger()
    (chooser,) = page.findChildren(QFileDialog)
    file = tmp_path / "accounts.csv"
    chooser.fileSelected.emit(str(file))
    chooser.close()
    qtbot.waitUntil(lambda: "3 accounts were exported, without passwords." in page.message_bar.text())
    header, *lines = file.read_text("utf-8-sig").splitlines()
    assert "password" not in header
    assert any(line.startswith("vera@example.org,Vera,visitor,Maple House") for line in lines)


def test_an_export_for_spreadsheets_with_a_decimal_comma_has_semicolons(
    qtbot: QtBot, some: list[Account], show: Show, tmp_path: Path
) -> None:
    page = show()
    page.action("export").trigger()
    (chooser,) = page.findChildren(QFileDialog)
    chooser.selectNameFilter(next(kind for kind in chooser.nameFilters() if "; between" in kind))
    file = tmp_path / "accounts.csv"
    chooser.fileSelected.emit(str(file))
    chooser.close()
    qtbot.waitUntil(lambda: "3 accounts were exported" in page.message_bar.text())
    assert file.read_text("utf-8-sig").startswith("email;name;role")


def test_what_was_imported_is_listed(qtbot: QtBot, show: Show, tmp_path: Path) -> None:
    page = show()
    page.action("import").trigger()
    (dialog,) = page.findChildren(ImportDialog)
    file = tmp_path / "accounts.csv"
    file.write_text("email,name,role,house\nrea@example.org,Rea,researcher,Maple House\n", "utf-8")
    dialog.set_file(file)
    qtbot.waitUntil(dialog.act.isEnabled)
    with qtbot.waitSignal(dialog.imported):
        dialog.act.click()
    qtbot.waitUntil(lambda: "rea@example.org" in emails(page))
    with qtbot.waitSignal(dialog.finished):
        dialog.save_to(tmp_path / "passwords.csv")
