"""A whole deployment for end-to-end tests, once local and once on AWS, and the consoles that operate it.

The fixture `world` (tests/e2e/conftest.py) runs a test twice, with the ids `local` and `aws`. It gives a World: a migrated
PostgreSQL, a Mosquitto with mutual TLS and the access list of resources/mosquitto, mail, an administrator, and a connection
profile that names all of it. What differs:

    part                     local                                   aws
    credentials of houses    the authority in a folder               IoT Core of a moto server, over HTTP
    who gets into MQTT       certificates not on its revocation      ACTIVE certificates of IoT Core, with the right
                             list (a revocation restarts Mosquitto)  policy and thing: tests/e2e/iot_broker.py
    initial passwords        an SMTP server                          Cognito (moto); `mailed_password` reads both

A test drives real windows:

    def test_a_house_is_created(world: World) -> None:
        window = world.console()                     # another call: another console, as on another computer
        window.sign_in(world.admin)                  # types, presses, waits for the main view
        window.open_page("houses")                   # the rail's entry, by its id in ui/frame/pages.py
        window.press("Create house")                 # the button or menu entry with these words, enabled and visible
        dialog = window.dialog()                     # the dialog on top, once it is there
        window.type_into("House name", "Maple House", dialog)      # a field by its accessible name
        window.press("Create house", dialog)
        window.wait_for("Maple House")               # words anywhere in the window or its tables

All of `window`'s methods wait for what they need, up to WAIT_S, and fail with what the window shows. `window.wait(condition)`
waits for anything else. Nothing sleeps.

A Raspberry Pi is `edge = world.edge()` (tests/e2e/edge.py): the bare folder in a place of its own; `edge.install(text)` runs
install_certs.py with what is pasted, `edge.configure(house_id, world.deployment)`, `edge.start()`. Ingest (`sgmp-console
ingest`, a process) runs from `world.start_ingest()` on. `world.devices()` are the three simulated devices of a house;
`.config("egauge")` is what to type for one. `world.values(house_id, device)` is what has arrived; `world.owner` is the
database as its owner sees it, to prepare and to look.

Consoles live in this process, one QApplication: a dialog belongs to the window whose methods are called. Pictures:
`save_picture(window.dialog(), "name")` of tests/ui/conftest.py. `tests.ui.houses.outage(world.database)` takes the database
away.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sgmp_console.cloud import services
from sgmp_console.demo.processes import Child, Program
from sgmp_console.diagnosis.aws import filled
from sgmp_console.fleet import accounts as fleet_accounts
from sgmp_console.keychain import Keychain
from sgmp_console.settings import Profile
from sgmp_console.store import (
    Database,
    accounts,
    devices,
    ingest_role,
    readings,
    set_ingest_password,
    sign_in,
)
from tests.aws import ACCOUNT, REGION, LocalAws
from tests.database import TestDatabase
from tests.e2e.edge import Edge, SimulatedDevices
from tests.e2e.iot_broker import running_iot_broker
from tests.mosquitto import TestBroker, running_broker
from tests.smtp import SmtpServer, running_smtp

if TYPE_CHECKING:
    from tests.e2e.window import Window

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    email: str
    password: str


@dataclass
class World:
    """See the module's text. `end` closes what was opened, in reverse."""

    kind: str
    database: TestDatabase
    owner: Database
    broker: TestBroker
    profile: Profile
    folder: Path
    end: ExitStack
    smtp: SmtpServer | None = None
    aws: LocalAws | None = None
    admin: Person = field(default=Person("ada@example.org", "Correct-horse-7-battery"))
    make_console: Callable[[Profile, Keychain | None], Window] = field(default=NotImplemented)
    devices: Callable[[], SimulatedDevices] = field(default=NotImplemented)
    """The devices of a simulated house, the same for all tests; started with the first call."""
    _edges: int = 0
    _ingest: Child | None = None

    @property
    def deployment(self) -> str:
        return self.database.deployment

    # --- People ------------------------------------------------------------------------------------------------------

    def console(self, profile: Profile | None = None, keychain: Keychain | None = None) -> Window:
        """A console of its own that shows the sign-in page. `keychain`: what its computer has for a keyring."""
        return self.make_console(profile or self.profile, keychain)

    def person(self, email: str, role: str, house_id: int | None = None, *, name: str = "Somebody") -> Person:
        """Somebody with that role who has signed in before and chosen a password."""
        directory = services.open_services(self.profile).directory
        made = fleet_accounts.create(
            self.owner, email=email, name=name, role=role, house_id=house_id, directory=directory
        )
        who = Person(email, self.admin.password)
        opened, _ = sign_in(self.profile.database_url, self.deployment, email, made.initial_password)
        try:
            fleet_accounts.change_own_password(
                opened, email, made.initial_password, who.password, directory=directory
            )
        finally:
            opened.dispose()
        return who

    def mailed_password(self, email: str) -> str:
        """The initial password in the newest mail to that address; AssertionError where there was none."""
        if self.aws is not None:
            from moto.cognitoidp.models import cognitoidp_backends

            pool = cognitoidp_backends[ACCOUNT][REGION].user_pools[self.profile.user_pool_id]
            users = [user for user in pool.users.values() if email in (user.username, _email_of(user))]
            assert users, f"the pool has no user {email}"
            return str(users[0].password)
        assert self.smtp is not None
        mails = [mail for mail in self.smtp.mails if mail["To"] == email]
        assert mails, f"no mail to {email}"
        text = mails[-1].get_payload(decode=True)
        assert isinstance(text, bytes)
        line = next(line for line in text.decode().splitlines() if line.startswith("Initial password: "))
        return line.removeprefix("Initial password: ").strip()

    # --- Houses ------------------------------------------------------------------------------------------------------

    def edge(self) -> Edge:
        """A new Pi, with nothing installed."""
        self._edges += 1
        made = Edge(self.folder / f"pi-{self._edges}" / "sgmp_edge")
        self.end.callback(made.close)
        return made

    def start_ingest(self) -> None:
        """Real ingest, as a process; started with the first call."""
        if self._ingest is not None:
            return
        password = "ingest-password-of-this-test"
        with self.owner.begin() as connection:
            set_ingest_password(connection, self.deployment, password)
        user = quote(ingest_role(self.deployment), safe="")
        url = self.database.address.replace("://", f"://{user}:{password}@")
        files = self.broker.files_for(f"{self.deployment}_ingest")
        command = [
            *(sys.executable, "-m", "sgmp_console", "ingest", "--deployment", self.deployment),
            *("--broker", f"localhost:{self.broker.port}", "--broker-ca", str(files.ca)),
            *("--broker-cert", str(files.cert), "--broker-key", str(files.key)),
        ]
        program = Program("ingest", command, self.folder / "ingest.log", {"SGMP_DATABASE_URL": url})
        self._ingest = Child(program)
        self.end.callback(self._ingest.stop, 10.0)

    def values(self, house_id: int, device: str) -> dict[str, float]:
        """The newest value of each field of a device, as far as it has arrived."""
        with self.owner.begin() as connection:
            latest = readings.latest(connection, house_id)
        return {field: value for (name, field), (_, value) in latest.items() if name == device}

    def device_names(self, house_id: int) -> list[str]:
        with self.owner.begin() as connection:
            return sorted(device.name for device in devices.list_all(connection, house_id))

    def logs(self) -> str:
        """What ingest and the edges said, for a test that failed."""
        files = [self.folder / "ingest.log", *sorted(self.folder.glob("pi-*/sgmp_edge/log"))]
        return "\n".join(f"--- {file}\n{file.read_text('utf-8')}" for file in files if file.exists())


