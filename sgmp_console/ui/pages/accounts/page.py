"""Accounts: listed, searched, created, changed, reset, disabled, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtWidgets import QWidget

from sgmp_console.errors import SgmpError
from sgmp_console.fleet import account_sheets, accounts
from sgmp_console.fleet.accounts import NewAccount
from sgmp_console.store import Account, House, Role, audit, houses, roles
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.ui import formats
from sgmp_console.ui.dialogs import import_kinds
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.import_dialog import ImportDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.accounts.dialogs import ALL_HOUSES, CreateAccount, EditAccount
from sgmp_console.ui.pages.accounts.password_once import PasswordOnce
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.files import ask_where_to_save_sheet
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.rows import Badge, Column
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import clock_of_computer, this_computers_zone

_SIGN_INS_DAYS = 90
"""How far back sign-ins are looked for: who did not come for so long is looked at anyway."""


@dataclass(frozen=True)
class AccountRow:
    account: Account
    house: str
    is_mine: bool
    last_sign_in: str
    """In this computer's time zone; a dash where there was none in the last 90 days."""
    last_sign_in_ms: int


@dataclass(frozen=True)
class AccountsFound:
    rows: tuple[AccountRow, ...]
    roles: tuple[Role, ...]
    houses: tuple[House, ...]


def _badges(row: AccountRow) -> list[Badge]:
    found = [Badge("You", "ink_secondary", "The account you are signed in with.")] if row.is_mine else []
    if not row.account.enabled:
        found.append(Badge("Disabled", "state_fault", "It can't sign in until it is enabled again."))
    elif row.account.must_change_password:
        found.append(
            Badge("Initial password", "ink_secondary", "It must choose its own password at the next sign-in.")
        )
    return found


def account_columns() -> tuple[Column[AccountRow], ...]:
    return (
        Column("Email", lambda row: row.account.email, strong=True),
        Column("Name", lambda row: row.account.name, 200),
        Column("Role", lambda row: row.account.role, 160),
        Column("House", lambda row: row.house, 160),
        Column("State", lambda row: ", ".join(badge.text for badge in _badges(row)), 200, badges=_badges),
        Column(
            clock_of_computer("Last sign-in"),
            lambda row: row.last_sign_in,
            136,
            # As floating point: milliseconds overflow an int of Qt.
            sort=lambda row: float(row.last_sign_in_ms),
            whole=True,
            tip=lambda row: (
                row.last_sign_in if row.last_sign_in_ms else f"None in the last {_SIGN_INS_DAYS} days."
            ),
            searched=False,
        ),
    )


