"""The daemon: builds the parts, connects them, and ends them in reverse.

Two loops: this one (the main thread) polls and decides; the courier's owns disk and broker.
"""

from __future__ import annotations

import logging
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from . import VERSION, contract
from .configuration import Configuration
from .contract import EdgeState, WarningChange, WarningKind
from .delivery.courier import Courier, Status
from .delivery.outbox import Message, Outbox
from .delivery.publisher import CannotConnect, Connection, Handlers, Will
from .delivery.rates import Limits
from .files import Held, hold
from .polling import drivers
from .polling.control import Control
from .polling.drivers import Catalogue
from .polling.poller import Poller
from .polling.probe import Probes
from .settings import (
    CREDENTIALS_FILE,
    DEVICES_FILE,
    OUTBOX_FILE,
    Settings,
    SetupError,
    earliest_ms,
    load_identity,
)
from .systemd_notify import WATCHDOG_S, Notifier
from .threads import Loop

log = logging.getLogger(__name__)

LAST_POLLS_S = 2.0
"""How long an ending daemon waits for polls that are on their way."""
RELEASE_S = 15.0
"""And for devices to be given back that are under a command; longer than a driver's read and release take."""
SEND_S = 1.5
SEND_ALL_S = 30.0
"""With `--once`, including the time to connect."""
STATUS_AFTER_S = 1.0
"""From a new connection to the first status: by then the retained configuration has come and been applied."""

STATUS_CHANGED_S = 10.0
"""Between two statuses where a device's state changed: nobody waits a minute to hear of it, and a device that comes and
goes all the time does not fill the database."""
WARN_EVERY_S = 3600.0


