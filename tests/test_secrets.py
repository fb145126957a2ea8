"""Secrets that are known here are looked for in all that a deployment writes and says while things go wrong."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sgmp_console import cli, store
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.fleet import account_sheets, accounts, device_sheets, devices, houses, sync
from sgmp_console.fleet.sheets import Existing
from sgmp_console.ingest.inbox import Message
from sgmp_console.ingest.writer import Writer
from sgmp_console.store import Database, StatementFailed
from sgmp_console.store.findings import Channel
from sgmp_console.watch.delivery import Sender, deliver
from sgmp_console.watch.service import look
from sgmp_edge import contract
from sgmp_edge.common import Event, ReadResult
from sgmp_edge.configuration import Configuration
from sgmp_edge.contract import DeviceConfig, ReadTopic, read_topic
from sgmp_edge.polling.device import Device
from sgmp_edge.polling.drivers import CallResult, Catalogue
from tests.database import TestServer
from tests.edge.drivers_http import HttpDevice, Reply, Request
from tests.smtp import running_smtp
from tests.webhook import running_webhook

TOKEN = "token+of/the=battery&9f31c07aa2"
METER_PASSWORD = 'pass "of" the\\meter 77e1b9c4'
SITE_PASSWORD = "pass%of the chargers ü 5d0b2e61"
MAIL_PASSWORD = "pass of the mail server 0e7c44"
DATABASE_PASSWORD = "pass of the database b81f6d"
WEBHOOK_SECRET = "secret that signs a webhook a6612f"
WEBHOOK_PATH = "path-that-is-a-secret-3c9e"
OWN_PASSWORD = "correct horse battery 51aa07"

T0 = 1_750_000_000_000
SERVER = "127.0.0.1"
LOOPBACK = (ipaddress.ip_network("127.0.0.1"),)
DEVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "battery": ("sonnen", {"serial": "67682", "token": TOKEN}),
    "meter": ("egauge", {"keys": ["A.Load"], "username": "owner", "password": METER_PASSWORD}),
    "chargers": (
        "powerflex",
        {"acc_id": "03", "acs_id": "02", "username": "u@example.org", "password": SITE_PASSWORD},
    ),
}

MAY_HOLD = {"device.config", "config_version.devices", "recipient.secret", "recipient.address"}
"""Columns whose purpose it is: who may read them is in tests/access."""


class Written:
    """All that was written, by where."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def add(self, where: str, *what: object) -> None:
        self.texts += [(where, text) for one in what for text in (str(one), repr(one))]

    def failing(self, where: str, act: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """An act that may fail: what it returns or raises, as a crash report would have it."""
        try:
            self.add(where, act(*arguments, **named))
        except (SgmpError, StatementFailed) as error:
            self.add(where, error, "".join(traceback.format_exception(error)))

    def folder(self, folder: Path, *but: str) -> None:
        for file in folder.rglob("*"):
            if file.is_file() and file.name not in but:
                self.texts.append((f"file {file.name}", file.read_bytes().decode("utf-8", "replace")))

    def with_secret(self, name: str, secret: str) -> list[str]:
        forms = _forms(secret)
        return [
            f"{name} in {where}: ...{text[max(0, at - 60) : at + 60]!r}"
            for where, text in self.texts
            for at in (text.find(form) for form in forms)
            if at >= 0
        ]


def _forms(secret: str) -> set[str]:
    """As JSON, URLs and HTTP headers write it."""
    encoded = secret.encode()
    # The part of base64 that does not depend on what stands before or after.
    inner = {base64.b64encode(b"x" * skip + encoded).decode()[4:-4] for skip in range(3)}
    return {secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe=""), encoded.hex(), *inner}


# --- What goes wrong ----------------------------------------------------------------------------------------------


