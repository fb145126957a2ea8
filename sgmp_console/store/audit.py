"""Who changed and did what. The database writes it (`sql/audit.sql`), with secrets masked; nothing changes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from sgmp_console.store import rows
from sgmp_console.store.tables import audit

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
    "control": "sent a command",
    "export": "exported",
    "replay": "replayed",
    "discard": "discarded",
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
}
"""What acts are about, in words."""


# What accounts read.
_view = sa.table("audit_entries", *(sa.column(c.name, c.type) for c in audit.c), schema="sgmp")


@dataclass(frozen=True)
class AuditEntry:
    """`at_ms`: UTC. `actor`: the account's email, or the PostgreSQL role of who is none (the owner, ingest).

    `act` is a key of ACTS, `kind` one of KINDS. Of a change, `before` and `after` hold what differs; a secret that
    changed stands in both, masked. Of acts outside the database `after` holds details.
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
) -> list[AuditEntry]:
    """Entries that the account may see (`manage_accounts`; of the own house, or all), the newest first.

    `actor`, `subject`: part of it, in any case. Empty `acts` and `kinds`: all. `from_ms` <= at < `to_ms`, UTC ms. `before_id`: the
    last entry of the page before.
    """
    query = sa.select(
        _view.c.entry_id,
        _view.c.at,
        _view.c.actor,
        _view.c.act,
        _view.c.kind,
        _view.c.subject,
        _view.c.house_id,
        _view.c.before,
        _view.c.after,
    )
    if actor:
        query = query.where(_view.c.actor.icontains(actor, autoescape=True))
    if subject:
        query = query.where(_view.c.subject.icontains(subject, autoescape=True))
    if acts:
        query = query.where(_view.c.act.in_(acts))
    if kinds:
        query = query.where(_view.c.kind.in_(kinds))
    if house_id is not None:
        query = query.where(_view.c.house_id == house_id)
    if from_ms is not None:
        query = query.where(_view.c.at >= rows.from_ms(from_ms))
    if to_ms is not None:
        query = query.where(_view.c.at < rows.from_ms(to_ms))
    if before_id is not None:
        query = query.where(_view.c.entry_id < before_id)
    found = connection.execute(query.order_by(_view.c.entry_id.desc()).limit(limit))
    return [AuditEntry(row.entry_id, rows.to_ms(row.at), *row[2:]) for row in found]


def actors(connection: sa.Connection) -> list[str]:
    """Everybody in the entries that the account may see, in order."""
    return list(connection.execute(sa.select(_view.c.actor).distinct().order_by(_view.c.actor)).scalars())


def last_sign_ins(connection: sa.Connection, from_ms: int) -> dict[str, int]:
    """When accounts signed in last (UTC ms), by email; only of those that did since `from_ms`."""
    query = (
        sa.select(_view.c.actor, sa.func.max(_view.c.at))
        .where(_view.c.act == "sign_in", _view.c.at >= rows.from_ms(from_ms))
        .group_by(_view.c.actor)
    )
    return {actor: rows.to_ms(at) for actor, at in connection.execute(query)}


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
