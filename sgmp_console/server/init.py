"""Make what a deployment of one's own needs, in one folder: repeatable, each step reported.

| folder | what | who reads it |
|---|---|---|
| `authority` | the certificate authority with its private key | root |
| `certificates` | of ingest and of consoles, with their keys | everybody; keys: root, systemd hands a service its own |
| `environment` | addresses with passwords | root; systemd and Compose hand a service its own |
| `broker` | Mosquitto's configuration, access list, certificate, stored messages | the broker's user |
| `database` | a server certificate for PostgreSQL | root |
| `connections` | a file for each laptop, with its certificate and key | root |
| `systemd`, `compose.yaml` | what runs it all | everybody |
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from filelock import FileLock, Timeout

from sgmp_console import store
from sgmp_console.cloud.local_ca import AuthorityDamaged, LocalAuthority
from sgmp_console.environment import DATABASE_URL, SHARE_GROUP, SMTP_PASSWORD
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import accounts
from sgmp_console.server.broker import replace_text, write_broker
from sgmp_console.server.certificates import ensure_server_files, ensure_service_files, service_files
from sgmp_console.server.services import Service, compose, timer, unit
from sgmp_console.settings import Profile, connection_file

_PATH = re.compile(r"/[A-Za-z0-9._/-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_HOST_PORT = r"([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_DATABASE = re.compile(rf"{_HOST_PORT}(,{_HOST_PORT})*/[^\s/?#@]+(\?[^\s#@]*)?")
_LAPTOP = re.compile(r"[a-z0-9_]{1,20}")
_FOLDERS = {
    "authority": 0o700,
    "environment": 0o700,
    "connections": 0o700,
    "database": 0o700,
    # Services without rights read certificates there, whose keys only their owners can read.
    "certificates": 0o755,
    "broker": 0o755,
}
_INGESTS = ("ingest", "ingest_2")
"""Two share the messages, so that one may be updated or fail."""
BACKUPS = Path("/var/lib/sgmp-backups")
"""Where the timer keeps them: systemd makes a service's folder there, for root alone."""
ARCHIVE = Path("/var/lib/sgmp-archive")
_KEPT_BACKUPS = 14
"""Of two weeks."""


class Outcome(Enum):
    DONE = "done"
    UNCHANGED = "unchanged"
    PLANNED = "would be done"
    WAITING = "waiting"


@dataclass(frozen=True)
class Step:
    """What was done. `detail` may hold a password that is shown only now."""

    what: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class Server:
    """What the operator chooses; kept in `server.json`, without any secret."""

    host: str
    deployment: str = "sgmp"
    broker_port: int = 8883
    database: str = ""
    """`host:port/name` as laptops reach it; where empty, that of the owner's address, on `host`."""
    laptops: tuple[str, ...] = ()
    admin_email: str = ""
    admin_name: str = ""
    mail: tuple[str, ...] = ()
    """The watch's options for mail."""


def init(
    folder: Path,
    server: Server,
    *,
    owner_url: str = "",
    smtp_password: str = "",
    authority: Path | None = None,
    broker_user: str = "mosquitto",
    take_over: bool = False,
    dry_run: bool = False,
) -> Iterator[Step]:
    """Do what is not done yet, step by step. With `dry_run` nothing is written and no database is opened.

    `owner_url`: the owner's address of the database; where empty, that of an earlier run. `authority`: a folder with
    `ca.crt` and `ca.key` that were made elsewhere. `take_over`: also where another server uses the
    database. Raises SgmpError; running it again goes on where it stopped.
    """
    _check(folder, server)
    _owner(broker_user)
    if owner_url:
        store.Database.connect(
            owner_url, application="sgmp-server-init"
        ).dispose()  # opens nothing, but reads it
    if authority is not None:
        _check_authority(authority)
    if (folder / "server.json").exists():
        known = load(folder)
        if known.deployment != server.deployment:
            raise UserError(
                f"{folder} is the server of deployment {known.deployment}. Choose another folder."
            )
        # A laptop that is not named this time keeps its certificate, and its place in the access list.
        laptops = tuple(dict.fromkeys((*known.laptops, *server.laptops)))
        server = replace(
            server,
            laptops=laptops,
            database=server.database or known.database,
            admin_email=server.admin_email or known.admin_email,
            admin_name=server.admin_name or known.admin_name,
            mail=server.mail or known.mail,
        )
    if dry_run:
        yield from _planned(folder, server, owner_url)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # the broker's user must get through to its own folder; the others are closed
        with FileLock(folder / "lock", blocking=False):
            for name, mode in _FOLDERS.items():
                (folder / name).mkdir(exist_ok=True)
                (folder / name).chmod(mode)
            yield from _steps(folder, server, owner_url, smtp_password, authority, broker_user, take_over)
    except Timeout:
        raise UserError(f"Another `server init` is running in {folder}. Wait for it to end.") from None
    except OSError as error:
        raise SgmpError(
            f"{error.filename or folder} can't be written ({error.strerror}). Run this as root, or choose a folder of yours."
        ) from error


