"""Who is notified, and when nobody is: what an operator enters, checked."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime
from datetime import time as clock_time

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store import Database, findings, normal_email
from sgmp_console.store.findings import Channel, Once, Recipient, Recurring, Sent, Severity
from sgmp_console.timeseries import calendar
from sgmp_console.watch.webhook import checked_address

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOK_EVERY_S = 0.5


def add(
    connection: sa.Connection,
    address: str,
    *,
    secret: str,
    house_id: int | None = None,
    least_severity: Severity = Severity.WARNING,
) -> Channel:
    """Notify an email or a web address from now on; `secret` (`new_secret`) signs what a webhook gets. Returns which of the
    two it is. Raises UserError, Refused."""
    channel, address = checked(address)
    secret = secret if channel is Channel.WEBHOOK else ""
    findings.add_recipient(
        connection, channel, address, secret=secret, house_id=house_id, least_severity=least_severity
    )
    return channel


def new_secret() -> str:
    """For a webhook: what its receiver checks messages with."""
    return secrets.token_urlsafe(32)


def checked(address: str) -> tuple[Channel, str]:
    """What kind of address it is, and how it is kept. Raises UserError."""
    address = address.strip()
    if "://" in address:
        return Channel.WEBHOOK, checked_address(address)
    return Channel.MAIL, normal_email(address)


def by_address(connection: sa.Connection, address: str, house_id: int | None) -> Recipient:
    """Raises UserError where there is none."""
    _, wanted = checked(address)
    for recipient in findings.recipients(connection):
        if (recipient.address, recipient.house_id) == (wanted, house_id):
            return recipient
    raise UserError(f"{wanted} is not notified. Name the house, if it is notified of one only.")


def send_test(database: Database, recipient_id: int, timeout_s: float) -> Sent:
    """Have the watch send a test message, and wait for what becomes of it. Raises UserError where no watch sends it in
    time."""
    with database.begin() as connection:
        sent = findings.send_test(connection, recipient_id)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with database.begin() as connection:
            became = findings.sent(connection, sent)
        if became.sent_ms is not None or became.failed:
            return became
        time.sleep(_LOOK_EVERY_S)
    raise UserError(
        f"The test message was not sent within {timeout_s:g} s. Is the watch running (sgmp-console watch)?"
    )


def parse_window(starts: str, ends: str, days: str, zone: str) -> Once | Recurring:
    """`days` empty: once, from one local time to another (`2026-06-01 22:00`); else days (`mon,tue`, `daily`) and times
    (`22:00`) of a clock. Raises UserError."""
    if days:
        names = list(DAYS) if days.strip().lower() == "daily" else re.split(r"[ ,]+", days.strip().lower())
        if not set(names) <= set(DAYS):
            raise UserError(f"Days are {', '.join(DAYS)}, or daily.")
        return Recurring(frozenset(DAYS.index(name) + 1 for name in names), _clock(starts), _clock(ends))
    return Once(_moment(starts, zone), _moment(ends, zone))


def _clock(text: str) -> clock_time:
    try:
        if not re.fullmatch(r"\d{1,2}:\d{2}", text.strip()):
            raise ValueError
        return clock_time.fromisoformat(text.strip().zfill(5))
    except ValueError:
        raise UserError(f"{text!r} is not a time of a clock such as 22:00.") from None


def _moment(text: str, zone: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(f"{text!r} is not a time such as 2026-06-01 22:00.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=calendar.zone(zone))
    if not 2000 <= moment.year < 2200:  # what conversions between zones still have room for on both sides
        raise UserError(f"{text!r} is not a time of this century or the next.")
    return int(moment.timestamp() * 1000)


def window_text(when: Once | Recurring, zone: str) -> str:
    """As `parse_window` reads it."""
    if isinstance(when, Recurring):
        days = (
            "daily"
            if len(when.weekdays) == len(DAYS)
            else ",".join(DAYS[day - 1] for day in sorted(when.weekdays))
        )
        return f"{days} {when.starts:%H:%M} to {when.ends:%H:%M}"
    return f"{calendar.local(when.starts_ms, zone):%Y-%m-%d %H:%M} to {calendar.local(when.ends_ms, zone):%Y-%m-%d %H:%M}"