class AccountsPage(ListPage[AccountRow, AccountsFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="account",
            columns=account_columns(),
            id_=lambda row: row.account.account_id,
            of_house=False,
            copied=_copied,
            parent=parent,
        )
        self._chosen: list[Account] = []
        self.declare(
            (
                ListAction("export", "Export", self._export),
                ListAction("import", "Import", self._import),
                ListAction("delete", "Delete", self._ask_to_delete, "some", counted=True, keys=DELETE_KEYS),
                ListAction("enable", "Enable", self._enable, "some", counted=True),
                ListAction("disable", "Disable", self._ask_to_disable, "some", counted=True),
                ListAction("reset", "Reset password", self._ask_to_reset, "one"),
                ListAction("edit", "Edit", self._edit, "one", keys=EDIT_KEYS),
                ListAction("create", "Create account", self._create, keys=CREATE_KEYS, primary=True),
            )
        )

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], AccountsFound]:
        database, own = self.services.session.database, self.services.session.account.account_id
        now_ms, zone = self.services.now_ms(), ZoneInfo(this_computers_zone())

        def read() -> AccountsFound:
            with database.begin() as connection:
                there = {house.house_id: house for house in houses.list_all(connection)}
                signed_in = audit.last_sign_ins(connection, now_ms - _SIGN_INS_DAYS * 86_400_000)
                rows = tuple(
                    AccountRow(
                        account,
                        _house_words(account, there),
                        account.account_id == own,
                        formats.moment(at_ms, now_ms, zone) if at_ms else formats.MISSING,
                        at_ms,
                    )
                    for account in stored_accounts.list_all(connection)
                    for at_ms in (signed_in.get(account.email, 0),)
                )
                return AccountsFound(rows, tuple(roles.list_all(connection)), tuple(there.values()))

        return read

    def rows_of(self, found: AccountsFound) -> Sequence[AccountRow]:
        return found.rows

    def empty_state(self, found: AccountsFound) -> EmptyState:
        return EmptyState(
            "account",
            "There are no accounts yet",
            "Everyone who uses SGMP has an account of their own.",
            (("create", "Create account"),),
        )

    def actions_shown(self, chosen: Sequence[AccountRow]) -> None:
        self.action("enable").setVisible(any(not row.account.enabled for row in chosen))
        self.action("disable").setVisible(all(row.account.enabled for row in chosen))

    def _accounts(self) -> list[Account]:
        return [row.account for row in self.table.chosen()]

    # --- Creating and editing --------------------------------------------------------------------------------------

    def _create(self) -> None:
        if self.found is not None:
            dialog = CreateAccount(self.services, self.found.roles, self.found.houses, self)
            dialog.saved.connect(self._created)
            dialog.left.connect(self.reload)
            dialog.open()

    def _created(self, made: NewAccount) -> None:
        self._show_password(made, f"{made.account.email} was created. The initial password was mailed.")
        self.reload_and_select(made.account.account_id)

    def _edit(self) -> None:
        chosen = self._accounts()
        if self.found is not None and len(chosen) == 1:
            dialog = EditAccount(self.services, chosen[0], self.found.roles, self.found.houses, self)
            dialog.saved.connect(self._edited)
            dialog.left.connect(self.reload)
            dialog.open()

    def _edited(self, account: Account) -> None:
        self.say("")
        self.reload_and_select(account.account_id)

    def _show_password(self, made: NewAccount, otherwise: str) -> None:
        """Once, where it was not mailed."""
        self.say("" if not made.mailed else otherwise, "info")
        if not made.mailed:
            PasswordOnce(made, self).open()

    # --- Resetting -------------------------------------------------------------------------------------------------

    def _ask_to_reset(self) -> None:
        self._chosen = self._accounts()
        if len(self._chosen) != 1:
            return
        account = self._chosen[0]
        if account.account_id == self.services.session.account.account_id:
            self.say("This is your own account: change its password in the account menu, at the top right.")
            return
        confirm(
            f"Reset the password of {account.email}?",
            "The current password stops working at once and windows that are signed in with it are signed out. A new "
            "initial password is generated, to be changed at the next sign-in.",
            "Reset password",
            self,
            self._reset,
        )

    def _reset(self) -> None:
        session, account_id = self.services.session, self._chosen[0].account_id

        def reset(_report: Report) -> NewAccount:
            cloud = session.cloud()
            return accounts.reset_password(
                session.database, account_id, directory=cloud.directory, mailer=cloud.mailer
            )

        self.run_act(f"Resetting the password of {self._chosen[0].email}", reset, self._was_reset)

    def _was_reset(self, made: NewAccount) -> None:
        self._show_password(made, f"A new initial password was mailed to {made.account.email}.")
        self.reload()

    # --- Disabling, enabling ---------------------------------------------------------------------------------------

    def _ask_to_disable(self) -> None:
        self._chosen = self._accounts()
        if not self._chosen or self._includes_me("disable"):
            return
        what = _what(self._chosen)
        confirm(
            f"Disable {what}?",
            f"{_emails(self._chosen)} can't sign in any more and will be signed out, until enabled again.",
            f"Disable {what}",
            self,
            self._disable,
        )

    def _disable(self) -> None:
        self._set_enabled(False)

    def _enable(self) -> None:
        self._chosen = [account for account in self._accounts() if not account.enabled]
        self._set_enabled(True)

    def _set_enabled(self, enabled: bool) -> None:
        session, chosen = self.services.session, list(self._chosen)

        def change(report: Report) -> str:
            directory = session.cloud().directory
            failed = []
            for done, account in enumerate(chosen):
                report(done / len(chosen), account.email)
                try:
                    accounts.update(session.database, replace(account, enabled=enabled), directory=directory)
                except SgmpError as error:
                    failed.append(str(error))
            return " ".join(failed)

        self.run_act(
            f"{'Enabling' if enabled else 'Disabling'} {_what(chosen)}", change, self._enabled_or_not
        )

    def _enabled_or_not(self, problem: str | None) -> None:
        self.say(problem or "")
        self.reload()

    # --- Deleting --------------------------------------------------------------------------------------------------

    def _ask_to_delete(self) -> None:
        self._chosen = self._accounts()
        if not self._chosen or self._includes_me("delete"):
            return
        what = _what(self._chosen)
        confirm(
            f"Delete {what}?",
            f"{_emails(self._chosen)} will be signed out and can't sign in any more. This can't be undone. What they did "
            "stays in the audit.",
            f"Delete {what}",
            self,
            self._delete,
        )

    def _delete(self) -> None:
        session, account_ids = self.services.session, [account.account_id for account in self._chosen]
        self.run_act(
            f"Deleting {_what(self._chosen)}",
            lambda _report: accounts.delete(
                session.database, account_ids, directory=session.cloud().directory
            ),
            self._enabled_or_not,
        )

    def _includes_me(self, verb: str) -> bool:
        own = self.services.session.account
        if any(account.account_id == own.account_id for account in self._chosen):
            self.say(f"You can't {verb} the account you are signed in with. Another administrator can.")
            return True
        return False

    # --- Files -----------------------------------------------------------------------------------------------------

    def _import(self) -> None:
        dialog = ImportDialog(self.services, import_kinds.accounts(self.services), self)
        dialog.imported.connect(self.reload)
        dialog.open()

    def _export(self) -> None:
        name = f"{self.services.session.profile.name} accounts.csv"
        ask_where_to_save_sheet(self, "Export accounts", name, self._export_to)

    def _export_to(self, path: Path, delimiter: str) -> None:
        database = self.services.session.database

        def write(_report: Report) -> int:
            with database.begin() as connection:
                return account_sheets.export_accounts(connection, path, delimiter=delimiter)

        self.run_act("Exporting accounts", write, self._exported)

    def _exported(self, number: int) -> None:
        self.say(
            f"{formats.count(number, 'account was', 'accounts were')} exported, without passwords.", "info"
        )


def _copied(row: AccountRow) -> Sequence[str]:
    account, states = row.account, ", ".join(badge.text for badge in _badges(row))
    return (account.email, account.name, account.role, row.house, states)


def _house_words(account: Account, there: dict[int, House]) -> str:
    if account.house_id is None:
        return "All houses" if ALL_HOUSES in account.permissions else ""
    house = there.get(account.house_id)
    return house.name if house is not None else ""


def _what(chosen: Sequence[Account]) -> str:
    return chosen[0].email if len(chosen) == 1 else f"{len(chosen)} accounts"


def _emails(chosen: Sequence[Account]) -> str:
    return ", ".join(account.email for account in chosen)
