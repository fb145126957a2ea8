"""The playbook's "Creating a device" and "Adding new device type", from the dialog to the readings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sgmp_console.cloud import services
from sgmp_console.fleet import houses
from sgmp_console.store import House, config_versions
from sgmp_edge import contract
from sgmp_edge.contract import declarations
from tests.e2e.edge import Edge
from tests.e2e.test_sign_in import locally
from tests.e2e.window import Window
from tests.e2e.world import World
from tests.edge.test_playbook import PLAYBOOK_CLASS
from tests.ui.conftest import save_picture


@pytest.fixture
def house(world: World) -> House:
    """Without devices. Ingest runs."""
    opened = services.open_services(world.profile)
    assert opened.credentials is not None
    made = houses.create_with_credentials(
        world.owner, opened.credentials, "Maple House", time_zone="America/Los_Angeles"
    )
    (world.folder / "credentials.json").write_text(contract.dump_credentials(made.credentials))
    world.start_ingest()
    return made.house


@pytest.fixture
def edge(world: World, house: House) -> Edge:
    """Its Pi, installed, not started."""
    made = world.edge()
    made.install((world.folder / "credentials.json").read_text())
    made.configure(house.house_id, world.deployment)
    return made


def open_devices(world: World) -> Window:
    window = world.console()
    window.sign_in(world.admin)
    window.open_page("devices")
    window.wait_for("Maple House has no devices yet")
    return window


def fill(window: Window, name: str, kind: str, config: dict[str, Any]) -> None:
    dialog = window.dialog("Create device")
    window.type_into("Device name", name, dialog)
    window.choose("Type", kind, dialog)
    window.type_into("Config", json.dumps(config, indent=2), dialog)


def synchronize(window: Window) -> None:
    window.press("Synchronize Configuration")
    dialog = window.dialog("Synchronize Configuration")
    window.press("Synchronize", dialog)
    window.press("Close", dialog)
    window.wait_closed(dialog)


def row(window: Window, name: str) -> list[str]:
    return next((cells for cells in window.rows() if cells[0] == name), [])


@pytest.mark.slow
def test_a_new_device_is_tested_created_synchronized_and_its_data_arrive(
    world: World, house: House, edge: Edge
) -> None:
    config = world.devices().config("sonnen")
    edge.start()
    window = open_devices(world)
    window.press("Create device")
    dialog = window.dialog("Create device")
    fill(window, "battery", "sonnenBatterie (sonnen)", {"ip": "no host"})
    window.wait_for("must be an IP address or host name", dialog)
    window.type_into("Local address", config["ip"], dialog)
    window.type_into("Token", config["token"], dialog)
    window.press("Test", dialog)
    window.wait_for("The device answers with", dialog)
    window.wait_for("battery.battery_status.relativestateofcharge", dialog)
    save_picture(dialog, f"e2e_device_tested_{world.kind}")
    window.press("Create device", dialog)
    window.wait_closed(dialog)
    window.wait(lambda: row(window, "battery")[3:4] == ["Not synchronized"], "the new device")
    synchronize(window)
    window.wait(lambda: row(window, "battery")[3:4] == ["Ok"], "the device to be read")
    window.wait(lambda: row(window, "battery")[4] != "–", "a reading of the device")
    window.wait_for("In sync: the edge runs version 1")
    assert "status.Pac_total_W" in world.values(house.house_id, "battery")
    assert config["token"] not in window.words()


@locally
@pytest.mark.slow
def test_an_edge_that_is_not_there_is_distinguished_from_a_device_that_is_not(
    world: World, house: House, edge: Edge
) -> None:
    window = open_devices(world)
    window.press("Create device")
    dialog = window.dialog("Create device")
    edge.start()
    window.wait(lambda: "Connected to the broker" in edge.log(), "the edge")
    fill(window, "meter", "eGauge meter (egauge)", {"ip": "127.0.0.1:1"})
    window.press("Test", dialog)
    window.wait_for("The edge can't reach the device", dialog)
    window.choose("Type", "PowerFlex charging station (powerflex)", dialog)
    wrong = {**world.devices().config("powerflex"), "password": "not this one"}
    window.type_into("Config", json.dumps(wrong), dialog)
    window.press("Test", dialog)
    window.wait_for("The device does not accept the credentials", dialog)
    assert edge.stop() == 0
    window.wait(lambda: _stopped(world, house), "the edge's goodbye")
    window.press("Test", dialog)
    window.wait_for("The edge does not answer", dialog)
    window.wait_for("Its program was stopped", dialog)
    window.press("Cancel", dialog)
    window.press("Discard changes")
    window.wait_closed(dialog)


def _stopped(world: World, house: House) -> bool:
    with world.owner.begin() as connection:
        status = config_versions.edge_state(connection, house.house_id).status
    return status is not None and status.get("state") == "stopped"


THERMOMETER = '''
"""A thermometer, dropped into the folder."""

from sgmp_edge.common import Reading, ReadResult

DEVICE_TYPE = {
    "name": "thermometer",
    "title": "Room thermometer",
    "fields": {
        "room": {"title": "Room", "kind": "text", "required": True, "help": "Where it hangs."},
        "pin": {"title": "Pin", "kind": "text", "secret": True},
    },
    "example": {"room": "Cellar"},
    "units": {"temperature": "degC"},
}


class Thermometer:
    def __init__(self, config):
        self.config = config

    def read(self):
        return {"temperature": 21.5, "room": self.config["room"]}
'''


@locally
@pytest.mark.slow
def test_a_type_dropped_into_the_folder_is_in_the_dialog_and_works_on_the_pi(
    world: World, house: House, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The console's copy of the folder is the Pi's here: the same file is put into both.
    monkeypatch.setattr(declarations, "DRIVER_FOLDER", edge.folder / "devices")
    (edge.folder / "devices" / "thermometer.py").write_text(THERMOMETER)
    edge.start()
    window = open_devices(world)
    window.press("Create device")
    dialog = window.dialog("Create device")
    window.type_into("Device name", "cellar", dialog)
    window.choose("Type", "Room thermometer (thermometer)", dialog)
    window.type_into("Room", "Cellar", dialog)
    window.type_into("Pin", "1234", dialog)
    window.press("Test", dialog)
    window.wait_for("21.50", dialog)
    window.press("Create device", dialog)
    window.wait_closed(dialog)
    synchronize(window)
    window.wait(lambda: row(window, "cellar")[3:4] == ["Ok"], "the device to be read")
    window.wait(lambda: world.values(house.house_id, "cellar") == {"temperature": 21.5}, "its readings")


@locally
@pytest.mark.slow
def test_the_playbooks_class_in_the_programs_map_is_in_the_dialog_and_works_on_the_pi(
    world: World, house: House, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = edge.folder / "Main_Publisher.py"
    (edge.folder / "my_device.py").write_text(PLAYBOOK_CLASS)
    text = program.read_text("utf-8")
    text = text.replace("#     from my_device import MyDevice\n", "from my_device import MyDevice\n")
    text = text.replace('    # "my_device": MyDevice,', '    "my_device": MyDevice,')
    program.write_text(text)
    monkeypatch.setattr(declarations, "PROGRAM_FILE", program)
    edge.start()
    window = open_devices(world)
    window.press("Create device")
    dialog = window.dialog("Create device")
    fill(window, "mine", "my_device", {})
    window.press("Create device", dialog)
    window.wait_closed(dialog)
    synchronize(window)
    window.wait(lambda: row(window, "mine")[3:4] == ["Ok"], "the device to be read")
    window.wait(
        lambda: world.values(house.house_id, "mine") == {"field_a": 1.0, "field_b": 2.0}, "its readings"
    )
