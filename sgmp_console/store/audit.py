"""Who changed and did what. The database writes it (`sql/audit.sql`), with secrets masked; nothing changes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from sgmp_console.errors import UserError
from sgmp_console.store import rows

ACTS = {
    "create": "created",
    "change": "changed",
    "delete": "deleted",
    "restore": "restored",
    "sign_in": "signed in",
    "change_password": "changed their own password",
    "reset_password": "reset the password",
    "reveal_secrets": "viewed the secrets",
    "issue_credentials": "generated credentials",
    "revoke_credentials": "revoked credentials",
    "remove_credentials": "removed credentials",
    "synchronize": "synchronized the configuration",
    "roll_back": "rolled back the configuration",
    "probe": "tested a device",
    "check_wiring": "checked the wiring of",
    "control": "sent a command",
    "export": "exported",
    "replay": "replayed",
    "discard": "discarded",
    "acknowledge": "acknowledged",
    "silence": "silenced",
    "reopen": "took back the acknowledgement of",
    "test": "sent a test message to",
}
"""Each act in words that follow who did it."""

KINDS = {
    "account": "account",
    "role": "role",
    "house": "house",
    "device": "device",
    "series": "unit of a field",
    "analytic_item": "analytic item",
    "configuration": "configuration",
    "credentials": "credentials",
    "report": "report",
    "quarantine": "quarantined messages",
    "finding": "finding",
    "recipient": "recipient of notifications",
    "maintenance_window": "time of maintenance",
    "rule": "rule",
    "note": "note",
}
"""What acts are about, in words."""


@dataclass(frozen=True)
class AuditEntry:
    """`at_ms`: UTC. `actor`: the account's email, or the PostgreSQL role of who is none (the owner, ingest).

    `act` is a key of ACTS, `kind` one of KINDS. Of a change, `before` and `after` hold what differs; a secret that
    changed stands in both, masked. Of acts outside the database `after` holds details. Where not `whole`, both are too long
    for a list and are left out.
    """

    entry_id: int
    at_ms: int
    actor: str
    act: str
    kind: str
    subject: str
    house_id: int | None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    whole: bool = True


def read(
    connection: sa.Connection,
    *,
    actor: str = "",
    subject: str = "",
    acts: Collection[str] = (),
    kinds: Collection[str] = (),
    house_id: int | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    before_id: int | None = None,
    limit: int = 200,
    whole: bool = False,
) -> list[AuditEntry]:
    """Entries that the account may see (`manage_accounts`; of the account's house, or all), the newest first.

    `actor`, `subject`: part of it, in any case. Empty `acts` and `kinds`: all. `from_ms` <= at < `to_ms`, UTC ms. `before_id`: the
    last entry of the page before. `whole`: with `before` and `after` of all, else of those where they are short; `get` has
    the others.
    """
    page = connection.execute(
        sa.text(
            "SELECT entry_id, at, actor, act, kind, subject, house_id, before, after, whole FROM sgmp.audit_page("
            ":actor, :subject, CAST(:acts AS text[]), CAST(:kinds AS text[]), :house, :start, :end, :before_id,"
            " :page, :whole)"
        ),
        {
            "actor": actor or None,
            "subject": subject or None,
            "acts": list(acts),
            "kinds": list(kinds),
            "house": house_id,
            "start": None if from_ms is None else rows.from_ms(from_ms),
            "end": None if to_ms is None else rows.from_ms(to_ms),
            "before_id": before_id,
            "page": limit,
            "whole": whole,
        },
    )
    return [_entry(row, row.whole) for row in page]


def get(connection: sa.Connection, entry_id: int) -> AuditEntry:
    """One entry with all that it holds, long values cut. Raises UserError where there is none, or none to be seen."""
    row = connection.execute(
        sa.text(
            "SELECT entry_id, at, actor, act, kind, subject, house_id, before, after FROM sgmp.audit_entry(:entry)"
        ),
        {"entry": entry_id},
    ).one_or_none()
    if row is None:
        raise UserError("There is no such entry in the audit.")
    return _entry(row, True)


def of_device(connection: sa.Connection, device_id: int, limit: int) -> list[AuditEntry]:
    """What was changed of a device and of the units of its fields, the newest first; for who may see its settings
    (`view_devices`)."""
    entries = connection.execute(
        sa.text("SELECT * FROM sgmp.device_history(:device, :newest)"), {"device": device_id, "newest": limit}
    )
    return [_entry(row, True) for row in entries]


def _entry(row: sa.Row[Any], whole: bool) -> AuditEntry:
    return AuditEntry(
        row.entry_id,
        rows.to_ms(row.at),
        row.actor,
        row.act,
        row.kind,
        row.subject,
        row.house_id,
        row.before,
        row.after,
        whole,
    )


_SIGN_INS = 1_000
"""Looked through for the last ones: more in the time asked for are those of programs that sign in all the time."""


def last_sign_ins(connection: sa.Connection, from_ms: int) -> dict[str, int]:
    """When accounts signed in last (UTC ms), by email; only of those that did since `from_ms`."""
    found: dict[str, int] = {}
    for entry in read(connection, acts=("sign_in",), from_ms=from_ms, limit=_SIGN_INS):
        found.setdefault(entry.actor, entry.at_ms)
    return found


def note(
    connection: sa.Connection,
    act: str,
    kind: str,
    subject: str,
    *,
    house_id: int | None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Tell of an act outside the database, which must not hold secrets, in the transaction that it belongs to.

    Raises Refused where the account may not do it, UserError for another act than those of `audit_external` in
    `sql/audit.sql`. Without `house_id` it is about all houses.
    """
    connection.execute(
        sa.select(
            sa.func.sgmp.audit_external(
                act, kind, subject, house_id, sa.null() if details is None else sa.cast(dict(details), JSONB)
            )
        )
    )
