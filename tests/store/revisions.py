"""The tables of an earlier version, without its programs: a revision that was released never changes."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import command
from sgmp_console import store
from sgmp_console.store import migrations
from sgmp_console.store.rows import driver
from tests.database import TestDatabase


def create_tables(connection: sa.Connection, made: TestDatabase, revision: str, *, timescale: bool) -> None:
    """The roles of the deployment and the tables as of `revision`, in an empty database."""
    if timescale:
        connection.exec_driver_sql("CREATE EXTENSION timescaledb")
    store.access.prepare_roles(driver(connection), made.deployment)
    connection.exec_driver_sql("CREATE SCHEMA sgmp")
    config = migrations._config()
    config.attributes.update(connection=connection, timescale=timescale)
    command.upgrade(config, revision)
