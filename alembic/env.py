"""Run by Alembic inside `store.migrate`, which brings the connection and its transaction.

This folder must never have an `__init__.py`: it would stand before the library of the same name.
"""

from __future__ import annotations

from alembic import context
from sgmp_console.store.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
