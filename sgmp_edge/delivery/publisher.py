"""The connection to the broker: MQTT 5 over mutual TLS, kept up for ever.

awscrt keeps no queue for us (`FAIL_ALL_ON_DISCONNECT`; the outbox is the queue) and reconnects by itself with
growing, jittered pauses. Its callbacks come on its own thread; what is called from here hands the call over to a
loop of its own (threads.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from awscrt import io, mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30
PING_TIMEOUT_MS = 10_000
CONNACK_TIMEOUT_MS = 15_000
ACK_TIMEOUT_S = 20
RECONNECT_MS = (1_000, 120_000)
CALM_AFTER_MS = 20_000
"""A connection must last this long before the pause between attempts starts from the shortest again."""

_TLS_FAILED = "AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE"
_HUNG_UP = "AWS_ERROR_MQTT_UNEXPECTED_HANGUP"


@dataclass(frozen=True)
class Identity:
    """Who connects, and where to. Holds the private key: never log or format it."""

    client_id: str
    host: str
    port: int
    certificate_pem: str
    private_key_pem: str
    root_ca_pem: str | None
    """None: the broker's certificate is checked against the system's authorities."""

    def __repr__(self) -> str:
        return f"Identity(client_id={self.client_id!r}, host={self.host!r}, port={self.port})"


@dataclass(frozen=True)
class Will:
    """What the broker publishes for the edge when the connection breaks."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Down:
    """Why there is no connection."""

    why: str
    taken_over: bool = False
    """The broker said that another client took over this client id."""
    hung_up: bool = False
    """A standing connection was closed without a reason, which brokers do when another client takes over, too."""


@dataclass(frozen=True)
class Handlers:
    """Called on awscrt's thread: hand over, return at once."""

    on_up: Callable[[int], None]
    """Connected; how many unacknowledged publishes the broker allows."""
    on_down: Callable[[Down], None]
    """A connection ended, or an attempt failed."""
    on_message: Callable[[str, bytes, bool], None]
    """Topic, payload, and whether it is a retained message from before."""


class CannotConnect(Exception):
    """No client can be made of the credentials; `str(error)` says why, without secrets."""


