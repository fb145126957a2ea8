"""The dialogs in which an account is made or changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from PySide6.QtWidgets import QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.fleet import accounts
from sgmp_console.fleet.accounts import NewAccount
from sgmp_console.store import Account, House, Role, normal_email
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.tasks import Report

ALL_HOUSES = "all_houses"

Stored = TypeVar("Stored")


class _AccountForm(FormDialog[Stored]):
    """Email, name, role and house. Only roles are offered that the operator may grant."""

    def __init__(
        self,
        services: Services,
        title: str,
        verb: str,
        doing: str,
        parent: QWidget,
        *,
        roles: Sequence[Role],
        houses: Sequence[House],
        account: Account | None,
    ) -> None:
        super().__init__(services, title, verb, doing, parent, context=services.session.profile.name)
        mine = services.session.account.permissions
        self._roles = {role.name: role for role in roles}
        offered = [role.name for role in roles if role.permissions <= mine]
        if account is not None and account.role not in offered:
            offered.append(account.role)
        self.email = QLineEdit()
        self.name = QLineEdit()
        self.role = ComboBox()
        if account is None:
            self.role.addItem("Choose a role", "")
        for name in offered:
            self.role.addItem(name, name)
        self.house = ComboBox()
        self.house.addItem("Choose a house", None)
        for house in houses:
            self.house.addItem(house.name, house.house_id)
        self.email_field = self.add_field(
            "Email",
            self.email,
            "They sign in with it, so it stays."
            if account
            else "They sign in with it. It can't be changed later.",
            check=self._email_problem,
        )
        self.email.setReadOnly(account is not None)
        self.naming = self.email_field
        self.name_field = self.add_field("Name", self.name, check=self._name_problem)
        self.role_field = self.add_field("Role", self.role, check=self._role_problem)
        self.house_field = self.add_field(
            "House",
            self.house,
            "The one house whose data the account sees.",
            check=self._house_problem,
        )
        self.role.currentIndexChanged.connect(self._role_changed)
        self._role_changed()

    def show_account(self, account: Account) -> None:
        self.email.setText(account.email)
        self.name.setText(account.name)
        self.role.setCurrentIndex(max(0, self.role.findData(account.role)))
        self.house.setCurrentIndex(max(0, self.house.findData(account.house_id)))
        self._role_changed()

    def entries(self) -> tuple[str, str, str, int | None]:
        return (
            self.email.text().strip(),
            self.name.text().strip(),
            self.role.currentData() or "",
            self.house.currentData() if self._needs_house() else None,
        )

    def _needs_house(self) -> bool:
        role = self._roles.get(self.role.currentData() or "")
        return role is not None and ALL_HOUSES not in role.permissions

    def _role_changed(self) -> None:
        role = self._roles.get(self.role.currentData() or "")
        reach = "" if role is None or self._needs_house() else "It reaches all houses."
        described = f"{role.description.rstrip('.')}." if role is not None and role.description else ""
        self.role_field.set_help(" ".join(part for part in (described, reach) if part))
        self.house_field.setVisible(self._needs_house())
        self.fit()

    def _email_problem(self) -> str:
        if self.email.isReadOnly():
            return ""
        if not self.email.text().strip():
            return "Enter the email address they sign in with."
        try:
            normal_email(self.email.text())
        except UserError as error:
            return str(error)
        return ""

    def _name_problem(self) -> str:
        return "" if self.name.text().strip() else "Enter the name of the person."

    def _role_problem(self) -> str:
        return "" if self.role.currentData() else "Choose what the account may do."

    def _house_problem(self) -> str:
        if self._needs_house() and self.house.currentData() is None:
            return f"The role {self.role.currentData()} sees one house. Choose which."
        return ""


class CreateAccount(_AccountForm[NewAccount]):
    """`saved` carries the NewAccount, whose initial password is known nowhere else unless it was mailed."""

    def __init__(
        self, services: Services, roles: Sequence[Role], houses: Sequence[House], parent: QWidget
    ) -> None:
        super().__init__(
            services,
            "Create account",
            "Create account",
            "Creating account",
            parent,
            roles=roles,
            houses=houses,
            account=None,
        )
        self.ready()
        self.email.setFocus()

    def work(self) -> Callable[[Report], NewAccount]:
        session = self.services.session
        email, name, role, house_id = self.entries()

        def create(_report: Report) -> NewAccount:
            cloud = session.cloud()
            return accounts.create(
                session.database,
                email=email,
                name=name,
                role=role,
                house_id=house_id,
                directory=cloud.directory,
                mailer=cloud.mailer,
            )

        return create


class EditAccount(_AccountForm[Account]):
    def __init__(
        self,
        services: Services,
        account: Account,
        roles: Sequence[Role],
        houses: Sequence[House],
        parent: QWidget,
    ) -> None:
        super().__init__(
            services,
            f"Edit {account.email}",
            "Save changes",
            "Saving changes",
            parent,
            roles=roles,
            houses=houses,
            account=account,
        )
        self._account = account
        self._house_names = {house.house_id: house.name for house in houses}
        self.show_account(account)
        if account.account_id == services.session.account.account_id:
            self.role_field.set_help("This is your own account: what you may do changes at once.")
        self.ready()
        self.name.setFocus()

    def work(self) -> Callable[[Report], Account]:
        session = self.services.session
        _, name, role, house_id = self.entries()
        changed = replace(self._account, name=name, role=role, house_id=house_id)
        return lambda _report: accounts.update(session.database, changed, directory=session.cloud().directory)

    def reread(self) -> Callable[[], Account]:
        database, account_id = self.services.session.database, self._account.account_id

        def read() -> Account:
            with database.begin() as connection:
                return stored_accounts.get(connection, account_id)

        return read

    def describe(self, stored: Account) -> str:
        house = self._house_names.get(stored.house_id) if stored.house_id is not None else None
        parts = [f"name {stored.name}", f"role {stored.role}"]
        parts += [f"house {house}"] if house else []
        parts += [] if stored.enabled else ["disabled"]
        return ", ".join(parts)

    def fill(self, stored: Account) -> None:
        self.show_account(stored)

    def rebase(self, stored: Account) -> None:
        self._account = stored
