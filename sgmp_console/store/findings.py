"""Findings as accounts see them: what is or was wrong, what people did about it, who is notified, and when nobody is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.rows import constraint_errors, from_ms, to_ms, to_ms_or_none

DEVICE_DOWN = "device_down"
"""The rule of a device that its edge can't read; all rules: `watch.rules`."""

NEWEST_ENDED = 500
"""Of those that ended, so many are read at most."""


class Severity(StrEnum):
    """How bad it is; in order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class State(StrEnum):
    """What became of a finding."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    """Somebody takes care of it; it ends by itself."""
    SILENCED = "silenced"
    """Acknowledged until a time."""
    RESOLVED = "resolved"


class Channel(StrEnum):
    """How somebody is notified."""

    MAIL = "mail"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class Finding:
    """`house_id` is None for what concerns the whole deployment, `device` empty for what concerns the whole house.

    Times are UTC ms: it holds from `from_ms` to `to_ms`, None while it does. `details` hold what is needed for its sentence,
    texts of edges among them. `suspended`: whether it still holds can't be said, since what would show it is missing.
    """

    finding_id: int
    house_id: int | None
    device: str
    rule: str
    subject: str
    severity: Severity
    from_ms: int
    to_ms: int | None
    value: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    suspended: bool = False
    state: State = State.ACTIVE
    silenced_until_ms: int | None = None
    who: str = ""
    acted_ms: int | None = None
    note: str = ""

    @property
    def is_open(self) -> bool:
        return self.to_ms is None

    @property
    def urgency(self) -> tuple[bool, int, int, int]:
        """Sorts what needs somebody first, then the worst, then the oldest; never two the same."""
        return self.state is not State.ACTIVE, -self.severity.rank, self.from_ms, self.finding_id


@dataclass(frozen=True)
class Count:
    """Of one house: open findings that need somebody, those that somebody took note of, the worst of the first."""

    active: int
    noted: int
    worst: Severity | None


@dataclass(frozen=True)
class Recipient:
    """`house_id` None: of all houses. `sent_ms`: the last message; `waiting`: messages to be sent; `problem`: why the last
    attempt failed, if it did."""

    recipient_id: int
    channel: Channel
    address: str
    house_id: int | None
    least_severity: Severity
    sent_ms: int | None = None
    waiting: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Sent:
    """What became of a message. `failed`: for good."""

    sent_ms: int | None
    failed: bool
    attempts: int
    problem: str


@dataclass(frozen=True)
class Once:
    """UTC ms."""

    starts_ms: int
    ends_ms: int


@dataclass(frozen=True)
class Recurring:
    """On these weekdays (1 is Monday) from one time to another by the clock of the house, overnight where the second is
    not later."""

    weekdays: frozenset[int]
    starts: time
    ends: time


@dataclass(frozen=True)
class Window:
    """A time of maintenance, in which nobody is notified. `house_id` None: all houses; `device` empty: all devices."""

    window_id: int
    house_id: int | None
    device: str
    when: Once | Recurring
    note: str = ""


def read(
    connection: sa.Connection,
    house_id: int | None = None,
    *,
    ended_since_ms: int | None = None,
    newest_ended: int = NEWEST_ENDED,
) -> list[Finding]:
    """Open ones first, then those that ended since a time (None: none of them), each part with the newest first.

    Of one house (with what concerns the whole deployment) or of all that the account sees.
    """
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.visible_findings(:house, :since, :newest)"),
        {
            "house": house_id,
            "since": "infinity" if ended_since_ms is None else from_ms(ended_since_ms),
            "newest": 0 if ended_since_ms is None else newest_ended,
        },
    )
    return [
        Finding(
            row.finding_id,
            row.house_id,
            row.device_name,
            row.rule,
            row.subject,
            Severity(row.severity),
            to_ms(row.from_at),
            to_ms_or_none(row.to_at),
            row.value,
            row.details,
            row.suspended,
            State(row.state),
            to_ms_or_none(row.until),
            row.who,
            to_ms_or_none(row.acted_at),
            row.note,
        )
        for row in rows
    ]


WATCH_SILENT_MS = 60_000
"""The watch looks every few seconds; without it, no findings does not mean that all is well."""


def watch_age_ms(connection: sa.Connection) -> int | None:
    """How long ago the watch last looked at all houses, by the database's clock; None: it never did."""
    age = connection.execute(sa.text("SELECT sgmp.watch_age_ms()")).scalar_one()
    return None if age is None else int(age)


