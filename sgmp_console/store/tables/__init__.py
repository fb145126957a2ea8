"""The tables of schema `sgmp`, as SQLAlchemy sees them.

Alembic makes them (`alembic/versions`), a test keeps both equal. Functions, views, policies and grants, which hold no
data, are in `sql/`. Names of tables are singular; the views that accounts read are plural.
"""

from sgmp_console.store.tables import access, findings, houses, notes, quality, readings
from sgmp_console.store.tables.columns import SCHEMA, metadata

__all__ = ["SCHEMA", "access", "findings", "houses", "metadata", "notes", "quality", "readings"]
