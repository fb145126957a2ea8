"""How rules are said in the list and the editor."""

from __future__ import annotations

from datetime import time

from sgmp_console.errors import UserError
from sgmp_console.reports.rules import PAST_DAYS, Past
from sgmp_console.store import OperatorRule
from sgmp_console.store.findings import Severity
from sgmp_console.ui import formats
from sgmp_console.watch.sentences import beyond, quantity

SEVERITIES = {Severity.INFO: "Info", Severity.WARNING: "Warning", Severity.CRITICAL: "Critical"}


def condition(rule: OperatorRule) -> str:
    """When it opens."""
    formula = " ".join(rule.formula.split())
    parts = [f"{formula} {beyond(rule.above)} {quantity(rule.threshold, rule.unit)}"]
    if rule.hold_s:
        parts.append(f"for {formats.duration(rule.hold_s * 1000)}")
    if rule.hours:
        parts.append(f"from {rule.hours[0]:%H:%M} to {rule.hours[1]:%H:%M}")
    return " ".join(parts)


def end(rule: OperatorRule) -> str:
    """When it is over."""
    if rule.clear_threshold is None:
        text = f"Over when it is not {beyond(rule.above)} {quantity(rule.threshold, rule.unit)}"
    else:
        side = "at or below" if rule.above else "at or above"
        text = f"Over when it is {side} {quantity(rule.clear_threshold, rule.unit)}"
    return f"{text} for {formats.duration(rule.clear_s * 1000)}" if rule.clear_s else text


def past(found: Past) -> str:
    """What it would have found, as a sentence."""
    if found.problem:
        return found.problem
    if not found.episodes:
        return f"In the last {PAST_DAYS} days it would not have opened."
    total_ms = sum(until - since for since, until in found.episodes)
    times = "once" if len(found.episodes) == 1 else f"{len(found.episodes):,} times"
    still = ", and would be open now" if found.episodes[-1][1] == found.end_ms else ""
    return f"In the last {PAST_DAYS} days it would have opened {times}, {formats.duration(total_ms)} in all{still}."


def number(text: str) -> float:
    """Raises UserError."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise UserError("Enter a number, such as 12.5.") from None


def seconds(text: str) -> int:
    """Of minutes as typed; nothing is 0. Raises UserError."""
    minutes = number(text) if text.strip() else 0.0
    if not 0 <= minutes <= 7 * 24 * 60:
        raise UserError("Enter minutes, from 0 to 10080 (7 days).")
    return round(minutes * 60)


def clock(text: str) -> time:
    """Raises UserError."""
    try:
        hours, minutes = text.strip().split(":")
        return time(int(hours), int(minutes))
    except ValueError:
        raise UserError("Enter a time, such as 22:00.") from None


def typed(value: float) -> str:
    return f"{value:.10g}"
