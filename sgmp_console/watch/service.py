"""What `sgmp-console watch` runs: a turn every few seconds, each one transaction, and beside it a thread that sends messages.

Several watchers may run: a turn is taken under a lock of the database, so they take turns, and what one began another goes
on with. All that a watcher knows is in the database; it can end at any moment.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.backoff import delays
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.errors import SgmpError
from sgmp_console.monitoring.metrics import Figures, Service, served
from sgmp_console.store import DatabaseUnavailable, SignInRefused, watching
from sgmp_console.store.findings import Severity
from sgmp_console.store.watching import Candidate, Claimed, StoredFinding, Turn
from sgmp_console.watch import facts
from sgmp_console.watch.certificates import look_at
from sgmp_console.watch.delivery import Sender, deliver
from sgmp_console.watch.engine import Known, step
from sgmp_console.watch.facts import WARNINGS_SINCE_MS, Certificate
from sgmp_console.watch.nightly import Nightly
from sgmp_console.watch.rules import Key, Rule
from sgmp_console.watch.webhook import Network
from sgmp_console.watch.windows import covers

_log = logging.getLogger(__name__)

TURN_EVERY_S = 5.0
_BUSY_SHARE = 10
"""A turn that takes long is followed by a pause so many times as long."""

QUALITY_S = 0.5
"""How long a turn goes on with checks of quality after its look, about: a tenth of its pause."""

DIGEST_ABOVE = 20
DIGEST_WITHIN_S = 300.0
"""Messages to one recipient: so many within such a time, the rest in one."""

_EVENTS_OVERLAP_MS = 20 * 60_000
"""A transaction of ingest that began earlier may commit later: events of so long are looked at again."""


@dataclass(frozen=True)
class WatchSettings:
    """`certificates`: PEM files that may expire. `webhook_networks`: what webhooks may reach beside public addresses."""

    deployment: str
    database_url: str = field(repr=False)
    mailer: SmtpMailer | None = None
    certificates: Sequence[Path] = ()
    turn_every_s: float = TURN_EVERY_S
    metrics_port: int | None = None
    """Of 127.0.0.1, for Prometheus."""
    webhook_networks: Sequence[Network] = ()


@dataclass
class _Measured:
    """Since the start. Each figure is written by one thread."""

    turns: int = 0
    turn_s: float = 0.0
    failed_turns: int = 0
    last_turn_s: float | None = None
    """UTC seconds."""
    open_findings: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    failed: int = 0

    def note_turn(self, seconds: float, open_findings: Mapping[str, int]) -> None:
        self.turns += 1
        self.turn_s += seconds
        self.last_turn_s = time.time()
        self.open_findings = open_findings

    def counting(self, send: Callable[[Claimed], None]) -> Callable[[Claimed], None]:
        def counted(message: Claimed) -> None:
            try:
                send(message)
            except Exception:
                self.failed += 1
                raise
            self.sent += 1

        return counted

    def metrics(self) -> Figures:
        figures: dict[str, float | Mapping[str, float]] = {
            "turns": self.turns,
            "turn_seconds": self.turn_s,
            "failed_turns": self.failed_turns,
            "open_findings": self.open_findings,
            "notifications": {"sent": self.sent, "failed": self.failed},
        }
        if self.last_turn_s is not None:
            figures["last_turn_timestamp_seconds"] = self.last_turn_s
        return figures


def run(settings: WatchSettings, stop: threading.Event) -> None:
    """Until `stop`. Waits for the database for as long as it takes. Raises SignInRefused, UserError."""
    store.checked_deployment(settings.deployment)
    database = _open(settings.database_url, stop)
    if database is None:
        return
    watcher = f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
    measured = _Measured()
    send = measured.counting(Sender(settings.deployment, settings.mailer, settings.webhook_networks).send)
    with served(Service.WATCH, settings.metrics_port, measured.metrics):
        sending = threading.Thread(
            target=deliver, args=(database, send, stop), name="sgmp-delivery", daemon=True
        )
        sending.start()
        try:
            _take_turns(settings, database, watcher, measured, stop)
        finally:
            stop.set()
            sending.join(15.0)
            database.dispose()


def _take_turns(
    settings: WatchSettings,
    database: store.Database,
    watcher: str,
    measured: _Measured,
    stop: threading.Event,
) -> None:
    failures = delays(longest_s=settings.turn_every_s)
    said = ""
    nightly = Nightly(database)
    while not stop.is_set():
        began = time.monotonic()
        looked_s = 0.0
        try:
            open_findings = turn(
                database,
                watcher,
                certificates=lambda now_ms: look_at(settings.certificates),
                every_s=settings.turn_every_s,
            )
        except SignInRefused:
            raise
        except DatabaseUnavailable as error:
            measured.failed_turns += 1
            if str(error) != said:
                _log.warning("%s", error)
            said = str(error)
            stop.wait(next(failures))
            continue
        except SgmpError as error:
            measured.failed_turns += 1
            _log.error("a turn failed: %s", error)
        except Exception:  # noqa: BLE001 - the next turn may succeed, and nobody else watches
            measured.failed_turns += 1
            _log.exception("a turn failed")
        else:
            said, failures = "", delays(longest_s=settings.turn_every_s)
            looked_s = time.monotonic() - began
            if open_findings is not None:
                measured.note_turn(looked_s, open_findings)
                _check_days(nightly)
        stop.wait(max(settings.turn_every_s, _BUSY_SHARE * looked_s))


def _check_days(nightly: Nightly) -> None:
    try:
        nightly.turn(QUALITY_S)
    except SgmpError as error:
        _log.warning("checks of quality wait: %s", error)
    except Exception:  # noqa: BLE001 - findings are looked for all the same
        _log.exception("checks of quality failed")


def turn(
    database: store.Database,
    watcher: str,
    *,
    certificates: Callable[[int], Sequence[Certificate]] = lambda now_ms: (),
    every_s: float = 0.0,
) -> Mapping[str, int] | None:
    """Look once; None where it is another watcher's turn. Returns as `look`, raises as `Database.begin`."""
    with database.begin() as connection:
        taken = watching.take_turn(connection, watcher, every_s)
        if taken is None:
            return None
        return look(connection, taken, certificates(taken.now_ms))


