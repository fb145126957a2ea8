"""The one way into the database: an engine with its pool, and transactions whose failures are classed."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg2
import sqlalchemy as sa
from psycopg2 import errorcodes
from sqlalchemy import event

from sgmp_console.errors import Refused, Taken, Unavailable, UserError
from sgmp_console.store.connecting import (
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
    connect,
    parameters_of,
)
from sgmp_console.store.errors import DatabaseUnavailable, OtherSchema, StatementFailed
from sgmp_console.store.rows import driver

_log = logging.getLogger(__name__)

POOL_SIZE = 4
_POOL_WAIT_S = 15
_RECYCLE_S = 1800

SERIES_CACHE = "sgmp_series"
PARTITION_CACHE = "sgmp_partitions"
"""What `readings.write` knows of this connection's database, kept in `Connection.info`."""

CHANGE_CHANNEL = "sgmp_change"
_CHANGES = "sgmp_changes"
_NOTIFY = sa.text("SELECT pg_notify(:channel, message) FROM unnest(CAST(:messages AS text[])) AS message")

_TOO_LONG = re.compile(r"(\w+)_length_check")
"""Names of the constraints that bound texts (`tables`)."""

USER_ERROR_STATE = "SG001"
"""SQLSTATE with which our database functions refuse; the message is the operator's sentence."""

REFUSED_STATE = "SG002"
"""The same where it is the account that may not."""

TAKEN_STATE = "SG003"
"""The same where what was chosen is another's already."""


def keep_alive(connection: sa.Connection) -> None:
    """Keep a transaction open while something outside the database takes its time: an idle one is ended."""
    connection.exec_driver_sql("SELECT 1")


def server_version(connection: sa.Connection) -> str:
    """PostgreSQL's, such as 17.4."""
    return str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]


