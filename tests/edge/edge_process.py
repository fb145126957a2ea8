"""The daemon as a process of its own, run from a bare copy of its folder, for tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sgmp_edge import contract
from tests.mosquitto import TestBroker
from tests.waiting import WAIT_S

SOURCE = contract.EDGE_FOLDER

COUNTER = '''
"""A device for tests: it counts its polls, hangs while its file `hang` exists, and writes down its commands."""

import json
import time
from pathlib import Path

from common import Event, ReadResult, Reading

DEVICE_TYPE = {
    "name": "counter",
    "title": "Counter",
    "fields": {
        "folder": {"title": "Folder", "kind": "text", "required": True},
        "token": {"title": "Token", "kind": "text", "secret": True},
        "interval": {"title": "Interval", "kind": "number"},
    },
    "example": {"folder": "/tmp"},
    "units": {},
}


class Counter:
    def __init__(self, config):
        self.folder = Path(config["folder"])
        self.token = config.get("token")
        self.count = 0

    def read(self):
        while (self.folder / "hang").exists():
            (self.folder / "hanging").touch()
            time.sleep(0.05)
        if (self.folder / "fail").exists():
            raise ValueError(f"can't log in with {self.token}")
        self.count += 1
        return {"n": self.count}

    def state(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]

    def act(self, data):
        self._write("act", data)
        return data

    def release(self):
        self._write("release", None)

    def _write(self, what, data):
        with open(self.folder / "commands", "a") as file:
            file.write(json.dumps([what, data]) + "\\n")
'''


def copy_folder(target: Path) -> Path:
    """A bare copy, as the playbook has it, with one more device type dropped into `devices/`."""
    shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3*", "config.py"))
    (target / "devices" / "counter.py").write_text(COUNTER)
    return target


class EdgeProcess:
    """One edge with a home of its own. `printed` is what it has reported as stored."""

    def __init__(
        self, code: Path, home: Path, broker: TestBroker | None, house_id: int = 1, **config: Any
    ) -> None:
        self.code = code
        self.home = home
        self.house_id = house_id
        self.process: subprocess.Popen[str] | None = None
        home.mkdir(parents=True, exist_ok=True)
        (home / "devices").mkdir(exist_ok=True)
        settings = {"house_id": house_id, "poll_interval_s": 0.2, "status_interval_s": 1.0, **config}
        (home / "config.py").write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
        if broker is not None:
            self.install(broker)

    def install(self, broker: TestBroker) -> None:
        """Put fresh credentials into the home."""
        issued = broker.authority.issue(contract.client_id("sgmp", self.house_id))
        credentials = issued.for_house("sgmp", self.house_id, f"localhost:{broker.port}")
        (self.home / "credentials.json").write_text(contract.dump_credentials(credentials))

    def device(self, device_id: int, name: str, **config: Any) -> contract.DeviceConfig:
        folder = self.home / "devices" / name
        folder.mkdir(exist_ok=True)
        return contract.DeviceConfig(device_id, name, "counter", {"folder": str(folder), **config})

    def start(self, *arguments: str, environment: dict[str, str] | None = None) -> EdgeProcess:
        self.log = (self.home / "log").open("a")
        self.output = (self.home / "output").open("a")
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(self.code / "Main_Publisher.py"),
                "--home",
                str(self.home),
                "--print",
                *arguments,
            ],
            stdout=self.output,
            stderr=self.log,
            text=True,
            cwd="/",
            env={**_environment(), **(environment or {})},
        )
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.code / "Main_Publisher.py"), "--home", str(self.home), *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            timeout=WAIT_S,
            env=_environment(),
            check=False,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self.process = None
        self.log.close()
        self.output.close()
        return code

    def close(self) -> None:
        if self.process is not None:
            self.stop(signal.SIGKILL)

    def printed(self, device: str | None = None) -> list[Any]:
        lines = (self.home / "output").read_text().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return [row for row in rows if device is None or row["device"] == device]

    def logged(self) -> str:
        return (self.home / "log").read_text()

    def commands(self, name: str) -> list[Any]:
        file = self.home / "devices" / name / "commands"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _environment() -> dict[str, str]:
    """Nothing that would let the copy find the project it was copied from."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SGMP_EDGE_HOME")}
