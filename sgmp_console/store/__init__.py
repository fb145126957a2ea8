"""PostgreSQL and TimescaleDB: everything that is stored, and who may see it.

Functions take a Connection of `Database.begin()`, one transaction each; what they return are frozen dataclasses.
"""

from sgmp_console.store import (
    accounts,
    analytics,
    audit,
    config_versions,
    devices,
    events,
    houses,
    ingest_state,
    quarantine,
    readings,
    roles,
)
from sgmp_console.store.accounts import Account, sign_in
from sgmp_console.store.analytics import AnalyticItem
from sgmp_console.store.audit import AuditEntry
from sgmp_console.store.changes import Change, Reconnected, listen
from sgmp_console.store.database import Database
from sgmp_console.store.devices import Device
from sgmp_console.store.errors import (
    AccountDisabled,
    ChangedMeanwhile,
    DatabaseUnavailable,
    PasswordExpired,
    SignInRefused,
    StatementFailed,
)
from sgmp_console.store.events import Event, EventRow
from sgmp_console.store.houses import House
from sgmp_console.store.maintenance import Maintenance
from sgmp_console.store.migrations import migrate
from sgmp_console.store.quarantine import Rejected
from sgmp_console.store.readings import Batch, ReadingRow, TextRow, Written
from sgmp_console.store.roles import Role

__all__ = [
    "Account",
    "AccountDisabled",
    "AnalyticItem",
    "AuditEntry",
    "Batch",
    "Change",
    "ChangedMeanwhile",
    "Database",
    "DatabaseUnavailable",
    "Device",
    "Event",
    "EventRow",
    "House",
    "Maintenance",
    "PasswordExpired",
    "ReadingRow",
    "Reconnected",
    "Rejected",
    "Role",
    "SignInRefused",
    "StatementFailed",
    "TextRow",
    "Written",
    "accounts",
    "analytics",
    "audit",
    "config_versions",
    "devices",
    "events",
    "houses",
    "ingest_state",
    "listen",
    "migrate",
    "quarantine",
    "readings",
    "roles",
    "sign_in",
]
