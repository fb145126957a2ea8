"""A house that lives on screen: is each commit on its tile in time, and does the window never stand still?

    python -m tests.benchmarks.live_window --minutes 5 --speed 10

Simulated devices whose house lives `speed` times as fast, a real edge that polls them as often, Mosquitto with mutual
TLS, ingest and a database as they are deployed, a day of history each 4 s, and the window itself, offscreen: Home for most
of the time, then each report. Prints what was measured as JSON; the exit code is 1 where a budget is missed.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import sgmp_console
from sgmp_console.demo.processes import Child, Program
from sgmp_console.fleet import accounts, analytics
from sgmp_console.store import (
    Database,
    devices,
    houses,
    ingest_role,
    set_ingest_password,
    sign_in,
)
from tests.benchmarks.edge_house import MeasuredEdge, Simulator, simulator
from tests.benchmarks.live_watch import EMAIL, HOUSE_ID, PASSWORD, Measured
from tests.benchmarks.world import database_server
from tests.database import TestDatabase
from tests.mosquitto import TestBroker, running_broker
from tests.reports.houses import lived_in
from tests.series import write_series

POLL_S = 4.0
STATUS_S = 60.0
ZONE = "America/Los_Angeles"


def run(minutes: float, speed: float) -> Measured:
    with ExitStack() as end:
        made = end.enter_context(_deployed())
        broker = end.enter_context(running_broker(made.deployment))
        owner = Database.connect(made.url, application="sgmp-live")
        end.callback(owner.dispose)
        simulated = end.enter_context(simulator("--speed", str(speed)))
        _make_house(owner, simulated)
        folder = Path(end.enter_context(tempfile.TemporaryDirectory()))
        edge = MeasuredEdge(
            folder, broker, poll_interval_s=POLL_S / speed, status_interval_s=STATUS_S / speed
        )
        edge.configure(*simulated.configs())
        edge.start()
        end.callback(edge.close)
        ingest = Child(_ingest(owner, made, broker, folder))
        end.callback(ingest.stop, 10.0)
        _make_account(owner, made)
        # As where it is installed: a window that compiles its modules stands still for it, and keeps the memory.
        compileall.compile_dir(Path(sgmp_console.__file__).parent, quiet=1)
        # The window is a process of its own, as on a desk: all memory that is measured is its own.
        asked = json.dumps({"address": made.address, "deployment": made.deployment, "seconds": minutes * 60})
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.live_watch", asked],
            stdout=subprocess.PIPE,
            check=True,
        )
        return Measured(**json.loads(done.stdout))


@contextmanager
def _deployed() -> Iterator[TestDatabase]:
    with database_server() as server, server.database() as made:
        yield made


def _make_house(owner: Database, simulated: Simulator) -> None:
    """With its three devices and the required items, and a day of readings."""
    with owner.begin() as connection:
        house = houses.create(connection, "Live House", time_zone=ZONE)
        assert house.house_id == HOUSE_ID
        now_ms = time.time_ns() // 1_000_000
        fields = lived_in(now_ms - 86_400_000, now_ms, round(POLL_S * 1000), ZONE)
        for config in simulated.configs():
            device = devices.create(connection, house.house_id, config.name, config.type, dict(config.config))
            mine = {name: series for (of, name), series in fields.items() if of == config.name}
            write_series(connection, house.house_id, device.device_id, mine)
    analytics.create_required(owner, house.house_id)
    analytics.populate(owner, house.house_id)


def _ingest(owner: Database, made: TestDatabase, broker: TestBroker, folder: Path) -> Program:
    password = "ingest-password-of-this-run"
    with owner.begin() as connection:
        set_ingest_password(connection, made.deployment, password)
    user = quote(ingest_role(made.deployment), safe="")
    files = broker.files_for(f"{made.deployment}_ingest")
    command = [
        *(sys.executable, "-m", "sgmp_console", "ingest", "--deployment", made.deployment),
        *("--broker", f"localhost:{broker.port}", "--broker-ca", str(files.ca)),
        *("--broker-cert", str(files.cert), "--broker-key", str(files.key)),
    ]
    url = made.address.replace("://", f"://{user}:{password}@")
    return Program("ingest", command, folder / "ingest.log", {"SGMP_DATABASE_URL": url})


def _make_account(owner: Database, made: TestDatabase) -> None:
    first = accounts.create_first_admin(owner, email=EMAIL, name="Ada Lovelace")
    signed_in, _ = sign_in(made.address, made.deployment, EMAIL, first.initial_password)
    accounts.change_own_password(signed_in, EMAIL, first.initial_password, PASSWORD)
    signed_in.dispose()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, metavar="N", help="how long (5)")
    parser.add_argument(
        "--speed", type=float, default=10.0, metavar="N", help="of the house, and of the polls (10)"
    )
    options = parser.parse_args(arguments)
    found = run(options.minutes, options.speed)
    print(json.dumps({**found.summary(), "missed": found.missed}, indent=2))
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