@contextmanager
def local_world(database: TestDatabase, owner: Database, folder: Path) -> Iterator[World]:
    with ExitStack() as end:
        broker = end.enter_context(running_broker(database.deployment))
        smtp = end.enter_context(running_smtp())
        files = broker.files_for(f"{database.deployment}_console")
        profile = Profile(
            "Pilot",
            database.address,
            deployment=database.deployment,
            broker_host="localhost",
            broker_port=broker.port,
            broker_ca=str(files.ca),
            broker_cert=str(files.cert),
            broker_key=str(files.key),
            authority=str(broker.folder / "authority"),
            smtp_host="127.0.0.1",
            smtp_port=smtp.port,
            smtp_sender="sgmp@example.org",
        )
        end.enter_context(_revocations_reach(broker))
        world = World("local", database, owner, broker, profile, folder, end, smtp=smtp)
        _make_admin(world)
        yield world


@contextmanager
def aws_world(database: TestDatabase, owner: Database, folder: Path, aws: LocalAws) -> Iterator[World]:
    with ExitStack() as end:
        broker = end.enter_context(running_broker(database.deployment))
        gateway = end.enter_context(running_iot_broker(aws, broker))
        pool_id, client_id = _make_pool(aws, database.deployment)
        cert, key = _make_policies_and_certificate(aws, database.deployment, folder)
        profile = Profile(
            "Pilot on AWS",
            database.address,
            deployment=database.deployment,
            broker_host="localhost",
            broker_port=gateway.port,
            broker_ca=str(gateway.ca_file),
            broker_cert=str(cert),
            broker_key=str(key),
            region=REGION,
            aws_endpoint=aws.endpoint,
            user_pool_id=pool_id,
            user_pool_client_id=client_id,
        )
        world = World("aws", database, owner, broker, profile, folder, end, aws=aws)
        _make_admin(world)
        yield world


