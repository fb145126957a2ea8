"""PostgreSQL and TimescaleDB: everything that is stored, and who may see it.

Functions take a Connection of `Database.begin()`, one transaction each; what they return are frozen dataclasses. What
other packages use stands in `__all__`; they import nothing else of this package (`pyproject.toml`, import-linter).
"""

from sgmp_console.store import (
    accounts,
    aggregates,
    analytics,
    audit,
    changes,
    config_versions,
    connecting,
    devices,
    events,
    file_copies,
    findings,
    houses,
    ingest_state,
    migrations,
    notes,
    permissions,
    population,
    quality,
    quarantine,
    readings,
    roles,
    rules,
    standings,
    tallies,
    watching,
)
from sgmp_console.store.access import (
    accounts_role,
    authority_of,
    checked_deployment,
    deployment_name,
    ingest_role,
    login_name,
    normal_email,
    set_authority,
    set_ingest_password,
    set_watch_password,
    watch_role,
)
from sgmp_console.store.accounts import Account, sign_in
from sgmp_console.store.analytics import AnalyticItem
from sgmp_console.store.audit import AuditEntry
from sgmp_console.store.changes import Change, Reconnected, listen
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_console.store.database import Database, keep_alive, savepoint, server_version
from sgmp_console.store.devices import Device
from sgmp_console.store.errors import (
    AccountDisabled,
    ChangedMeanwhile,
    DatabaseUnavailable,
    OtherSchema,
    PasswordExpired,
    SignedOut,
    SignInRefused,
    StatementFailed,
)
from sgmp_console.store.events import Event, EventRow
from sgmp_console.store.houses import House, Place
from sgmp_console.store.ingest_state import IngestState
from sgmp_console.store.locks import lock_house, lock_houses
from sgmp_console.store.maintenance import Maintenance
from sgmp_console.store.migrations import migrate
from sgmp_console.store.quarantine import Rejected
from sgmp_console.store.readings import Batch, DeviceSeries, ReadingRow, TextRow, Written
from sgmp_console.store.roles import Role
from sgmp_console.store.rules import OperatorRule
from sgmp_console.store.series import FieldKey, SeriesIds, series_of

__all__ = [
    "Account",
    "AccountDisabled",
    "AnalyticItem",
    "AuditEntry",
    "Batch",
    "Change",
    "ChangedMeanwhile",
    "ConfigVersion",
    "Database",
    "DatabaseUnavailable",
    "Device",
    "DeviceSeries",
    "EdgeState",
    "Event",
    "EventRow",
    "FieldKey",
    "House",
    "IngestState",
    "Maintenance",
    "OperatorRule",
    "OtherSchema",
    "PasswordExpired",
    "Place",
    "ReadingRow",
    "Reconnected",
    "Rejected",
    "Role",
    "SeriesIds",
    "SignInRefused",
    "SignedOut",
    "StatementFailed",
    "TextRow",
    "Written",
    "accounts",
    "accounts_role",
    "aggregates",
    "analytics",
    "audit",
    "authority_of",
    "changes",
    "checked_deployment",
    "config_versions",
    "connecting",
    "deployment_name",
    "devices",
    "events",
    "file_copies",
    "findings",
    "houses",
    "ingest_role",
    "ingest_state",
    "keep_alive",
    "listen",
    "lock_house",
    "lock_houses",
    "login_name",
    "migrate",
    "migrations",
    "normal_email",
    "notes",
    "permissions",
    "population",
    "quality",
    "quarantine",
    "readings",
    "roles",
    "rules",
    "savepoint",
    "series_of",
    "server_version",
    "set_authority",
    "set_ingest_password",
    "set_watch_password",
    "sign_in",
    "standings",
    "tallies",
    "watch_role",
    "watching",
]
