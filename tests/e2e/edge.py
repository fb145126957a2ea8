"""A Raspberry Pi: the bare folder copied to a place of its own, set up and run as the playbook says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgmp_edge import contract
from tests.waiting import WAIT_S

SOURCE = contract.EDGE_FOLDER

SONNEN_TOKEN = "token-of-the-battery"
POWERFLEX_USER, POWERFLEX_PASSWORD = "owner@example.org", "secret-of-the-owner"


class Edge:
    """One Pi, in `folder`. It is run by this suite's interpreter, in which the folder's requirements are installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(
            SOURCE,
            folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3*", "config.py", "credentials.json"),
        )

    def install(self, credentials: str) -> str:
        """`python install_certs.py`, with what the operator pastes; what it said. Fails where it refuses."""
        answer = subprocess.run(
            [sys.executable, "install_certs.py"],
            input=credentials,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=_environment(),
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def configure(self, house_id: int, deployment: str, **settings: Any) -> None:
        """`config.py` with the correct house ID; faster than in a house, so that nobody waits."""
        values = {
            "house_id": house_id,
            "deployment": deployment,
            "poll_interval_s": 0.5,
            "status_interval_s": 1.0,
            "backlog_spread_s": 0.0,
            **settings,
        }
        (self.folder / "config.py").write_text(
            "".join(f"{key} = {value!r}\n" for key, value in values.items())
        )

    def start(self) -> None:
        """`python Main_Publisher.py`."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "Main_Publisher.py"],
                cwd=self.folder,
                env=_environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def stop(self) -> int:
        """Its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(WAIT_S)
        self._process = None
        return code

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text("utf-8") if file.exists() else ""

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_S)
            self._process = None


class SimulatedDevices:
    """The three devices of a house on loopback. `config(type)`: what the operator enters for one of them."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses

    def config(self, kind: str) -> dict[str, Any]:
        example: dict[str, Any] = dict(contract.device_types()[kind].example)
        own: dict[str, dict[str, Any]] = {
            "egauge": {"ip": self.addresses["egauge"]},
            "sonnen": {"ip": self.addresses["sonnen"], "token": SONNEN_TOKEN},
            "powerflex": {
                "url": f"http://{self.addresses['powerflex']}",
                "username": POWERFLEX_USER,
                "password": POWERFLEX_PASSWORD,
                "interval": 1,
            },
        }
        return {**example, **own[kind]}


@contextmanager
def simulated_devices() -> Iterator[SimulatedDevices]:
    command = [sys.executable, "-m", "sgmp_console.demo.simulator", "--until-stdin-closes"]
    for device in ("egauge", "sonnen", "powerflex"):
        command += [f"--{device}-port", "0"]
    command += ["--sonnen-token", SONNEN_TOKEN]
    command += ["--powerflex-username", POWERFLEX_USER, "--powerflex-password", POWERFLEX_PASSWORD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=SOURCE.parent, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield SimulatedDevices(json.loads(process.stdout.readline())["ready"])
        finally:
            process.stdin.close()
            process.wait(WAIT_S)


def _environment() -> dict[str, str]:
    """Nothing that would let the copy find the project it was copied from, or another home."""
    return {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "SGMP", "QT_"))
    }
