"""Bring a database to the present state: roles, tables (Alembic), programs (functions, views, rights)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import sqlalchemy as sa

import sgmp_console
from sgmp_console.errors import SgmpError
from sgmp_console.retention import REFRESH_DAYS
from sgmp_console.store.access import (
    accounts_role,
    checked_deployment,
    ingest_role,
    prepare_roles,
    watch_role,
)
from sgmp_console.store.connecting import connect, parameters_of
from sgmp_console.store.database import classed
from sgmp_console.store.errors import DatabaseUnavailable, OtherSchema
from sgmp_console.store.rows import driver
from sgmp_console.store.tables.houses import device_setting
from sgmp_console.store.watching import CLAIM_GRACE_S
from sgmp_edge import contract

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_KEY = 0x53474D50  # "SGMP": one migration at a time in a database
_LOCK_TIMEOUT_MS = 10_000
_STATEMENT_TIMEOUT_MS = 30 * 60_000
_ATTEMPTS = 5

CONNECTION_LIMIT = 12
"""Connections that an account may have: a console has up to 8 (its pool, what listens, a password that is tried)."""

TEMP_FILE_LIMIT = "10GB"
"""What the temporary files of one session may take of the server's disk."""

_HOUSE_VISIBLE = "((SELECT sgmp.sees_every_house()) OR house_id = (SELECT sgmp.my_house()))"

_SQL = Path(__file__).resolve().parent / "sql"
_SUBJECTS = (
    "identity",
    "locks",
    "accounts",
    "roles",
    "ingest",
    "audit",
    "houses",
    "devices",
    "analytics",
    "events",
    "quarantine",
    "readings",
    "fleet",
    "setup",
    "findings",
    "maintenance",
    "notes",
    "watch",
    "rules",
    "notifications",
    "aggregates",
    "quality",
    "hardening",
    "rights",
)
"""The files of `sql`, in their order: rights last, when all functions are there."""


def scripts() -> Path:
    """Alembic's folder: in the repository, or inside the installed package."""
    package = Path(sgmp_console.__file__).resolve().parent
    installed = package / "_alembic"
    return installed if installed.is_dir() else package.parent / "alembic"


def migrate(url: str, deployment: str) -> None:
    """Make or update everything in the database at `url`, signed in as its owner. Harmless when nothing is to be done.

    All or nothing, in one transaction. Uses TimescaleDB where the server offers its community edition at the first
    migration. Raises DatabaseUnavailable (also when others keep tables busy), SignInRefused, UserError, OtherSchema (it is
    newer).
    """
    checked_deployment(deployment)
    parameters = parameters_of(url)
    for attempt in range(1, _ATTEMPTS + 1):
        engine = sa.create_engine(
            "postgresql+psycopg2://",
            creator=lambda: connect(
                parameters,
                application_name="sgmp-migrate",
                lock_timeout=_LOCK_TIMEOUT_MS,
                statement_timeout=_STATEMENT_TIMEOUT_MS,
                timezone="UTC",
                search_path="public",
                # Notices of "does not exist, skipping" are no news.
                client_min_messages="warning",
            ),
            poolclass=sa.NullPool,
            hide_parameters=True,
        )
        try:
            with _classed(), engine.begin() as connection:
                _migrate(connection, deployment)
        except DatabaseUnavailable:
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def _migrate(connection: sa.Connection, deployment: str) -> None:
    _lock(connection)
    prepare_roles(driver(connection), deployment)
    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS sgmp")
    known = _installation(connection)
    if known.get("deployment", deployment) != deployment:
        raise SgmpError(
            f"This database belongs to deployment {known['deployment']}, not {deployment}. Correct the deployment's "
            "name or the database address."
        )
    if known.get("revision", "") > _head():
        raise OtherSchema()
    programs = _programs(deployment)
    fingerprint = hashlib.sha256(programs.encode("utf-8")).hexdigest()
    settings = _device_settings()
    settings_fingerprint = hashlib.sha256(repr(settings).encode("utf-8")).hexdigest()
    if (known.get("programs"), known.get("revision"), known.get("device_settings")) == (
        fingerprint,
        _head(),
        settings_fingerprint,
    ):
        return
    timescale = known["timescale"] == "true" if "timescale" in known else _offers_timescale(connection)
    if timescale:
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS timescaledb")
    _execute(connection, _sql("drop"))
    _upgrade(connection, timescale)
    _execute(connection, programs)
    connection.execute(device_setting.delete())
    connection.execute(
        device_setting.insert(),
        [{"type": kind, "setting": setting, "secret": secret} for kind, setting, secret in settings],
    )
    for key, value in {
        "deployment": deployment,
        "timescale": str(timescale).lower(),
        "programs": fingerprint,
        "revision": _head(),
        "device_settings": settings_fingerprint,
    }.items():
        connection.execute(
            sa.text(
                "INSERT INTO sgmp.installation VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = :value"
            ),
            {"key": key, "value": value},
        )


