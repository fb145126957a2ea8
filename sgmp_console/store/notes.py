"""Notes on times of a house: outages, maintenance, experiments, and times that count in no mean and no sum."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.database import note_change
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors, from_ms, to_ms
from sgmp_console.timeseries import Excluded

MAX_TEXT = 2000
"""Characters."""

_SENTENCES = {
    "note_range_check": "A note ends after it starts.",
    "note_house_id_fkey": "There is no such house. It may have been deleted.",
}


class NoteKind(Enum):
    """What a note is about. The value is stored, and shown with a capital."""

    OUTAGE = "outage"
    MAINTENANCE = "maintenance"
    EXPERIMENT = "experiment"
    OTHER = "other"

    @property
    def title(self) -> str:
        return self.value.capitalize()


@dataclass(frozen=True)
class Note:
    """What somebody wrote about [from_ms, to_ms), UTC ms. `excluded`: the slots of this time count in no mean and no sum.

    `who` wrote it last, at `at_ms`.
    """

    note_id: int
    house_id: int
    kind: NoteKind
    from_ms: int
    to_ms: int
    text: str = ""
    excluded: bool = False
    who: str = ""
    at_ms: int = 0
    revision: int = 1


def read(connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> list[Note]:
    """Those of which a part lies in [start_ms, end_ms), in order of time."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.visible_notes(ARRAY[CAST(:house AS integer)], :start, :end, false)"),
        {"house": house_id, "start": from_ms(start_ms), "end": from_ms(end_ms)},
    )
    return [_note(row) for row in rows]


def excluded(connection: sa.Connection, house_ids: Collection[int]) -> dict[int, Excluded]:
    """Of each of these houses the times that are excluded, in one statement."""
    rows = connection.execute(
        sa.text(
            "SELECT house_id, from_at, to_at FROM sgmp.visible_notes(CAST(:houses AS integer[]), '-infinity', 'infinity', true)"
        ),
        {"houses": list(house_ids)},
    )
    ranges: dict[int, list[tuple[int, int]]] = {house_id: [] for house_id in house_ids}
    for house_id, starts, ends in rows:
        ranges[house_id].append((to_ms(starts), to_ms(ends)))
    return {house_id: Excluded.of(of_house) for house_id, of_house in ranges.items()}


def add(
    connection: sa.Connection,
    house_id: int,
    kind: NoteKind,
    start_ms: int,
    end_ms: int,
    text: str = "",
    *,
    excluded: bool = False,
) -> int:
    """Returns its id. Needs `manage_analytics`; one that excludes nothing may be added with `manage_devices`, too.

    Raises UserError, Refused.
    """
    with constraint_errors(connection, _SENTENCES):
        note_id = connection.execute(
            sa.text("SELECT sgmp.add_note(:house, :kind, :start, :end, :text, :excluded)"),
            {
                "house": house_id,
                "kind": kind.value,
                "start": from_ms(start_ms),
                "end": from_ms(end_ms),
                "text": text.strip(),
                "excluded": excluded,
            },
        ).scalar_one()
    note_change(connection, house_id, start_ms)
    return int(note_id)


def change(connection: sa.Connection, before: Note, after: Note) -> None:
    """Store `after` in place of `before`. Raises ChangedMeanwhile where that is stale, UserError, Refused."""
    with constraint_errors(connection, _SENTENCES):
        revision = connection.execute(
            sa.text("SELECT sgmp.change_note(:note, :seen, :kind, :start, :end, :text, :excluded)"),
            {
                "note": before.note_id,
                "seen": before.revision,
                "kind": after.kind.value,
                "start": from_ms(after.from_ms),
                "end": from_ms(after.to_ms),
                "text": after.text.strip(),
                "excluded": after.excluded,
            },
        ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile("This note")
    note_change(connection, before.house_id, min(before.from_ms, after.from_ms))


def delete(connection: sa.Connection, note_id: int) -> None:
    """Raises UserError where there is none, Refused."""
    row = connection.execute(sa.text("SELECT * FROM sgmp.delete_note(:note)"), {"note": note_id}).one()
    note_change(connection, row.house_id, to_ms(row.from_at))


def get(connection: sa.Connection, house_id: int, note_id: int) -> Note:
    """Raises UserError where there is none, or none that the account sees."""
    rows = connection.execute(
        sa.text(
            "SELECT * FROM sgmp.visible_notes(ARRAY[CAST(:house AS integer)], '-infinity', 'infinity', false)"
            " WHERE note_id = :note"
        ),
        {"house": house_id, "note": note_id},
    )
    row = rows.one_or_none()
    if row is None:
        raise UserError("There is no such note. It may have been deleted.")
    return _note(row)


def _note(row: sa.Row[Any]) -> Note:
    return Note(
        row.note_id,
        row.house_id,
        NoteKind(row.kind),
        to_ms(row.from_at),
        to_ms(row.to_at),
        row.text,
        row.excluded,
        row.who,
        to_ms(row.at),
        row.revision,
    )