def counts(connection: sa.Connection) -> dict[int | None, Count]:
    """Of each house with open findings, of all that the account sees; None stands for the deployment. One statement."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.finding_counts()"))
    return {
        row.house_id or None: Count(row.active, row.noted, Severity(row.severity) if row.severity else None)
        for row in rows
    }


def acknowledge(connection: sa.Connection, finding_id: int, note: str = "") -> bool:
    """Returns whether it is still open. Raises UserError, Refused without `manage_devices`."""
    return _act(connection, finding_id, "acknowledge", note, None)


def silence(connection: sa.Connection, finding_id: int, until_ms: int, note: str = "") -> bool:
    """Acknowledge until a time (UTC ms, within a year). Returns whether it is still open. Raises as `acknowledge`."""
    return _act(connection, finding_id, "silence", note, until_ms)


def reopen(connection: sa.Connection, finding_id: int, note: str = "") -> bool:
    """Take back what was done with it. Returns whether it is still open. Raises as `acknowledge`."""
    return _act(connection, finding_id, "reopen", note, None)


def _act(connection: sa.Connection, finding_id: int, act: str, note: str, until_ms: int | None) -> bool:
    return bool(
        connection.execute(
            sa.text("SELECT sgmp.act_on_finding(:finding, :act, :note, :until)"),
            {
                "finding": finding_id,
                "act": act,
                "note": note.strip(),
                "until": None if until_ms is None else from_ms(until_ms),
            },
        ).scalar_one()
    )


def recipients(connection: sa.Connection) -> list[Recipient]:
    """Those that the account may manage."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.visible_recipients() ORDER BY recipient_id"))
    return [
        Recipient(
            row.recipient_id,
            Channel(row.channel),
            row.address,
            row.house_id,
            Severity(row.least_severity),
            to_ms_or_none(row.sent_at),
            row.waiting,
            row.problem,
        )
        for row in rows
    ]


def add_recipient(
    connection: sa.Connection,
    channel: Channel,
    address: str,
    *,
    secret: str = "",
    house_id: int | None = None,
    least_severity: Severity = Severity.WARNING,
) -> int:
    """Returns its id. Needs `manage_houses`; of all houses, or a webhook, also `all_houses`. Raises UserError, Refused."""
    with constraint_errors(connection, {"recipient_present_key": f"{address} is notified already."}):
        return int(
            connection.execute(
                sa.text("SELECT sgmp.add_recipient(:channel, :address, :secret, :house, :severity)"),
                {
                    "channel": channel,
                    "address": address,
                    "secret": secret,
                    "house": house_id,
                    "severity": least_severity,
                },
            ).scalar_one()
        )


def remove_recipient(connection: sa.Connection, recipient_id: int) -> None:
    """What was to be sent is not sent. Raises UserError, Refused."""
    connection.execute(sa.text("SELECT sgmp.remove_recipient(:id)"), {"id": recipient_id})


def send_test(connection: sa.Connection, recipient_id: int) -> int:
    """Have the watch send a test message; `sent` says what became of the number returned. Raises UserError, Refused."""
    return int(
        connection.execute(sa.text("SELECT sgmp.test_recipient(:id)"), {"id": recipient_id}).scalar_one()
    )


def sent(connection: sa.Connection, notification_id: int) -> Sent:
    """Raises UserError where the account sees no such message."""
    row = connection.execute(
        sa.text("SELECT * FROM sgmp.notification_state(:id)"), {"id": notification_id}
    ).one_or_none()
    if row is None:
        raise UserError("There is no such message.")
    return Sent(to_ms_or_none(row.sent_at), row.failed_at is not None, row.attempts, row.problem)


def windows(connection: sa.Connection) -> list[Window]:
    """The times of maintenance of the houses that the account sees."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.visible_windows()"))
    return [window_of(row) for row in rows]


def window_of(row: sa.Row[Any]) -> Window:
    """From a row with the columns of maintenance_window."""
    when: Once | Recurring = (
        Recurring(frozenset(row.weekdays), row.from_time, row.until_time)
        if row.weekdays
        else Once(to_ms(row.starts_at), to_ms(row.ends_at))
    )
    return Window(row.window_id, row.house_id, row.device_name, when, row.note)


def add_window(
    connection: sa.Connection,
    when: Once | Recurring,
    *,
    house_id: int | None = None,
    device: str = "",
    note: str = "",
) -> int:
    """Returns its id. Needs `manage_devices`, of all houses also `all_houses`. Raises UserError, Refused."""
    once, recurring = (when, None) if isinstance(when, Once) else (None, when)
    with constraint_errors(
        connection,
        {
            "maintenance_window_form_check": "A time of maintenance ends after it starts, and has weekdays if it recurs.",
            "maintenance_window_device_check": "A device is of a house: choose which.",
        },
    ):
        return int(
            connection.execute(
                sa.text(
                    "SELECT sgmp.add_window(:house, :device, :starts, :ends, CAST(:weekdays AS integer[]), :from, :until, :note)"
                ),
                {
                    "house": house_id,
                    "device": device,
                    "starts": from_ms(once.starts_ms) if once else None,
                    "ends": from_ms(once.ends_ms) if once else None,
                    "weekdays": _sorted(recurring.weekdays) if recurring else None,
                    "from": recurring.starts if recurring else None,
                    "until": recurring.ends if recurring else None,
                    "note": note.strip(),
                },
            ).scalar_one()
        )


def remove_window(connection: sa.Connection, window_id: int) -> bool:
    """Returns whether it was there. Raises Refused."""
    return bool(connection.execute(sa.text("SELECT sgmp.remove_window(:id)"), {"id": window_id}).scalar_one())


def _sorted(weekdays: frozenset[int]) -> Sequence[int]:
    return sorted(weekdays)
