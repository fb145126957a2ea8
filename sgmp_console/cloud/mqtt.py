"""The console's connection to the broker: MQTT 5 over mutual TLS, by paho-mqtt, driven by the thread that owns it.

The owner decides at each turn whether to read at all, and what waits to be sent goes first: docs/ingest.md says why.
paho-mqtt only logs why a connection ended; here the cause has a code.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, cast

from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sgmp_console.errors import Unavailable

MAX_PACKET_BYTES = 1024 * 1024
"""The largest packet that the broker may send; the contract's payloads are far smaller."""

KEEP_ALIVE_S = 15
"""A broker that is silent for twice as long counts as gone. AWS IoT Core takes less than 30 s as 30 s."""

_READ_MESSAGES, _READ_BYTES = 1_000, 256 * 1024
"""Read at a turn at most."""

_AWS_ALPN = "x-amzn-mqtt-ca"
"""What AWS IoT Core wants to hear where MQTT with client certificates shares port 443 with HTTPS."""

_NOTHING = "sgmp_nothing"
"""A topic to which nobody subscribes: to unsubscribe from it changes nothing."""

_KEEP_ALIVE_TIMEOUT, _SESSION_TAKEN_OVER = 0x8D, 0x8E
"""Reason codes, of https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html"""

_VERIFY_NOT_YET_VALID, _VERIFY_EXPIRED, _VERIFY_NAMES = 9, 10, (62, 64)
"""OpenSSL's codes of what is wrong with a certificate (X509_V_ERR_...)."""


class Cause(Enum):
    """Why there is no connection."""

    CREDENTIALS = "our own files can't be used"
    UNREACHABLE = "nothing answers"
    TIMEOUT = "no answer in time"
    EXPIRED = "the broker's certificate is expired"
    UNTRUSTED = "the broker's certificate is not trusted"
    NOT_LET_IN = "our certificate is not accepted"
    REFUSED = "the broker refuses the connection"
    TAKEN_OVER = "another connection has the same name"
    ENDED = "the connection ended"


class Disconnected(Unavailable):
    """There is no connection, or no longer; the text is a part of a sentence, after a colon."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is, and the PEM files of who we are to it. No `ca`: the system's authorities (AWS)."""

    host: str
    port: int
    ca: Path | None
    cert: Path
    key: Path


@dataclass(frozen=True)
class Published:
    """A message for us. `packet_id` acknowledges it; 0 where the sender asked for no receipt (QoS 0)."""

    topic: str
    payload: bytes = field(repr=False)
    packet_id: int
    retained: bool = False
    """Left in the broker for later subscribers; only shown where the subscription asked for it."""


@dataclass(frozen=True)
class Answer:
    """To a subscription or publication of ours. `reason` is the standard's name of its code, for people."""

    packet_id: int
    refused: bool
    reason: str


