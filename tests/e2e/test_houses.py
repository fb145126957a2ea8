"""The playbook's "Creating a house", from the dialog to the readings; and new credentials while the edge runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit

from sgmp_edge import contract
from tests.e2e.edge import Edge
from tests.e2e.window import Window
from tests.e2e.world import World

pytestmark = pytest.mark.slow


def create_house(window: Window, name: str) -> str:
    """The credentials that the dialog shows, stored and closed as an operator does."""
    window.open_page("houses")
    window.press("Create house")
    form = window.dialog("Create house")
    window.type_into("House name", name, form)
    window.type_into("Description", "Solar, battery, two chargers", form)
    window.type_into("Time zone", "America/Los_Angeles", form)
    window.press("Create house", form)
    return take_credentials(window)


def take_credentials(window: Window) -> str:
    dialog = window.dialog("Credentials of")
    shown: Any = window.field("Credentials", dialog)
    assert isinstance(shown, QPlainTextEdit)
    text = shown.toPlainText()
    window.press("Copy", dialog)
    window.tick("I have stored them", within=dialog)
    window.press("Close", dialog)
    return text


def create_device(window: Window, config: dict[str, Any]) -> None:
    window.open_page("devices")
    window.wait_for("has no devices yet")
    window.press("Create device")
    dialog = window.dialog("Create device")
    window.type_into("Device name", "egauge", dialog)
    window.choose("Type", f"{contract.device_types()['egauge'].title} (egauge)", dialog)
    window.type_into("Config", json.dumps(config, indent=2), dialog)
    window.press("Create device", dialog)
    window.wait_closed(dialog)


def cell(window: Window, house: str, title: str) -> str:
    column = window.titles().index(title)
    return next((cells[column] for cells in window.rows() if cells[0] == house), "")


def synchronize(window: Window, house: str) -> None:
    """House Settings -> choose the house -> Synchronize Configuration, until the edge has confirmed it."""
    window.open_page("houses")
    window.select_row(house)
    window.press("Synchronize Configuration")
    dialog = window.dialog("Synchronize Configuration")
    window.wait(lambda: "Added" in window.words(dialog), "the new device among the changes")
    window.press("Synchronize", dialog)
    window.wait(lambda: "In sync: the edge runs version 1" in window.words(dialog), "the edge's confirmation")
    window.press("Close", dialog)
    window.wait_closed(dialog)


def installed(world: World, credentials: str) -> tuple[Edge, int]:
    house_id = contract.parse_credentials(credentials).house_id
    assert house_id is not None
    edge = world.edge()
    edge.install(credentials)
    edge.configure(house_id, world.deployment)
    edge.start()
    return edge, house_id


def test_a_house_is_created_its_edge_installed_and_its_readings_arrive(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    world.start_ingest()
    credentials = create_house(window, "Maple House")
    _edge, house_id = installed(world, credentials)
    create_device(window, world.devices().config("egauge"))
    synchronize(window, "Maple House")
    window.wait(lambda: "A.GridPower" in world.values(house_id, "egauge"), world.logs())
    window.wait(lambda: cell(window, "Maple House", "Edge") == "Online", "the edge online")
    window.wait(
        lambda: cell(window, "Maple House", "Configuration") == "In sync", "the configuration in sync"
    )
    window.wait(lambda: cell(window, "Maple House", "Credentials") == "Valid", "the credentials valid")


def test_new_credentials_take_over_while_the_edge_runs(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    world.start_ingest()
    edge, house_id = installed(world, create_house(window, "Maple House"))
    create_device(window, world.devices().config("egauge"))
    synchronize(window, "Maple House")
    window.wait(lambda: "A.GridPower" in world.values(house_id, "egauge"), world.logs())

    window.select_row("Maple House")
    window.press("New credentials")
    window.press("Generate new credentials", window.dialog("Generate new credentials"))
    before = len(edge.log())
    edge.install(take_credentials(window))
    window.wait(lambda: cell(window, "Maple House", "Credentials") == "2 valid", "both credentials valid")
    window.wait(
        lambda: "onnected to the broker" in edge.log()[before:], "the edge to take the new credentials"
    )
    window.select_row("Maple House")
    window.press("Revoke old credentials")
    window.press("Revoke old credentials", window.dialog("Revoke the old credentials"))
    window.wait(lambda: cell(window, "Maple House", "Credentials") == "Valid", "the old credentials revoked")

    def newest() -> int:
        with world.owner.begin() as connection:
            from sgmp_console.store import readings

            return max(at for at, _ in readings.latest(connection, house_id).values())

    at = newest()
    window.wait(lambda: newest() > at + 5_000, world.logs())
    assert edge.stop() == 0


def test_a_house_is_deleted_with_its_credentials(world: World) -> None:
    window = world.console()
    window.sign_in(world.admin)
    create_house(window, "Maple House")
    window.select_row("Maple House")
    window.press("Delete")
    dialog = window.dialog("Delete Maple House?")
    assert isinstance(window.field("House name", dialog), QLineEdit)
    window.type_into("House name", "Maple House", dialog)
    window.press("Delete Maple House", dialog)
    window.wait_for("There are no houses yet")
