"""Small things that all tables' functions share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.errors import Taken, UserError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def to_ms_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else to_ms(instant)


def from_ms(timestamp_ms: int) -> datetime:
    """Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=timestamp_ms)


def driver(connection: sa.Connection) -> psycopg2.extensions.connection:
    """psycopg2's own connection, for COPY and what else SQLAlchemy has no words for."""
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, psycopg2.extensions.connection):
        raise TypeError("not a connection of psycopg2")
    return raw


def array_literal(column: NDArray[Any]) -> str:
    """Numbers as PostgreSQL's text of an array, to be CAST: as ARRAY[...] each would be parsed as an expression."""
    return f"{{{','.join(map(repr, column.tolist()))}}}"


@contextmanager
def constraint_errors(connection: sa.Connection, sentences: Mapping[str, str]) -> Iterator[None]:
    """Turn the breach of a constraint named in `sentences` into UserError with that sentence; Taken where it is unique.

    The transaction stays usable, as if the statement had not been sent.
    """
    try:
        with connection.begin_nested():
            yield
    except sa.exc.IntegrityError as error:
        broken = error.orig.diag.constraint_name if isinstance(error.orig, psycopg2.Error) else None
        if broken is None or broken not in sentences:
            raise
        # Not `from error`: PostgreSQL's detail quotes the row.
        kind = Taken if isinstance(error.orig, psycopg2.errors.UniqueViolation) else UserError
        raise kind(sentences[broken]) from None
