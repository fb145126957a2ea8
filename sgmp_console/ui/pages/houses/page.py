"""All houses: listed with their state, created, changed, given credentials, checked, synchronized, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtWidgets import QWidget

from sgmp_console.errors import SgmpError
from sgmp_console.fleet import houses_overview
from sgmp_console.fleet.checklist import Task
from sgmp_console.fleet.houses import NewCredentials, NewHouse
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.store import House
from sgmp_console.ui import formats
from sgmp_console.ui.dialogs.synchronize import SynchronizeDialog
from sgmp_console.ui.edge_words import StatusText
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.houses.acts import NO_CREDENTIALS, DeleteDialog, RenewDialog, RevokeDialog
from sgmp_console.ui.pages.houses.checklist import ChecklistDialog
from sgmp_console.ui.pages.houses.columns import COLUMNS, HouseRow, credentials_status
from sgmp_console.ui.pages.houses.credentials import CredentialsDialog, first_steps, renewal_steps
from sgmp_console.ui.pages.houses.form import HouseForm, place_text
from sgmp_console.ui.pages.houses.wiring import WiringDialog
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage

_READ_EVERY_MS = 5_000


class HousesPage(ListPage[HouseRow, list[HouseOverview]]):
    """Which credentials are valid is asked of who issues them, which may be far away: the list does not wait for it."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="house",
            columns=COLUMNS,
            id_=lambda row: row.overview.house.house_id,
            of_house=False,
            every_ms=_READ_EVERY_MS,
            copied=_copied,
            parent=parent,
        )
        self._valid: dict[int, tuple[str, ...]] | None = None
        self._credentials_said = "Not looked up yet."
        self._asked_for: set[int] = set()
        self._credentials = LatestOnly[dict[int, tuple[str, ...]] | None](
            services.tasks, self._credentials_known, self._credentials_unknown, self
        )
        acts = [
            ListAction("revoke", "Revoke old credentials", self._revoke, "one"),
            ListAction("renew", "New credentials", self._renew, "one"),
            ListAction("wiring", "Check wiring", self._check_wiring, "one"),
            ListAction("checklist", "Checklist", self._show_checklist, "one"),
            ListAction("delete", "Delete", self._delete, "one", keys=DELETE_KEYS),
            ListAction("edit", "Edit", self._edit, "one", keys=EDIT_KEYS),
            ListAction("synchronize", "Synchronize Configuration", self._synchronize, "one"),
        ]
        if services.session.may("all_houses"):
            acts.append(ListAction("create", "Create house", self._create, keys=CREATE_KEYS, primary=True))
        self.declare(acts)

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], list[HouseOverview]]:
        database, now_ms = self.services.session.database, self.services.now_ms()

        def read() -> list[HouseOverview]:
            with database.begin() as connection:
                return houses_overview.overview(connection, now_ms)

        return read

    def rows_of(self, found: list[HouseOverview]) -> Sequence[HouseRow]:
        now_ms = self.services.now_ms()
        return [HouseRow(one, self._credentials_of(one.house), now_ms) for one in found]

    def _credentials_of(self, house: House) -> StatusText:
        if self._valid is None:
            return StatusText(formats.MISSING, "", "ink_muted", self._credentials_said)
        return credentials_status(len(self._valid.get(house.house_id, ())))

    def empty_state(self, found: list[HouseOverview]) -> EmptyState:
        may_create = self.services.session.may("all_houses")
        return EmptyState(
            "house",
            "There are no houses yet",
            "A house is one Raspberry Pi and the devices it reads. Creating one gives the credentials that let its edge "
            "in.",
            (("create", "Create house"),) if may_create else (),
        )

    def actions_shown(self, chosen: Sequence[HouseRow]) -> None:
        if not self.services.session.may("view_secrets"):
            self.disable(
                "synchronize", "The secrets of the devices are sent with it, and your role may not see them."
            )
        self.action("revoke").setVisible(len(self._valid_of_chosen()) > 1)

    # --- Reading ---------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the list and the credentials again; what is selected and typed stays."""
        super().reload()
        self._asked_for = set()

    def loaded(self, found: list[HouseOverview]) -> None:
        there = {one.house.house_id for one in found}
        if there - self._asked_for:
            self._asked_for = there
            self._read_credentials(sorted(there))

    def _read_credentials(self, house_ids: list[int]) -> None:
        session = self.services.session

        def read() -> dict[int, tuple[str, ...]] | None:
            service = session.cloud().credentials
            return None if service is None else houses_overview.valid_credentials(service, house_ids)

        self._credentials.ask(read)

    def _credentials_known(self, found: dict[int, tuple[str, ...]] | None) -> None:
        self._valid = found
        self._credentials_said = NO_CREDENTIALS
        self.show_rows()

    def _credentials_unknown(self, error: Exception) -> None:
        self._valid = None
        self._credentials_said = str(error) if isinstance(error, SgmpError) else "It could not be looked up."
        self.show_rows()

    def _valid_of_chosen(self) -> tuple[str, ...]:
        chosen = self._chosen()
        return (self._valid or {}).get(chosen.house.house_id, ()) if chosen is not None else ()

    def _chosen(self) -> HouseOverview | None:
        chosen = self.table.chosen()
        return chosen[0].overview if len(chosen) == 1 else None

    # --- Creating and editing --------------------------------------------------------------------------------------

    def _create(self) -> None:
        form = HouseForm(self.services, None, [one.house.name for one in self.found or ()], self)
        form.saved.connect(self._created)
        form.left.connect(self._changed)
        form.open()

    def _created(self, made: NewHouse | House) -> None:
        house = made.house if isinstance(made, NewHouse) else made
        self.reload_and_select(house.house_id)
        self.services.houses_changed()
        if isinstance(made, NewHouse):
            steps = first_steps(house.house_id, self.services.session.profile.deployment)
            CredentialsDialog(self.services, house, made.credentials, steps, self).open()
        else:
            self.say(f"{house.name} was created without credentials. {NO_CREDENTIALS}")

    def _edit(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            form = HouseForm(self.services, chosen.house, [row.house.name for row in self.found or ()], self)
            form.saved.connect(self._changed)
            form.left.connect(self._changed)
            form.open()

    def _changed(self) -> None:
        self.reload()
        self.services.houses_changed()

    # --- Credentials -----------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            dialog = RenewDialog(self.services, chosen.house, self)
            dialog.renewed.connect(self._renewed)
            dialog.open()

    def _renewed(self, made: NewCredentials) -> None:
        house_id = made.credentials.house_id
        for one in self.found or ():
            if one.house.house_id == house_id:
                steps, problem = renewal_steps(), made.problem or ""
                CredentialsDialog(
                    self.services, one.house, made.credentials, steps, self, problem=problem
                ).open()
        self.reload()

    def _revoke(self) -> None:
        chosen, valid = self._chosen(), self._valid_of_chosen()
        if chosen is not None and len(valid) > 1:
            dialog = RevokeDialog(self.services, chosen.house, valid, chosen.edge.is_online, self)
            dialog.revoked.connect(self.reload)
            dialog.open()

    # --- Checking, deleting and synchronizing --------------------------------------------------------------------------------

    def _check_wiring(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            dialog = WiringDialog(self.services, chosen.house, self)
            dialog.finished.connect(self.reload)
            dialog.open()

    def _show_checklist(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            may = self.services.session.may
            tasks = {Task.CREDENTIALS, Task.WIRING}
            tasks |= {Task.SYNCHRONIZE} if may("view_secrets") else set()
            tasks |= {Task.DEVICES, Task.DATA} if self.services.has_page("devices") else set()
            tasks |= {Task.ITEMS} if self.services.has_page("analytics") else set()
            dialog = ChecklistDialog(chosen, tasks, self.services.now_ms(), self)
            dialog.wanted.connect(partial(self._do_step, chosen.house.house_id))
            dialog.open()

    def _do_step(self, house_id: int, task: Task) -> None:
        match task:
            case Task.CREDENTIALS:
                self._renew()
            case Task.SYNCHRONIZE:
                self._synchronize()
            case Task.WIRING:
                self._check_wiring()
            case _:
                self.services.show_house(house_id)
                self.services.navigate("analytics" if task is Task.ITEMS else "devices")

    def _delete(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            dialog = DeleteDialog(self.services, chosen.house, self)
            dialog.deleted.connect(self._changed)
            dialog.open()

    def _synchronize(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            dialog = SynchronizeDialog(self.services, chosen.house, self)
            dialog.sent.connect(self.reload)
            dialog.open()


def _copied(row: HouseRow) -> Sequence[str]:
    house = row.overview.house
    return (
        str(house.house_id),
        house.name,
        house.description,
        house.time_zone,
        "load with EV" if house.load_contains_ev else "load without EV",
        place_text(house.place),
    )
