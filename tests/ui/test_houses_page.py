"""The list of houses, and the dialogs that start from it."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.fleet import devices, houses
from sgmp_console.reports.balance import CarInLoad
from sgmp_console.store import Place
from sgmp_console.store import houses as stored_houses
from sgmp_console.ui import house_words
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.houses.acts import DeleteDialog, RenewDialog, RevokeDialog
from sgmp_console.ui.pages.houses.checklist import ChecklistDialog
from sgmp_console.ui.pages.houses.columns import COLUMNS
from sgmp_console.ui.pages.houses.credentials import CredentialsDialog, save
from sgmp_console.ui.pages.houses.form import HouseForm, parsed_place, place_text, suggestion
from sgmp_console.ui.pages.houses.page import HousesPage
from sgmp_console.ui.pages.houses.wiring import WiringDialog
from sgmp_console.ui.parts.rows import RowsModel
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE
from tests.ui import equipped
from tests.ui.conftest import Deployment, cut_off, save_picture, save_pictures
from tests.ui.finding import acts_of, open_context_menu
from tests.ui.houses import outage
from tests.ui.readers import ChosenReader, Clock

D = TypeVar("D", bound=QWidget)
Show = Callable[[], HousesPage]


@pytest.fixture
def deployed(deployed: Deployment, tmp_path: Path) -> Deployment:
    """With a local authority."""
    LocalAuthority(tmp_path / "authority")
    profile = dataclasses.replace(
        deployed.profile, authority=str(tmp_path / "authority"), broker_host="broker.lan"
    )
    return dataclasses.replace(deployed, profile=profile)


def test_before_a_house_is_created_the_form_says_whether_it_gets_credentials(
    qtbot: QtBot, view: MainView
) -> None:
    def note(authority: str) -> str:
        profile = dataclasses.replace(view.services.session.profile, authority=authority)
        services = dataclasses.replace(
            view.services, session=dataclasses.replace(view.services.session, profile=profile)
        )
        return HouseForm(services, None, (), view).note.text()

    assert "Credentials for its edge are generated" in note("/an/authority")
    assert "created without credentials" in note("")


@pytest.fixture
def show(qtbot: QtBot, view: MainView) -> Show:
    def shown() -> HousesPage:
        view.start()
        view.show_page("houses")
        page = view.page("houses")
        assert isinstance(page, HousesPage)
        qtbot.waitUntil(lambda: page.found is not None and page._valid is not None)
        return page

    return shown


def column(page: HousesPage, number: int) -> list[str]:
    model = page.table.proxy
    return [model.index(row, number).data() for row in range(model.rowCount())]


def choose(page: HousesPage, name: str) -> None:
    page.table.select(
        {row.overview.house.house_id for row in page.table.rows() if row.overview.house.name == name}
    )


def texts(widget: QWidget) -> str:
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisibleTo(widget))


def opened(page: QWidget, kind: type[D]) -> D:
    (found,) = [one for one in page.findChildren(kind) if one.isVisible()]
    return found


def gone(widget: QWidget) -> bool:
    return not shiboken6.isValid(widget) or not widget.isVisible()


def authority(deployed: Deployment) -> LocalAuthority:
    return LocalAuthority(Path(deployed.profile.authority))


def made(page: HousesPage, qtbot: QtBot, name: str = "Oak House") -> CredentialsDialog:
    page.action("create").trigger()
    form = opened(page, HouseForm)
    form.name.setText(name)
    form.act.click()
    qtbot.waitUntil(lambda: bool(page.findChildren(CredentialsDialog)))
    return opened(page, CredentialsDialog)


def store(dialog: CredentialsDialog) -> None:
    dialog.stored.setChecked(True)
    dialog.close_button.click()


# --- The list --------------------------------------------------------------------------------------------------------


def test_every_house_says_how_it_stands(show: Show, deployed: Deployment) -> None:
    devices.create(deployed.owner, deployed.houses[0].house_id, "egauge", "egauge", EGAUGE)
    page = show()
    assert column(page, 0) == ["Harbor House", "Maple House"]
    assert column(page, 3) == ["Europe/Berlin", "America/Los_Angeles"]
    assert column(page, 4) == ["0", "1"]
    assert column(page, 6) == ["Never heard", "Never heard"]
    assert column(page, 8) == ["Never sent", "Never sent"]
    assert column(page, 9) == ["None", "None"]


def test_the_house_with_the_worst_findings_is_marked_and_comes_first(
    show: Show, deployed: Deployment
) -> None:
    maple, harbor = sorted(deployed.houses, key=lambda house: house.name, reverse=True)
    equipped.find(deployed.owner, maple, "quarantine", "warning")
    equipped.find(deployed.owner, harbor, "edge_offline")
    equipped.find(deployed.owner, harbor, "edge_disk", "warning", noted=True)
    page = show()
    assert column(page, 5) == ["1 + 1 noted", "1"]
    page.table.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    assert column(page, 0) == ["Harbor House", "Maple House"]
    tip = page.table.model().index(0, 5).data(Qt.ItemDataRole.ToolTipRole)
    assert "The edge is offline" in tip


def test_the_list_is_searched_and_sorted(show: Show) -> None:
    page = show()
    QTest.keyClicks(page.search, "berlin")
    assert column(page, 0) == ["Harbor House"]
    assert page.count.text() == "1 of 2 houses"
    page.search.clear()
    page.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert column(page, 0) == ["Maple House", "Harbor House"]


def test_what_arrives_later_is_found_by_a_search_that_waits_for_it(show: Show, qtbot: QtBot) -> None:
    page = show()
    store(made(page, qtbot))
    qtbot.waitUntil(lambda: column(page, 9)[2:] == ["Valid"])
    known = page._valid
    page._credentials_known(None)
    QTest.keyClicks(page.search, "valid")
    assert not page.table.isVisible()
    page._credentials_known(known)
    assert page.table.isVisible()
    assert page.count.text() == "1 of 3 houses"


def test_the_context_menu_has_what_the_toolbar_has(show: Show, deployed: Deployment) -> None:
    page = show()
    page.table.select({deployed.houses[0].house_id})
    menu = open_context_menu(page)
    offered = acts_of(menu)
    buttons = [
        page.button(id_)
        for id_ in ("synchronize", "renew", "wiring", "checklist", "delete", "edit", "create")
    ]
    assert offered == {(button.text(), button.isEnabled()) for button in buttons}
    menu.close()


def test_the_model_keeps_qt_s_contract(show: Show) -> None:
    rows = show().table.rows()
    model = RowsModel(COLUMNS, lambda row: row.overview.house.house_id)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    for shown in (rows, rows, ()):
        model.set_rows(shown)
    assert tester.model() is model


# --- Creating --------------------------------------------------------------------------------------------------------


def test_a_house_is_created_and_its_credentials_are_shown_once(
    show: Show, deployed: Deployment, qtbot: QtBot, tmp_path: Path
) -> None:
    page = show()
    dialog = made(page, qtbot)
    text = dialog.text.toPlainText()
    credentials = contract.parse_credentials(text)
    assert credentials.house_id is not None
    assert f"house_id = {credentials.house_id}/" in "\n".join(
        part.toPlainText() for part in dialog.findChildren(type(dialog.text))
    )
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == text
    assert not dialog.close_button.isEnabled()
    file = tmp_path / "oak.json"
    dialog.save.click()
    chooser = opened(dialog, QFileDialog)
    chooser.selectFile(str(file))
    chooser.accept()
    qtbot.waitUntil(lambda: file.exists() and dialog.save.isEnabled())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == text + "\n"
    store(dialog)
    qtbot.waitUntil(lambda: column(page, 0) == ["Harbor House", "Maple House", "Oak House"])
    qtbot.waitUntil(lambda: column(page, 9)[2] == "Valid")


def test_a_house_can_be_renamed(show: Show, deployed: Deployment, qtbot: QtBot) -> None:
    page = show()
    house = deployed.houses[0]
    page.table.select({house.house_id})
    page.action("edit").trigger()
    form = opened(page, HouseForm)
    form.name.setText("HARBOR house")
    form.act.click()
    assert form.name_field.problem == "A house Harbor House exists already. Choose another name."
    form.name.setText("Elm House")
    form.act.click()
    qtbot.waitUntil(lambda: gone(form))
    qtbot.waitUntil(lambda: column(page, 0) == ["Elm House", "Harbor House"])
    with deployed.owner.begin() as connection:
        assert stored_houses.get(connection, house.house_id).name == "Elm House"


def test_credentials_are_not_closed_by_mistake(show: Show, qtbot: QtBot) -> None:
    dialog = made(show(), qtbot)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    question = opened(dialog, ConfirmDialog)
    assert "They are lost then" in texts(question)
    question.keep.click()
    assert dialog.isVisible()
    dialog.close()
    opened(dialog, ConfirmDialog).act.click()
    assert not dialog.isVisible()


def test_a_file_is_replaced_only_when_asked(show: Show, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = made(show(), qtbot)
    file = tmp_path / "other.json"
    file.write_text("of another house")
    dialog._chosen(file)
    opened(dialog, ConfirmDialog).keep.click()
    assert file.read_text() == "of another house"
    dialog._chosen(file)
    opened(dialog, ConfirmDialog).act.click()
    qtbot.waitUntil(lambda: "BEGIN CERTIFICATE" in file.read_text())
    store(dialog)


def test_what_can_not_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="can't be written"):
        save(tmp_path / "nowhere" / "a.json", "{}")


def test_a_name_that_is_taken_is_said_while_typing(show: Show) -> None:
    page = show()
    page.action("create").trigger()
    form = opened(page, HouseForm)
    QTest.keyClicks(form.name, "Maple House")
    assert "exists already" in form.name_field.problem
    form.name.clear()
    form.act.click()
    assert form.name_field.problem == "Enter a name."
    form.zone.setCurrentText("Mars/Olympus")
    form.name.setText("Oak House")
    form.act.click()
    assert "no time zone Mars/Olympus" in form.zone_field.problem
    form.discard()


def test_a_name_taken_meanwhile_is_said_and_nothing_is_lost(
    show: Show, deployed: Deployment, qtbot: QtBot
) -> None:
    page = show()
    page.action("create").trigger()
    form = opened(page, HouseForm)
    form.name.setText("Oak House")
    form.description.setText("Two chargers")
    houses.create(deployed.owner, "Oak House", time_zone="UTC")
    form.act.click()
    qtbot.waitUntil(lambda: bool(form.name_field.problem))
    assert (form.name.text(), form.description.text()) == ("Oak House", "Two chargers")
    form.discard()


def test_an_authority_that_fails_leaves_nothing_and_says_so(
    show: Show, deployed: Deployment, qtbot: QtBot
) -> None:
    page = show()
    (Path(deployed.profile.authority) / "issued.json.new").mkdir()
    page.action("create").trigger()
    form = opened(page, HouseForm)
    form.name.setText("Oak House")
    form.act.click()
    qtbot.waitUntil(form.message_bar.isVisible)
    assert "Oak House was not created, and nothing is left of it" in form.message_bar.text()
    assert form.act.isEnabled()
    (Path(deployed.profile.authority) / "issued.json.new").rmdir()
    form.act.click()
    qtbot.waitUntil(lambda: bool(page.findChildren(CredentialsDialog)))
    store(opened(page, CredentialsDialog))


def test_what_was_typed_is_not_discarded_by_mistake(show: Show) -> None:
    page = show()
    page.action("create").trigger()
    form = opened(page, HouseForm)
    QTest.keyClicks(form.name, "Oak")
    QTest.keyClick(form, Qt.Key.Key_Escape)
    opened(form, ConfirmDialog).keep.click()
    assert form.isVisible()
    form.discard()
    assert not form.isVisible()


# --- Changing --------------------------------------------------------------------------------------------------------


def test_a_house_changed_by_somebody_else_is_reported(show: Show, deployed: Deployment, qtbot: QtBot) -> None:
    page = show()
    house = deployed.houses[0]
    page.table.select({house.house_id})
    page.action("edit").trigger()
    form = opened(page, HouseForm)
    form.description.setText("Mine")
    houses.update(deployed.owner, dataclasses.replace(house, description="Theirs"))
    form.act.click()
    qtbot.waitUntil(lambda: "mine" in form.message_bar.buttons())
    assert "“Theirs”" in form.message_bar.text()
    form.message_bar.buttons()["mine"].click()
    qtbot.waitUntil(lambda: gone(form))
    with deployed.owner.begin() as connection:
        assert stored_houses.get(connection, house.house_id).description == "Mine"


def test_the_car_in_the_load_and_the_place_are_set_in_the_form(
    show: Show, deployed: Deployment, qtbot: QtBot
) -> None:
    page = show()
    house = deployed.houses[0]
    page.table.select({house.house_id})
    page.action("edit").trigger()
    form = opened(page, HouseForm)
    form.load_contains_ev.click()
    form.place_entry.setText("95, 10")
    form.act.click()
    assert "at most 90 and 180" in form.place_field.problem
    form.place_entry.setText("53.55, 9.99")
    save_picture(form, "house_form")
    form.act.click()
    qtbot.waitUntil(lambda: gone(form))
    with deployed.owner.begin() as connection:
        stored = stored_houses.get(connection, house.house_id)
    assert (stored.load_contains_ev, stored.place) == (True, Place(53.55, 9.99))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("37.42, -122.20", Place(37.42, -122.2)),
        ("-33.9;18", Place(-33.9, 18.0)),
        ("+1 2", Place(1.0, 2.0)),
        ("37,42; 122,2", None),
        ("91, 0", None),
        ("north", None),
    ],
)
def test_a_place_is_read_as_maps_write_it(text: str, place: Place | None) -> None:
    assert parsed_place(text) == place
    assert place is None or parsed_place(place_text(place)) == place


def test_what_the_balance_suggests_is_said_with_its_reason() -> None:
    assert "does not contain the car: 9.00\u00a0kWh do not add up if it does" in suggestion(
        CarInLoad(0.1, 9, 9)
    )
    assert "it contains the car" in suggestion(CarInLoad(9, 0.1, 9))
    assert "do not show" in suggestion(CarInLoad(0, 0, 0))
    assert "do not show" in suggestion(None)


# --- Credentials -----------------------------------------------------------------------------------------------------


def test_new_credentials_are_valid_beside_the_old_until_these_are_revoked(
    show: Show, deployed: Deployment, qtbot: QtBot
) -> None:
    page = show()
    store(made(page, qtbot))
    qtbot.waitUntil(lambda: column(page, 9)[2:] == ["Valid"])
    choose(page, "Oak House")
    page.action("renew").trigger()
    asked = opened(page, RenewDialog)
    assert "stay valid beside the new ones" in texts(asked)
    asked.at_once.setChecked(True)
    assert "loses its connection" in texts(asked)
    asked.at_once.setChecked(False)
    asked.act.click()
    qtbot.waitUntil(lambda: gone(asked))
    dialog = opened(page, CredentialsDialog)
    newest = contract.parse_credentials(dialog.text.toPlainText())
    store(dialog)
    qtbot.waitUntil(lambda: column(page, 9)[2] == "2 valid")
    page.action("revoke").trigger()
    revoking = opened(page, RevokeDialog)
    revoking.act.click()
    qtbot.waitUntil(lambda: gone(revoking))
    qtbot.waitUntil(lambda: column(page, 9)[2] == "Valid")
    assert newest.client_id is not None
    assert authority(deployed).valid(newest.client_id) == [newest.certificate_id]


# --- Deleting --------------------------------------------------------------------------------------------------------


def test_a_house_that_has_something_is_not_deleted(show: Show, deployed: Deployment, qtbot: QtBot) -> None:
    devices.create(deployed.owner, deployed.houses[0].house_id, "egauge", "egauge", EGAUGE)
    page = show()
    page.table.select({deployed.houses[0].house_id})
    page.action("delete").trigger()
    dialog = opened(page, DeleteDialog)
    qtbot.waitUntil(lambda: "1 device (egauge)" in texts(dialog))
    assert not dialog.act.isVisible()
    assert dialog.windowTitle().startswith("Maple House can't be deleted yet")
    assert not any("?" in text for text in texts(dialog).splitlines())
    dialog.cancel.click()


def test_a_house_is_deleted_after_its_name_was_typed(show: Show, deployed: Deployment, qtbot: QtBot) -> None:
    page = show()
    store(made(page, qtbot))
    qtbot.waitUntil(lambda: len(column(page, 0)) == 3)
    choose(page, "Oak House")
    page.action("delete").trigger()
    dialog = opened(page, DeleteDialog)
    qtbot.waitUntil(dialog.name.isVisible)
    assert not dialog.act.isEnabled()
    QTest.keyClicks(dialog.name, "Oak House")
    dialog.act.click()
    qtbot.waitUntil(lambda: column(page, 0) == ["Harbor House", "Maple House"])
    assert authority(deployed).names() == set()


def test_the_question_for_the_name_is_seen_whole_however_long_the_name_is(
    show: Show, deployed: Deployment, qtbot: QtBot
) -> None:
    page = show()
    long_name = dataclasses.replace(deployed.houses[0], name="A house at the end of Long Acre Lane " * 2)
    dialog = DeleteDialog(page.services, long_name, page)
    dialog.open()
    qtbot.waitUntil(dialog.isVisible)
    (question,) = (label for label in dialog.findChildren(QLabel) if label.text().startswith("Type the"))
    assert question.sizeHint().width() < dialog.width()
    dialog.reject()


# --- States ----------------------------------------------------------------------------------------------------------


def test_an_outage_leaves_the_list_and_goes_by(
    show: Show, test_database: TestDatabase, view: MainView, qtbot: QtBot
) -> None:
    page = show()
    with outage(test_database):
        page.reload()
        qtbot.waitUntil(lambda: not view.connection.online)
        assert column(page, 0) == ["Harbor House", "Maple House"]
    view.connection.retry_now()
    qtbot.waitUntil(lambda: view.connection.online)


def test_without_houses_the_page_says_what_a_house_is(
    deployed: Deployment,
    reader: ChosenReader,
    clock: Clock,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
    qtbot: QtBot,
) -> None:
    for house in deployed.houses:
        houses.delete(deployed.owner, house.house_id)
    session: Session = deployed.sign_in()
    view = MainView(
        session, [], tasks, appearance, now_ms=clock, open_house=reader.open, listen=reader.listen
    )
    shown(view)
    view.start()
    view.show_page("houses")
    page = view.page("houses")
    assert isinstance(page, HousesPage)
    qtbot.waitUntil(lambda: "There are no houses yet" in texts(page))
    dialog = made(page, qtbot)
    store(dialog)
    qtbot.waitUntil(lambda: view.live.house_id is not None)
    view.close_down()
    tasks.close(timeout_s=10)
    session.database.dispose()


# --- Pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(
    show: Show, deployed: Deployment, appearance: Appearance, view: MainView, qtbot: QtBot, theme: str
) -> None:
    appearance.choose("dark" if theme == "dark" else "light")
    page = show()
    page.table.select({deployed.houses[0].house_id})
    QApplication.processEvents()
    save_picture(view, "houses")
    page.action("create").trigger()
    form = opened(page, HouseForm)
    QTest.keyClicks(form.name, "Maple House")
    save_picture(form, "houses_create_problem")
    form.name.setText("Oak House")
    form.description.setText("Solar, battery, two chargers")
    form.act.click()
    save_picture(form, "houses_create_busy")
    qtbot.waitUntil(lambda: bool(page.findChildren(CredentialsDialog)))
    dialog = opened(page, CredentialsDialog)
    QApplication.processEvents()
    save_picture(dialog, "houses_credentials")
    dialog.reject()
    question = opened(dialog, ConfirmDialog)
    save_picture(question, "houses_credentials_question")
    question.reject()
    store(dialog)
    page.action("renew").trigger()
    for kind in (RenewDialog, DeleteDialog):
        if kind is DeleteDialog:
            page.action("delete").trigger()
        one = opened(page, kind)
        if isinstance(one, DeleteDialog):
            qtbot.waitUntil(one.name.isVisible)
        QApplication.processEvents()
        save_picture(one, f"houses_{kind.__name__.lower()}")
        one.reject()


def test_the_checklist_says_what_is_done_and_leads_to_the_next_act(
    qtbot: QtBot, show: Show, deployed: Deployment, appearance: Appearance
) -> None:
    page = show()
    page.table.select({deployed.houses[0].house_id})
    page.action("checklist").trigger()
    (checklist,) = page.findChildren(ChecklistDialog)
    said = [part.text() for part in checklist.steps.findChildren(QLabel)]
    assert said[::2] == list(house_words.TASKS.values())
    assert "None were generated yet: they let the edge in." in said
    assert "Missing: battery, battery_charging" in " ".join(said)
    assert cut_off(checklist) == []
    save_pictures(checklist, "checklist", appearance)
    (generate,) = [one for one in checklist.findChildren(QPushButton) if one.text() == "New credentials"]
    generate.click()
    qtbot.waitUntil(lambda: bool(page.findChildren(RenewDialog)))


def test_a_check_of_the_wiring_is_kept_for_the_checklist(
    qtbot: QtBot, show: Show, deployed: Deployment
) -> None:
    page = show()
    page.table.select({deployed.houses[0].house_id})
    page.action("wiring").trigger()
    (wiring,) = page.findChildren(WiringDialog)
    qtbot.waitUntil(lambda: not wiring.busy)
    wiring.reject()

    def kept() -> bool:
        known = page.table.chosen()[0].overview.checklist
        return known is not None and known.setup.check is not None

    qtbot.waitUntil(kept)