def load(folder: Path) -> Server:
    """What `init` was given. Raises UserError."""
    try:
        stored: dict[str, Any] = json.loads((folder / "server.json").read_text("utf-8"))
        lists = {key: tuple(value) for key, value in stored.items() if isinstance(value, list)}
        return Server(**{**stored, **lists})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} holds no server (server.json). Make one with `sgmp-console server init`."
        ) from error


def owner_url(folder: Path) -> str:
    """The address of the database's owner that an earlier `init` kept; empty where there is none."""
    return _read_environment(folder / "environment" / "migrate.env").get(DATABASE_URL, "")


def _check(folder: Path, server: Server) -> None:
    store.checked_deployment(server.deployment)
    if not _PATH.fullmatch(folder.as_posix()):
        raise UserError(
            "The folder needs an absolute path of letters, digits, dots, hyphens and underscores."
        )
    if not _HOST.fullmatch(server.host):
        raise UserError(
            f"{server.host!r} is not a host name. It is the name at which laptops and edges reach this server."
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder.")
    ports = re.findall(r":([0-9]+)(?=[,/])", server.database)
    if server.database and not (
        _DATABASE.fullmatch(server.database) and all(0 < int(port) < 65536 for port in ports)
    ):
        raise UserError(
            f"{server.database!r} is not where laptops reach the database. It looks like sgmp.example.org:5432/sgmp."
        )
    if server.admin_email:
        store.normal_email(server.admin_email)
    for laptop in server.laptops:
        if not _LAPTOP.fullmatch(laptop):
            raise UserError(
                f"{laptop!r} can't name a laptop. Use 1 to 20 lower-case letters, digits and underscores."
            )


def _planned(folder: Path, server: Server, url: str) -> Iterator[Step]:
    def there(name: str) -> Outcome:
        return Outcome.UNCHANGED if (folder / name).exists() else Outcome.PLANNED

    yield Step("Certificate authority", there("authority/ca.key"), str(folder / "authority"))
    for service in _holders(server):
        name = f"{server.deployment}_{service}"
        yield Step(f"Certificate {name}", there(f"certificates/{name}.key"))
    yield Step("Certificate of the broker", there("broker/server.key"), server.host)
    yield Step("Certificate of the database", there("database/server.key"), server.host)
    yield Step("Broker configuration", there("broker/mosquitto.conf"), str(folder / "broker"))
    yield Step(
        "Database roles and schema",
        Outcome.PLANNED if url or owner_url(folder) else Outcome.WAITING,
        "" if url or owner_url(folder) else f"Set {DATABASE_URL} to its owner's address.",
    )
    for service in (*_INGESTS, "watch"):
        yield Step(f"Database password of {service}", there(f"environment/{service}.env"))
    yield Step(
        "First administrator", Outcome.PLANNED if server.admin_email else Outcome.WAITING, server.admin_email
    )
    yield Step("systemd units", there("systemd"), str(folder / "systemd"))
    yield Step("Compose file", there("compose.yaml"), str(folder / "compose.yaml"))
    for laptop in _laptops(server):
        yield Step(f"Connection file of {laptop}", there(f"connections/{laptop}.toml"))


def _steps(
    folder: Path,
    server: Server,
    url: str,
    smtp_password: str,
    elsewhere: Path | None,
    broker_user: str,
    take_over: bool,
) -> Iterator[Step]:
    settings = json.dumps(asdict(server), indent=1).encode("utf-8")
    yield _step("Settings", replace_text(folder / "server.json", settings), str(folder / "server.json"))
    owner = _owner(broker_user)
    if elsewhere is not None:
        _adopt(elsewhere, folder / "authority")
    founded = not (folder / "authority" / "issued.json").exists()
    authority = LocalAuthority(folder / "authority", name=f"SGMP authority of {server.deployment}")
    yield _step("Certificate authority", founded, str(folder / "authority"))
    for service in _holders(server):
        issued = ensure_service_files(authority, folder / "certificates", server.deployment, service)
        yield _step(f"Certificate {server.deployment}_{service}", issued)
    names = list(dict.fromkeys([server.host, "localhost", "127.0.0.1"]))
    broker = folder / "broker"
    yield _step(
        "Certificate of the broker", ensure_server_files(authority, broker, names, owner), server.host
    )
    issued = ensure_server_files(authority, folder / "database", names)
    yield _step(
        "Certificate of the database", issued, "For ssl_cert_file and ssl_key_file, where it has none."
    )
    changed = write_broker(
        broker,
        authority,
        server.deployment,
        "0.0.0.0",  # noqa: S104 - edges and laptops are elsewhere
        server.broker_port,
        services=_holders(server),
        owner=owner,
    )
    yield _step("Broker configuration", changed, "Restart the broker." if changed else "")
    for file, content in _run_files(folder, server, owner):
        what = "Compose file" if file.name == "compose.yaml" else f"Unit {file.name}"
        yield _step(what, replace_text(file, content.encode("utf-8"), mode=0o644))
    url = url or owner_url(folder)
    database_environment = folder / "environment" / "database.env"
    if not database_environment.exists():
        password = secrets.token_hex(24)
        text = _environment_text({"POSTGRES_PASSWORD": password, "POSTGRES_DB": server.deployment})
        replace_text(database_environment, text)
    if not url:
        detail = f"Set {DATABASE_URL} to the owner's address of a running database, then run this again."
        yield Step("Database roles and schema", Outcome.WAITING, detail)
        return
    yield from _database_steps(folder, server, url, smtp_password, take_over)
    for laptop in _laptops(server):
        file = folder / "connections" / f"{laptop}.toml"
        exported = connection_file(_profile(folder, server, laptop, url), _ca_of_database(folder))
        yield _step(f"Connection file of {laptop}", replace_text(file, exported), str(file))


def _database_steps(
    folder: Path, server: Server, url: str, smtp_password: str, take_over: bool
) -> Iterator[Step]:
    environment = folder / "environment"
    database = store.Database.connect(url, application="sgmp-server-init")
    try:
        with database.begin() as connection:
            before = store.migrations.state(connection)
            if before is not None and not take_over:
                _require_own(connection, folder)
        store.migrate(url, server.deployment)
        yield _step("Database roles and schema", before is None or not before.is_current, database.address)
        with database.begin() as connection:
            store.set_authority(connection, _authority_fingerprint(folder))
        file = environment / "migrate.env"
        yield _step(
            "Environment of migrate", replace_text(file, _environment_text({DATABASE_URL: url})), str(file)
        )
        ingest_files = [environment / f"{name}.env" for name in _INGESTS]
        known = _read_environment(ingest_files[0])
        password_is_new = DATABASE_URL not in known
        if password_is_new:
            known = {
                DATABASE_URL: _service_url(database, server, url, "ingest"),
                SHARE_GROUP: secrets.token_hex(16),
            }
        for file in ingest_files:
            yield _step(
                f"Environment of {file.stem}", replace_text(file, _environment_text(known)), str(file)
            )
        file = environment / "watch.env"
        known = _read_environment(file)
        if DATABASE_URL not in known:
            known[DATABASE_URL] = _service_url(database, server, url, "watch")
        if smtp_password:
            known[SMTP_PASSWORD] = smtp_password
        yield _step("Environment of watch", replace_text(file, _environment_text(known)), str(file))
        with database.begin() as connection:
            administrators = [one.email for one in store.accounts.list_all(connection) if one.role == "admin"]
        if administrators:
            yield Step("First administrator", Outcome.UNCHANGED, ", ".join(administrators))
        elif server.admin_email:
            new = accounts.create_first_admin(
                database, email=server.admin_email, name=server.admin_name or server.admin_email
            )
            detail = f"{new.account.email} signs in with {new.initial_password} (shown only now), and then chooses another."
            yield Step("First administrator", Outcome.DONE, detail)
        else:
            yield Step("First administrator", Outcome.WAITING, "Run this again with --admin EMAIL.")
    finally:
        database.dispose()


def _require_own(connection: sa.Connection, folder: Path) -> None:
    """No server takes the database of another by mistake: its ingest and watch would get new passwords, and its edges and
    laptops know another authority. Raises UserError."""
    known = store.authority_of(connection)
    if known not in (None, _authority_fingerprint(folder)):
        raise UserError(
            "Another server uses this database: it has another certificate authority. Use its folder, or take its authority "
            "with --authority. With --take-over this server replaces it: its ingest and watch are cut off, and each house "
            "needs new credentials."
        )


def _authority_fingerprint(folder: Path) -> str:
    certificate = x509.load_pem_x509_certificate((folder / "authority" / "ca.crt").read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex()


def _service_url(database: store.Database, server: Server, url: str, service: str) -> str:
    """With a new password."""
    role, set_password = {
        "ingest": (store.ingest_role, store.set_ingest_password),
        "watch": (store.watch_role, store.set_watch_password),
    }[service]
    password = secrets.token_hex(24)
    with database.begin() as connection:
        set_password(connection, server.deployment, password)
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = quote(role(server.deployment), safe="")
    return parts._replace(netloc=f"{user}:{password}@{host}").geturl()


def services(folder: Path, server: Server) -> list[Service]:
    """What runs beside the database."""
    broker, authority = folder / "broker", folder / "authority"
    deployment = ("--deployment", server.deployment)
    certificates = [
        service_files(folder / "certificates", server.deployment, name).cert for name in _holders(server)
    ]
    result = [
        Service(
            "broker",
            "the MQTT broker",
            ("-c", str(broker / "mosquitto.conf")),
            settings=(
                "Type=exec",
                "Restart=always",
                "RestartSec=5",
                "User=mosquitto",
                f"ReadWritePaths={broker}",
            ),
            program="/usr/sbin/mosquitto",
            in_compose=False,
        ),
        Service(
            "revocation",
            "make the broker follow the revocation list",
            (
                *("revocation", "watch", "--list", str(authority / "revoked.pem")),
                *("--broker-list", str(broker / "revoked.pem")),
                *("--restart", "systemctl restart sgmp-broker"),
            ),
            after="sgmp-broker.service",
            settings=("Type=exec", "Restart=always", "RestartSec=5", f"ReadWritePaths={broker}"),
            in_compose=False,
        ),
        Service(
            "migrate",
            "bring the database to the state that this version needs",
            ("migrate", *deployment),
            environment=folder / "environment" / "migrate.env",
            settings=("Type=oneshot", "RemainAfterExit=yes", "DynamicUser=yes"),
        ),
    ]
    for name in _INGESTS:
        files = service_files(folder / "certificates", server.deployment, name)
        arguments = (
            *("ingest", *deployment, "--name", f"{server.deployment}_{name}"),
            *("--broker", f"localhost:{server.broker_port}", "--broker-ca", str(broker / "ca.crt")),
            *("--broker-cert", str(files.cert)),
        )
        environment = folder / "environment" / f"{name}.env"
        after = "sgmp-migrate.service sgmp-broker.service"
        result.append(Service(name, "receive and store readings", arguments, files.key, environment, after))
    watched = [
        argument
        for file in (broker / "server.crt", broker / "ca.crt", *certificates)
        for argument in ("--certificate", str(file))
    ]
    result.append(
        Service(
            "watch",
            "the watch over all houses",
            ("watch", *deployment, *watched, *server.mail),
            environment=folder / "environment" / "watch.env",
            after="sgmp-migrate.service",
        )
    )
    timed = ("Type=oneshot", f"StateDirectory={BACKUPS.name}", "StateDirectoryMode=0700", "Nice=10")
    backup = Service(
        "backup",
        "back up the database and this server's folder",
        ("server", "backup", str(folder), "--to", str(BACKUPS), "--keep", str(_KEPT_BACKUPS)),
        settings=timed,
        in_compose=False,
        calendar="*-*-* 02:30",
    )
    verify = Service(
        "verify_backup",
        "restore the newest backup for a moment and compare",
        ("server", "verify-backup", str(BACKUPS)),
        settings=timed,
        in_compose=False,
        calendar="Sun *-*-* 04:00",
    )
    archive = Service(
        "archive",
        "archive the raw readings of months that are over",
        ("archive", str(ARCHIVE), *deployment),
        environment=folder / "environment" / "migrate.env",
        settings=("Type=oneshot", f"StateDirectory={ARCHIVE.name}", "DynamicUser=yes", "Nice=10"),
        in_compose=False,
        calendar="*-*-* 03:30",
    )
    return [*result, backup, verify, archive]


def _run_files(folder: Path, server: Server, owner: tuple[int, int] | None) -> Iterator[tuple[Path, str]]:
    console = Path(sys.executable).parent / "sgmp-console"
    several = services(folder, server)
    for service in several:
        yield folder / "systemd" / f"sgmp-{service.name}.service", unit(service, str(console))
        if service.calendar:
            yield folder / "systemd" / f"sgmp-{service.name}.timer", timer(service)
    runs_broker = owner or (os.getuid(), os.getgid())
    environment = folder / "environment" / "database.env"
    yield folder / "compose.yaml", compose(several, folder, environment, runs_broker)


def _profile(folder: Path, server: Server, laptop: str, url: str) -> Profile:
    files = service_files(folder / "certificates", server.deployment, _console(laptop))
    parts = urlsplit(url)
    address = server.database or f"{server.host}:{parts.port or 5432}{parts.path}"
    return Profile(
        name=server.deployment,
        database_url=f"postgresql://{address}",
        deployment=server.deployment,
        broker_host=server.host,
        broker_port=server.broker_port,
        broker_ca=(folder / "broker" / "ca.crt").read_text("ascii"),
        broker_cert=files.cert.read_text("ascii"),
        broker_key=files.key.read_text("ascii"),
    )


def _ca_of_database(folder: Path) -> str:
    return (folder / "broker" / "ca.crt").read_text("ascii")


def _laptops(server: Server) -> tuple[str, ...]:
    return server.laptops or ("console",)


def _console(laptop: str) -> str:
    return "console" if laptop == "console" else f"console_{laptop}"


def _holders(server: Server) -> list[str]:
    """Who has a certificate for the broker. The watch does not talk to it."""
    return [*_INGESTS, *map(_console, _laptops(server))]


def _check_authority(source: Path) -> None:
    """Before anything is made: one that can't be used must not stand in the folder. Raises UserError, AuthorityDamaged."""
    if not (source / "ca.crt").is_file():
        raise UserError(f"{source} holds no authority (ca.crt and ca.key).")
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        _adopt(source, copy)
        try:
            LocalAuthority(copy)
        except AuthorityDamaged as error:
            raise AuthorityDamaged(source, error.reason) from error


def _adopt(source: Path, authority: Path) -> None:
    """Take an authority that was made elsewhere; never in place of another. Raises UserError."""
    for name in ("ca.crt", "ca.key"):
        target = authority / name
        try:
            content = (source / name).read_bytes()
        except OSError as error:
            raise UserError(f"{source / name} can't be read: {error.strerror}.") from error
        if target.exists() and target.read_bytes() != content:
            raise UserError(f"{authority} holds another authority already. Its houses would be locked out.")
        replace_text(target, content, mode=0o600 if name == "ca.key" else 0o644)


def user_ids(name: str, missing: str) -> tuple[int, int] | None:
    """User and group id of who runs a server, where that is not us. Raises UserError with the sentence `missing`."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise UserError(missing) from None
    return user.pw_uid, user.pw_gid


def _owner(broker_user: str) -> tuple[int, int] | None:
    """Who runs the broker. Raises UserError."""
    return user_ids(
        broker_user,
        f"There is no user {broker_user} to run the broker. Install Mosquitto first (apt-get install mosquitto), or name "
        "another with --broker-user.",
    )


def _step(what: str, changed: bool, detail: str = "") -> Step:
    return Step(what, Outcome.DONE if changed else Outcome.UNCHANGED, detail)


def _environment_text(values: dict[str, str]) -> bytes:
    """Both systemd and Compose read single quotes as they are. Raises UserError."""
    for name, value in values.items():
        if any(character in value for character in "'\\\n\r"):
            raise UserError(
                f"{name} holds a quote, backslash or line break, which no environment file can: percent-encode it."
            )
    return "".join(f"{name}='{value}'\n" for name, value in values.items()).encode("utf-8")


def _read_environment(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines) if value}
