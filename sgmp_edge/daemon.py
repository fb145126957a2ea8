"""The daemon: builds the parts, connects them, and ends them in reverse.

Two loops: this one (the main thread) polls and decides; the courier's owns disk and broker.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import VERSION, certificate, contract
from .configuration import Configuration
from .contract import EdgeState, WarningKind
from .delivery.courier import Courier, Status
from .delivery.outbox import Message
from .delivery.publisher import CannotConnect, Connection, Handlers, Will
from .delivery.rates import Limits
from .files import free_mb
from .home import keep_secrets_private, lock_home, open_outbox
from .polling import drivers
from .polling.control import Control
from .polling.drivers import Catalogue
from .polling.poller import Poller
from .polling.probe import Probes
from .reporting import Reporting
from .settings import (
    CREDENTIALS_FILE,
    DEVICES_FILE,
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
"""And for the last messages to be acknowledged."""
SEND_ALL_S = 30.0
"""With `--once`, including the time to connect."""


class Daemon:
    """One edge. `run` returns after `stop`.

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
            load_identity(home, settings)  # raises now, not on another thread
        self._lock = lock_home(home)
        keep_secrets_private(home)
        self._credentials_seen = self._credentials_stamp()
        outbox, states = open_outbox(home, settings)
        self._corrupt_outbox = outbox.corrupt_file
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
            on_connected=lambda: self._loop.post(self._reporting.connected),
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
        self._reporting = Reporting(
            interval_s=settings.status_interval_s,
            poll_interval_s=settings.poll_interval_s,
            allow_control=settings.allow_control,
            health=self._poller.health,
            polls=lambda: self._poller.polls,
            poll_times=self._poller.poll_times,
            disk_free_mb=partial(free_mb, home),
            certificate_expires_ms=lambda: self._certificate_expires_ms,
            document=lambda: self._configuration.current,
            report=self._report,
        )
        self._ending_since: float | None = None
        self._certificate_expires_ms: int | None = None
        """Of the certificate that it connects with."""

    def run(self) -> None:
        """Until SIGTERM, SIGINT or `stop`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self._courier.start()
        self._configuration.start()
        if self._corrupt_outbox is not None:
            self._reporting.warn(
                WarningKind.OUTBOX_DAMAGED,
                f"The outbox could not be read; it is kept as {self._corrupt_outbox.name}",
            )
        if self._once:
            self._poller.poll_all_once()
            self._poller.pause()
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
        if self._reporting.due(now):
            self._courier.refresh_status(
                lambda status: self._loop.post(partial(self._publish_status, status))
            )
            self._look_at_credentials()
        if self._once and self._poller.idle():
            self._begin_end()
            return 0.0
        return max(min(sleep, self._reporting.wait_s(now)), 0.0)

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

    def _taken_over(self) -> None:
        self._reporting.warn(
            WarningKind.SECOND_EDGE,
            "Another program uses this house's credentials; each of the two cuts the other off",
        )

    def _publish_status(self, status: Status) -> None:
        self._reporting.take(status)
        self._notifier.status(
            f"{'connected' if status.connected else 'not connected'}, backlog {status.backlog}"
        )
        event = self._event(contract.EDGE_STATUS, self._reporting.status(EdgeState.ONLINE))
        self._courier.publish_unstored(event)

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
        self._certificate_expires_ms = certificate.expires_ms(identity.certificate_pem)
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
        last_message = self._event(contract.EDGE_STATUS, self._reporting.status(EdgeState.STOPPED))
        self._poller.close(0.5)
        if self._once:
            self._courier.stop(
                SEND_ALL_S if self._connects else SEND_S, last_message, send_all=self._connects
            )
        else:
            self._courier.stop(SEND_S, last_message)
        self._loop.quit()
        return 0.0