class Database:
    """A deployment's database as one account sees it. Safe to use from several threads."""

    def __init__(
        self,
        engine: sa.Engine,
        parameters: dict[str, str],
        password_lock: threading.RLock,
        application: str,
    ) -> None:
        self._engine = engine
        self._parameters = parameters
        self._password_lock = password_lock
        self._application = application
        self._unnotified: dict[int, int] = {}
        self._notifying = threading.Lock()

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        application: str = "sgmp-console",
        user: str | None = None,
        password: str | None = None,
        pre_ping: bool = True,
    ) -> Database:
        """Open `url` (libpq's form, several hosts allowed) and make sure that it answers.

        `user` and `password` take precedence over those in the URL. `pre_ping`: each transaction first makes sure
        of its connection, at the price of one more journey to the server; without it, a lost connection shows as one
        DatabaseUnavailable, for callers that try again anyway. Raises DatabaseUnavailable, SignInRefused,
        and UserError where the address itself is wrong.
        """
        parameters = parameters_of(url, user=user, password=password)
        password_lock = threading.RLock()

        def open_connection() -> psycopg2.extensions.connection:
            with password_lock:
                present = dict(parameters)
            return connect(
                present,
                application_name=application,
                statement_timeout=STATEMENT_TIMEOUT_MS,
                lock_timeout=LOCK_TIMEOUT_MS,
                idle_in_transaction_session_timeout=STATEMENT_TIMEOUT_MS,
                timezone="UTC",
                search_path="public",
                default_transaction_isolation=r"read\ committed",  # accounts are given nothing in others
            )

        engine = sa.create_engine(
            "postgresql+psycopg2://",
            creator=open_connection,
            pool_size=POOL_SIZE,
            max_overflow=2,
            pool_timeout=_POOL_WAIT_S,
            pool_recycle=_RECYCLE_S,
            pool_pre_ping=pre_ping,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        event.listen(engine, "rollback", _forget)
        event.listen(engine, "rollback_savepoint", lambda connection, _name, _context: _forget(connection))
        database = cls(engine, parameters, password_lock, application)
        try:
            with database.begin():
                pass
        except BaseException:
            engine.dispose()
            raise
        return database

    def __repr__(self) -> str:
        return f"Database({self.address})"

    @property
    def address(self) -> str:
        """Host, port and database, for people and logs."""
        host, port = self._parameters["host"] or "local socket", self._parameters.get("port", "5432")
        return f"{host}:{port}/{self._parameters['dbname']}"

    @property
    def parameters(self) -> dict[str, str]:
        """How this database is reached, password included: for further connections only, never to be shown."""
        with self._password_lock:
            return dict(self._parameters)

    @contextmanager
    def changing_password(self) -> Iterator[None]:
        """Until the end of the block it isn't known which password holds: others who would connect wait.

        A changed password ends the account's other sessions, which connect again at once.
        """
        with self._password_lock:
            yield

    def use_password(self, password: str) -> None:
        """The account's password was changed to this one; connections made from now on use it."""
        self._parameters["password"] = password

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end of the block, rolled back if anything is raised in it.

        Raises DatabaseUnavailable, Refused (the account has not the right), UserError (the database's own sentence),
        OtherSchema (what the statement is about is not there), StatementFailed (a bug of ours); texts and causes hold no data of the statement.
        """
        changes: dict[int, int] = {}
        try:
            with self._engine.begin() as connection:
                connection.info[_CHANGES] = changes
                try:
                    yield connection
                except psycopg2.Error:
                    # Raised beside SQLAlchemy, by COPY: it must learn that the connection is gone.
                    if driver(connection).closed:
                        connection.invalidate()
                    raise
        except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
            raise translated(error).with_traceback(error.__traceback__) from None
        if changes:
            self._notify(changes)

    def _notify(self, changes: Mapping[int, int]) -> None:
        """Listeners hear from which timestamp on (UTC ms) houses changed.

        In a transaction of its own, after the data are committed: a full queue of notifications (SQLSTATE 54000), which
        any account can cause, must not undo them. What can't be sent is sent with the next changes.
        """
        with self._notifying:
            _merge(self._unnotified, changes)
            try:
                with self._engine.begin() as connection:
                    messages = [f"{house} {ms}" for house, ms in self._unnotified.items()]
                    connection.execute(_NOTIFY, {"channel": CHANGE_CHANNEL, "messages": messages})
            except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
                _log.warning("listeners were not notified: %s", translated(error))
            else:
                self._unnotified.clear()

    @property
    def listeners_notified(self) -> bool:
        """Whether all changes that were committed were also notified."""
        return not self._unnotified

    def accepts(self, password: str) -> bool:
        """Whether the account that this is signed in as has that password now; False where it can't be asked."""
        try:
            connect({**self.parameters, "password": password}).close()
        except (Unavailable, UserError):
            return False
        return True

    def dispose(self) -> None:
        """Close all connections that are not in use; others when they are returned."""
        self._engine.dispose()


def note_change(connection: sa.Connection, house_id: int, from_ms: int) -> None:
    """Something of this house changed in this transaction, nothing before `from_ms` (UTC ms): listeners hear of it
    once it is committed."""
    _merge(connection.info.setdefault(_CHANGES, {}), {house_id: from_ms})


def _merge(changes: dict[int, int], more: Mapping[int, int]) -> None:
    for house_id, from_ms in more.items():
        changes[house_id] = min(changes.get(house_id, from_ms), from_ms)


@contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Part of a transaction: what fails in it is undone, and the transaction goes on. Raises as `Database.begin`."""
    try:
        with connection.begin_nested():
            yield
    except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
        raise translated(error).with_traceback(error.__traceback__) from None


def translated(error: BaseException) -> Exception:
    """One of our exceptions for one of the driver's or SQLAlchemy's, in a database that was migrated."""
    failure = classed(error)
    if isinstance(failure, StatementFailed) and failure.is_about_schema:
        _log.info("%s", failure)
        return OtherSchema()
    return failure


def classed(error: BaseException) -> Exception:
    """The same while the database is migrated: what is missing then is missing by our fault."""
    if isinstance(error, sa.exc.TimeoutError):
        return DatabaseUnavailable("all connections are busy")
    if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, psycopg2.Error):
        invalidated = error.connection_invalidated
        error = error.orig
        if invalidated and error.pgcode is None:
            return DatabaseUnavailable("the connection was lost")
    if not isinstance(error, psycopg2.Error):
        return StatementFailed(None, type(error).__name__)
    state, message = error.pgcode, error.diag.message_primary or ""
    if state is None:
        # The driver itself: a lost connection is an OperationalError or InterfaceError, the rest misuse.
        if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            return DatabaseUnavailable("the connection was lost")
        return StatementFailed(None, type(error).__name__)
    if state == USER_ERROR_STATE:
        return UserError(message)
    if state == REFUSED_STATE:
        return Refused(message)
    if state == TAKEN_STATE:
        return Taken(message)
    if state == errorcodes.INSUFFICIENT_PRIVILEGE:
        return Refused("Your account may not do this. An administrator can give your role the permission.")
    if reason := _unavailable(state):
        return DatabaseUnavailable(reason)
    if (too_long := _TOO_LONG.fullmatch(error.diag.constraint_name or "")) and error.diag.table_name:
        column = too_long[1].removeprefix(f"{error.diag.table_name}_").replace("_", " ")
        return UserError(f"The {column} is too long to be stored. Shorten it.")
    return StatementFailed(state, message, error.diag.constraint_name)


def _unavailable(state: str) -> str | None:
    if state == errorcodes.QUERY_CANCELED:
        return "it took too long to answer"
    if state == errorcodes.LOCK_NOT_AVAILABLE:
        return "something else holds what is needed"
    if state in (errorcodes.SERIALIZATION_FAILURE, errorcodes.DEADLOCK_DETECTED):
        return "two changes met"
    if state == errorcodes.READ_ONLY_SQL_TRANSACTION:
        return "it is read-only at the moment"
    if state == errorcodes.DISK_FULL:
        return "its disk is full"
    if state[:2] in (
        errorcodes.CLASS_CONNECTION_EXCEPTION,
        errorcodes.CLASS_INSUFFICIENT_RESOURCES,
        errorcodes.CLASS_OPERATOR_INTERVENTION,
        errorcodes.CLASS_SYSTEM_ERROR,
    ):
        return "it is restarting or overloaded"
    if state == errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT:
        return "it closed an idle connection"
    return None


def _forget(connection: sa.Connection) -> None:
    # What was learnt in a transaction that did not happen is not known. With a lost connection all of it is gone.
    if not connection.invalidated:
        connection.info.pop(SERIES_CACHE, None)
        connection.info.pop(PARTITION_CACHE, None)
