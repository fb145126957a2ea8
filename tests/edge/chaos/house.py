"""A house under test: its simulated devices, the wire to its broker, and its edge as a process that can be hurt."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from sgmp_edge import contract
from tests.benchmarks.edge_house import Simulator
from tests.edge.chaos import page as pages
from tests.edge.chaos.unsynced import cut_power
from tests.edge.chaos.wire import Wire
from tests.mosquitto import TestBroker
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 40.0
POLL_S = 0.5
RESEND_S = 3.0
"""Longer than the broker takes in a run to write down what it acknowledged."""
COUNTERS = {
    "counter_a": {},
    "counter_b": {},
    "counter_c": {},
    "counter_d": {},
    "counter_slow": {"interval": 1},
}
"""Devices that count in their memory, by name, and their configs."""


class House:
    """`name` tells houses of a run apart; `printed` and `journal` say what its edge stored and its drivers returned."""

    def __init__(
        self,
        name: str,
        folder: Path,
        code: Path,
        broker: TestBroker,
        house_id: int,
        device_ids: dict[str, int],
        simulator: Simulator | None,
    ) -> None:
        self.name = name
        self.house_id = house_id
        self.device_ids = device_ids
        self.simulator = simulator
        self.wire = Wire(broker.port)
        self.deaths: dict[int, str] = {}
        """How each process of the edge ended, by its id."""
        self.died_at: Counter[str] = Counter()
        self.writes_lost = 0
        self.far_steps = 0
        self._folder = folder
        self._code = code
        self._home = folder / "home"
        self._unsynced = folder / "unsynced"
        self._process: subprocess.Popen[bytes] | None = None
        self._printed_at_start = 0
        self._home.mkdir(parents=True)
        (folder / "journal").mkdir()
        self._page = pages.open_page(folder / "page")
        self._set_up(broker)

    def _set_up(self, broker: TestBroker) -> None:
        settings = {
            "house_id": self.house_id,
            "deployment": broker.deployment,
            "poll_interval_s": POLL_S,
            "status_interval_s": 5,
            "backlog_spread_s": 0.5,
            "resend_s": RESEND_S,
            "publishes_per_s": 200,
        }
        (self._home / "config.py").write_text(
            "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        )
        issued = broker.authority.issue(contract.client_id(broker.deployment, self.house_id))
        credentials = issued.for_house(broker.deployment, self.house_id, f"localhost:{self.wire.port}")
        (self._home / "credentials.json").write_text(contract.dump_credentials(credentials))
        simulated = {config.name: config for config in self.simulator.configs()} if self.simulator else {}
        devices = [
            contract.DeviceConfig(device_id, name, simulated[name].type, simulated[name].config)
            if name in simulated
            else contract.DeviceConfig(
                device_id, name, "chaos_counter", {"key": f"-{name}", **COUNTERS[name]}
            )
            for name, device_id in self.device_ids.items()
        ]
        (self._home / "devices.json").write_bytes(contract.dump_config(1, devices))

    # --- The process ---------------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> None:
        hidden = ("PYTHONPATH", "SGMP_EDGE_HOME")
        printed = self._folder / "printed"
        self._printed_at_start = printed.stat().st_size if printed.exists() else 0
        with (self._folder / "printed").open("ab") as output, (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.edge.chaos.edge_main", str(self._code)),
                    *(str(self._folder / "journal"), str(self._folder / "page"), str(self._unsynced)),
                    *("--home", str(self._home), "--print", *arguments),
                ],
                stdout=output,
                stderr=log,
                cwd=ROOT,
                env={key: value for key, value in os.environ.items() if key not in hidden},
            )

    def kill(self) -> None:
        """Without a warning, wherever it is."""
        self._end(signal.SIGKILL, "killed")

    def terminate(self) -> None:
        """As systemd does. One that has not begun yet ends without having polled."""
        assert self._end(signal.SIGTERM, "ended") in (0, -signal.SIGTERM), self.logged()

    def wait_for_end(self) -> None:
        """For one that ends by itself."""
        assert self._process is not None
        assert self._process.wait(WAIT_S * 2) == 0, self.logged()
        self.deaths[self._process.pid] = "ended"

    def kill_between_steps(self, chance: random.Random) -> None:
        """After a random line of a random step of storing and sending; else wherever it is."""
        if chance.random() < 0.8:  # else perhaps while it starts
            self._await_life()
        step = chance.randrange(len(pages.STEPS))
        self._page[pages.DIED_AT] = 0
        self._page[pages.STEP] = step
        self._page[pages.LINES_LEFT] = chance.randint(1, 15 if step else 2000)
        self._await_death(3.0)
        self._page[pages.LINES_LEFT] = 0
        died_at = self._page[pages.DIED_AT]
        self.kill()
        self.died_at[
            f"{pages.WATCHED[died_at // 100_000]}:{died_at % 100_000}" if died_at else "elsewhere"
        ] += 1

    def lose_power(self, chance: random.Random) -> None:
        """Amid SQLite's writes; what was not synced is lost, or some of it."""
        self._await_life()
        self._page[pages.DISK_CALLS_LEFT] = chance.randint(1, 24)
        self._await_death(3.0)
        self._page[pages.DISK_CALLS_LEFT] = 0
        self.kill()
        self.writes_lost += cut_power(self._unsynced, chance)

    def _await_life(self) -> None:
        """Something stored by the present process, or a clock that was set back and lets it wait."""
        printed = self._folder / "printed"
        deadline = time.monotonic() + 5.0
        while printed.stat().st_size == self._printed_at_start and time.monotonic() < deadline:
            time.sleep(0.02)

    def _await_death(self, seconds: float) -> None:
        """What was armed decides when; it may never come to it."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def freeze(self, seconds: float) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals, how: str) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(WAIT_S)
        self.deaths[self._process.pid] = how
        return code

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()
        self.wire.close()

    # --- Its clock and its disk ----------------------------------------------------------------------------------

    def step_clock(self, milliseconds: int) -> None:
        self._page[pages.CLOCK_MS] += milliseconds

    def break_disk(self, how: int, seconds: float) -> None:
        """For so long; returns when what waited in memory is on the disk."""
        self._page[pages.DISK] = how
        time.sleep(seconds)
        self._page[pages.DISK] = pages.DISK_FINE
        lines = len(self.printed())
        wait_until(lambda: len(self.printed()) > lines and self._disk_is_fine(), WAIT_S)

    def _disk_is_fine(self) -> bool:
        said = self.logged()
        return said.count("The disk does not take readings") == said.count("The disk takes readings again")

    # --- What is known of it -------------------------------------------------------------------------------------

    def printed(self) -> list[dict[str, Any]]:
        """Messages that the edge reported as stored, in this order."""
        lines = (self._folder / "printed").read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def journal(self) -> dict[str, list[tuple[int, float, dict[str, Any]]]]:
        """By device: process, monotonic time and data of each reading that a driver returned."""
        found = {}
        for file in sorted((self._folder / "journal").iterdir()):
            rows = [json.loads(line) for line in file.read_bytes().splitlines()]
            found[file.name.removeprefix("counter-")] = [(pid, at, data) for pid, at, data in rows]
        return found

    def logged(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")

    def corrupt_files(self) -> list[str]:
        """Outboxes that were set aside."""
        return sorted(path.name for path in self._home.glob("outbox.corrupt-*"))