def look(
    connection: sa.Connection, taken: Turn, certificates: Sequence[Certificate] = ()
) -> Mapping[str, int]:
    """A turn that was taken: read, judge, store, have messages sent. Returns how many findings are open, by severity."""
    now_ms = taken.now_ms
    warned = watching.warned_since(connection, taken.seen)
    if now_ms - taken.newest_ms > _EVENTS_OVERLAP_MS:
        watching.advance(connection, taken)
    stored = watching.findings(connection, now_ms - WARNINGS_SINCE_MS)
    read = facts.read(connection, now_ms, warned, stored, certificates)
    known = [_known(row) for row in stored if row.rule in _RULES]
    changes = step(known, facts.judge(read, now_ms), now_ms)
    obsolete = [_ended(row, now_ms) for row in stored if row.rule not in _RULES and row.to_ms is None]
    watching.store_findings(
        connection,
        [*(_stored(finding) for finding in sorted(changes.stored, key=_order)), *obsolete],
        [finding.finding_id for finding in changes.forgotten],
        now_ms,
    )
    for finding in changes.stored:
        if finding.opened_ms == now_ms or finding.to_ms is not None:
            _log.info("%s %s", "over:" if finding.to_ms is not None else "opened:", finding.key)
    notify(connection, now_ms)
    open_findings = Counter(finding.severity for finding in changes.open_after(known))
    return {severity.value: open_findings[severity] for severity in Severity}


def notify(connection: sa.Connection, now_ms: int) -> int:
    """Have messages sent of what recipients do not know yet, but for times of maintenance. Returns how many."""
    candidates = watching.candidates(connection)
    if not candidates:
        return 0
    windows = watching.windows(connection)

    def is_quiet(candidate: Candidate) -> bool:
        # Who was notified that something is wrong is notified that it is over, at any time.
        return candidate.kind != "closed" and any(
            covers(window, candidate.house_id, candidate.device, candidate.zone or "UTC", now_ms)
            for window in windows
        )

    chosen = [candidate for candidate in candidates if not is_quiet(candidate)]
    return watching.enqueue(connection, chosen, most=DIGEST_ABOVE, within_s=DIGEST_WITHIN_S)


def _open(url: str, stop: threading.Event) -> store.Database | None:
    """None where `stop` came first."""
    for delay_s in delays():
        try:
            return store.Database.connect(url, application="sgmp-watch", pre_ping=True)
        except DatabaseUnavailable as error:
            _log.warning("%s", error)
        if stop.wait(delay_s):
            return None
    raise AssertionError("delays never end")


_RULES = frozenset(rule.value for rule in Rule)


def _known(row: StoredFinding) -> Known:
    return Known(
        Key(row.house_id, row.device, Rule(row.rule), row.subject),
        row.from_ms,
        row.seen_ms,
        row.opened_ms,
        row.gone_ms,
        row.to_ms,
        row.value,
        row.details,
        row.suspended,
        row.finding_id,
        Severity(row.severity),
    )


def _stored(finding: Known) -> StoredFinding:
    key = finding.key
    return StoredFinding(
        finding.finding_id,
        key.house_id,
        key.device,
        key.rule.value,
        key.subject,
        finding.severity.value,
        finding.from_ms,
        finding.seen_ms,
        finding.opened_ms,
        finding.gone_ms,
        finding.to_ms,
        finding.value,
        finding.details,
        finding.suspended,
    )


def _order(finding: Known) -> tuple[int, int, str, str, str]:
    """In which messages about findings of one turn are sent: the oldest first."""
    key = finding.key
    return finding.from_ms, key.house_id or 0, key.device, key.rule, key.subject


def _ended(row: StoredFinding, now_ms: int) -> StoredFinding:
    """Of a rule that this version does not have."""
    return StoredFinding(**{**vars(row), "to_ms": now_ms, "gone_ms": now_ms})
