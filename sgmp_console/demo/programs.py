"""What the demo runs: each part as it would be run for real, with the addresses of the others."""

from __future__ import annotations

import sys
from pathlib import Path

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo.folder import LOOPBACK, DemoFolder, DemoState
from sgmp_console.demo.houses import (
    SIMULATED_POWERFLEX_PASSWORD,
    SIMULATED_POWERFLEX_USER,
    SIMULATED_SONNEN_TOKEN,
    DemoHouse,
)
from sgmp_console.demo.mosquitto import prepare_broker
from sgmp_console.demo.postgres import DATABASE
from sgmp_console.demo.processes import Program
from sgmp_console.environment import DATABASE_URL
from sgmp_console.server.certificates import service_files, write_secret
from sgmp_console.settings import Profile
from sgmp_edge import contract

_EDGE_MAIN = contract.EDGE_FOLDER / "Main_Publisher.py"


def simulator(folder: DemoFolder, state: DemoState, house: DemoHouse) -> Program:
    """The devices of one house."""
    ports = [
        argument
        for device in ("egauge", "sonnen", "powerflex")
        for argument in (f"--{device}-port", str(state.ports[house.port(device)]))
    ]
    return Program(
        f"simulator-{house.key}",
        [
            *(sys.executable, "-m", "sgmp_console.demo.simulator", "--house-seed", str(house.seed)),
            *("--zone", house.zone, "--latitude", str(house.latitude), "--longitude", str(house.longitude)),
            *ports,
            *("--sonnen-token", SIMULATED_SONNEN_TOKEN, "--sonnen-serial", str(house.seed)),
            *("--powerflex-username", SIMULATED_POWERFLEX_USER),
            *("--powerflex-password", SIMULATED_POWERFLEX_PASSWORD),
        ],
        folder.logs / f"simulator-{house.key}.log",
    )


def broker(folder: DemoFolder, state: DemoState, authority: LocalAuthority) -> Program:
    command = prepare_broker(folder.broker, authority, state.deployment, state.ports["broker"], folder.owner)
    return Program("broker", command, folder.logs / "broker.log", owner=folder.owner)


def seed(folder: DemoFolder, database_url: str, history_days: int) -> Program:
    """Tables, accounts, houses, devices, items; ends when that is done. See demo.seed."""
    return Program(
        "seed",
        [sys.executable, "-m", "sgmp_console.demo.seed", str(folder.path), str(history_days)],
        folder.logs / "seed.log",
        environment={DATABASE_URL: database_url},
    )


def history(folder: DemoFolder, database_url: str) -> Program:
    """What is missing of the past; ends when it is loaded. See demo.history."""
    return Program(
        "history",
        [sys.executable, "-m", "sgmp_console.demo.history", str(folder.path)],
        folder.logs / "history.log",
        environment={DATABASE_URL: database_url},
    )


def ingest(folder: DemoFolder, state: DemoState, ingest_url: str) -> Program:
    files = service_files(folder.certificates, state.deployment, "ingest")
    return Program(
        "ingest",
        [
            *(sys.executable, "-m", "sgmp_console", "ingest", "--deployment", state.deployment),
            *("--broker", f"{LOOPBACK}:{state.ports['broker']}", "--broker-ca", str(folder.authority_file)),
            *("--broker-cert", str(files.cert), "--broker-key", str(files.key)),
            *("--broker-acl", str(folder.broker / "acl")),
        ],
        folder.logs / "ingest.log",
        environment={DATABASE_URL: ingest_url},
    )


def watch(folder: DemoFolder, state: DemoState, watch_url: str) -> Program:
    """Without a mail server: in the demo findings are shown only, unless somebody adds a webhook."""
    files = [
        service_files(folder.certificates, state.deployment, name).cert for name in ("console", "ingest")
    ]
    return Program(
        "watch",
        [
            *(sys.executable, "-m", "sgmp_console", "watch", "--deployment", state.deployment),
            *(argument for file in files for argument in ("--certificate", str(file))),
        ],
        folder.logs / "watch.log",
        environment={DATABASE_URL: watch_url},
    )


def edge(
    folder: DemoFolder, state: DemoState, authority: LocalAuthority, house: DemoHouse, poll_s: float
) -> Program:
    """The daemon of one house. Its devices reach it over MQTT, as on a Pi."""
    home = folder.edge(house.key)
    home.mkdir(parents=True, exist_ok=True)
    house_id = state.house_ids[house.key]
    endpoint = f"{LOOPBACK}:{state.ports['broker']}"
    (home / "config.py").write_text(
        f"house_id = {house_id}\n"
        f"deployment = {state.deployment!r}\n"
        f"endpoint = {endpoint!r}\n"
        f"poll_interval_s = {poll_s!r}\n",
        "utf-8",
    )
    _ensure_credentials(home / "credentials.json", authority, state.deployment, house_id, endpoint)
    return Program(
        f"edge-{house.key}",
        [sys.executable, str(_EDGE_MAIN), "--home", str(home)],
        folder.logs / f"edge-{house.key}.log",
    )


def profile(folder: DemoFolder, state: DemoState) -> Profile:
    """How the window reaches this demo."""
    files = service_files(folder.certificates, state.deployment, "console")
    return Profile(
        name="Demo",
        database_url=f"postgresql://{LOOPBACK}:{state.ports['database']}/{DATABASE}",
        deployment=state.deployment,
        broker_host=LOOPBACK,
        broker_port=state.ports["broker"],
        broker_ca=str(folder.authority_file),
        broker_cert=str(files.cert),
        broker_key=str(files.key),
        authority=str(folder.authority),
    )


def _ensure_credentials(
    file: Path, authority: LocalAuthority, deployment: str, house_id: int, endpoint: str
) -> None:
    """As if somebody had installed them on the Pi: new ones where those it has were revoked, too."""
    common_name = contract.client_id(deployment, house_id)
    if file.exists():
        installed = contract.parse_credentials(file.read_text("utf-8")).certificate_id
        if installed in authority.valid(common_name):
            return
    issued = authority.issue(common_name)
    write_secret(file, contract.dump_credentials(issued.for_house(deployment, house_id, endpoint)))
