"""What opens and what closes: from the findings that are known and the facts of now. Pure; all times are UTC ms by one clock.

A condition holds, or it does not, or nothing can be said of it (`Facts.unknown`, or a parent holds). What can't be judged stays as it
is: missing data never resolve anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sgmp_console.store.findings import Severity
from sgmp_console.watch.rules import TERMS, Key, Terms


@dataclass(frozen=True)
class Condition:
    """It holds since `since_ms`. `value`: how bad, the more the worse, or the less with `less_is_worse`. `broken_ms`: the last time
    before at which it did not hold, where that is known: a hold time that began earlier begins again."""

    since_ms: int
    value: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    less_is_worse: bool = False
    broken_ms: int | None = None


@dataclass(frozen=True)
class Past:
    """It held from `from_ms` to `to_ms`, and is over."""

    key: Key
    from_ms: int
    to_ms: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What holds; of `unknown` nothing can be said; `past` is what is known to have held lately. `between`: it holds no more, and
    is not over: an open finding stays open. `terms`: in place of those of its rule."""

    conditions: Mapping[Key, Condition] = field(default_factory=dict)
    unknown: frozenset[Key] = frozenset()
    past: Sequence[Past] = ()
    between: frozenset[Key] = frozenset()
    terms: Mapping[Key, Terms] = field(default_factory=dict)

    def terms_of(self, key: Key) -> Terms:
        return self.terms.get(key) or TERMS[key.rule]


@dataclass(frozen=True)
class Known:
    """A finding as it is stored; `finding_id` 0 for one that is not yet. See `store.tables.findings.finding` for the times."""

    key: Key
    from_ms: int
    seen_ms: int
    opened_ms: int | None = None
    gone_ms: int | None = None
    to_ms: int | None = None
    value: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    suspended: bool = False
    finding_id: int = 0
    severity: Severity = Severity.WARNING


@dataclass(frozen=True)
class Changes:
    """`stored`: new ones, and known ones as they are now. `forgotten`: what did not hold for long enough to be a finding."""

    stored: tuple[Known, ...] = ()
    forgotten: tuple[Known, ...] = ()

    def open_after(self, known: Iterable[Known]) -> list[Known]:
        """Of `known`, with these changes: findings that are open."""
        after = {finding.key: finding for finding in known if finding.to_ms is None}
        for finding in self.forgotten:
            after.pop(finding.key, None)
        for finding in self.stored:
            if finding.to_ms is None:
                after[finding.key] = finding
            elif finding.key in after and after[finding.key].finding_id == finding.finding_id:
                del after[finding.key]
        return [finding for finding in after.values() if finding.opened_ms is not None]


def step(known: Iterable[Known], facts: Facts, now_ms: int) -> Changes:
    """`known`: all that are open or held, and of those that ended the ones that `facts.past` may be about."""
    present: dict[Key, Known] = {}
    ended: dict[Key, list[Known]] = {}
    for finding in known:
        if finding.to_ms is None:
            present[finding.key] = finding
        else:
            ended.setdefault(finding.key, []).append(finding)
    explaining = {_without_subject(key) for key in facts.conditions} | {
        _without_subject(finding.key) for finding in present.values() if finding.opened_ms is not None
    }
    past: dict[Key, list[Past]] = {}
    for interval in facts.past:
        past.setdefault(interval.key, []).append(interval)

    stored: list[Known] = []
    forgotten: list[Known] = []
    for key in {**present, **facts.conditions}:
        before = present.get(key)
        if key in facts.unknown or any(key.parent(rule) in explaining for rule in TERMS[key.rule].parents):
            if before is not None and before.opened_ms is None:
                forgotten.append(before)
            elif before is not None and not before.suspended:
                stored.append(replace(before, suspended=True))
            continue
        condition = facts.conditions.get(key)
        if condition is not None:
            after = _holding(key, before, condition, facts.terms_of(key), now_ms)
        elif before is None or before.opened_ms is None:
            if before is not None:
                forgotten.append(before)
            continue
        elif key in facts.between:
            after = replace(before, gone_ms=None, suspended=False)
        else:
            after = _over(before, past.get(key, ()), facts.terms_of(key), now_ms)
        if after != before:
            stored.append(after)
    for key, intervals in past.items():
        seen = [*ended.get(key, ()), *([present[key]] if key in present else ())]
        stored.extend(_recorded(key, intervals, seen, now_ms))
    return Changes(tuple(stored), tuple(forgotten))


def _without_subject(key: Key) -> Key:
    return Key(key.house_id, key.device, key.rule)


def _holding(key: Key, before: Known | None, condition: Condition, terms: Terms, now_ms: int) -> Known:
    since_ms, broken_ms = min(condition.since_ms, now_ms), condition.broken_ms
    is_again = (
        before is not None
        and before.opened_ms is None
        and broken_ms is not None
        and broken_ms > before.from_ms
    )
    if before is None or is_again:
        finding_id = before.finding_id if before else 0
        before = Known(
            key, since_ms, now_ms, value=condition.value, details=condition.details, finding_id=finding_id
        )
    value = before.value
    if condition.value is not None:
        worse = min if condition.less_is_worse else max
        value = condition.value if value is None else worse(value, condition.value)
    opened_ms = before.opened_ms
    if opened_ms is None and now_ms - before.seen_ms >= terms.hold_ms:
        opened_ms = now_ms
    return replace(
        before,
        from_ms=min(before.from_ms, since_ms),
        opened_ms=opened_ms,
        gone_ms=None,
        value=value,
        details=condition.details,
        suspended=False,
        severity=terms.severity,
    )


def _over(before: Known, past: Iterable[Past], terms: Terms, now_ms: int) -> Known:
    """An open finding whose condition holds no more."""
    gone_ms = before.gone_ms
    if gone_ms is None:
        ends = [interval.to_ms for interval in past if before.from_ms <= interval.to_ms <= now_ms]
        gone_ms = max(before.from_ms, max(ends, default=now_ms))
    over = now_ms - gone_ms >= terms.clear_ms
    return replace(before, gone_ms=gone_ms, to_ms=gone_ms if over else None, suspended=False)


def _recorded(key: Key, past: Iterable[Past], seen: Iterable[Known], now_ms: int) -> Iterable[Known]:
    """What was over before anybody saw it: history, of which nobody is notified."""
    known = [(finding.from_ms, now_ms if finding.to_ms is None else finding.to_ms) for finding in seen]
    for interval in sorted(past, key=lambda interval: interval.from_ms):
        if any(start <= interval.to_ms and interval.from_ms <= end for start, end in known):
            continue
        known.append((interval.from_ms, interval.to_ms))
        yield Known(
            key,
            interval.from_ms,
            now_ms,
            opened_ms=now_ms,
            gone_ms=interval.to_ms,
            to_ms=interval.to_ms,
            details=interval.details,
            severity=TERMS[key.rule].severity,
        )
