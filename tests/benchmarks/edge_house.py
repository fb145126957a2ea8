"""An edge as it runs on a Pi, in a house of eight devices, for measurements: a bare copy of the folder as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from sgmp_edge import contract
from tests.mosquitto import TestBroker

SOURCE = contract.EDGE_FOLDER
HOUSE_ID = 1
WAIT_S = 60.0

METRONOME = '''
"""Says when it was read, and how often before; hangs for ever where its config says so."""

import threading
import time

DEVICE_TYPE = {
    "name": "metronome",
    "title": "Metronome",
    "fields": {"hang": {"title": "Hangs", "kind": "boolean"}, "interval": {"title": "Interval", "kind": "number"}},
    "example": {},
    "units": {},
}


class Metronome:
    def __init__(self, config):
        self.hang = config.get("hang", False)
        self.reads = 0

    def read(self):
        at_ms = time.time() * 1000
        if self.hang:
            threading.Event().wait()
        self.reads += 1
        return {"at_ms": at_ms, "reads": self.reads}
'''


class MeasuredEdge:
    """One edge in a home of its own. `process` is None while it does not run."""

    def __init__(self, folder: Path, broker: TestBroker, **config: Any) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.code = folder / "sgmp_edge"
        ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3*", "config.py")
        shutil.copytree(SOURCE, self.code, ignore=ignored)
        (self.code / "devices" / "metronome.py").write_text(METRONOME)
        self.process: psutil.Popen | None = None
        settings = {"house_id": HOUSE_ID, "deployment": broker.deployment, **config}
        text = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
        (self.home / "config.py").write_text(text)
        issued = broker.authority.issue(contract.client_id(broker.deployment, HOUSE_ID))
        credentials = issued.for_house(broker.deployment, HOUSE_ID, f"localhost:{broker.port}")
        (self.home / "credentials.json").write_text(contract.dump_credentials(credentials))

    def configure(self, *devices: contract.DeviceConfig) -> None:
        """As if the console had synchronized before."""
        (self.home / "devices.json").write_bytes(contract.dump_config(1, devices))

    def start(self) -> psutil.Popen:
        hidden = ("PYTHONPATH", "SGMP_EDGE_HOME")
        with (self.home / "log").open("ab") as log:
            self.process = psutil.Popen(
                [sys.executable, str(self.code / "Main_Publisher.py"), "--home", str(self.home)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env={key: value for key, value in os.environ.items() if key not in hidden},
            )
        return self.process

    def stop(self) -> int:
        """End it as systemd does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        code: int = self.process.wait(WAIT_S)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(WAIT_S)

    def logged(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")


class Simulator:
    """A simulated house's three devices. `addresses`: `host:port` by device."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses

    def misbehave(self, device: str, mode: str, seconds: float) -> None:
        """Have a device do something wrong for so long."""
        wish = {"device": device, "mode": mode, "seconds": seconds}
        requests.post(f"http://{self.addresses[device]}/_simulator/misbehave", json=wish, timeout=10)

    def configs(self, first_id: int = 1) -> list[contract.DeviceConfig]:
        """The three devices as an operator would configure them."""
        where = self.addresses
        keys = ["A.Solar", "A.GridPower", "A.Load", "A.EV", "A.L1_Voltage", "A.L1_Frequency", "ts"]
        charger = {
            "acc_id": "03",
            "acs_id": "02",
            "url": f"http://{where['powerflex']}",
            "username": "user@domain.name",
            "password": "mysuperstrongpassword",
        }
        return [
            contract.DeviceConfig(first_id, "egauge", "egauge", {"ip": where["egauge"], "keys": keys}),
            contract.DeviceConfig(
                first_id + 1,
                "sonnen",
                "sonnen",
                {"ip": where["sonnen"], "serial": "12345", "token": "token-of-the-battery"},
            ),
            contract.DeviceConfig(first_id + 2, "powerflex", "powerflex", charger),
        ]


@contextmanager
def simulator(*arguments: str) -> Iterator[Simulator]:
    ports = [word for name in ("egauge", "sonnen", "powerflex") for word in (f"--{name}-port", "0")]
    command = [
        sys.executable,
        "-m",
        "sgmp_console.demo.simulator",
        "--until-stdin-closes",
        *ports,
        *arguments,
    ]
    with subprocess.Popen(
        [*command, "--sonnen-token", "token-of-the-battery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=SOURCE.parent,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Simulator(json.loads(process.stdout.readline())["ready"])
        finally:
            process.stdin.close()
            process.wait(WAIT_S)