class Connection:
    """One client of the broker. `start` returns at once, connected or not; other credentials need another object.

    Raises CannotConnect for a certificate or key that TLS can't use.
    """

    def __init__(
        self,
        identity: Identity,
        handlers: Handlers,
        *,
        subscriptions: Sequence[str],
        will: Will | None = None,
    ) -> None:
        self._identity = identity
        self._handlers = handlers
        self._subscriptions = tuple(subscriptions)
        self._stopped: Future[None] = Future()
        self.subscribed = True
        """False after an attempt to subscribe failed; `subscribe` makes another."""
        # One thread; the default group has one per core.
        group = io.EventLoopGroup(1)
        try:
            self._client = mqtt5_client_builder.mtls_from_bytes(
                cert_bytes=identity.certificate_pem.encode(),
                pri_key_bytes=identity.private_key_pem.encode(),
                ca_bytes=identity.root_ca_pem.encode() if identity.root_ca_pem else None,
                client_bootstrap=io.ClientBootstrap(group, io.DefaultHostResolver(group)),
                endpoint=identity.host,
                port=identity.port,
                client_id=identity.client_id,
                keep_alive_interval_sec=KEEP_ALIVE_S,
                ping_timeout_ms=PING_TIMEOUT_MS,
                connack_timeout_ms=CONNACK_TIMEOUT_MS,
                ack_timeout_sec=ACK_TIMEOUT_S,
                session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
                offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
                # Our own rate limits say the same, and know which message is urgent.
                extended_validation_and_flow_control_options=mqtt5.ExtendedValidationAndFlowControlOptions.NONE,
                retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.DECORRELATED,
                min_reconnect_delay_ms=RECONNECT_MS[0],
                max_reconnect_delay_ms=RECONNECT_MS[1],
                min_connected_time_to_reset_reconnect_delay_ms=CALM_AFTER_MS,
                request_problem_information=True,
                enable_metrics_collection=False,  # it would go into the MQTT user name, which brokers check
                will=mqtt5.PublishPacket(topic=will.topic, payload=will.payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
                if will
                else None,
                on_publish_received=self._on_publish,
                on_lifecycle_connection_success=self._on_success,
                on_lifecycle_connection_failure=self._on_failure,
                on_lifecycle_disconnection=self._on_disconnection,
                on_lifecycle_stopped=self._on_stopped,
            )
        except (AwsCrtError, RuntimeError, TypeError, ValueError) as error:
            raise CannotConnect(f"TLS can't use the credentials: {error}") from error

    def start(self) -> None:
        self._client.start()

    def subscribe(self) -> None:
        """Ask for the topics; done by itself at each connection."""
        if not self._subscriptions:
            return
        packet = mqtt5.SubscribePacket(
            [mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE) for topic in self._subscriptions]
        )
        try:
            self._client.subscribe(packet).add_done_callback(self._subscribed)
        except (AwsCrtError, RuntimeError, TypeError, ValueError) as error:
            self._not_subscribed(str(error))

    def publish(self, topic: str, payload: bytes, done: Callable[[str | None], None]) -> None:
        """Send with QoS 1. `done(None)` when the broker acknowledged, else `done(why)`; on awscrt's thread."""
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        try:
            future = self._client.publish(packet)
        except (AwsCrtError, RuntimeError, TypeError, ValueError) as error:
            done(f"it can't be sent: {error}")
            return
        future.add_done_callback(partial(_acknowledged, done))

    def stop(self, timeout_s: float) -> bool:
        """Say goodbye (the broker then sends no will) and wait for the end. False if it took longer."""
        self._client.stop(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION))
        try:
            self._stopped.result(timeout_s)
        except TimeoutError:
            return False
        return True

    # --- On awscrt's thread --------------------------------------------------------------------------------------

    def _on_success(self, event: mqtt5.LifecycleConnectSuccessData) -> None:
        self.subscribe()
        allowed = event.connack_packet.receive_maximum
        self._handlers.on_up(allowed or 65_535)

    def _on_failure(self, event: mqtt5.LifecycleConnectFailureData) -> None:
        if event.connack_packet is not None:
            why = f"the broker refused: {_name(event.connack_packet.reason_code)}"
        else:
            why = str(event.exception)
            if getattr(event.exception, "name", "") == _TLS_FAILED:
                why += "; broker and edge do not trust each other's certificate, or the clock is wrong"
        self._handlers.on_down(Down(why))

    def _on_disconnection(self, event: mqtt5.LifecycleDisconnectData) -> None:
        packet = event.disconnect_packet
        if packet is None:
            hung_up = getattr(event.exception, "name", "") == _HUNG_UP
            self._handlers.on_down(Down(str(event.exception), hung_up=hung_up))
            return
        taken_over = packet.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        why = f"the broker ended the connection: {_name(packet.reason_code)}"
        self._handlers.on_down(Down(why, taken_over=taken_over))

    def _on_publish(self, event: mqtt5.PublishReceivedData) -> None:
        packet = event.publish_packet
        self._handlers.on_message(packet.topic, bytes(packet.payload or b""), bool(packet.retain))

    def _on_stopped(self, _: mqtt5.LifecycleStoppedData) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def _subscribed(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self._not_subscribed(str(error))
            return
        refused = [
            f"{topic}: {_name(code)}"
            for topic, code in zip(self._subscriptions, future.result().reason_codes, strict=True)
            if code >= mqtt5.SubackReasonCode.UNSPECIFIED_ERROR
        ]
        if refused:
            self._not_subscribed("; ".join(refused))
        else:
            self.subscribed = True

    def _not_subscribed(self, why: str) -> None:
        if self.subscribed:
            log.warning("The broker did not take the subscriptions (%s); they are tried again", why)
        self.subscribed = False


def _acknowledged(done: Callable[[str | None], None], future: Future[Any]) -> None:
    error = future.exception()
    if error is not None:
        done(str(error))
        return
    code = future.result().puback.reason_code
    if code == mqtt5.PubackReasonCode.NO_MATCHING_SUBSCRIBERS:
        # Taken, and kept for nobody: a broker keeps messages only for subscribers it has seen. Ingest will come.
        done("nobody receives this house's messages yet")
        return
    done(None if code < mqtt5.PubackReasonCode.UNSPECIFIED_ERROR else _name(code))


def _name(code: int) -> str:
    return getattr(code, "name", str(code)).replace("_", " ").lower()
