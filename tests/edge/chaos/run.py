"""One run of chaos: two houses, broker, ingest and database as real processes, all of them hurt at the same time.

    python -m tests.edge.chaos.run --seed 7 --scale 5

prints what happened and what of it arrived; exit code 1 where anything was lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil

from sgmp_console import store
from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.store import ingest_role, set_ingest_password
from tests.benchmarks.edge_house import simulator
from tests.edge.chaos.faults import Tally, Trouble, of_devices, of_edge, of_process, of_wire
from tests.edge.chaos.house import COUNTERS, ROOT, House
from tests.edge.chaos.verdict import Verdict, judge
from tests.edge.chaos.wire import Wire
from tests.edge.edge_process import copy_folder
from tests.mosquitto import CredentialFiles, TestBroker, free_port
from tests.waiting import wait_until

DEPLOYMENT = "chaos"
PASSWORD = "ingest-password-of-this-run"
HOUSES = ("north", "south")
QUIET_HOUSE = "quiet"
"""Nothing happens to it or its wire, so that its edge does forget what arrived: what is lost further on stays lost."""
DEVICES = ("egauge", "sonnen", "powerflex", *COUNTERS)
RECOVERY_S = 90.0
FAULTS = {
    "edge": (22, (0.1, 0.6)),
    "wire": (22, (0.4, 1.6)),
    "devices": (36, (0.1, 0.5)),
    "broker": (8, (1.5, 4.0)),
    "ingest": (9, (1.5, 3.5)),
    "ingest_wire": (12, (1.0, 2.5)),
    "database": (5, (3.0, 6.0)),
    "database_wire": (7, (2.0, 4.5)),
}
"""For each part: how many, and the calm before each in seconds. Those of a house count for each house."""


class Ingest:
    """`sgmp-console ingest` as a process, behind wires to the broker and to the database."""

    def __init__(self, url: str, files: CredentialFiles, log: Path, broker_port: int) -> None:
        self.log = log
        self._url = url
        self._files = files
        self._port = broker_port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        files = self._files
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sgmp_console", "ingest", "--deployment", DEPLOYMENT),
                    *("--broker", f"127.0.0.1:{self._port}", "--broker-ca", str(files.ca)),
                    *("--broker-cert", str(files.cert), "--broker-key", str(files.key)),
                ],
                env={**os.environ, "SGMP_DATABASE_URL": self._url},
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait(30)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)


class Database:
    """An embedded PostgreSQL that keeps its port through crashes, and syncs as a real one does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._server = EmbeddedPostgres(folder, port=self.port)
        self.url = self._server.start()

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def signal_all(self, number: signal.Signals) -> None:
        """To the server and all its sessions."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        for process in server.children():
            with suppress(psutil.NoSuchProcess):  # sessions come and go
                process.send_signal(number)
        server.send_signal(number)
        if number == signal.SIGKILL:
            server.wait(30)


def run(seed: int, scale: float = 1.0) -> Verdict:
    """Hurt everything, `scale` times as often as CI does, let it recover, and compare what is where."""
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="sgmp-chaos-"))
        folder.chmod(0o711)  # as root, servers run as somebody else, who must get through
        tally = Tally()
        troubles = {
            name: stack.enter_context(_trouble(name, seed, tally))
            for name in ("broker", "database", "ingest", "ingest_wire", "database_wire")
        }
        database: Database = troubles["database"].do(lambda: Database(folder / "database"))
        stack.callback(troubles["database"].do, database.stop)
        broker = TestBroker(folder, DEPLOYMENT)
        troubles["broker"].do(broker.start)
        stack.callback(troubles["broker"].do, broker.stop)
        to_broker, to_database = _wire(stack, broker.port), _wire(stack, database.port)
        store.migrate(database.url, DEPLOYMENT)
        owner = store.Database.connect(database.url, application="sgmp-chaos")
        stack.callback(owner.dispose)
        with owner.begin() as connection:
            set_ingest_password(connection, DEPLOYMENT, PASSWORD)
        ingest = Ingest(
            _ingest_url(database.url, to_database.port),
            broker.files_for(f"{DEPLOYMENT}_ingest"),
            folder / "ingest.log",
            to_broker.port,
        )
        stack.callback(ingest.close)
        ingest.start()
        code = copy_folder(folder / "sgmp_edge")
        houses = [
            _house(stack, name, number, folder, code, broker, owner) for number, name in enumerate(HOUSES)
        ]
        houses.append(_house(stack, QUIET_HOUSE, None, folder, code, broker, owner))
        for house in houses:
            house.start()
        wait_until(lambda: "connected; receiving" in ingest.log.read_text(), RECOVERY_S)
        for house in houses:
            wait_until(lambda: {row["device"] for row in house.printed()} >= set(COUNTERS), RECOVERY_S)  # noqa: B023

        begun = time.monotonic()
        faults = {
            "broker": of_process(
                lambda: broker.signal(signal.SIGKILL),
                broker.start,
                broker.stop,
                lambda seconds: _freeze(broker.signal, seconds),
            ),
            "database": of_process(
                lambda: database.signal_all(signal.SIGKILL),
                database.start,
                database.stop,
                lambda seconds: _freeze(database.signal_all, seconds),
            ),
            "ingest": of_process(
                lambda: ingest.signal(signal.SIGKILL),
                ingest.start,
                lambda: ingest.signal(signal.SIGTERM),
                lambda seconds: _freeze(ingest.signal, seconds),
            ),
            "ingest_wire": of_wire(to_broker),
            "database_wire": of_wire(to_database),
        }
        for house in houses:
            if house.simulator is None:
                continue
            for part, theirs in (
                ("edge", of_edge(house)),
                ("wire", of_wire(house.wire)),
                ("devices", of_devices(house.simulator)),
            ):
                name = f"{part}-{house.name}"
                troubles[name] = stack.enter_context(_trouble(name, seed, tally))
                faults[name] = theirs
        pending: list[Future[None]] = []
        for name, theirs in faults.items():
            count, calm_s = FAULTS[name.split("-")[0]]
            # Mosquitto writes down what it acknowledged each 15 s, and an edge keeps it for longer. In a run of a
            # minute both are quicker, so that the edges do forget and what is lost further on stays lost.
            save = partial(broker.signal, signal.SIGUSR1) if name == "broker" else _nothing
            pending.append(troubles[name].begin(theirs, round(count * scale), calm_s, save))
        for each in pending:
            each.result()
        hurt = time.monotonic()
        _let_it_recover(houses)
        recovered = time.monotonic()
        verdict = judge(houses, database.url, tally.counts, RECOVERY_S)
        verdict.seconds = {
            "to begin": round(begun - started, 1),
            "hurt": round(hurt - begun, 1),
            "to recover": round(recovered - hurt, 1),
            "to arrive": round(time.monotonic() - recovered, 1),
        }
        verdict.folder = folder
        return verdict


def _let_it_recover(houses: Sequence[House]) -> None:
    """Every edge polls each of its devices again after a last restart; then it sends what it has, and ends."""
    lines = {}
    for house in houses:
        house.terminate()
        lines[house.name] = len(house.printed())
        house.start()
    for house in houses:

        def is_live(house: House = house) -> bool:
            # A charger that nobody uses has nothing new to say.
            since = house.printed()[lines[house.name] :]
            return {row["device"] for row in since} >= house.device_ids.keys() - {"powerflex"}

        wait_until(is_live, RECOVERY_S)
    for house in houses:
        house.terminate()
        house.start("--once")
    for house in houses:
        house.wait_for_end()


def _house(
    stack: ExitStack,
    name: str,
    number: int | None,
    folder: Path,
    code: Path,
    broker: TestBroker,
    owner: store.Database,
) -> House:
    """`number` None: without simulated devices."""
    devices = DEVICES if number is not None else tuple(COUNTERS)
    with owner.begin() as connection:
        house_id = store.houses.create(connection, name).house_id
        ids = {
            device: store.devices.create(connection, house_id, device, "egauge", {}).device_id
            for device in devices
        }
    simulated = None
    if number is not None:
        simulated = stack.enter_context(simulator("--house-seed", str(number + 1), "--speed", "60"))
    house = House(name, folder / name, code, broker, house_id, ids, simulated)
    stack.callback(house.close)
    return house


@contextmanager
def _trouble(name: str, seed: int, tally: Tally) -> Iterator[Trouble]:
    trouble = Trouble(name, seed, tally)
    try:
        yield trouble
    finally:
        trouble.close()


def _wire(stack: ExitStack, port: int) -> Wire:
    wire = Wire(port)
    stack.callback(wire.close)
    return wire


def _nothing() -> None:
    """What most parts do in a calm."""


def _freeze(send: Any, seconds: float) -> None:
    send(signal.SIGSTOP)
    time.sleep(seconds)
    send(signal.SIGCONT)


def _ingest_url(owner_url: str, port: int) -> str:
    address = urlsplit(owner_url)
    return urlunsplit(address._replace(netloc=f"{ingest_role(DEPLOYMENT)}:{PASSWORD}@127.0.0.1:{port}"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.edge.chaos.run", description="A run of chaos.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="faults, as a multiple of CI's")
    given = parser.parse_args(arguments)
    verdict = run(given.seed, given.scale)
    print(json.dumps(verdict.summary(), indent=2))
    print(*verdict.wrong, sep="\n")
    print(f"What each part said is in {verdict.folder}")
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
