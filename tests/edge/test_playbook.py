"""The playbook, to the letter, on a bare copy of the folder in an empty virtual environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgmp_edge import contract
from sgmp_edge.contract import DeviceConfig
from tests.edge.edge_process import SOURCE
from tests.edge.test_daemon import Cloud
from tests.edge.test_install_certs import paste
from tests.mosquitto import TestBroker, running_broker
from tests.waiting import wait_until

PLAYBOOK_CLASS = """
import time

from common import Event, ReadResult, Reading

class MyDevice():

    def __init__(self, config):
        # config is a map set by the user
        self.config = config

    def read(self):
        if self.config.get('single'):
            # you can either return a single row of data
            result = {
                'field_a': 1,
                'field_b': 2
            }
            return result

        # or an array of multiple data rows with events
        result = ReadResult()

        rows = []
        timestamp = int(time.time())
        rows.append(Reading(timestamp * 1000, {'field_a': 1, 'field_b': 2}))
        result.readings = rows

        events = []
        events.append(Event(timestamp * 1000, 'EV_START_CHARGING', {}))
        result.events = events
        return result

    def act(self, data):
        pass
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture(scope="module")
def cloud(broker: TestBroker) -> Iterator[Cloud]:
    both = Cloud(broker)
    yield both
    both.close()


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, str]]:
    """Addresses of the three devices of a simulated house."""
    command = [sys.executable, "-m", "sgmp_console.demo.simulator", "--until-stdin-closes"]
    for device in ("egauge", "sonnen", "powerflex"):
        command += [f"--{device}-port", "0"]
    secrets = ["--sonnen-token", "t0ken", "--powerflex-username", "me", "--powerflex-password", "p4ss"]
    with subprocess.Popen(
        [*command, *secrets], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=SOURCE.parent, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())["ready"]
        process.stdin.close()
        process.wait(10)


def devices(simulated: dict[str, str]) -> list[DeviceConfig]:
    keys = ["A.Solar", "A.GridPower", "A.L1_Voltage", "ts"]
    return [
        DeviceConfig(1, "egauge", "egauge", {"ip": simulated["egauge"], "keys": keys}),
        DeviceConfig(2, "sonnen", "sonnen", {"ip": simulated["sonnen"], "serial": "12345", "token": "t0ken"}),
        DeviceConfig(
            3,
            "charger",
            "powerflex",
            {
                "acc_id": "03",
                "acs_id": "02",
                "url": f"http://{simulated['powerflex']}",
                "username": "me",
                "password": "p4ss",
            },
        ),
        DeviceConfig(4, "mine", "my_device", {"single": True}),
        DeviceConfig(5, "mine_too", "my_device", {}),
    ]


@pytest.mark.slow
def test_an_operator_who_follows_the_playbook_ends_with_readings(
    tmp_path: Path, broker: TestBroker, cloud: Cloud, simulated: dict[str, str]
) -> None:
    house_id = 41
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SGMP", "VIRTUAL"))
    }

    # First copy the directory to the Raspberry Pi.
    folder = tmp_path / "sgmp_edge"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))

    # Create a virtual environment and install the required packages.
    python = str(tmp_path / "sgmp_venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "sgmp_venv")], check=True, env=environment)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]
    subprocess.run(pip, check=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL)

    # Install the credentials.
    issued = broker.authority.issue(contract.client_id("sgmp", house_id))
    credentials = contract.dump_credentials(issued.for_house("sgmp", house_id, f"localhost:{broker.port}"))
    pasted = paste(
        credentials.encode() + b"\n", home=folder, program=(python, str(folder / "install_certs.py"))
    )
    assert pasted.exit_code == 0, pasted.shown

    # Copy `config_example.py` to `config.py` and set `house_id` to the correct House ID.
    example = (folder / "config_example.py").read_text()
    (folder / "config.py").write_text(
        re.sub(r"^house_id = .*$", f"house_id = {house_id}", example, flags=re.MULTILINE)
    )

    # Adding new device type: a class, and the map at line 45.
    (folder / "my_device.py").write_text(PLAYBOOK_CLASS)
    main = folder / "Main_Publisher.py"
    lines = main.read_text().splitlines()
    assert lines[44].strip() == '# "my_device": MyDevice,'
    lines[44] = '    "my_device": MyDevice,'
    lines.insert(lines.index("#     from my_device import MyDevice"), "from my_device import MyDevice")
    main.write_text("\n".join(lines) + "\n")

    # Run it, and synchronize the configuration from the console.
    with (tmp_path / "log").open("w") as log:
        edge = subprocess.Popen([python, "Main_Publisher.py"], cwd=folder, env=environment, stderr=log)
    try:
        cloud.synchronize(house_id, *devices(simulated))
        names = ("egauge", "sonnen", "charger", "mine", "mine_too")
        wait_until(lambda: all(cloud.readings(house_id, name) for name in names))
        latest = {name: cloud.readings(house_id, name)[-1][1] for name in names}
        assert set(flat(latest["egauge"])) == {"A.Solar", "A.GridPower", "A.L1_Voltage", "ts"}
        assert isinstance(flat(latest["sonnen"])["status.Pac_total_W"], int | float)
        assert "battery.battery_status.relativestateofcharge" in flat(latest["sonnen"])
        assert latest["mine"] == latest["mine_too"] == {"field_a": 1, "field_b": 2}
        assert cloud.events(house_id, "EV_START_CHARGING", "mine_too")[0] == {}
        memory_kb = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{edge.pid}/status").read_text())[1])  # type: ignore[index]
        assert memory_kb < 45 * 1024
    finally:
        edge.send_signal(signal.SIGTERM)
        assert edge.wait(10) == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested fields as dotted paths, as ingest has them."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