def _make_admin(world: World) -> None:
    """The first administrator, who has chosen a password already."""
    directory = services.open_services(world.profile).directory
    made = fleet_accounts.create_first_admin(
        world.owner, email=world.admin.email, name="Ada Lovelace", directory=directory
    )
    opened, _ = accounts.sign_in(
        world.profile.database_url, world.deployment, world.admin.email, made.initial_password
    )
    try:
        fleet_accounts.change_own_password(
            opened, world.admin.email, made.initial_password, world.admin.password, directory=directory
        )
    finally:
        opened.dispose()


def _make_pool(aws: LocalAws, deployment: str) -> tuple[str, str]:
    """A user pool and its app client, from resources/aws."""
    cognito = aws.client("cognito-idp")
    pool = json.loads(filled("user_pool.json", deployment=deployment))
    pool["DeletionProtection"] = "INACTIVE"
    pool_id = cognito.create_user_pool(**pool)["UserPool"]["Id"]
    client = json.loads(filled("user_pool_client.json", user_pool_id=pool_id))
    return pool_id, cognito.create_user_pool_client(**client)["UserPoolClient"]["ClientId"]


def _make_policies_and_certificate(aws: LocalAws, deployment: str, folder: Path) -> tuple[Path, Path]:
    """The policies of resources/aws, and the console's certificate by docs/deployment_aws.md."""
    iot = aws.client("iot")
    places = {"deployment": deployment, "region": REGION, "account": ACCOUNT}
    for name, document in (
        ("edge", "edge_policy"),
        ("ingest", "ingest_policy"),
        ("console", "console_broker_policy"),
    ):
        iot.create_policy(
            policyName=f"{deployment}_{name}", policyDocument=filled(f"{document}.json", **places)
        )
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=f"{deployment}_console", target=made["certificateArn"])
    cert, key = folder / "console.crt", folder / "console.key"
    cert.write_text(made["certificatePem"])
    key.write_text(made["keyPair"]["PrivateKey"])
    return cert, key


@contextmanager
def _revocations_reach(broker: TestBroker) -> Iterator[None]:
    """What an installation's own timer does (resources/mosquitto/README.md): the list copied, the broker restarted."""
    stop = threading.Event()
    known = broker.authority.revocation_file.read_bytes()

    def watch() -> None:
        nonlocal known
        while not stop.wait(_LOOK_EVERY_S):
            latest = broker.authority.revocation_file.read_bytes()
            if latest != known:
                known = latest
                broker.stop()
                broker.start()

    thread = threading.Thread(target=watch, name="revocations")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def _email_of(user: Any) -> str:
    return next((one["Value"] for one in user.attributes if one["Name"] == "email"), "")