class Connection:
    """An open connection. Not safe to use from several threads, but for `wake`."""

    def __init__(
        self,
        broker: BrokerSettings,
        client_id: str,
        *,
        timeout_s: float,
        session_s: int = 0,
        receive_maximum: int = 65_535,
        keep_alive_s: int = KEEP_ALIVE_S,
    ) -> None:
        """Connects, which blocks for at most about `timeout_s`. Raises Disconnected.

        `session_s`: how long the broker keeps subscriptions and messages for us when we are gone; 0 begins without any.
        `receive_maximum`: messages that the broker may send ahead of acknowledgements. Mosquitto 2.0 exceeds it.
        """
        self._packets: list[Published | Answer] = []
        self._bytes = 0
        self._accepted = False
        self._end: Disconnected | None = None
        self._sign_s = keep_alive_s / 2
        self._signed = time.monotonic()
        self._client = self._new_client(client_id)
        self._client.tls_set_context(tls_context(broker))
        self._client.connect_timeout = max(timeout_s, 0.1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = session_s
        properties.ReceiveMaximum = receive_maximum
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        with _causes_of_failure():
            self._client.connect(
                broker.host, broker.port, keep_alive_s, clean_start=not session_s, properties=properties
            )
        self._socket = cast(_Socket, self._client.socket())
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        try:
            deadline = time.monotonic() + timeout_s
            while not self._accepted:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise Disconnected(Cause.TIMEOUT, "no answer in time")
                self._turn(left_s, read=True)
        except BaseException:
            self.close()
            raise

    def subscribe(self, topic_filter: str, *, qos: int = 1, show_retained: bool = False) -> int:
        """Ask for messages up to `qos`, from now on: without those that were retained before. Returns the id of the Answer.

        `show_retained`: say of each message whether its sender asked the broker to retain it.
        """
        never = SubscribeOptions.RETAIN_DO_NOT_SEND
        options = SubscribeOptions(qos, retainAsPublished=show_retained, retainHandling=never)
        return self._client.subscribe(topic_filter, options=options)[1] or 0

    def publish(self, topic: str, payload: bytes, *, retain: bool, expires_s: int | None) -> int:
        """With QoS 1. Returns the id of the Answer."""
        properties = None
        if expires_s is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = expires_s
        return self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Queue receipts for messages; they go before anything else is read."""
        for packet_id in packet_ids:
            self._client.ack(packet_id, 1)

    def wake(self) -> None:
        """End the wait of `exchange`; from any thread."""
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def exchange(self, timeout_s: float, *, read: bool = True) -> Sequence[Published | Answer]:
        """One turn: send what waits, wait up to `timeout_s` for something to do, read what there is if `read`.

        Without `read` the broker's messages stay in the socket, and the broker stops sending when that is full.
        Raises Disconnected.
        """
        self._show_life()
        if not (read and self._packets):  # some may have come together with the answer to our connecting
            self._turn(timeout_s, read=read)
        if not read:
            return []
        packets, self._packets = self._packets, []
        return packets

    def flush(self, timeout_s: float) -> None:
        """Send what waits, within `timeout_s`. Raises Disconnected."""
        deadline = time.monotonic() + timeout_s
        self._send()
        while self._client.want_write() and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic(), read=False)
            self._send()

    def close(self) -> None:
        """Say good-bye where that is possible without waiting, and close."""
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop_write()
        for open_socket in (self._socket, self._wake_reader, self._wake_writer):
            open_socket.close()

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _new_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        client.max_inflight_messages = 0  # no limit: the owner decides
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = lambda _client, _data, packet_id, code, _: self._on_answer(packet_id, code)
        client.on_subscribe = lambda _client, _data, packet_id, codes, _: self._on_answer(
            packet_id, max(codes)
        )
        # With it, paho only queues what is to be sent; without it, it would send from within publish and ack.
        client.on_socket_register_write = lambda *_: None
        return client

    def _show_life(self) -> None:
        """Send a request now and then, so that the broker keeps the connection, whether or not we read its answers.

        WORKAROUND: https://github.com/eclipse-paho/paho.mqtt.python/issues/914
        paho-mqtt has no public ping, and its keep-alive closes a connection where the answer to its ping waits behind
        messages. So its keep-alive runs only when nothing arrives (`_turn`), and this request takes the place of its ping.
        """
        if time.monotonic() - self._signed >= self._sign_s:
            self._signed = time.monotonic()
            self._client.unsubscribe(_NOTHING)

    def _turn(self, timeout_s: float, *, read: bool) -> None:
        self._send()
        if not (read and self._socket.pending()):
            self._wait(timeout_s, read=read)
            self._send()
        if read:
            self._receive()
            if not self._packets:
                self._client.loop_misc()
                self._check()

    def _send(self) -> None:
        self._client.loop_write()
        self._check()

    def _receive(self) -> None:
        self._bytes = 0
        try:
            while len(self._packets) < _READ_MESSAGES and self._bytes < _READ_BYTES:
                before = len(self._packets)
                self._client.loop_read()
                if self._client.socket() is None:
                    return  # what came before the end is looked at first
                if len(self._packets) == before and not self._socket.pending():
                    return
        except UnicodeDecodeError as error:
            raise Disconnected(Cause.ENDED, "the broker sent a topic that can't be read") from error

    def _wait(self, timeout_s: float, *, read: bool) -> None:
        events = (selectors.EVENT_READ if read else 0) | (
            selectors.EVENT_WRITE if self._client.want_write() else 0
        )
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_reader, selectors.EVENT_READ)
            if events:
                selector.register(self._socket, events)
            selector.select(max(0.0, min(timeout_s, self._sign_s)))
        with contextlib.suppress(BlockingIOError):
            self._wake_reader.recv(4096)

    def _check(self) -> None:
        if self._client.socket() is None:
            raise self._end or Disconnected(Cause.ENDED, "the broker closed the connection")

    def _on_connect(self, client: Client, data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        if code.is_failure:
            self._end = Disconnected(Cause.REFUSED, str(code).lower())
        self._accepted = not code.is_failure

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self._bytes += len(message.payload)
        self._packets.append(Published(message.topic, bytes(message.payload), message.mid, message.retain))

    def _on_answer(self, packet_id: int, code: ReasonCode) -> None:
        self._packets.append(Answer(packet_id, code.is_failure, str(code).lower()))

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, properties: Any
    ) -> None:
        if self._end is not None:
            return
        if flags.is_disconnect_packet_from_server:
            cause = Cause.TAKEN_OVER if code.value == _SESSION_TAKEN_OVER else Cause.ENDED
            self._end = Disconnected(cause, str(code).lower())
        elif code.value == _KEEP_ALIVE_TIMEOUT:
            self._end = Disconnected(Cause.TIMEOUT, "the broker no longer answers")
        elif isinstance(self._socket.failure, ssl.SSLError) and _is_alert(self._socket.failure):
            # TLS 1.3 lets a broker refuse our certificate only after the handshake.
            self._end = _not_let_in(self._socket.failure)
        elif self._socket.failure is not None and not isinstance(self._socket.failure, ssl.SSLError):
            self._end = Disconnected(Cause.ENDED, _os_text(self._socket.failure))


# --- TLS ------------------------------------------------------------------------------------------------------------


class _Socket(ssl.SSLSocket):
    """Remembers its failure, which paho only logs, and is closed after a failed handshake, which paho leaves to chance."""

    failure: OSError | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # receipts are small
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):  # why it ended may have arrived before
                while self.recv(65_536):
                    pass
            raise


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Mutual TLS. Raises Disconnected (CREDENTIALS) where the files can't be used."""
    try:
        context = ssl.create_default_context(cafile=str(broker.ca) if broker.ca else None)
        if broker.ca is None:
            import certifi

            # Not every system has authorities where Python looks.
            context.load_verify_locations(certifi.where())
        context.sslsocket_class = _Socket
        # The strictness of Python 3.13 refuses authorities made with openssl's own defaults.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if broker.port == 443:
            context.set_alpn_protocols([_AWS_ALPN])
        for file in (broker.cert, broker.key):
            file.open("rb").close()  # OpenSSL does not say which of them is missing
        context.load_cert_chain(str(broker.cert), str(broker.key), password="")
    except ssl.SSLError as error:
        raise Disconnected(
            Cause.CREDENTIALS,
            f"the credentials can't be used ({error.reason or 'not PEM'}). Check that {broker.cert.name} and "
            f"{broker.key.name} belong together",
        ) from error
    except OSError as error:
        where = error.filename or broker.ca
        raise Disconnected(
            Cause.CREDENTIALS, f"the credentials can't be read ({error.strerror}: {where}). Check the paths"
        ) from error
    return context


@contextlib.contextmanager
def _causes_of_failure() -> Iterator[None]:
    """While connecting: what goes wrong becomes Disconnected."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise _not_trusted(error) from error
    except TimeoutError as error:
        raise Disconnected(Cause.TIMEOUT, "no answer in time") from error
    except ssl.SSLError as error:
        if _is_alert(error):
            raise _not_let_in(error) from error
        raise Disconnected(Cause.ENDED, "what answers does not speak TLS") from error
    except ConnectionResetError as error:
        raise Disconnected(Cause.ENDED, _os_text(error)) from error
    except OSError as error:
        raise Disconnected(Cause.UNREACHABLE, _os_text(error)) from error
    except ValueError as error:  # a host name that can't be one
        raise Disconnected(Cause.UNREACHABLE, str(error).lower()) from error


def _not_trusted(error: ssl.SSLCertVerificationError) -> Disconnected:
    if error.verify_code == _VERIFY_EXPIRED:
        return Disconnected(Cause.EXPIRED, "the broker's certificate is expired; it needs a new one")
    if error.verify_code == _VERIFY_NOT_YET_VALID:
        return Disconnected(Cause.EXPIRED, "the broker's certificate is not valid yet; check both clocks")
    if error.verify_code in _VERIFY_NAMES:
        return Disconnected(Cause.UNTRUSTED, "the broker's certificate is for another host name")
    return Disconnected(Cause.UNTRUSTED, f"the broker's certificate is not trusted ({error.verify_message})")


def _is_alert(error: ssl.SSLError) -> bool:
    return "ALERT" in (error.reason or "")


def _not_let_in(error: ssl.SSLError) -> Disconnected:
    why = (error.reason or "").lower().replace("_", " ").rpartition("alert ")[2]
    return Disconnected(Cause.NOT_LET_IN, f"the broker does not accept our certificate ({why})")


def _os_text(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
