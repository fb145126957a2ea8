"""What is known of times: findings that held then, and notes. Shown on time axes, named by "Why?", written into files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from sgmp_console.store.findings import Finding, Severity
from sgmp_console.store.notes import Note
from sgmp_console.watch.sentences import sentence


class MarkKind(Enum):
    """What a mark stands for. The value names one of them."""

    FINDING = "finding"
    NOTE = "note"


@dataclass(frozen=True)
class TimeMark:
    """A finding or a note: since `from_ms`, until `to_ms` (UTC), None while it holds. `device` is empty for what concerns the
    whole house. `text` may hold texts of others. `severity`: of a finding. `excluded`: the time counts in no mean and no
    sum. `who` wrote the note. `number`: its id among those of its kind.
    """

    kind: MarkKind
    number: int
    text: str
    from_ms: int
    to_ms: int | None
    device: str = ""
    severity: Severity | None = None
    excluded: bool = False
    who: str = ""

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether a part of it lies in [start_ms, end_ms)."""
        return self.from_ms < end_ms and (self.to_ms is None or self.to_ms > start_ms)


def of_note(note: Note) -> TimeMark:
    text = f"{note.kind.title}: {note.text}" if note.text else note.kind.title
    return TimeMark(
        MarkKind.NOTE, note.note_id, text, note.from_ms, note.to_ms, excluded=note.excluded, who=note.who
    )


def of_finding(finding: Finding, zone: str) -> TimeMark:
    """With its sentence, times in it by the clock of `zone`."""
    said = sentence(finding.rule, finding.device, finding.subject, finding.details, zone, value=finding.value)
    return TimeMark(
        MarkKind.FINDING,
        finding.finding_id,
        said.text,
        finding.from_ms,
        finding.to_ms,
        finding.device,
        finding.severity,
    )


def marks_between(
    findings: Iterable[Finding], notes: Iterable[Note], start_ms: int, end_ms: int, zone: str
) -> tuple[TimeMark, ...]:
    """Those of which a part lies in [start_ms, end_ms), in order of time."""
    every = [*(of_finding(one, zone) for one in findings), *map(of_note, notes)]
    kept = [one for one in every if one.overlaps(start_ms, end_ms)]
    return tuple(sorted(kept, key=lambda one: (one.from_ms, one.kind.value, one.number)))


def of_devices(of: Iterable[TimeMark], devices: frozenset[str]) -> tuple[TimeMark, ...]:
    """Those of some devices, and those of the whole house."""
    return tuple(one for one in of if not one.device or one.device in devices)


def count_text(of: Sequence[TimeMark]) -> str:
    """How many there are of each kind: `2 findings, 1 note`; empty where there are none."""
    parts = []
    for kind in MarkKind:
        number = sum(one.kind is kind for one in of)
        if number:
            parts.append(f"{number} {kind.value}{'s' if number > 1 else ''}")
    return ", ".join(parts)
