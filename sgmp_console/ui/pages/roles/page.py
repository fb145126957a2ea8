"""Roles: listed with their members, created, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtWidgets import QWidget

from sgmp_console.fleet import roles
from sgmp_console.store import Role, accounts
from sgmp_console.store import roles as stored_roles
from sgmp_console.ui import formats
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.roles.dialog import RoleDialog, words
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.rows import Badge, Column


@dataclass(frozen=True)
class RolesFound:
    roles: tuple[Role, ...]
    permissions: dict[str, str]


def _badges(role: Role) -> list[Badge]:
    return [Badge("Built in", "ink_secondary", "It stays as it is.")] if role.built_in else []


COLUMNS: tuple[Column[Role], ...] = (
    Column("Role", lambda role: role.name, 200, strong=True),
    Column("Description", lambda role: role.description),
    Column(
        "Permissions",
        lambda role: str(len(role.permissions)),
        104,
        sort=lambda role: len(role.permissions),
        tip=lambda role: "\n".join(sorted(map(words, role.permissions))),
        right=True,
    ),
    Column("Members", lambda role: str(role.members), 96, sort=lambda role: role.members, right=True),
    Column("Kind", lambda role: "Built in" if role.built_in else "", 120, badges=_badges),
)


class RolesPage(ListPage[Role, RolesFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="role",
            columns=COLUMNS,
            id_=lambda role: role.role_id,
            of_house=False,
            parent=parent,
        )
        self.declare(
            (
                ListAction("delete", "Delete", self._ask_to_delete, "some", counted=True, keys=DELETE_KEYS),
                ListAction("copy", "Duplicate", self._create_like, "one"),
                ListAction("edit", "Edit", self._edit, "one", keys=EDIT_KEYS),
                ListAction("create", "Create role", self._create, keys=CREATE_KEYS, primary=True),
            )
        )

    def reader(self) -> Callable[[], RolesFound]:
        database = self.services.session.database

        def read() -> RolesFound:
            with database.begin() as connection:
                return RolesFound(
                    tuple(stored_roles.list_all(connection)), stored_roles.permissions(connection)
                )

        return read

    def rows_of(self, found: RolesFound) -> Sequence[Role]:
        return found.roles

    def empty_state(self, found: RolesFound) -> EmptyState:
        return EmptyState(
            "key",
            "There are no roles",
            "A role says what the accounts that have it may do.",
            (("create", "Create role"),),
        )

    def actions_shown(self, chosen: Sequence[Role]) -> None:
        self.action("delete").setEnabled(bool(chosen) and not any(role.built_in for role in chosen))
        mine = self.services.session.account.permissions
        only_shown = len(chosen) == 1 and (chosen[0].built_in or not chosen[0].permissions <= mine)
        self.rename("edit", "Open" if only_shown else "Edit")

    def _create(self) -> None:
        self._open(None, None)

    def _create_like(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            mine = self.services.session.account.permissions
            role = chosen[0]
            like = Role(0, "", "", role.permissions & mine)
            self._open(None, like)

    def _edit(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open(chosen[0], None)

    def _open(self, role: Role | None, like: Role | None) -> None:
        if self.found is not None:
            dialog = RoleDialog(self.services, self.found.permissions, role, self, like=like)
            dialog.saved.connect(self._saved)
            dialog.left.connect(self.reload)
            dialog.open()

    def _saved(self, role: Role) -> None:
        self.say("")
        self.reload_and_select(role.role_id)

    def _ask_to_delete(self) -> None:
        chosen = self.table.chosen()
        used = [role for role in chosen if role.members]
        if used:
            self._say_who_uses(used)
            return
        what = f"role {chosen[0].name}" if len(chosen) == 1 else f"{len(chosen)} roles"
        role_ids = [role.role_id for role in chosen]
        confirm(
            f"Delete {what}?",
            "No account has it. This can't be undone.",
            f"Delete {what}",
            self,
            partial(self._delete, role_ids),
        )

    def _say_who_uses(self, used: Sequence[Role]) -> None:
        database = self.services.session.database

        def read() -> str:
            with database.begin() as connection:
                there = accounts.list_all(connection)
            parts = []
            for role in used:
                emails = ", ".join(account.email for account in there if account.role == role.name)
                counted = formats.count(role.members, "account")
                parts.append(f"{role.name} by {counted}{f' ({emails})' if emails else ''}")
            return f"Nothing was deleted, since roles are in use: {'; '.join(parts)}. Give these accounts another role first."

        self.services.tasks.run(self, read, self.say, self.not_done)

    def _delete(self, role_ids: Sequence[int]) -> None:
        database = self.services.session.database
        self.run_act("Deleting roles", lambda _report: roles.delete(database, role_ids), self.changed)
