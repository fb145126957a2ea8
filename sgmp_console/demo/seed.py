"""Bring the demo's database to its state: `python -m sgmp_console.demo.seed FOLDER HISTORY_DAYS`.

Tables, the administrator, both houses with their devices and required items, and the configurations on their way to the
edges. All of it is there after the first start. A later one changes nothing that an operator changed: where simulators
moved to other ports, the devices that were configured to be there follow, which is reported. What was edited and not
synchronized stays so.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.cloud.broker import Broker
from sgmp_console.demo.folder import LOOPBACK, DemoFolder, DemoState
from sgmp_console.demo.history import MissingHistory, newest_readings
from sgmp_console.demo.houses import DEMO_HOUSES, DemoHouse
from sgmp_console.demo.mosquitto import broker_store, set_aside_store
from sgmp_console.demo.progress import ProgressFile
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import analytics, devices, houses, sync
from sgmp_console.server.certificates import service_files

log = logging.getLogger(__name__)

_STAGE = "Preparing the database and the houses"
_ADDRESSES = ("ip", "url")
"""The settings of a device's config that say where it is."""

_CLOCKS_APART_MS = 1_000
"""The database's and the file system's, of one computer."""


def main(folder: DemoFolder, history_days: int) -> int:
    """Returns the exit code. `history_days`: see history; 0 for none."""
    progress = ProgressFile(folder.progress("seed"))
    state = folder.read()
    owner_url = os.environ[DATABASE_URL]
    try:
        progress.stage(_STAGE, 0.1)
        store.migrate(owner_url, state.deployment)
        database = store.Database.connect(owner_url, application="sgmp-demo")
        try:
            progress.stage(_STAGE, 0.5)
            with database.begin() as connection:
                _ensure_administrator(connection, state)
                ingest_url, watch_url = _service_urls(connection, state, owner_url)
            house_ids = {house.key: _ensure_house(database, house, state) for house in DEMO_HOUSES}
            if history_days > 0:
                with database.begin() as connection:
                    newest_ms = newest_readings(connection, house_ids)
                MissingHistory(folder).find(newest_ms, int(time.time() * 1000), history_days)
            progress.stage(_STAGE, 0.8)
            for house in DEMO_HOUSES:
                _publish(database, folder, state, house, house_ids[house.key], progress)
        finally:
            database.dispose()
    except SgmpError as error:
        progress.failed(str(error))
        return 1
    progress.result({"house_ids": house_ids, "ingest_url": ingest_url, "watch_url": watch_url})
    return 0


def _ensure_administrator(connection: sa.Connection, state: DemoState) -> None:
    if state.admin_email in {account.email for account in store.accounts.list_all(connection)}:
        return
    store.accounts.create(
        connection,
        email=state.admin_email,
        name="Demo administrator",
        role="admin",
        house_id=None,
        password=state.admin_password,
        must_change_password=False,
    )


def _service_urls(connection: sa.Connection, state: DemoState, owner_url: str) -> list[str]:
    """The addresses of ingest and of the watch, with new passwords at each start."""
    database = urlsplit(owner_url).path
    urls = []
    for role, set_password in (
        (store.ingest_role, store.set_ingest_password),
        (store.watch_role, store.set_watch_password),
    ):
        password = secrets.token_urlsafe(24)
        set_password(connection, state.deployment, password)
        user = quote(role(state.deployment), safe="")
        urls.append(f"postgresql://{user}:{password}@{LOOPBACK}:{state.ports['database']}{database}")
    return urls


def _ensure_house(database: store.Database, house: DemoHouse, state: DemoState) -> int:
    """The house's id; with its devices and items where it is new."""
    with database.begin() as connection:
        found = next((one for one in store.houses.list_all(connection) if one.name == house.name), None)
        present = store.devices.list_all(connection, found.house_id) if found else []
    if found is None or house.key not in state.house_ids:
        if found is None:
            found = houses.create(
                database,
                house.name,
                description=house.description,
                time_zone=house.zone,
                place=store.Place(house.latitude, house.longitude),
            )
        there = {device.name for device in present}
        for kind, config in house.device_configs(state.ports).items():
            if kind not in there:
                devices.create(database, found.house_id, kind, kind, config)
        analytics.create_required(database, found.house_id)
    return found.house_id


def _publish(
    database: store.Database,
    folder: DemoFolder,
    state: DemoState,
    house: DemoHouse,
    house_id: int,
    progress: ProgressFile,
) -> None:
    """Leave the house's configuration with the broker, unless it has it, or that would send an operator's edits.

    What can't be sent (a device of a type that was removed) is reported, and keeps nothing else from starting.
    """
    with database.begin() as connection:
        standing = store.standings.of_house(connection, house_id)
        edited = standing.newest is not None and standing.changed
    try:
        moved = _follow_simulators(database, house, house_id, state)
        if not moved and (edited or _is_kept_by_the_broker(folder, standing.newest)):
            return
        if moved:
            progress.stage(
                f"The devices of {house.name} are at other ports than before: {', '.join(moved)}", 0.9
            )
        files = service_files(folder.certificates, state.deployment, "console")
        broker = Broker(LOOPBACK, state.ports["broker"], folder.authority_file, files.cert, files.key)
        sync.synchronize(database, broker, state.deployment, house_id)
    except UserError as error:
        log.warning("The configuration of %s was not sent: %s", house.name, error)
        progress.stage(f"The configuration of {house.name} was not sent: {error}", 0.9)


def _is_kept_by_the_broker(folder: DemoFolder, newest: store.ConfigVersion | None) -> bool:
    """Whether it was published before the broker wrote its store, and so is in it. To publish it is an entry in the audit."""
    if newest is None or newest.published_ms is None or set_aside_store(folder.broker).exists():
        return False
    stored = broker_store(folder.broker)
    return stored.exists() and stored.stat().st_mtime * 1000 > newest.published_ms + _CLOCKS_APART_MS


def _follow_simulators(
    database: store.Database, house: DemoHouse, house_id: int, state: DemoState
) -> list[str]:
    """The names of the devices that were at a simulator's last address and are now at its new one."""
    wanted = house.device_configs(state.ports)
    known = house.device_configs({**state.ports, **state.known_ports})
    with database.begin() as connection:
        present = store.devices.list_all(connection, house_id)
    moved = []
    for device in present:
        if device.type != device.name or device.name not in wanted:
            continue
        addresses = {
            key: wanted[device.name][key]
            for key in _ADDRESSES
            if key in wanted[device.name]
            and device.config.get(key) == known[device.name][key] != wanted[device.name][key]
        }
        if addresses:
            devices.update(database, replace(device, config={**device.config, **addresses}))
            moved.append(device.name)
    return moved


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main(DemoFolder(Path(sys.argv[1])), int(sys.argv[2])))
