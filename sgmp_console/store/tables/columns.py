"""The columns and rules that several tables have."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Function,
    Identity,
    Integer,
    MetaData,
    Text,
    func,
    text,
)

SCHEMA = "sgmp"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

NAME_RULE = "name ~ '^[A-Za-z][A-Za-z0-9_]*$' AND length(name) <= 64"
"""Of devices and analytic items: what a formula can refer to without quotes."""


def row_id(name: str, of: type[Integer] = Integer) -> Column[int]:
    return Column(name, of, Identity(always=True), primary_key=True)


def revision() -> Column[int]:
    # Counts the changes of a row, so that of two consoles editing the same thing the second is refused.
    return Column("revision", Integer, nullable=False, server_default=text("1"))


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


_NOW = func.now()


def now(name: str, clock: Function[datetime] = _NOW) -> Column[object]:
    """The start of the transaction, if no other `clock` is named."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=clock)


def text_column(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def at_most(column: str, limit: int, *, of: str = "length({})") -> CheckConstraint:
    """No text or document that an account can write is without a bound."""
    return CheckConstraint(f"{of.format(column)} <= {limit}", name=f"{column}_length")


def when(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def is_one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
