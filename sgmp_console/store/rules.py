"""Rules of operators: what the watch looks for in the values of formulas. What a formula may be is checked before, in `fleet.rules`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store import binary_copy
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.events import Event
from sgmp_console.store.findings import Severity
from sgmp_console.store.rows import constraint_errors, from_ms, to_ms
from sgmp_console.store.series import FieldKey, read_packed
from sgmp_console.timeseries import Series

HouseField = tuple[int, FieldKey]


@dataclass(frozen=True)
class OperatorRule:
    """The condition holds while values are `above` the threshold (else below it), and opens a finding after `hold_s`. The finding
    closes when they have been on the other side of `clear_threshold` (None: of the threshold) for `clear_s`.

    `house_id` None: in all houses. `hours`: within these times only, by the clock of the house, overnight where the second is not
    later. `changed_ms`: since when it asks what it asks.
    """

    name: str
    formula: str
    above: bool
    threshold: float
    clear_threshold: float | None = None
    hold_s: int = 0
    clear_s: int = 0
    hours: tuple[time, time] | None = None
    severity: Severity = Severity.WARNING
    guidance: str = ""
    unit: str = ""
    enabled: bool = True
    house_id: int | None = None
    rule_id: int = 0
    revision: int = 1
    changed_ms: int = 0

    @property
    def clears_at(self) -> float:
        return self.threshold if self.clear_threshold is None else self.clear_threshold


def read(connection: sa.Connection, house_id: int | None = None) -> list[OperatorRule]:
    """Those of a house and those of all houses (None: all that the account sees), in order of name."""
    rows = connection.execute(
        sa.text(
            "SELECT * FROM sgmp.visible_rules() WHERE CAST(:house AS integer) IS NULL OR house_id IS NULL OR house_id = :house"
            " ORDER BY name, rule_id"
        ),
        {"house": house_id},
    )
    return [_rule(row) for row in rows]


def get(connection: sa.Connection, rule_id: int) -> OperatorRule:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(
        sa.text("SELECT * FROM sgmp.visible_rules() WHERE rule_id = :rule"), {"rule": rule_id}
    ).one_or_none()
    if row is None:
        raise UserError("There is no such rule. It may have been deleted.")
    return _rule(row)


def create(connection: sa.Connection, rule: OperatorRule) -> OperatorRule:
    """Raises UserError where the name is taken, Refused."""
    with constraint_errors(connection, _sentences(rule)):
        rule_id = connection.execute(
            sa.text(f"SELECT sgmp.create_rule(:house, {_VALUES})"), {"house": rule.house_id, **_values(rule)}
        ).scalar_one()
    return get(connection, rule_id)


def update(connection: sa.Connection, rule: OperatorRule) -> OperatorRule:
    """Store all but its house, which stays. Raises ChangedMeanwhile where `rule` is stale, UserError, Refused."""
    with constraint_errors(connection, _sentences(rule)):
        revision = connection.execute(
            sa.text(f"SELECT sgmp.update_rule(:rule, :seen, {_VALUES})"),
            {"rule": rule.rule_id, "seen": rule.revision, **_values(rule)},
        ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"Rule {rule.name}")
    return get(connection, rule.rule_id)


def delete(connection: sa.Connection, rule_id: int) -> None:
    """Raises UserError where there is none, Refused."""
    connection.execute(sa.text("SELECT sgmp.delete_rule(:rule)"), {"rule": rule_id})


# --- What the watch reads of all houses ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HouseWithRules:
    """`items`: its formulas by name, as JSON."""

    house_id: int
    zone: str
    items: str


def houses(connection: sa.Connection) -> list[HouseWithRules]:
    """In which rules are judged that are enabled. As the watch or owner."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.houses_with_rules()"))
    return [HouseWithRules(row.house_id, row.time_zone, row.items) for row in rows]


def readings(
    connection: sa.Connection, since_ms: Mapping[HouseField, int], until_ms: int
) -> dict[HouseField, Series]:
    """The readings of fields of whatever houses, of each from its time on; those of devices in use. As the watch or owner.

    Two statements for all fields that begin at nearly the same time, and one more for each other time.
    """
    if not since_ms:
        return {}
    asked = list(since_ms)
    rows = connection.execute(
        sa.text("SELECT place, series_id FROM sgmp.series_of_fields(:houses, :devices, :fields)"),
        {
            "houses": [house for house, _ in asked],
            "devices": [device for _, (device, _) in asked],
            "fields": [field for _, (_, field) in asked],
        },
    )
    by_start: dict[int, dict[HouseField, int | None]] = {}
    for place, number in rows:
        key = asked[place - 1]
        by_start.setdefault(since_ms[key], {})[key] = number
    found = dict.fromkeys(asked, Series.empty())
    for start_ms, series in by_start.items():
        packed = read_packed(connection, series, start_ms, until_ms, "packed_readings", (">i8", ">f8"))
        found |= {key: Series(binary_copy.to_ms(times), values) for key, (times, values) in packed.items()}
    return found


def events(
    connection: sa.Connection,
    house_ids: Collection[int],
    since_ms: int,
    types: Collection[str],
    *,
    others: bool,
) -> dict[int, list[Event]]:
    """The events of these houses since a time: of some types, and with `others` of all but EDGE_STATUS, which edges report
    each minute. As the watch or owner."""
    found: dict[int, list[Event]] = {house_id: [] for house_id in house_ids}
    if not found:
        return found
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.events_of_houses(:houses, :since, :types, :others)"),
        {"houses": list(house_ids), "since": from_ms(since_ms), "types": list(types), "others": others},
    )
    for row in rows:
        found[row.house_id].append(Event(to_ms(row.ts), row.device_name, row.type, row.data))
    return found


# --- Rows -----------------------------------------------------------------------------------------------------------------------

_VALUES = (
    ":name, :formula, :above, :threshold, :clear_threshold, :hold_s, :clear_s, :from_time, :until_time, :severity, :guidance,"
    " :unit, :enabled"
)


def _values(rule: OperatorRule) -> dict[str, Any]:
    from_time, until_time = rule.hours or (None, None)
    return {
        "name": rule.name,
        "formula": rule.formula,
        "above": rule.above,
        "threshold": rule.threshold,
        "clear_threshold": rule.clear_threshold,
        "hold_s": rule.hold_s,
        "clear_s": rule.clear_s,
        "from_time": from_time,
        "until_time": until_time,
        "severity": rule.severity,
        "guidance": rule.guidance,
        "unit": rule.unit,
        "enabled": rule.enabled,
    }


def _sentences(rule: OperatorRule) -> dict[str, str]:
    where = "for all houses" if rule.house_id is None else "for this house"
    return {
        "rule_name_key": f"There is a rule {rule.name} {where} already.",
        "rule_name_check": "The name of a rule is one line of at most 100 characters.",
        "rule_house_id_fkey": "There is no such house. It may have been deleted.",
        "rule_threshold_check": "The threshold that ends it lies on the other side of the one that opens it.",
        "rule_times_check": "Times of a rule are from 0 seconds to 7 days.",
        "rule_hours_check": "The hours of a rule end at another time than they start.",
    }


def _rule(row: sa.Row[Any]) -> OperatorRule:
    return OperatorRule(
        row.name,
        row.formula,
        row.above,
        row.threshold,
        row.clear_threshold,
        row.hold_s,
        row.clear_s,
        None if row.from_time is None else (row.from_time, row.until_time),
        Severity(row.severity),
        row.guidance,
        row.unit,
        row.enabled,
        row.house_id,
        row.rule_id,
        row.revision,
        to_ms(row.changed_at),
    )
