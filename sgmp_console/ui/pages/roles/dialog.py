"""The dialog of a role: name, description, and a matrix of what it permits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from PySide6.QtWidgets import QGridLayout, QLineEdit, QWidget

from sgmp_console.fleet import roles
from sgmp_console.store import Role
from sgmp_console.store import roles as stored_roles
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox
from sgmp_console.ui.parts.labels import label, set_ink
from sgmp_console.ui.tasks import Report


def words(permission: str) -> str:
    """A permission's name as it is read: "View devices"."""
    text = permission.replace("_", " ")
    return text[0].upper() + text[1:]


_WITHOUT_PAGE = frozenset({"control_devices"})
"""Permissions of what this console does not offer."""


class RoleDialog(FormDialog[Role]):
    """`role` None makes a new one. A built-in role, or one with permissions that the operator does not have, is only shown."""

    def __init__(
        self,
        services: Services,
        permissions: Mapping[str, str],
        role: Role | None,
        parent: QWidget,
        *,
        like: Role | None = None,
    ) -> None:
        """`like`: whose permissions a new role begins with."""
        mine = services.session.account.permissions
        self._only_shown = role is not None and (role.built_in or not role.permissions <= mine)
        super().__init__(
            services,
            "Create role" if role is None else f"{'Role' if self._only_shown else 'Edit role'} {role.name}",
            "Create role" if role is None else "Save changes",
            "Creating role" if role is None else "Saving changes",
            parent,
            width=720,
            context="" if role is None else formats.count(role.members, "account"),
        )
        self._role = role
        self.name = QLineEdit()
        self.description = QLineEdit()
        self.name_field = self.naming = self.add_field("Name", self.name, check=self._name_problem)
        self.add_field("Description", self.description, "Shown where the role is given to an account.")
        self.boxes: dict[str, CheckBox] = {}
        self._notes = {name: label("", "caption", "muted", wraps=True) for name in permissions}
        self._descriptions = dict(permissions)
        self._not_held = set(permissions) - mine
        self.form.addWidget(label("Permissions", "caption", "secondary"))
        self.form.addWidget(self._build_matrix())
        begin = role or like
        if begin is not None:
            self.fill(begin if role is not None else replace(begin, name="", description=""))
        self._show_notes()
        if self._only_shown and role is not None:
            for entry in (self.name, self.description):
                entry.setReadOnly(True)
            for box in self.boxes.values():
                box.setEnabled(False)
            self.act.hide()
            self.set_refuse("Close")
            self.message_bar.say(
                "info",
                "Built-in roles can't be changed. Duplicate this one to permit something else."
                if role.built_in
                else "This role includes permissions that you don't have, so you can't change it.",
            )
        self.ready()
        (self.cancel if self._only_shown else self.name).setFocus()

    def _build_matrix(self) -> QWidget:
        made = QWidget()
        made.setProperty("surface", "none")
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnMinimumWidth(0, 184)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(self._descriptions):
            box = CheckBox(words(name))
            box.setFont(fonts.font("body"))
            box.setAccessibleDescription(self._descriptions[name])
            box.setEnabled(name not in self._not_held)
            box.toggled.connect(self._show_notes)
            self.boxes[name] = box
            grid.addWidget(box, row, 0)
            grid.addWidget(self._notes[name], row, 1)
        return made

    def _show_notes(self) -> None:
        """What each permission lets do, and what is odd about the choice."""
        for name, note in self._notes.items():
            need = roles.NEEDS.get(name)
            odd = need is not None and self.boxes[name].isChecked() and not self.boxes[need].isChecked()
            parts = [self._descriptions[name]]
            if name in _WITHOUT_PAGE:
                parts.append("No page of this console needs it: commands are sent by other programs.")
            if need is not None and odd:
                parts.append(f"Has no effect without “{words(need)}”.")
            if name in self._not_held and not self._only_shown:
                parts.append("You don't have it, so you can't grant it.")
            note.setText(" ".join(part if part.endswith(".") else f"{part}." for part in parts))
            set_ink(note, "fault" if odd else "muted")

    def entries(self) -> tuple[str, str, frozenset[str]]:
        return (
            self.name.text().strip(),
            self.description.text().strip(),
            frozenset(name for name, box in self.boxes.items() if box.isChecked()),
        )

    def fill(self, stored: Role) -> None:
        self.name.setText(stored.name)
        self.description.setText(stored.description)
        for name, box in self.boxes.items():
            box.setChecked(name in stored.permissions)

    def rebase(self, stored: Role) -> None:
        self._role = stored

    def describe(self, stored: Role) -> str:
        chosen = [words(name) for name in self._descriptions if name in stored.permissions]
        described = f"“{stored.description}”, " if stored.description else ""
        return f"{stored.name}, {described}{', '.join(chosen) or 'no permissions'}"

    def reread(self) -> Callable[[], Role] | None:
        if self._role is None:
            return None
        database, role_id = self.services.session.database, self._role.role_id

        def read() -> Role:
            with database.begin() as connection:
                return stored_roles.get(connection, role_id)

        return read

    def work(self) -> Callable[[Report], Role]:
        session, role = self.services.session, self._role
        name, description, permissions = self.entries()
        if role is None:
            return lambda _report: roles.create(
                session.database, name, description=description, permissions=permissions
            )
        changed = replace(role, name=name, description=description, permissions=permissions)
        return lambda _report: roles.update(session.database, changed, directory=session.cloud().directory)

    def _name_problem(self) -> str:
        return "" if self.name.text().strip() else "Enter a name."
