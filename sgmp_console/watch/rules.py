"""What is watched: each rule with its severity, its times, and the rules that explain it (docs/findings.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from sgmp_console.store import findings
from sgmp_console.store.findings import Severity

_S = 1000
_MINUTE = 60 * _S
_HOUR = 60 * _MINUTE


class Rule(StrEnum):
    """The values are stored."""

    INGEST_SILENT = "ingest_silent"
    BROKER_AWAY = "broker_away"
    INGEST_ALARM = "ingest_alarm"
    """Subject: which alarm (`store.ingest_state.Alarm`)."""
    CERTIFICATE = "certificate"
    """Subject: the file."""
    INITIAL_PASSWORD = "initial_password"  # noqa: S105 - the name of a rule
    """Subject: the account's email."""
    DELIVERY = "delivery"
    """Subject: the address."""
    EDGE_OFFLINE = "edge_offline"
    EDGE_BACKLOG = "edge_backlog"
    EDGE_CLOCK = "edge_clock"
    EDGE_DISK = "edge_disk"
    EDGE_CERTIFICATE = "edge_certificate"
    EDGE_WARNING = "edge_warning"
    """Subject: which kind (`contract.WarningKind`)."""
    CONFIG_NOT_SENT = "config_not_sent"
    CONFIG_DRIFT = "config_drift"
    CONFIG_REJECTED = "config_rejected"
    QUARANTINE = "quarantine"
    DEVICE_DOWN = findings.DEVICE_DOWN
    DEVICE_SILENT = "device_silent"
    DEVICE_WARNING = "device_warning"
    """Subject: what the device's text is about."""
    DATA_QUALITY = "data_quality"
    """Subject: which check (a name of `quality.Quality`, in small letters). Without a device: of the house's balance."""
    OPERATOR = "rule"
    """Subject: the number of the operators' rule; its terms are its own (`Facts.terms`)."""


class Scope(Enum):
    """What a rule is about."""

    DEPLOYMENT = "deployment"
    HOUSE = "house"
    DEVICE = "device"


@dataclass(frozen=True)
class Terms:
    """`hold_ms`: a condition opens a finding when it has held for so long since the watch saw it. `clear_ms`: an open
    finding closes when it has been over for so long, as of when it ended; what comes back before goes on. `parents`:
    while one of these holds, this rule neither opens nor closes anything: they explain it, or what it is judged by is
    missing."""

    scope: Scope
    severity: Severity
    hold_ms: int = 0
    clear_ms: int = 0
    parents: tuple[Rule, ...] = ()


_UNHEARD = (Rule.INGEST_SILENT, Rule.BROKER_AWAY)
_OFFLINE = (*_UNHEARD, Rule.EDGE_OFFLINE)

TERMS: Mapping[Rule, Terms] = {
    # Two minutes more, in which edges connect again and send what they hold.
    Rule.INGEST_SILENT: Terms(Scope.DEPLOYMENT, Severity.CRITICAL, _MINUTE, 2 * _MINUTE),
    Rule.BROKER_AWAY: Terms(Scope.DEPLOYMENT, Severity.CRITICAL, _MINUTE, 2 * _MINUTE, (Rule.INGEST_SILENT,)),
    Rule.INGEST_ALARM: Terms(Scope.DEPLOYMENT, Severity.CRITICAL, 0, _MINUTE, (Rule.INGEST_SILENT,)),
    Rule.CERTIFICATE: Terms(Scope.DEPLOYMENT, Severity.WARNING),
    Rule.INITIAL_PASSWORD: Terms(Scope.DEPLOYMENT, Severity.INFO),
    Rule.DELIVERY: Terms(Scope.DEPLOYMENT, Severity.WARNING, 10 * _MINUTE),
    Rule.EDGE_OFFLINE: Terms(Scope.HOUSE, Severity.CRITICAL, _MINUTE, 30 * _S, _UNHEARD),
    Rule.EDGE_BACKLOG: Terms(Scope.HOUSE, Severity.WARNING, 15 * _MINUTE, 2 * _MINUTE, _OFFLINE),
    Rule.EDGE_CLOCK: Terms(Scope.HOUSE, Severity.WARNING, 5 * _MINUTE, 3 * _MINUTE, _OFFLINE),
    Rule.EDGE_DISK: Terms(Scope.HOUSE, Severity.WARNING, 5 * _MINUTE, 5 * _MINUTE, _OFFLINE),
    # What an edge that is offline last reported of it goes on to be so.
    Rule.EDGE_CERTIFICATE: Terms(Scope.HOUSE, Severity.WARNING),
    Rule.EDGE_WARNING: Terms(Scope.HOUSE, Severity.WARNING, 0, 0, _UNHEARD),
    Rule.CONFIG_NOT_SENT: Terms(Scope.HOUSE, Severity.INFO, _HOUR),
    Rule.CONFIG_DRIFT: Terms(Scope.HOUSE, Severity.WARNING, 10 * _MINUTE, 0, _OFFLINE),
    Rule.CONFIG_REJECTED: Terms(Scope.HOUSE, Severity.WARNING, 0, 0, _UNHEARD),
    Rule.QUARANTINE: Terms(Scope.HOUSE, Severity.WARNING, 0, 0),
    Rule.DEVICE_DOWN: Terms(Scope.DEVICE, Severity.CRITICAL, 0, _MINUTE, _OFFLINE),
    Rule.DEVICE_SILENT: Terms(
        Scope.DEVICE,
        Severity.WARNING,
        _MINUTE,
        30 * _S,
        (*_OFFLINE, Rule.DEVICE_DOWN, Rule.CONFIG_DRIFT, Rule.CONFIG_REJECTED),
    ),
    Rule.DEVICE_WARNING: Terms(Scope.DEVICE, Severity.WARNING, 0, 0, _OFFLINE),
    # What an edge or a device still holds is missing of the day until it comes.
    Rule.DATA_QUALITY: Terms(
        Scope.DEVICE,
        Severity.WARNING,
        0,
        0,
        (*_OFFLINE, Rule.EDGE_BACKLOG, Rule.DEVICE_DOWN, Rule.DEVICE_SILENT),
    ),
    # Of one that was deleted or disabled; else see `facts`. Missing data of a device suspend it by themselves.
    Rule.OPERATOR: Terms(Scope.HOUSE, Severity.WARNING, 0, 0, _OFFLINE),
}


@dataclass(frozen=True)
class Key:
    """What a finding is about; one of a kind is open at a time. `house_id` None: of no house; `device` empty: of no
    device."""

    house_id: int | None
    device: str
    rule: Rule
    subject: str = ""

    def parent(self, rule: Rule) -> Key:
        """The finding of another rule that would explain this one (whatever its subject)."""
        scope = TERMS[rule].scope
        return Key(
            None if scope is Scope.DEPLOYMENT else self.house_id,
            self.device if scope is Scope.DEVICE else "",
            rule,
        )