class Daemon:
    """One edge. `run` returns when it was told to stop.

    `once`: poll each device once, send what came of it, and end. `connect` False: nothing leaves this machine.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        catalogue: Catalogue,
        *,
        on_stored: Callable[[Message], None] = lambda message: None,
        connect: bool = True,
        once: bool = False,
    ) -> None:
        self._home = home
        self._settings = settings
        self._once = once
        self._connects = connect
        self._loop = Loop("main", self._wake)
        self._notifier = Notifier()
        self._started = time.monotonic()
        if connect:
            load_identity(home, settings)  # what is wrong with it is said now, not on another thread
        self._lock = _hold(home)
        self._credentials_seen = self._credentials_stamp()
        outbox, states = _open_outbox(home, settings)
        self._outbox_set_aside = outbox.set_aside
        self._courier = Courier(
            outbox,
            self._topic_of,
            self._connect if connect else None,
            limits=Limits(
                settings.publishes_per_s,
                settings.kilobytes_per_s * 1024,
                settings.backlog_spread_s,
                settings.resend_s,
            ),
            on_message=self._hand_over_message,
            on_stored=on_stored,
            on_connected=lambda: self._loop.post(self._connected),
            on_takeover=lambda: self._loop.post(self._taken_over),
        )
        self._poller = Poller(
            self._loop,
            catalogue,
            self._courier.put,
            interval_s=settings.poll_interval_s,
            states=states,
            earliest_ms=earliest_ms(home),
        )
        self._control = Control(
            self._loop,
            self._poller,
            self._store,
            enabled=settings.allow_control,
            states=states,
            now_ms=self._poller.clock.now_ms,
        )
        self._probes = Probes(self._loop, catalogue, self._report, self._poller.clock.now_ms)
        self._configuration = Configuration(
            home / DEVICES_FILE, catalogue, apply=self._reconfigure, report=self._store, states=states
        )
        self._status_at = 0.0
        self._told_at = 0.0
        self._told_devices: Mapping[str, str] | None = None
        self._status = Status()
        self._dropped = self._status.dropped
        self._warned: dict[str, float] = {}
        self._ending_since: float | None = None

    def run(self) -> None:
        """Until SIGTERM, SIGINT or `stop`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self._courier.start()
        self._configuration.start()
        if self._outbox_set_aside is not None:
            self._warn(
                WarningKind.OUTBOX_DAMAGED,
                f"The outbox could not be read; it is kept as {self._outbox_set_aside.name}",
            )
        if self._once:
            self._poller.poll_all_once()
            self._poller.pause()
        self._status_at = time.monotonic() + STATUS_AFTER_S
        self._notifier.ready()
        log.info("Edge of house %d started, software %s", self._settings.house_id, VERSION)
        self._loop.run()
        self._lock.close()

    def stop(self) -> None:
        """Begin the end. From any thread, also from a signal handler."""
        self._loop.post(self._begin_end)

    # --- What comes in, on any thread ----------------------------------------------------------------------------

    def _hand_over_message(self, topic: str, payload: bytes, retained: bool) -> None:
        self._loop.post(partial(self._receive, topic, payload, retained))

    # --- On the main loop ----------------------------------------------------------------------------------------

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        deployment, house = self._settings.deployment, self._settings.house_id
        if self._ending_since is not None:
            return
        if topic == contract.config_topic(deployment, house):
            self._configuration.receive(payload, retained=retained)
        elif topic == contract.probe_topic(deployment, house) and not retained:
            self._probes.receive(payload)
        elif topic.startswith(contract.control_topic(deployment, house, "")) and not retained:
            self._control.receive(topic.rsplit("/", 1)[1], payload)

    def _wake(self) -> float:
        if self._courier.loop.stuck_s() < WATCHDOG_S / 2:
            self._notifier.alive()
        if self._ending_since is not None:
            return self._go_on_ending()
        sleep = min(self._poller.wake(), self._control.wake(), self._probes.wake())
        now = time.monotonic()
        if self._told_devices is not None and self._told_devices != self._poller.health():
            self._status_at = min(self._status_at, self._told_at + STATUS_CHANGED_S)
        if now >= self._status_at:
            self._status_at = now + self._settings.status_interval_s
            self._courier.refresh_status(
                lambda status: self._loop.post(partial(self._publish_status, status))
            )
            self._look_at_credentials()
        if self._once and self._poller.idle():
            self._begin_end()
            return 0.0
        return max(min(sleep, self._status_at - now), 0.0)

    def _reconfigure(self, wanted: Sequence[contract.DeviceConfig]) -> None:
        self._control.reconfigure(wanted)
        self._poller.apply(wanted)
        self._control.adopt()

    def _report(self, kind: str, data: Mapping[str, Any]) -> None:
        self._store(kind, data, {})

    def _store(
        self,
        kind: str | None,
        data: Mapping[str, Any],
        states: Mapping[str, str | None],
        then: Callable[[bool], None] | None = None,
    ) -> None:
        messages = [self._event(kind, data)] if kind is not None else []
        self._courier.put(messages, states, then=then)

    def _event(self, kind: str, data: Mapping[str, Any]) -> Message:
        now = self._poller.clock.now_ms()
        return drivers.event_message(contract.EDGE_DEVICE_ID, contract.EDGE_DEVICE_NAME, now, kind, data)

    def _warn(self, kind: WarningKind, text: str) -> None:
        """A WARNING of the edge itself; the same one at most once an hour."""
        now = time.monotonic()
        if now - self._warned.get(text, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned[text] = now
            self._report(contract.WARNING, {"data": text, "kind": kind, "change": WarningChange.NOTICE})

    def _connected(self) -> None:
        self._status_at = time.monotonic() + STATUS_AFTER_S

    def _taken_over(self) -> None:
        self._warn(
            WarningKind.SECOND_EDGE,
            "Another program uses this house's credentials; each of the two cuts the other off",
        )

    def _publish_status(self, status: Status) -> None:
        if status.dropped > self._dropped:
            self._warn(WarningKind.OUTBOX_FULL, "The outbox is full; the oldest readings are dropped")
        if status.disk_problem:
            self._warn(
                WarningKind.DISK, f"The disk takes no readings ({status.disk_problem}); they wait in memory"
            )
        self._status, self._dropped = status, status.dropped
        self._notifier.status(
            f"{'connected' if status.connected else 'not connected'}, backlog {status.backlog}"
        )
        self._told_at, self._told_devices = time.monotonic(), self._poller.health()
        self._courier.publish_unstored(self._event(contract.EDGE_STATUS, self._status_data(EdgeState.ONLINE)))

    def _status_data(self, state: EdgeState) -> dict[str, Any]:
        document = self._configuration.current
        return {
            "state": state,
            "backlog": self._status.backlog,
            "oldest_ms": self._status.oldest_ms,
            "dropped": self._status.dropped,
            "in_memory": self._status.in_memory,
            "devices": self._poller.health(),
            "config_version": document.version if document else None,
            "config_sha256": document.sha256 if document else None,
            "control": self._settings.allow_control,
            "takeovers": self._status.takeovers,
            "polls": self._poller.polls,
            "uptime_s": int(time.monotonic() - self._started),
            "software": VERSION,
        }

    # --- The connection, on the courier's thread -----------------------------------------------------------------

    def _topic_of(self, message: Message) -> str:
        where = contract.ReadTopic(
            self._settings.house_id,
            message.device_id,
            message.device_name,
            message.timestamp_ms,
            message.kind,
        )
        return contract.read_topic(self._settings.deployment, where)

    def _connect(self, handlers: Handlers) -> Connection:
        deployment, house = self._settings.deployment, self._settings.house_id
        topics = [contract.config_topic(deployment, house), contract.probe_topic(deployment, house)]
        if self._settings.allow_control:
            topics.append(contract.control_topic(deployment, house, "+"))
        gone = drivers.event_message(
            contract.EDGE_DEVICE_ID,
            contract.EDGE_DEVICE_NAME,
            int(time.time() * 1000),
            contract.EDGE_STATUS,
            {"state": EdgeState.OFFLINE, "software": VERSION},
        )
        try:
            identity = load_identity(self._home, self._settings)
        except SetupError as error:
            raise CannotConnect(str(error)) from error
        return Connection(
            identity,
            handlers,
            subscriptions=topics,
            will=Will(self._topic_of(gone), gone.payload),
        )

    def _look_at_credentials(self) -> None:
        """New credentials count from now on, without a restart."""
        stamp = self._credentials_stamp()
        if not self._connects or stamp == self._credentials_seen:
            return
        self._credentials_seen = stamp
        try:
            load_identity(self._home, self._settings)
        except SetupError as error:
            log.error("The new credentials can't be used; the old ones stay: %s", error)
            return
        log.info("New credentials found; connecting with them")
        self._courier.renew()

    def _credentials_stamp(self) -> int:
        try:
            return (self._home / CREDENTIALS_FILE).stat().st_mtime_ns
        except OSError:
            return 0

    # --- The end -------------------------------------------------------------------------------------------------

    def _begin_end(self) -> None:
        if self._ending_since is None:
            log.info("Stopping")
            self._notifier.stopping()
            self._ending_since = time.monotonic()
            self._poller.pause()
            self._control.release_all()

    def _go_on_ending(self) -> float:
        """Devices are given back and polls on their way end, then the drivers closed, then the last messages sent."""
        assert self._ending_since is not None  # noqa: S101 - the caller checks
        self._poller.wake()
        self._control.wake()
        waited_s = time.monotonic() - self._ending_since
        if waited_s < LAST_POLLS_S and not self._poller.idle():
            return 0.05
        if waited_s < RELEASE_S and not self._control.idle():
            return 0.05
        last_message = self._event(contract.EDGE_STATUS, self._status_data(EdgeState.STOPPED))
        self._poller.close(0.5)
        if self._once:
            self._courier.stop(
                SEND_ALL_S if self._connects else SEND_S, last_message, send_all=self._connects
            )
        else:
            self._courier.stop(SEND_S, last_message)
        self._loop.quit()
        return 0.0


HOUSE_KEY = "house"


def _open_outbox(home: Path, settings: Settings) -> tuple[Outbox, dict[str, str]]:
    """The outbox of this house and its texts of state.

    What another house left behind (the Pi was moved, or config.py corrected) must not be published as this one's:
    its readings and its devices are put aside.
    """
    file = home / OUTBOX_FILE
    max_bytes = int(settings.outbox_max_mb * 1_000_000)
    outbox = Outbox(file, max_bytes=max_bytes)
    states = outbox.states()
    owner = states.get(HOUSE_KEY, settings.client_id)
    # What is no client id at all was damaged on the disk, and says nothing of a move.
    if owner != settings.client_id and re.fullmatch(r"\w+_house_[0-9]+", owner):
        outbox.close()
        for left in (file, home / DEVICES_FILE):
            if left.exists():
                left.replace(left.with_name(f"{left.stem}.{owner}{left.suffix}"))
        log.warning("This was the edge of %s; its readings and devices are kept under that name", owner)
        outbox = Outbox(file, max_bytes=max_bytes)
        states = {}
    if states.get(HOUSE_KEY) != settings.client_id:
        outbox.put([], {HOUSE_KEY: settings.client_id})
    return outbox, states


def _hold(home: Path) -> IO[bytes]:
    """Keep other daemons out of this home. Raises SetupError if one is in it."""
    try:
        return hold(home / ".lock")
    except Held as error:
        raise SetupError(
            f"An edge (process {error}) already runs with {home}. Stop that one first."
        ) from None
    except OSError as error:
        raise SetupError(f"{home} can't be written: {error.strerror}.") from error
