"""The dialogs behind what is done with a house that exists: new credentials, revoking old ones, deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewCredentials
from sgmp_console.store import House
from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.dialogs.act_dialog import ActDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label

if TYPE_CHECKING:
    # Loaded with the first act that needs it: it brings a library for certificates.
    from sgmp_console.cloud.services import Services as Cloud

NO_CREDENTIALS = (
    "This connection names neither a certificate authority nor AWS, so it can't generate or revoke credentials. Add one "
    "under Connections, at the sign-in."
)
_LATER = (
    "The current credentials stay valid beside the new ones, so the edge goes on. Install the new ones on the Raspberry "
    "Pi, and revoke the old ones here once the edge is online with them."
)
_AT_ONCE = (
    "As soon as the new ones are generated, the current credentials are refused: the edge loses its connection and keeps "
    "what it measures until the new ones are installed on the Raspberry Pi. Choose this if others may have them. With a "
    "Mosquitto of your own, the command sgmp-console revocation watch must run beside it, since Mosquitto does not end "
    "connections by itself."
)


class RenewDialog(ActDialog):
    """`renewed` carries NewCredentials, to be shown at once: nothing keeps the key."""

    renewed = Signal(object)

    def __init__(self, services: Services, house: House, parent: QWidget) -> None:
        super().__init__(
            services, f"Generate new credentials for {house.name}?", "Generate new credentials", parent
        )
        self._house = house
        self._what = label("", "body", "secondary", wraps=True)
        self.at_once = CheckBox("Revoke the current credentials at once")
        self.at_once.setFont(fonts.font("body"))
        self.at_once.toggled.connect(self._toggled)
        self.body.addWidget(self.at_once)
        self.body.addWidget(self._what)
        self.body.addStretch(1)
        self._toggled(False)
        self.cancel.setFocus()

    def _toggled(self, at_once: bool) -> None:
        self._what.setText(_AT_ONCE if at_once else _LATER)

    def perform(self) -> None:
        database, house_id = self.services.session.database, self._house.house_id
        at_once = self.at_once.isChecked()

        def renew(cloud: Cloud, checkpoint: Callable[[], None]) -> NewCredentials:
            if cloud.credentials is None:
                raise UserError(NO_CREDENTIALS)
            return houses.renew_credentials(
                database, cloud.credentials, house_id, revoke_older=at_once, checkpoint=checkpoint
            )

        self.run_with_cloud(
            "Generating", f"Generating credentials for {self._house.name}", renew, self._was_renewed
        )

    def _was_renewed(self, made: NewCredentials) -> None:
        self.accept()
        self.renewed.emit(made)


class RevokeDialog(ActDialog):
    """Ends all credentials of a house but the newest, the last of `valid`."""

    revoked = Signal()

    def __init__(
        self, services: Services, house: House, valid: tuple[str, ...], online: bool, parent: QWidget
    ) -> None:
        old = len(valid) - 1
        what = "old credentials" if old == 1 else f"{old} old credentials"
        super().__init__(
            services, f"Revoke the {what} of {house.name}?", f"Revoke {what}", parent, is_destructive=True
        )
        self._house = house
        self._keep = valid[-1]
        standing = (
            "The edge is online."
            if online
            else "The edge is not online, so it is not known whether it has the new ones."
        )
        self.body.addWidget(
            label(
                f"Only the credentials that were generated last let {house.name} in then. {standing} If it still uses old "
                "ones it loses its connection, keeps what it measures, and is back once the new ones are installed on the "
                "Raspberry Pi.",
                "body",
                "secondary",
                wraps=True,
            )
        )
        self.body.addStretch(1)
        self.cancel.setFocus()

    def perform(self) -> None:
        database, house_id, keep = self.services.session.database, self._house.house_id, self._keep

        def revoke(cloud: Cloud, _checkpoint: Callable[[], None]) -> None:
            if cloud.credentials is None:
                raise UserError(NO_CREDENTIALS)
            houses.revoke_others(database, cloud.credentials, house_id, keep)

        self.run_with_cloud(
            "Revoking", f"Revoking old credentials of {self._house.name}", revoke, self._was_revoked
        )

    def _was_revoked(self, _nothing: None) -> None:
        self.accept()
        self.revoked.emit()


class DeleteDialog(ActDialog):
    """Says what the house still has, or asks for its name."""

    deleted = Signal()

    def __init__(self, services: Services, house: House, parent: QWidget) -> None:
        super().__init__(
            services,
            f"Delete {house.name}?",
            f"Delete {plain_text.one_line(house.name, 32)}",
            parent,
            is_destructive=True,
        )
        self._house = house
        self._what = label("Looking at what the house still has", "body", "secondary", wraps=True)
        self.name = QLineEdit()
        self.name.setFont(fonts.font("body"))
        self._field = Field("Type the house's name to confirm", self.name)
        self.name.setAccessibleName("House name")
        self._field.hide()
        self.body.addWidget(self._what)
        self.body.addWidget(self._field)
        self.body.addStretch(1)
        self.refresh_act()
        self.name.textChanged.connect(self.refresh_act)
        database = services.session.database

        def look() -> list[str]:
            with database.begin() as connection:
                return houses.what_exists(connection, house.house_id)

        services.tasks.run(self, look, self._looked, self._not_looked)
        self.cancel.setFocus()

    def _looked(self, left: list[str]) -> None:
        if left:
            words = "\n".join(f"•  {one}" for one in left)
            self.set_title(f"{self._house.name} can't be deleted yet")
            self._what.setText(
                f"It still has:\n{words}\n\nDelete these first. What was measured stays in the database."
            )
            self.set_refuse("Close")
            self.act.hide()
            self.fit()
            return
        self._what.setText(
            f"The edge of {self._house.name} is not let in any more: its credentials are revoked and removed, and so is "
            "the configuration that waits for it. What was measured stays in the database."
        )
        self._field.show()
        self.fit()
        self.name.setFocus()

    def _not_looked(self, error: Exception) -> None:
        self._what.setText("")
        self.failed(error)

    def may_act(self) -> bool:
        return self.name.text().strip() == self._house.name

    def perform(self) -> None:
        session, house_id = self.services.session, self._house.house_id

        def delete(cloud: Cloud, checkpoint: Callable[[], None]) -> None:
            houses.delete(
                session.database,
                house_id,
                cloud.credentials,
                broker=cloud.broker,
                deployment=session.profile.deployment,
                checkpoint=checkpoint,
            )

        self.run_with_cloud("Deleting", f"Deleting {self._house.name}", delete, self._was_deleted)

    def _was_deleted(self, _nothing: None) -> None:
        self.accept()
        self.deleted.emit()