def devices_are_entered(written: Written, database: Database, house_id: int, folder: Path) -> None:
    for name, (kind, config) in DEVICES.items():
        config = {**config, **({"url": "https://192.0.2.9"} if kind == "powerflex" else {"ip": "192.0.2.9"})}
        devices.create(database, house_id, name, kind, config)
        for wrong in (
            {**config, "ip": 5, "url": 5},
            {**config, "unheard": [config]},
            {**config, "token": [TOKEN], "password": {"x": config.get("password")}},
            {**config, "token": f"{TOKEN}\0"},
            {**config, "token": "x" * 70_000 + TOKEN},
        ):
            written.failing("a refused device", devices.create, database, house_id, "other", kind, wrong)
        written.failing("a taken name", devices.create, database, house_id, name, kind, config)
    with database.begin() as connection:
        stored = store.devices.list_all(connection, house_id)
        written.add("lists of devices", stored)
    written.failing(
        "a device that is too long", devices.update, database, replace(stored[0], description="x" * 99_999)
    )
    with database.begin() as connection:
        device_sheets.export_devices(connection, house_id, folder / "devices.csv")
    sheet = folder / "import.csv"
    sheet.write_text(
        f"name,type,config.ip,config.token\nb1,sonnen,1.2.3.4,{TOKEN}\nb2,sonnen,no host,{TOKEN}\n", "utf-8"
    )
    for dry_run in (True, False):
        written.failing(
            "an import of devices",
            device_sheets.import_devices,
            database,
            house_id,
            sheet,
            existing=Existing.REFUSE,
            dry_run=dry_run,
        )
    sheet.unlink()


class BrokenBroker:
    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        raise Unavailable(f"The broker did not take {topic}.")


def configurations_are_sent(written: Written, database: Database, deployment: str, house_id: int) -> None:
    for _ in range(2):
        written.failing("synchronizing", sync.synchronize, database, BrokenBroker(), deployment, house_id)
    with database.begin() as connection:
        (battery, *_) = [one for one in store.devices.list_all(connection, house_id) if one.name == "battery"]
    devices.update(database, replace(battery, config={**battery.config, "token": f"{TOKEN}2"}))
    with database.begin() as connection:
        written.add("previews", sync.preview(connection, house_id, T0), sync.history(connection, house_id))
        written.add("previews", sync.preview_roll_back(connection, house_id, 1))
        written.add("versions", store.config_versions.list_all(connection, house_id))


def an_edge_refuses_configurations(written: Written, folder: Path) -> None:
    edge = Configuration(
        folder / "devices.json",
        Catalogue(),
        apply=lambda found: written.add("devices of an edge", *(one.name for one in found)),
        report=lambda kind, data, states: written.add(f"the event {kind}", data, states),
        states={},
    )
    edge.start()
    good = [
        {
            "device_id": 1,
            "name": "b",
            "type": "sonnen",
            "config": {"ip": "1.2.3.4", "serial": "1", "token": TOKEN},
        }
    ]
    config = {"ip": "1.2.3.4", "serial": "1", "token": TOKEN}
    for wrong in (
        {"ip": 5, "token": TOKEN},
        {**config, "token": [TOKEN]},
        {**config, "interface": TOKEN},
    ):
        edge.receive(json.dumps([{**good[0], "config": wrong}]).encode(), retained=False)
    edge.receive(json.dumps(good).encode()[:-3], retained=False)
    edge.receive(json.dumps(good).encode(), retained=False)


def devices_answer_with_what_they_were_asked(written: Written) -> None:
    """A device, or a proxy before it, that quotes the request in its answer, in every place that is read."""
    for status in (200, 302, 401, 500):

        def echo(request: Request, status: int = status) -> Reply:
            quoted = {
                "request": request.target,
                "headers": dict(request.headers),
                "body": request.body.decode(),
            }
            said = {"error": quoted, "message": quoted, "detail": json.dumps(quoted), "access_token": "t"}
            headers = {
                "Content-Type": "application/json",
                "Location": f"http://192.0.2.1/{request.body.decode('latin-1')[:200]}".replace("\n", " "),
                "WWW-Authenticate": f'Basic realm="{request.headers.get("Authorization", "")}"',
            }
            return Reply(json.dumps(said), status, headers if status in (302, 401) else {})

        device = HttpDevice(echo)
        try:
            for name, (kind, config) in DEVICES.items():
                at = {"url": f"http://{device.host}"} if kind == "powerflex" else {"ip": device.host}
                read_once(written, f"{name}, HTTP {status}", DeviceConfig(1, name, kind, {**config, **at}))
        finally:
            device.close()


