"""Hearing that readings or events arrived, without asking for them again and again."""

from __future__ import annotations

import re
import selectors
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import psycopg2

from sgmp_console.store.connecting import connect, parameters_of
from sgmp_console.store.database import CHANGE_CHANNEL, Database
from sgmp_console.store.errors import DatabaseUnavailable

_POLL_S = 0.2
"""How long somebody who stops listening waits for it: a window that closes does."""

_POLLS_BEFORE_AGAIN = 5
"""A lost connection is tried again each second."""

_PAYLOAD = re.compile(r"([0-9]{1,9}) (-?[0-9]{1,15})", re.ASCII)


@dataclass(frozen=True)
class Change:
    """Something of this house was stored, nothing of it earlier than `from_ms` (UTC ms)."""

    house_id: int
    from_ms: int


@dataclass(frozen=True)
class Reconnected:
    """Changes may have been missed: look at everything on screen again."""


def listen(source: Database | str) -> Generator[Change | Reconnected | None, None, None]:
    """Changes as they are committed; None five times a second while there are none, so that a caller can stop.

    Starts with Reconnected once it listens. A lost connection is made again for as long as it takes (None goes on
    coming), then Reconnected comes again. Raises SignInRefused where the account no longer may, UserError for a wrong
    address. Close the generator to end it.
    """
    while True:
        # Looked up each time: a password can change while we listen.
        parameters = source.parameters if isinstance(source, Database) else parameters_of(source)
        try:
            connection = connect(parameters, application_name="sgmp-listen", timezone="UTC")
        except DatabaseUnavailable:
            for _ in range(_POLLS_BEFORE_AGAIN):
                yield None
                time.sleep(_POLL_S)
            continue
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANGE_CHANNEL}")
            yield Reconnected()
            while True:
                yield from _arrived(connection)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            yield None
        finally:
            connection.close()


def _arrived(connection: psycopg2.extensions.connection) -> Iterator[Change | None]:
    # Not `select`, which takes no more than 1,024 open files, and on Windows no empty lists.
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection, selectors.EVENT_READ)
        arrived = waiting.select(_POLL_S)
    if not arrived:
        yield None
        return
    connection.poll()
    # Several notices of a house within one wake-up are one change.
    changes: dict[int, int] = {}
    while connection.notifies:
        # Every role that can connect may notify, anything: PostgreSQL knows no rights for that.
        if notice := _PAYLOAD.fullmatch(connection.notifies.pop(0).payload):
            house, from_ms = map(int, notice.groups())
            changes[house] = min(changes.get(house, from_ms), from_ms)
    for house_id, since in changes.items():
        yield Change(house_id, since)