def _lock(connection: sa.Connection) -> None:
    """One migration at a time. In a database of ours by a lock that no account can take, which ends what accounts left
    open: they hold tables that are to be changed."""
    if connection.exec_driver_sql("SELECT to_regclass('sgmp.device_setting')").scalar() is None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
        return
    connection.exec_driver_sql("LOCK TABLE sgmp.device_setting IN SHARE ROW EXCLUSIVE MODE")
    connection.exec_driver_sql(
        "SELECT pg_terminate_backend(s.pid, 2000) FROM pg_stat_activity s JOIN sgmp.account a ON a.login = s.usename"
        " WHERE s.datname = current_database() AND s.state LIKE 'idle in transaction%%'"
        " AND s.state_change < clock_timestamp() - interval '10 seconds' AND pg_has_role(s.usesysid, 'MEMBER')"
    )


def _device_settings() -> list[tuple[str, str, bool]]:
    """(type, setting, whether it is secret) of all that the config schemas declare."""
    types = contract.device_types()
    return sorted((kind, field.key, field.secret) for kind in types for field in types[kind].fields)


def _address_settings() -> str:
    """('type', 'setting') of all that say where a device is, as the right side of SQL's IN."""
    found = sorted(
        (kind, field.key)
        for kind, declared in contract.device_types().items()
        for field in declared.fields
        if field.kind in ("host", "url")
    )
    return ", ".join(f"({_literal(kind)}, {_literal(setting)})" for kind, setting in found) or "('', '')"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


@dataclass(frozen=True)
class State:
    """What a database was migrated to.

    `is_current`: by this version of SGMP; `has_our_tables`: by one whose tables are the same.
    """

    deployment: str
    timescale: bool
    is_current: bool
    revision: str

    @property
    def has_our_tables(self) -> bool:
        return self.revision == _head()


def state(connection: sa.Connection) -> State | None:
    """None for a database without tables of ours. Any account may ask."""
    known = _installation(connection)
    if "deployment" not in known:
        return None
    fingerprint = hashlib.sha256(_programs(known["deployment"]).encode("utf-8")).hexdigest()
    current = known.get("programs") == fingerprint and known.get("revision") == _head()
    return State(
        known["deployment"], known.get("timescale") == "true", current, known.get("revision", "unknown")
    )


def _installation(connection: sa.Connection) -> dict[str, str]:
    if connection.exec_driver_sql("SELECT to_regclass('sgmp.installation')").scalar() is None:
        return {}
    rows = connection.exec_driver_sql("SELECT key, value FROM sgmp.installation")
    return {row.key: row.value for row in rows}


def _offers_timescale(connection: sa.Connection) -> bool:
    """Whether the extension can be used, in the edition that has columnstore and continuous aggregates.

    It can't be made without being preloaded: trying would end the connection.
    """
    if (
        connection.exec_driver_sql(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        ).scalar()
        is None
    ):
        return False
    # The loader's settings exist wherever it is preloaded, those of the extension only where it is installed.
    preloaded = "SELECT 1 FROM pg_settings WHERE starts_with(name, 'timescaledb.')"
    if connection.exec_driver_sql(preloaded).first() is None:
        return False
    with connection.begin_nested() as trial:
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS timescaledb")
        edition = connection.exec_driver_sql("SELECT current_setting('timescaledb.license', true)").scalar()
        if edition != "timescale":
            trial.rollback()
    return edition == "timescale"


def _upgrade(connection: sa.Connection, timescale: bool) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    config.attributes["timescale"] = timescale
    command.upgrade(config, "head")


def _head() -> str:
    """The newest revision: files are named by theirs. Alembic would say the same, but only servers have it installed."""
    return max(file.name.partition("_")[0] for file in (scripts() / "versions").glob("[0-9]*.py"))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config


def _programs(deployment: str) -> str:
    values = {
        "accounts": _identifier(accounts_role(deployment)),
        "ingest": _identifier(ingest_role(deployment)),
        "ingest_text": f"'{ingest_role(deployment)}'",
        "watch": _identifier(watch_role(deployment)),
        "watch_text": f"'{watch_role(deployment)}'",
        "deployment_text": f"'{deployment}'",
        "addresses": _address_settings(),
        "house_visible": _HOUSE_VISIBLE,
        "contents_visible": f"((SELECT sgmp.sees_contents()) AND {_HOUSE_VISIBLE})",
        "connections": str(CONNECTION_LIMIT),
        "temp_file_limit": TEMP_FILE_LIMIT,
        "refresh_days": str(REFRESH_DAYS),
        "claim_grace_s": str(CLAIM_GRACE_S),
    }
    text = "".join(map(_sql, _SUBJECTS))
    return re.sub(r"\{([a-z_]+)\}", lambda found: values[found[1]], text)


def _sql(subject: str) -> str:
    return (_SQL / f"{subject}.sql").read_text("utf-8")


def _identifier(name: str) -> str:
    return f'"{name}"'  # names of deployments need no escaping


def _execute(connection: sa.Connection, text: str) -> None:
    with driver(connection).cursor() as cursor:
        cursor.execute(text)


@contextmanager
def _classed() -> Iterator[None]:
    try:
        yield
    except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
        raise classed(error).with_traceback(error.__traceback__) from None
