"""Faults in a fleet, while watchers are killed and the database restarts: `python -m tests.watch.chaos --help`.

Houses are rows, their edges and ingest are this program, which stores what they would send. Everything else is real: a
PostgreSQL of its own that is restarted, two watchers that are killed outright, a mail server and a web address that refuse
and lose answers. In the end each fault must have been sent to both, opened once and closed once.

What holds for long is stamped in the past, so that no hold time of minutes has to pass: a device that was down two minutes ago
and is back since one. With `--broker-away S` the broker is away for S seconds of real time, with faults in it that nobody may
be notified of.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.environment import DATABASE_URL
from sgmp_console.store import Database, DatabaseUnavailable, EventRow, findings, watching
from sgmp_console.store.findings import Channel, Severity
from sgmp_edge import contract
from tests.mosquitto import free_port
from tests.smtp import SmtpServer, running_smtp
from tests.waiting import wait_until
from tests.webhook import Webhook, running_webhook

DEPLOYMENT = "watched"
PASSWORD = "watch-password"
KINDS = ("device_down", "device_warning", "config_rejected")
ALARM = "the battery reports alarm overtemperature"
ALARM_OVER = "the battery no longer reports alarm overtemperature"


@dataclass
class Tally:
    """`sent`, by channel: how often each (house, kind) arrived, repeats of one key not counted. `delays_s`: from a fault to
    its message, unless that is a digest."""

    faults: int = 0
    hidden: int = 0
    kills: int = 0
    restarts: int = 0
    repeats: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        delays = sorted(self.delays_s) or [0.0]
        return {
            "faults": self.faults,
            "hidden by the broker": self.hidden,
            "kills of a watcher": self.kills,
            "restarts of the database": self.restarts,
            "repeats with the same key": dict(self.repeats),
            "delay, median s": round(delays[len(delays) // 2], 1),
            "delay, longest s": round(delays[-1], 1),
            "seconds": round(self.seconds),
            "problems": self.problems[:20],
        }


@dataclass
class Fault:
    house_id: int
    house: str
    device_id: int
    kind: str
    began_s: float = 0.0


class Fleet:
    """Houses, each with a battery, as their edges report them."""

    def __init__(self, database: Database, houses: int) -> None:
        self._database = database
        self.places: list[tuple[int, str, int]] = []
        with database.begin() as connection:
            for number in range(houses):
                name = f"House {number:04d}"
                house = store.houses.create(connection, name)
                battery = store.devices.create(
                    connection, house.house_id, "battery", "sonnen", {"ip": "192.0.2.1", "serial": "1"}
                )
                store.config_versions.add(connection, house.house_id, 1, "sha", [])
                self.places.append((house.house_id, name, battery.device_id))

    def beat(self, *, receiving: bool) -> None:
        """Ingest and all edges are heard."""
        now_ms = _now_ms()
        rows = [
            _edge_event(house_id, contract.EDGE_STATUS, now_ms, {"state": "online", "devices": {}})
            for house_id, _, _ in self.places
        ]

        def beat(connection: sa.Connection) -> None:
            store.ingest_state.report(connection, "ingest", {"receiving": receiving})
            store.events.store(connection, rows if receiving else [])

        self._until_done(beat)

    def begin(self, fault: Fault) -> None:
        fault.began_s = time.monotonic()
        at_ms = _now_ms() - 120_000
        match fault.kind:
            case "device_down":
                about = {"data": "Device is down: no answer", "change": "down", "since_ms": at_ms}
                self._store(_warning(fault, at_ms, about))
            case "device_warning":
                self._store(_warning(fault, at_ms, {"data": ALARM, "change": "notice"}))
            case _:
                about = {"reason": "no device list", "version": 1}
                self._store(_edge_event(fault.house_id, contract.CONFIG_REJECTED, _now_ms(), about))

    def end(self, fault: Fault) -> None:
        at_ms = _now_ms() - 61_000
        match fault.kind:
            case "device_down":
                self._store(_warning(fault, at_ms, {"data": "Device is back", "change": "back"}))
            case "device_warning":
                self._store(_warning(fault, at_ms, {"data": ALARM_OVER, "change": "notice"}))
            case _:
                about = {"version": 1, "sha256": "sha"}
                self._store(_edge_event(fault.house_id, contract.CONFIG_APPLIED, _now_ms(), about))

    def _store(self, row: EventRow) -> None:
        self._until_done(lambda connection: store.events.store(connection, [row]))

    def _until_done(self, work: Callable[[sa.Connection], object]) -> None:
        while True:
            try:
                with self._database.begin() as connection:
                    work(connection)
            except DatabaseUnavailable:
                time.sleep(0.1)
            else:
                return


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _warning(fault: Fault, at_ms: int, about: dict[str, Any]) -> EventRow:
    return EventRow(fault.house_id, fault.device_id, "battery", at_ms, contract.WARNING, about)


def _edge_event(house_id: int, kind: str, at_ms: int, about: dict[str, Any]) -> EventRow:
    return EventRow(house_id, 0, contract.EDGE_DEVICE_NAME, at_ms, kind, about)


class Watchers:
    """Two of them, as operators run them."""

    def __init__(self, url: str, smtp_port: int, log: Path) -> None:
        self._command = [
            *(sys.executable, "-m", "sgmp_console", "watch", "--deployment", DEPLOYMENT, "--every", "0.5"),
            *("--mail-server", f"127.0.0.1:{smtp_port}", "--mail-from", "watch@example.org"),
            *("--webhook-network", "127.0.0.1"),
        ]
        self._environment = {**os.environ, DATABASE_URL: url}
        self._log = log
        self._running = [self._start(), self._start()]

    def kill(self, number: int) -> None:
        """Outright, and start another in its place."""
        self._running[number].send_signal(signal.SIGKILL)
        self._running[number].wait()
        self._running[number] = self._start()

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )


@contextmanager
def _database(folder: Path) -> Iterator[tuple[EmbeddedPostgres, str]]:
    postgres = EmbeddedPostgres(folder, port=free_port())
    url = postgres.start()
    try:
        yield postgres, url
    finally:
        postgres.stop()


def run(
    houses: int, faults: int, *, kills: int = 4, restarts: int = 1, broker_away_s: float = 0.0, seed: int = 1
) -> Tally:
    """Inject, kill, restart; then wait until everything is sent, and look at what arrived."""
    tally, chance, began = Tally(), random.Random(seed), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sgmp-watch-"))
    folder.chmod(0o755)  # where we are root, PostgreSQL runs as somebody else
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres, url = stack.enter_context(_database(folder / "database"))
        smtp, webhook = stack.enter_context(running_smtp()), stack.enter_context(running_webhook())
        store.migrate(url, DEPLOYMENT)
        database = Database.connect(url)
        stack.callback(database.dispose)
        fleet = Fleet(database, houses)
        with database.begin() as connection:
            store.set_watch_password(connection, DEPLOYMENT, PASSWORD)
            for channel, address in ((Channel.MAIL, "ann@example.org"), (Channel.WEBHOOK, webhook.url)):
                findings.add_recipient(
                    connection, channel, address, secret="s", least_severity=Severity.WARNING
                )
        where = urlsplit(url)
        user = f"{store.watch_role(DEPLOYMENT)}:{PASSWORD}"
        watch_url = where._replace(netloc=f"{user}@{where.hostname}:{where.port}").geturl()
        fleet.beat(receiving=True)
        watchers = Watchers(watch_url, smtp.port, folder / "watch.log")
        stack.callback(watchers.stop)
        stack.callback(lambda: tally.problems and print((folder / "watch.log").read_text()[-4000:]))

        injected = _injected(fleet, faults, chance)
        acts = [*["kill"] * kills, *["restart"] * restarts, *["smtp", "webhook"] * max(1, faults // 20)]
        chance.shuffle(acts)
        every = max(1, len(injected) // (len(acts) + 1))
        hidden = _take_broker_away(fleet, broker_away_s, chance, tally) if broker_away_s else set()
        beaten = 0.0
        for number, (fault, begins) in enumerate(injected):
            if time.monotonic() - beaten > 5:
                beaten = time.monotonic()
                fleet.beat(receiving=True)
            if begins:
                fleet.begin(fault)
            else:
                _until_open(database, fault, tally)
                fleet.end(fault)
            if acts and number % every == every - 1:
                _act(acts.pop(), watchers, postgres, smtp, webhook, chance, tally)
        tally.faults = faults
        _until_sent(fleet, database)
        _judge(tally, [fault for fault, begins in injected if begins], hidden, smtp, webhook)
    tally.seconds = time.monotonic() - began
    return tally


def _injected(fleet: Fleet, faults: int, chance: random.Random) -> list[tuple[Fault, bool]]:
    """(fault, whether it begins): each in a house and of a kind of its own, some at the same time."""
    pairs = [(place, kind) for place in fleet.places for kind in KINDS]
    chosen = [
        Fault(house_id, name, device_id, kind)
        for (house_id, name, device_id), kind in chance.sample(pairs, faults)
    ]
    steps: list[tuple[Fault, bool]] = []
    present: list[Fault] = []
    for fault in chosen:
        steps.append((fault, True))
        present.append(fault)
        while present and chance.random() < 0.4:
            steps.append((present.pop(0), False))
    return [*steps, *((fault, False) for fault in present)]


def _until_open(database: Database, fault: Fault, tally: Tally) -> None:
    def is_open() -> bool:
        try:
            with database.begin() as connection:
                return any(
                    one.rule == fault.kind
                    for one in findings.read(connection, fault.house_id, ended_since_ms=0)
                )
        except DatabaseUnavailable:
            return False

    try:
        wait_until(is_open)
    except AssertionError:
        tally.problems.append(f"{fault.kind} of {fault.house} did not open")


def _act(
    act: str,
    watchers: Watchers,
    postgres: EmbeddedPostgres,
    smtp: SmtpServer,
    webhook: Webhook,
    chance: random.Random,
    tally: Tally,
) -> None:
    match act:
        case "kill":
            watchers.kill(chance.randrange(2))
            tally.kills += 1
        case "restart":
            postgres.stop()
            postgres.start()
            tally.restarts += 1
        case "smtp":
            smtp.fault = chance.choice(["busy", "lost"])
        case _:
            webhook.fault = chance.choice(["503", "lost"])


def _take_broker_away(fleet: Fleet, seconds: float, chance: random.Random, tally: Tally) -> set[str]:
    """The houses in which something was wrong for a while that nobody was to be notified of."""
    hidden: set[str] = set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.beat(receiving=False)
        house_id, name, device_id = chance.choice(fleet.places)
        fault = Fault(house_id, name, device_id, "device_down")
        if name not in hidden and time.monotonic() < until - 30:
            fleet.begin(fault)
            fleet.end(fault)
            hidden.add(name)
            tally.hidden += 1
        time.sleep(3)
    over = time.monotonic() + 150  # two minutes until the finding closes
    while time.monotonic() < over:
        fleet.beat(receiving=True)
        time.sleep(5)
    return hidden


def _until_sent(fleet: Fleet, database: Database) -> None:
    """Until nothing is open and nothing is waiting; a digest waits for five minutes."""
    beaten = 0.0

    def done() -> bool:
        nonlocal beaten
        if time.monotonic() - beaten > 5:
            beaten = time.monotonic()
            fleet.beat(receiving=True)
        with database.begin() as connection:
            open_ = [one for one in findings.read(connection) if one.severity is not Severity.INFO]
            return (
                not open_
                and not watching.candidates(connection)
                and not any(one.waiting for one in findings.recipients(connection))
            )

    try:
        wait_until(done, 900, every_s=0.5)
    except AssertionError:
        with database.begin() as connection:
            print([one for one in findings.read(connection) if one.severity is not Severity.INFO][:5])
            print(findings.recipients(connection))


def _judge(tally: Tally, faults: list[Fault], hidden: set[str], smtp: SmtpServer, webhook: Webhook) -> None:
    wanted = Counter((fault.house, fault.kind) for fault in faults)
    keys: Counter[str] = Counter()
    opened: Counter[tuple[str, str]] = Counter()
    closed: Counter[tuple[str, str]] = Counter()
    broker: Counter[str] = Counter()
    began = {(fault.house, fault.kind): fault.began_s for fault in faults}
    for document, arrived_s in zip(webhook.documents(), webhook.arrived, strict=True):
        keys[document["key"]] += 1
        if keys[document["key"]] > 1:
            tally.repeats["webhook"] += 1
            continue
        for item in document["findings"]:
            if item["rule"] == "broker_away":
                broker[item["kind"]] += 1
                continue
            target = closed if item["kind"] == "closed" else opened
            target[item["house"], item["rule"]] += 1
            if document["kind"] == "opened":
                tally.delays_s.append(arrived_s - began[item["house"], item["rule"]])
    _compare(tally, "webhook opened", wanted, opened)
    _compare(tally, "webhook closed", wanted, closed)
    if hidden and broker != {"opened": 1, "closed": 1}:
        tally.problems.append(f"the broker: {dict(broker)}")

    seen: set[str] = set()
    by_house_opened: Counter[str] = Counter()
    by_house_closed: Counter[str] = Counter()
    for mail in smtp.mails:
        if mail["Message-ID"] in seen:
            tally.repeats["mail"] += 1
            continue
        seen.add(mail["Message-ID"])
        text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
        for block in "\n".join(text.splitlines()).split("\n\n"):
            first = block.splitlines()[0] if block.strip() else ""
            house = first.removeprefix("Over: ").partition(":")[0]
            if house.startswith("House"):
                (by_house_closed if first.startswith("Over: ") else by_house_opened)[house] += 1
    houses = Counter(fault.house for fault in faults)
    _compare(tally, "mail opened", houses, by_house_opened)
    _compare(tally, "mail closed", houses, by_house_closed)


def _compare(tally: Tally, what: str, wanted: Counter[Any], found: Counter[Any]) -> None:
    for key, number in (wanted - found).items():
        tally.problems.append(f"{what}: {number} of {key} lost")
    for key, number in (found - wanted).items():
        tally.problems.append(f"{what}: {number} of {key} too many")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--houses", type=int, default=200)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--broker-away", type=float, default=180.0, metavar="S")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally = run(
        arguments.houses,
        arguments.faults,
        kills=arguments.kills,
        restarts=arguments.restarts,
        broker_away_s=arguments.broker_away,
        seed=arguments.seed,
    )
    print(json.dumps(tally.as_json(), indent=2))
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
