"""The audit as a CSV file: all entries that a filter lets through, the newest first. Local time is this computer's."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sgmp_console.fleet import sheets
from sgmp_console.store import Database, audit, houses
from sgmp_console.store.audit import AuditEntry

COLUMNS = ("time", "time (UTC)", "who", "act", "kind", "subject", "house", "before", "after")

_PAGE = 1000


@dataclass(frozen=True)
class AuditFilter:
    """See `store.audit.read`."""

    actor: str = ""
    subject: str = ""
    acts: Collection[str] = ()
    kinds: Collection[str] = ()
    house_id: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def pages(database: Database, wanted: AuditFilter) -> Iterator[list[AuditEntry]]:
    """Entries, a page after the other, each in a transaction of its own. What is added meanwhile is newer than all."""
    before_id = None
    while True:
        with database.begin() as connection:
            page = audit.read(connection, **asdict(wanted), before_id=before_id, limit=_PAGE, whole=True)
        if page:
            yield page
        if len(page) < _PAGE:
            return
        before_id = page[-1].entry_id


def export(
    database: Database,
    path: Path,
    wanted: AuditFilter,
    progress: Callable[[int], None],
    *,
    delimiter: str = ",",
) -> int:
    """Write the file; returns how many entries. `progress` hears how many so far, and may raise Cancelled. `delimiter`:
    see `sheets.write`.

    Raises UserError where it can't be written, Unavailable. Nothing is left of a file that is not whole.
    """
    written = 0
    with database.begin() as connection:
        names = {house.house_id: house.name for house in houses.list_all(connection)}

    def rows() -> Iterator[Mapping[str, str]]:
        nonlocal written
        for page in pages(database, wanted):
            for entry in page:
                yield _row(entry, names)
            written += len(page)
            progress(written)

    sheets.write(path, COLUMNS, rows(), delimiter=delimiter)
    return written


def _row(entry: AuditEntry, houses_by_id: Mapping[int, str]) -> Mapping[str, str]:
    at = datetime.datetime.fromtimestamp(entry.at_ms / 1000, datetime.UTC)
    house = "" if entry.house_id is None else houses_by_id.get(entry.house_id, str(entry.house_id))
    values = (
        at.astimezone().isoformat(timespec="milliseconds"),
        at.isoformat(timespec="milliseconds"),
        entry.actor,
        entry.act,
        entry.kind,
        entry.subject,
        house,
        _json(entry.before),
        _json(entry.after),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _json(value: Mapping[str, object] | None) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
