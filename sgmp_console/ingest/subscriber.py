"""Our connection to the broker: a session that outlives us, and messages acknowledged only when we say so.

Callbacks run on the MQTT library's thread; they only put messages into the inbox and note how the connection is.
awscrt is loaded with the first Subscriber, not with this module.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgmp_console.errors import UserError
from sgmp_console.ingest.inbox import Inbox, Message
from sgmp_edge import contract

_log = logging.getLogger(__name__)

IN_FLIGHT = 1_000
"""Messages that the broker sends ahead of our acknowledgements: what bounds our memory, and feeds the batches."""

MAX_PACKET_BYTES = 1024 * 1024
SESSION_S = 7 * 86_400
"""How long the broker keeps messages for us; AWS IoT Core's longest."""

_KEEP_ALIVE_S = 30
_PING_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_MS = 15_000
_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is, and the PEM files of who we are to it. No `ca`: the system's authorities (AWS)."""

    host: str
    port: int
    ca: Path | None
    cert: Path
    key: Path


class Subscriber:
    """Receives what all edges publish. One client id is one connection: a second one pushes the first off."""

    def __init__(
        self, broker: BrokerSettings, deployment: str, client_id: str, share_group: str, inbox: Inbox
    ) -> None:
        """Raises UserError where the credentials can't be used."""
        self._inbox = inbox
        topics = contract.read_filter(deployment)
        self._filter = f"$share/{share_group}/{topics}" if share_group else topics
        self._stopped: Future[None] = Future()
        self._online = False
        self.receiving = False
        """Whether messages can arrive: connected and subscribed."""
        self._client = _client(broker, client_id, self)

    def start(self) -> None:
        self._client.start()

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker that these are stored.

        A receipt of a connection that is gone is void, and the library knows: the broker sends its message again.
        """
        for message in messages:
            for receipt in message.receipts:
                self._client.invoke_publish_acknowledgement(receipt)

    def ensure_subscribed(self) -> None:
        """Ask again where the broker refused the subscription; to be called now and then."""
        if self._online and not self.receiving:
            self._subscribe()

    def stop(self) -> None:
        """Disconnect; the broker goes on collecting for us."""
        self._client.stop()
        try:
            self._stopped.result(_STOP_TIMEOUT_S)
        except FutureTimeout:
            _log.warning("the broker connection did not close within %g s", _STOP_TIMEOUT_S)

    # --- On the library's thread -----------------------------------------------------------------------------------

    def on_message(self, data: Any) -> None:
        acquire = data.acquire_publish_acknowledgement_control
        receipts = (acquire(),) if acquire is not None else ()  # none for QoS 0
        packet = data.publish_packet
        self._inbox.put(
            Message(packet.topic, bytes(packet.payload or b""), int(time.time() * 1000), receipts)
        )

    def on_connected(self, _data: Any) -> None:
        self._online = True
        # Each time: a session may be left over from before the first subscription was made.
        self._subscribe()

    def _subscribe(self) -> None:
        from awscrt import mqtt5

        subscription = mqtt5.Subscription(
            topic_filter=self._filter,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_handling_type=mqtt5.RetainHandlingType.DONT_SEND,
        )
        answer = self._client.subscribe(mqtt5.SubscribePacket(subscriptions=[subscription]))
        answer.add_done_callback(self._on_subscribed)

    def _on_subscribed(self, answer: Future[Any]) -> None:
        from awscrt import mqtt5

        if error := answer.exception():
            _log.warning("could not subscribe: %s", error)
            return
        code = answer.result().reason_codes[0]
        if code > mqtt5.SubackReasonCode.GRANTED_QOS_2:
            _log.error(
                "the broker refuses the subscription to %s (%s); its access list must let ingest read it",
                self._filter,
                code.name,
            )
            return
        self.receiving = True
        _log.info("connected; receiving %s", self._filter)

    def on_connection_failed(self, data: Any) -> None:
        _log.warning("no connection to the broker: %s", _reason(data))

    def on_disconnected(self, data: Any) -> None:
        self._online = self.receiving = False
        _log.warning("the broker connection ended: %s", _reason(data))

    def on_stopped(self, _data: Any) -> None:
        self._online = self.receiving = False
        if not self._stopped.done():
            self._stopped.set_result(None)


def _client(broker: BrokerSettings, client_id: str, subscriber: Subscriber) -> Any:
    from awscrt import mqtt5
    from awscrt.exceptions import AwsCrtError
    from awsiot import mqtt5_client_builder

    try:
        return mqtt5_client_builder.mtls_from_bytes(
            broker.cert.read_bytes(),
            broker.key.read_bytes(),
            ca_bytes=broker.ca.read_bytes() if broker.ca else None,
            endpoint=broker.host,
            port=broker.port,
            client_id=client_id,
            session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            session_expiry_interval_sec=SESSION_S,
            receive_maximum=IN_FLIGHT,
            maximum_packet_size=MAX_PACKET_BYTES,
            keep_alive_interval_sec=_KEEP_ALIVE_S,
            ping_timeout_ms=_PING_TIMEOUT_MS,
            connack_timeout_ms=_CONNECT_TIMEOUT_MS,
            min_reconnect_delay_ms=250,
            max_reconnect_delay_ms=15_000,
            enable_metrics_collection=False,
            on_publish_received=subscriber.on_message,
            on_lifecycle_connection_success=subscriber.on_connected,
            on_lifecycle_connection_failure=subscriber.on_connection_failed,
            on_lifecycle_disconnection=subscriber.on_disconnected,
            on_lifecycle_stopped=subscriber.on_stopped,
        )
    except OSError as error:
        raise UserError(
            f"Ingest's broker credentials can't be read ({error.strerror}: {error.filename}). Check the paths."
        ) from error
    except AwsCrtError as error:
        raise UserError(
            f"Ingest's broker credentials can't be used ({error.name}). Check that {broker.cert.name} and "
            f"{broker.key.name} belong together."
        ) from error


def _reason(data: Any) -> str:
    packet = getattr(data, "connack_packet", None) or getattr(data, "disconnect_packet", None)
    if packet is not None:
        return str(packet.reason_code.name).lower().replace("_", " ")
    return str(getattr(data.exception, "message", data.exception))