class Talkative:
    """A driver of somebody's own that is careless with what it knows."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def read(self) -> Any:
        if self.config["raises"]:
            raise ValueError(self.said())
        result = ReadResult()
        result.events = [Event(T0, contract.WARNING, {"data": self.said()})]
        return result

    def left_command(self) -> str:
        return self.said()

    def said(self) -> str:
        key = self.config["key"]
        header = base64.b64encode(f"owner:{key}".encode()).decode()
        return f"no answer from http://u:{quote(key, safe='')}@meter, Basic {header}, with {self.config}"


def read_once(written: Written, where: str, config: DeviceConfig, catalogue: Catalogue | None = None) -> None:
    device = Device(config, catalogue or Catalogue(), 1000, None)
    done = threading.Event()

    def note(result: CallResult) -> None:
        # Readings hold what a device says; that a device says its own password as a value is not ours to know.
        written.add(where, replace(result, messages=[one for one in result.messages if one.kind == "event"]))
        done.set()

    device.read(T0, note)
    assert done.wait(20)
    device.finished()
    device.close()
    assert device.join(20)


def notifications_fail(written: Written, database: Database, house_id: int) -> None:
    with running_smtp() as smtp, running_webhook() as webhook:
        address = f"http://127.0.0.1:{webhook.port}/{WEBHOOK_PATH}?key={WEBHOOK_PATH}"
        numbers = []
        with database.begin() as connection:
            for channel, to in ((Channel.WEBHOOK, address), (Channel.MAIL, "a@example.org")):
                numbers.append(
                    store.findings.add_recipient(
                        connection, channel, to, secret=WEBHOOK_SECRET, house_id=house_id
                    )
                )
            connection.exec_driver_sql("UPDATE sgmp.recipient SET created_at = now() - interval '1 day'")
            for _ in numbers:
                connection.exec_driver_sql(
                    "INSERT INTO sgmp.finding (house_id, device_name, rule, subject, severity, from_at, seen_at,"
                    " opened_at) VALUES (%s, 'battery', 'device_warning', %s, 'critical', now(), now(), now())",
                    (house_id, f"finding {_}"),
                )
        sender = Sender("sgmp", SmtpMailer(SERVER, "watch@example.org", smtp.port), LOOPBACK)
        for fault in ("404", "500", ""):
            webhook.fault, smtp.fault = fault, "data" if fault else ""
            with database.begin() as connection:
                for number in numbers:
                    store.findings.send_test(connection, number)
            stop = threading.Event()
            rounds = iter(range(len(numbers)))

            def send(claimed: Any, rounds: Iterator[int] = rounds, stop: threading.Event = stop) -> None:
                written.add("a claimed message", claimed)
                try:
                    sender.send(claimed)
                finally:
                    if next(rounds, None) in (None, len(numbers) - 1):
                        stop.set()

            deliver(database, send, stop)
        written.add("mails", *(mail.as_string() for mail in smtp.mails))
        written.add("webhooks", *webhook.documents())
        with database.begin() as connection:
            written.add("findings", store.findings.read(connection))
            store.findings.remove_recipient(connection, numbers[0])


def mail_fails(written: Written, database: Database, folder: Path) -> None:
    with running_smtp() as smtp:
        for number, fault in enumerate(("data", "recipient", "lost")):
            smtp.fault = fault
            mailer = SmtpMailer(SERVER, "sgmp@example.org", smtp.port, timeout_s=5)
            written.failing(
                "an account whose mail fails",
                accounts.create,
                database,
                email=f"m{number}@example.org",
                name="M",
                role="admin",
                house_id=None,
                mailer=mailer,
            )
        mailer = SmtpMailer(SERVER, "sgmp@example.org", smtp.port, "sgmp", MAIL_PASSWORD, timeout_s=5)
        written.failing(
            "a mail server that asks for no password",
            mailer.send_initial_password,
            "a@example.org",
            "A",
            "sgmp",
            "x",
        )
    written.add("a mailer", mailer)
    written.failing(
        "a mail server that is away", mailer.send_initial_password, "a@example.org", "A", "sgmp", "x"
    )
    sheet = folder / "accounts.csv"
    sheet.write_text("email,name,role,house\nn1@example.org,N,admin,\nn2@example.org,N,nobody,\n", "utf-8")
    for dry_run in (True, False):
        written.failing(
            "an import of accounts",
            account_sheets.import_accounts,
            database,
            sheet,
            existing=Existing.REFUSE,
            dry_run=dry_run,
        )


def messages_are_set_aside(database: Database, deployment: str, house_id: int) -> None:
    writer = Writer(deployment, database)
    for payload in (b"{", b'{"x": 1e101, "y\\u0000": 2}', b"\xff"):
        topic = read_topic(deployment, ReadTopic(house_id, 1, "battery", T0, "data"))
        writer.write([Message(topic, payload, T0)])


def commands_fail(written: Written, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    url = f"postgresql://owner:{quote(DATABASE_PASSWORD)}@127.0.0.1:1/sgmp"
    config = folder / "config.json"
    config.write_text(json.dumps({"ip": 5, "token": TOKEN, "serial": TOKEN, "tokn": TOKEN}), "utf-8")
    for command in (
        ["migrate", "--database-url", url],
        ["migrate", "--databse-url", url],
        ["migrate", "--database-url", url.replace("127.0.0.1:1", "[::1")],
        ["migrate", "--database-url", f"host=127.0.0.1 port=x user=u password='{DATABASE_PASSWORD}'"],
        ["admin", "ingest", "--database-url", url],
        ["check", "formula", "meter.x", "--house", "North", "--database-url", url],
        ["import", "--house", "North", str(config), "--database-url", url],
        ["check", "config", "--type", "sonnen", str(config)],
        ["--verbose", "check", "config", "--type", "sonnen", str(config), "--json"],
    ):
        with contextlib.suppress(SystemExit):  # of wrong usage
            assert cli.main(command) != 0
        printed = capsys.readouterr()
        written.add(f"the command {command[0]}", printed.out, printed.err)
    config.unlink()


def keys_of(house: houses.NewHouse) -> list[str]:
    """Parts of the private key, as long as nothing else is by chance."""
    pem = "".join(value for value in vars(house.credentials).values() if "PRIVATE KEY" in str(value))
    lines = re.findall(r"^[A-Za-z0-9+/=]{40,}$", pem, re.MULTILINE)
    assert lines
    return lines


@pytest.mark.expected_warnings(".")
def test_secrets_stand_where_they_belong_and_nowhere_else(
    database_server: TestServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    written, files = Written(), tmp_path / "files"
    files.mkdir()
    with database_server.database() as where:
        database = Database.connect(where.url)
        authority = LocalCredentials(
            LocalAuthority(tmp_path / "authority"), where.deployment, "127.0.0.1:8883"
        )
        made = houses.create_with_credentials(database, authority, "North", time_zone="UTC")
        house_id = made.house.house_id
        account = accounts.create(database, email="ada@example.org", name="Ada", role="admin", house_id=None)
        hers, _ = store.sign_in(where.address, where.deployment, "ada@example.org", account.initial_password)
        written.failing(
            "a wrong old password",
            accounts.change_own_password,
            hers,
            "ada@example.org",
            "wrong one 12345",
            OWN_PASSWORD,
        )
        accounts.change_own_password(hers, "ada@example.org", account.initial_password, OWN_PASSWORD)
        written.failing(
            "a wrong password",
            store.sign_in,
            where.address,
            where.deployment,
            "ada@example.org",
            f"{OWN_PASSWORD}?",
        )
        devices_are_entered(written, database, house_id, files)
        configurations_are_sent(written, database, where.deployment, house_id)
        an_edge_refuses_configurations(written, tmp_path)
        devices_answer_with_what_they_were_asked(written)
        for raises in (True, False):
            careless = DeviceConfig(1, "own", "talkative", {"key": TOKEN, "raises": raises})
            read_once(written, "a careless driver", careless, Catalogue({"talkative": Talkative}))
        notifications_fail(written, database, house_id)
        mail_fails(written, database, files)
        messages_are_set_aside(database, where.deployment, house_id)
        commands_fail(written, capsys, files)
        written.add("objects", made, account, hers, database)
        with database.begin() as connection:
            look(connection, store.watching.Turn(T0, -1, 0, T0, 0))
            columns = connection.exec_driver_sql(
                "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE relnamespace = 'sgmp'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
                " AND attnum > 0 AND NOT attisdropped"
            ).all()
            for table, column in columns:
                if f"{table}.{column}" not in MAY_HOLD:
                    rows = connection.exec_driver_sql(
                        f'SELECT "{column}"::text FROM sgmp."{table}"'
                    ).scalars()
                    written.add(f"column {table}.{column}", *rows)
        hers.dispose()
        database.dispose()
    written.folder(files)
    written.add("the log", *(logging.Formatter().format(record) for record in caplog.records))
    planted = {
        "token": TOKEN,
        "password of the meter": METER_PASSWORD,
        "password of the chargers": SITE_PASSWORD,
        "password of the mail server": MAIL_PASSWORD,
        "password of the database": DATABASE_PASSWORD,
        "secret of a webhook": WEBHOOK_SECRET,
        "path of a webhook": WEBHOOK_PATH,
        "own password": OWN_PASSWORD,
        "initial password": account.initial_password,
        **{f"private key {number}": line for number, line in enumerate(keys_of(made))},
    }
    assert len(written.texts) > 500
    assert [found for name, secret in planted.items() for found in written.with_secret(name, secret)] == []
