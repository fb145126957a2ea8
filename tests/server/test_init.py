"""A server of one's own, from an empty folder to a revoked house: the commands of docs/deployment.md, and its units."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sgmp_console import cli, commands, settings, store
from sgmp_console.cloud import services
from sgmp_console.cloud.mqtt import BrokerSettings, Connection, Disconnected
from sgmp_console.demo.processes import Child, Program
from sgmp_console.fleet import accounts, devices, houses, sync
from sgmp_edge import contract
from tests.database import TestDatabase, TestServer
from tests.edge.edge_process import SOURCE
from tests.edge.test_install_certs import paste
from tests.edge.test_playbook import simulated as simulated
from tests.mosquitto import free_port
from tests.waiting import WAIT_S, wait_until

CONSOLE = Path(sys.executable).parent / "sgmp-console"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the broker's user gets through, as in /etc."""
    place = Path(tempfile.mkdtemp(prefix="sgmp-server-"))
    place.chmod(0o711)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def managed(database_server: TestServer) -> Iterator[TestDatabase]:
    with database_server.managed_database() as empty:
        yield empty


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("SGMP_")}
    return {**own, "XDG_CONFIG_HOME": str(folder / "laptop"), **more}


def run(folder: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [str(CONSOLE), *arguments],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Printed:
    exit_code: int
    out: str
    err: str


Command = Callable[..., Printed]


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of the console in this process; that they start by themselves, the first test shows."""
    own = environment(folder)
    for key in os.environ.keys() - own.keys():
        monkeypatch.delenv(key)
    monkeypatch.setenv("XDG_CONFIG_HOME", own["XDG_CONFIG_HOME"])

    def run_here(*arguments: str) -> Printed:
        exit_code = cli.main(arguments)
        printed = capsys.readouterr()
        return Printed(exit_code, printed.out, printed.err)

    return run_here


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@dataclass
class Units:
    """Runs units as systemd would: environment file, credentials, command line. `credentials`: its private folder."""

    server: Path
    credentials: Path
    search_path: str

    def child(self, name: str) -> Child:
        unit = self._read(name)
        variables = dict(os.environ, PATH=self.search_path)
        variables = {key: value for key, value in variables.items() if not key.startswith("SGMP_")}
        if "EnvironmentFile" in unit:
            for line in Path(unit["EnvironmentFile"]).read_text().splitlines():
                key, _, value = line.partition("=")
                variables[key] = shlex.split(value)[0]
        if "LoadCredential" in unit:
            file, _, source = unit["LoadCredential"].partition(":")
            place = self.credentials / name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place / file)
            variables["CREDENTIALS_DIRECTORY"] = str(place)
        command = [
            re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], word)
            for word in shlex.split(unit["ExecStart"])
        ]
        if "DynamicUser" in unit:
            self._require_readable(command[1:])
        owner = None
        if "User" in unit and os.geteuid() == 0:
            user = pwd.getpwnam(unit["User"])
            owner = (user.pw_uid, user.pw_gid)
        return Child(Program(name, command, self.log(name), environment=variables, owner=owner))

    def _require_readable(self, arguments: Sequence[str]) -> None:
        """The user that systemd makes has no rights: others' rights on the server's folder must be enough."""
        for file in (Path(argument) for argument in arguments if argument.startswith(str(self.server))):
            assert file.stat().st_mode & 0o004, file
            for above in file.parents[: len(file.relative_to(self.server).parts)]:
                assert above.stat().st_mode & 0o001, above

    def log(self, name: str) -> Path:
        return self.credentials / f"{name}.log"

    def _read(self, name: str) -> Mapping[str, str]:
        lines = (self.server / "systemd" / f"sgmp-{name}.service").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_from_an_empty_folder_to_the_first_reading_and_a_revoked_house(
    folder: Path,
    managed: TestDatabase,
    simulated: dict[str, str],
    tmp_path: Path,
) -> None:
    server, port = folder / "sgmp", free_port()
    command = (
        *("server", "init", str(server), "--host", "localhost", "--broker-port", str(port)),
        *("--deployment", managed.deployment, "--admin", "ada@example.org", "--admin-name", "Ada"),
    )
    planned = run(folder, *command, "--dry-run")
    assert "would be done" in planned
    assert not server.exists()
    first = run(folder, *command, SGMP_DATABASE_URL=managed.url)
    before = tree(server)
    second = run(folder, *command)
    assert second.endswith("Nothing was changed.\n")
    assert tree(server) == before
    password = re.search(r"ada@example.org signs in with (\S+) ", first)
    assert password is not None
    secrets_of_it = [password[1], *re.findall(r"://\w+:(\w{48})@", str(before))]
    assert not any(secret in second for secret in secrets_of_it)
    assert all(
        mode & 0o077 == 0
        for name, (mode, content) in before.items()
        if b"PRIVATE KEY" in content or any(secret.encode() in content for secret in secrets_of_it)
    )

    asked = tmp_path / "restart"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\n[ "$*" = "restart sgmp-broker" ] && touch {asked}\n')
    (tmp_path / "systemctl").chmod(0o755)
    units = Units(server, folder / "run", f"{tmp_path}:{os.environ['PATH']}")
    (folder / "run").mkdir(mode=0o711)
    with contextlib.ExitStack() as running:
        broker = units.child("broker")
        running.callback(lambda: broker.stop(WAIT_S))
        migrate = units.child("migrate")
        wait_until(lambda: migrate.exit_code() is not None)
        assert migrate.exit_code() == 0, units.log("migrate").read_text()
        for name in ("ingest", "ingest_2", "watch", "revocation"):
            child = units.child(name)
            running.callback(child.stop, WAIT_S)

        # A laptop, by its connection file alone.
        run(folder, "connections", "add", str(server / "connections" / "console.toml"))
        assert managed.deployment in run(folder, "connections", "list")
        laptop = folder / "laptop" / "sgmp"
        profile = settings.load_profiles(laptop)[0]
        wait_until(lambda: "as " + managed.deployment + "_ingest" in units.log("broker").read_text())
        if asked.exists():
            asked.unlink()
        admin, account = store.accounts.sign_in(
            profile.database_url, profile.deployment, "ada@example.org", password[1]
        )
        running.callback(admin.dispose)
        assert account.must_change_password
        accounts.change_own_password(admin, "ada@example.org", password[1], "violet ladder 41 quarry")
        house = houses.create(admin, "House One", time_zone="Europe/Berlin")
        tested = run(
            folder,
            *("connections", "test", managed.deployment),
            SGMP_DATABASE_URL=profile.database_url.replace(
                "://", "://ada%40example.org:violet%20ladder%2041%20quarry@"
            ),
        )
        assert "fail" not in tested.lower()

        # Its edge, by the playbook.
        shown = run(folder, "server", "credentials", str(server), "--house", "House One")
        pi = tmp_path / "sgmp_edge"
        shutil.copytree(SOURCE, pi, ignore=shutil.ignore_patterns("__pycache__"))
        pasted = paste(shown.encode(), home=pi, program=(sys.executable, str(pi / "install_certs.py")))
        assert pasted.exit_code == 0, pasted.shown
        example = (pi / "config_example.py").read_text()
        (pi / "config.py").write_text(
            re.sub(r"^house_id = .*$", f"house_id = {house.house_id}", example, flags=re.MULTILINE)
        )
        devices.create(
            admin, house.house_id, "egauge", "egauge", {"ip": simulated["egauge"], "keys": ["A.Solar", "ts"]}
        )
        edge = Child(
            Program(
                "edge",
                [sys.executable, str(pi / "Main_Publisher.py"), "--home", str(pi)],
                tmp_path / "edge.log",
            )
        )
        running.callback(edge.stop, WAIT_S)
        channel = services.broker(profile)
        assert channel is not None
        sync.synchronize(admin, channel, profile.deployment, house.house_id)

        def latest() -> dict[store.FieldKey, tuple[int, float]]:
            with admin.begin() as connection:
                return store.readings.latest(connection, house.house_id)

        wait_until(lambda: bool(latest()), explain=(tmp_path / "edge.log").read_text)

        # Revoked: the connection ends, and the certificate opens no other.
        run(folder, "server", "credentials", str(server), "--house", "House One", "--revoke")
        wait_until(asked.exists, explain=units.log("revocation").read_text)
        broker.stop(WAIT_S)
        before_restart = len(units.log("broker").read_text())
        broker = units.child("broker")

        def since_restart() -> str:
            return units.log("broker").read_text()[before_restart:]

        issued = contract.parse_credentials(shown)
        key, certificate = tmp_path / "house.key", tmp_path / "house.crt"
        key.write_text(issued.private_key_pem)
        certificate.write_text(issued.certificate_pem)
        wait_until(lambda: "as " + managed.deployment + "_ingest" in since_restart())
        wait_until(
            lambda: "certificate verify failed" in since_restart(),
            explain=units.log("broker").read_text,
        )
        with pytest.raises(Disconnected):
            Connection(
                BrokerSettings("localhost", port, server / "broker" / "ca.crt", certificate, key),
                str(issued.client_id),
                timeout_s=WAIT_S,
            )
        assert f"as {issued.client_id}" not in since_restart()
    for name in ("ingest", "ingest_2", "watch", "revocation"):
        assert "Traceback" not in units.log(name).read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(folder: Path, command: Command) -> None:
    server = str(folder / "sgmp")
    assert command("server", "init", server, "--host", "sgmp.example.org").exit_code == commands.OK
    units = sorted((folder / "sgmp" / "systemd").iterdir())
    assert {"sgmp-backup.timer", "sgmp-verify_backup.timer"} < {unit.name for unit in units}
    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, check=False
    )
    assert verified.stderr == ""
    assert verified.returncode == 0


def test_no_server_takes_the_database_of_another_by_mistake(
    folder: Path, managed: TestDatabase, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGMP_DATABASE_URL", managed.url)

    def init(name: str, *more: str) -> Printed:
        return command(
            *("server", "init", str(folder / name), "--host", "localhost"),
            *("--deployment", managed.deployment, *more),
        )

    def lets_in(name: str) -> bool:
        text = (folder / name / "environment" / "ingest.env").read_text()
        url = shlex.split(text.splitlines()[0].partition("=")[2])[0]
        try:
            store.Database.connect(url, application="test").dispose()
        except store.SignInRefused:
            return False
        return True

    assert init("first").exit_code == commands.OK
    refused = init("second")
    assert refused.exit_code == commands.FAILED
    assert "Another server uses this database" in refused.err
    assert lets_in("first")
    assert init("copy", "--authority", str(folder / "first" / "authority")).exit_code == commands.OK
    assert init("second", "--take-over").exit_code == commands.OK
    assert lets_in("second")
    assert not lets_in("first")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--admin", "ada"), "An email address looks like"),
        (("--authority", "nowhere"), "nowhere holds no authority"),
        (("--database", "sgmp"), "is not where laptops reach the database"),
        (("--database", "db.example.org:70000/sgmp"), "is not where laptops reach the database"),
        (("--database", "ada:secret@db.example.org/sgmp"), "is not where laptops reach the database"),
        (("--mail-server", "mail.example.org"), "needs --mail-from"),
        (("--mail-server", "mail.example.org:smtp", "--mail-from", "a@example.org"), "can't be read"),
        (("--mail-server", "mail example org", "--mail-from", "a@example.org"), "can't be read"),
        (("--mail-from", "a@example.org"), "go with --mail-server"),
        ((), "is not a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    folder: Path, command: Command, words: tuple[str, ...], sentence: str
) -> None:
    where = folder / "sgmp"
    if not words:
        where.write_text("")
    printed = command("server", "init", str(where), "--host", "h", "--dry-run", *words)
    assert printed.exit_code == commands.FAILED
    assert sentence in printed.err
    assert printed.out == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to the broker's user")
def test_a_user_of_the_broker_that_is_missing_is_reported_before_anything_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["server", "init", str(folder / "sgmp"), "--host", "h", "--broker-user", "nobody_of_this_name"]
    assert cli.main(command) == commands.FAILED
    assert "There is no user nobody_of_this_name" in capsys.readouterr().err
    assert not (folder / "sgmp").exists()


def test_an_authority_that_cannot_be_used_is_not_taken_into_the_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ca.crt").write_text("not a certificate")
    (elsewhere / "ca.key").write_text("not a key")
    command = ["server", "init", str(folder / "sgmp"), "--host", "h", "--authority", str(elsewhere)]
    assert cli.main(command) == commands.FAILED
    assert f"authority in {elsewhere} can't be used" in capsys.readouterr().err
    assert not (folder / "sgmp").exists()


def test_an_address_of_the_database_that_cannot_be_read_is_refused_before_anything_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGMP_DATABASE_URL", "postgresql://[::1:5432/sgmp")
    assert cli.main(["server", "init", str(folder / "sgmp"), "--host", "h", "--dry-run"]) == commands.FAILED
    assert "can't be read" in capsys.readouterr().err


def test_another_laptop_is_added_and_the_first_keeps_its_rights(folder: Path, command: Command) -> None:
    init = ("server", "init", str(folder / "sgmp"), "--host", "sgmp.example.org")
    assert command(*init, "--laptop", "ada").exit_code == commands.OK
    shown = command(*init, "--laptop", "grace").out
    access_list = (folder / "sgmp" / "broker" / "acl").read_text()
    assert "user sgmp_console_ada\ntopic write sgmp_config/#" in access_list
    assert "user sgmp_console_grace\ntopic write sgmp_config/#" in access_list
    assert "unchanged     Certificate sgmp_console_ada" in shown


def test_an_authority_made_elsewhere_is_taken_and_never_replaced(folder: Path, command: Command) -> None:
    for name in ("one", "other"):
        (folder / name).mkdir()
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ),
                *("-subj", "/CN=ours", "-days", "30", "-keyout", "ca.key", "-out", "ca.crt"),
                *(argument for extension in extensions for argument in ("-addext", extension)),
            ],
            cwd=folder / name,
            check=True,
            capture_output=True,
        )
    init = ("server", "init", str(folder / "sgmp"), "--host", "sgmp.example.org")
    assert command(*init, "--authority", str(folder / "one")).exit_code == commands.OK
    assert (folder / "sgmp" / "broker" / "ca.crt").read_bytes() == (folder / "one" / "ca.crt").read_bytes()
    refused = command(*init, "--authority", str(folder / "other"))
    assert refused.exit_code == commands.FAILED
    assert "another authority" in refused.err


def test_the_document_names_each_command_of_the_server() -> None:
    text = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
    for command in (
        *("server init", "server credentials", "connections add", "connections test"),
        *("server backup", "server verify-backup", "server restore-backup"),
    ):
        assert f"sgmp-console {command}" in text
