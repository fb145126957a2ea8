"""The console's MQTT 5 client: one connection over mutual TLS, driven by the thread that owns it.

Why our own and not a library (measured with 100,000 small messages queued on Mosquitto 2.0.11, 2 cores; docs/ingest.md):
awscrt reads as fast as the broker sends, on a thread of its own that also sends the acknowledgements, and offers no way
to stop; paho-mqtt can be driven by a loop like this one, at a third of the speed and with a write to the socket for each
acknowledgement. Here the owner decides at each turn whether to read at all, and what waits to be sent goes first.

Only what SGMP uses: QoS 0 and 1, no wills, no topic aliases, no enhanced authentication.
MQTT 5.0 is an OASIS standard: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from sgmp_console.errors import Unavailable

MAX_PACKET_BYTES = 1024 * 1024
"""The largest packet that we take; the contract's payloads are far smaller."""

KEEP_ALIVE_S = 30
_PING_AFTER_S = 15.0
_PING_TIMEOUT_S = 15.0
_READ_BYTES = 256 * 1024
"""Read at a turn at most: some thousand small messages."""

_MAX_HEADER_BYTES = 5
_AWS_ALPN = "x-amzn-mqtt-ca"
"""What AWS IoT Core wants to hear where MQTT with client certificates shares port 443 with HTTPS."""

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 1, 2, 3, 4, 8, 9
_PINGREQ, _PINGRESP, _DISCONNECT = 12, 13, 14

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_PACKET_SIZE, _MESSAGE_EXPIRY = 0x11, 0x21, 0x27, 0x02
_DO_NOT_SEND_RETAINED, _RETAIN_AS_PUBLISHED = 0x20, 0x08
_REFUSED = 0x80
"""Reason codes from here on are refusals."""

_SESSION_TAKEN_OVER = 0x8E
_REASONS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8D: "keep alive timeout",
    _SESSION_TAKEN_OVER: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
}

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
    """To a subscription or publication of ours."""

    packet_id: int
    code: int

    @property
    def refused(self) -> bool:
        return self.code >= _REFUSED

    @property
    def reason(self) -> str:
        return reason_text(self.code)


def reason_text(code: int) -> str:
    """The standard's name of a reason code."""
    return _REASONS.get(code, f"reason code {code:#04x}")


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
    ) -> None:
        """Connects, which blocks for at most about `timeout_s`. Raises Disconnected.

        `session_s`: how long the broker keeps subscriptions and messages for us when we are gone; 0 begins without any.
        `receive_maximum`: messages that the broker may send ahead of acknowledgements. Mosquitto 2.0 exceeds it.
        """
        self._socket = _open(broker, timeout_s)
        self._in = PacketReader()
        self._out = bytearray()
        self._last_id = 0
        self._sent = self._received = time.monotonic()
        self._pinged: float | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._selector.register(self._socket, selectors.EVENT_READ)
        try:
            self._out += _connect_packet(client_id, session_s, receive_maximum)
            self._await_connack(time.monotonic() + timeout_s)
        except BaseException:
            self.close()
            raise

    def subscribe(self, topic_filter: str, *, qos: int = 1, show_retained: bool = False) -> int:
        """Ask for messages up to `qos`, from now on: without those that were retained before. Returns the id of the Answer.

        `show_retained`: say of each message whether its sender asked the broker to retain it.
        """
        packet_id = self._next_id()
        body = struct.pack(">H", packet_id) + b"\0" + _text(topic_filter)
        self._out += _packet(
            _SUBSCRIBE << 4 | 2,
            body + bytes([qos | _DO_NOT_SEND_RETAINED | (_RETAIN_AS_PUBLISHED if show_retained else 0)]),
        )
        return packet_id

    def publish(self, topic: str, payload: bytes, *, retain: bool, expires_s: int | None) -> int:
        """With QoS 1. Returns the id of the Answer."""
        packet_id = self._next_id()
        properties = b"" if expires_s is None else struct.pack(">BI", _MESSAGE_EXPIRY, expires_s)
        body = _text(topic) + struct.pack(">H", packet_id) + _length(len(properties)) + properties + payload
        self._out += _packet(_PUBLISH << 4 | 1 << 1 | int(retain), body)
        return packet_id

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Queue receipts for messages; they go before anything else is read."""
        self._out += b"".join(struct.pack(">BBH", _PUBACK << 4, 2, packet_id) for packet_id in packet_ids)

    def wake(self) -> None:
        """End the wait of `exchange`; from any thread."""
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_writer.send(b"\0")

    def exchange(self, timeout_s: float, *, read: bool = True) -> Sequence[Published | Answer]:
        """One turn: send what waits, wait up to `timeout_s` for something to do, read what there is if `read`.

        Without `read` the broker's messages stay in the socket, and the broker stops sending when that is full.
        Raises Disconnected.
        """
        self._keep_alive(read=read)
        self._send()
        if read and (packets := self._in.packets()):
            return packets  # came together with the broker's answer to our connecting
        if not (read and self._socket.pending()):
            self._wait(timeout_s, read=read)
        self._send()
        if not read:
            return []
        self._receive()
        return self._in.packets()

    def flush(self, timeout_s: float) -> None:
        """Send what waits, within `timeout_s`. Raises Disconnected."""
        deadline = time.monotonic() + timeout_s
        while self._out and time.monotonic() < deadline:
            self._send()
            if self._out:
                self._wait(deadline - time.monotonic(), read=False)

    def close(self) -> None:
        """Say good-bye where that is possible without waiting, and close."""
        with contextlib.suppress(OSError, ValueError):
            self._out += _packet(_DISCONNECT << 4, b"")
            self._socket.send(self._out)
        self._selector.close()
        for one in (self._socket, self._wake_reader, self._wake_writer):
            one.close()

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _next_id(self) -> int:
        self._last_id = self._last_id % 65_535 + 1
        return self._last_id

    def _await_connack(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            self._send()
            self._wait(max(0.0, deadline - time.monotonic()), read=True)
            self._receive()
            code = self._in.connack()
            if code is None:
                continue
            if code >= _REFUSED:
                raise Disconnected(Cause.REFUSED, reason_text(code))
            return
        raise Disconnected(Cause.TIMEOUT, "no answer in time")

    def _keep_alive(self, *, read: bool) -> None:
        now = time.monotonic()
        if not read:
            # What answers our pings stands behind the messages that we don't read.
            self._received, self._pinged = now, None
            if now - self._sent >= _PING_AFTER_S:
                self._out += _packet(_PINGREQ << 4, b"")
        elif self._pinged is not None:
            if now - self._pinged > _PING_TIMEOUT_S:
                raise Disconnected(Cause.TIMEOUT, "the broker no longer answers")
        elif now - min(self._sent, self._received) >= _PING_AFTER_S:
            self._out += _packet(_PINGREQ << 4, b"")
            self._pinged = now

    def _wait(self, timeout_s: float, *, read: bool) -> None:
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if self._out else 0)
        if events:
            self._selector.modify(self._socket, events)
            self._selector.select(min(timeout_s, _PING_AFTER_S))
        else:
            self._selector.unregister(self._socket)
            self._selector.select(min(timeout_s, _PING_AFTER_S))
            self._selector.register(self._socket, selectors.EVENT_READ)
        with contextlib.suppress(BlockingIOError):
            self._wake_reader.recv(4096)

    def _send(self) -> None:
        try:
            while self._out:
                sent = self._socket.send(self._out)
                self._sent = time.monotonic()
                del self._out[:sent]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            # Why it ended may have arrived before.
            try:
                self._receive()
            except Disconnected as known:
                raise known from error
            raise self._ended(error) from error

    def _receive(self) -> None:
        before = len(self._in)
        try:
            while len(self._in) - before < _READ_BYTES:
                data = self._socket.recv(65_536)
                if not data:
                    if len(self._in) > before:
                        break  # what came before the end is looked at first: it may say why
                    raise Disconnected(Cause.ENDED, "the broker closed the connection")
                self._in.feed(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            if len(self._in) == before:
                raise self._ended(error) from error
        if len(self._in) > before:
            self._received, self._pinged = time.monotonic(), None

    def _ended(self, error: OSError) -> Disconnected:
        # TLS 1.3 lets a broker refuse our certificate only after the handshake.
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return _not_let_in(error)
        if isinstance(error, ssl.SSLError):
            return Disconnected(Cause.ENDED, "the broker closed the connection")
        return Disconnected(Cause.ENDED, _os_text(error))


# --- Packets --------------------------------------------------------------------------------------------------------


class PacketReader:
    """From bytes, however they are cut, to packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Bytes that wait."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def connack(self) -> int | None:
        """The reason code of the first packet, which must be a CONNACK; None while it is incomplete. Raises Disconnected."""
        end = _end_of_packet(self._buffer, 0) if self._buffer else None
        if end is None:
            return None
        start, stop = end
        if self._buffer[0] >> 4 != _CONNACK or stop - start < 2:
            raise Disconnected(Cause.ENDED, "what answers does not speak MQTT")
        code = self._buffer[start + 1]
        del self._buffer[:stop]
        return code

    def packets(self) -> list[Published | Answer]:
        """Those that are whole. Raises Disconnected: the broker ends the connection, or sends what can't be read."""
        packets: list[Published | Answer] = []
        position, buffer = 0, self._buffer
        try:
            while (end := _end_of_packet(buffer, position)) is not None:
                start, stop = end
                first, position = buffer[position], stop
                kind = first >> 4
                if kind == _PUBLISH:
                    packets.append(_published(first & 0x0F, buffer, start, stop))
                elif kind in (_PUBACK, _SUBACK):
                    packets.append(_answer(kind, bytes(buffer[start:stop])))
                elif kind == _DISCONNECT:
                    code = buffer[start] if stop > start else 0
                    cause = Cause.TAKEN_OVER if code == _SESSION_TAKEN_OVER else Cause.ENDED
                    raise Disconnected(cause, reason_text(code) if code else "the broker said good-bye")
                elif kind != _PINGRESP:
                    raise Disconnected(Cause.ENDED, f"the broker sent a packet of type {kind}")
        except (IndexError, struct.error, UnicodeDecodeError) as error:
            raise Disconnected(Cause.ENDED, "the broker sent a packet that can't be read") from error
        del buffer[:position]
        return packets


def _connect_packet(client_id: str, session_s: int, receive_maximum: int) -> bytes:
    properties = struct.pack(
        ">BIBHBI",
        *(_SESSION_EXPIRY, session_s),
        *(_RECEIVE_MAXIMUM, receive_maximum),
        *(_MAXIMUM_PACKET_SIZE, MAX_PACKET_BYTES),
    )
    clean_start = 0 if session_s else 2
    head = _text("MQTT") + struct.pack(">BBH", 5, clean_start, KEEP_ALIVE_S)
    return _packet(_CONNECT << 4, head + _length(len(properties)) + properties + _text(client_id))


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return struct.pack(">H", len(encoded)) + encoded


def _length(number: int) -> bytes:
    """A variable byte integer."""
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def _end_of_packet(buffer: bytearray, position: int) -> tuple[int, int] | None:
    """Where the body of the packet at `position` starts and ends; None while it is incomplete. Raises Disconnected."""
    length = shift = 0
    for place in range(position + 1, position + _MAX_HEADER_BYTES):
        if place >= len(buffer):
            return None
        digit = buffer[place]
        length |= (digit & 0x7F) << shift
        if digit < 0x80:
            if length > MAX_PACKET_BYTES:
                raise Disconnected(Cause.ENDED, f"the broker sent a packet of {length} bytes")
            end = place + 1 + length
            return (place + 1, end) if end <= len(buffer) else None
        shift += 7
    raise Disconnected(Cause.ENDED, "the broker sent a packet that can't be read")


def _published(flags: int, buffer: bytearray, start: int, stop: int) -> Published:
    topic_end = start + 2 + (buffer[start] << 8 | buffer[start + 1])
    topic = buffer[start + 2 : topic_end].decode("utf-8")
    packet_id, place = 0, topic_end
    if flags & 0x06:
        packet_id = buffer[place] << 8 | buffer[place + 1]
        place += 2
    properties, shift = 0, 0
    while True:
        digit = buffer[place]
        properties |= (digit & 0x7F) << shift
        shift += 7
        place += 1
        if digit < 0x80:
            break
    place += properties
    if place > stop:
        raise IndexError("a publication ends within its header")
    return Published(topic, bytes(buffer[place:stop]), packet_id, bool(flags & 1))


def _answer(kind: int, body: bytes) -> Answer:
    (packet_id,) = struct.unpack_from(">H", body)
    if kind == _PUBACK:
        return Answer(packet_id, body[2] if len(body) > 2 else 0)
    return Answer(packet_id, max(body[3:]) if len(body) > 3 else _REFUSED)


# --- TLS ------------------------------------------------------------------------------------------------------------


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Mutual TLS. Raises Disconnected (CREDENTIALS) where the files can't be used."""
    try:
        context = ssl.create_default_context(cafile=str(broker.ca) if broker.ca else None)
        if broker.ca is None:
            import certifi

            context.load_verify_locations(
                certifi.where()
            )  # not every system has authorities where Python looks
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


def _open(broker: BrokerSettings, timeout_s: float) -> ssl.SSLSocket:
    context = tls_context(broker)
    try:
        plain = socket.create_connection((broker.host, broker.port), max(timeout_s, 0.1))
    except TimeoutError as error:
        raise Disconnected(Cause.TIMEOUT, "no answer in time") from error
    except OSError as error:
        raise Disconnected(Cause.UNREACHABLE, _os_text(error)) from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = context.wrap_socket(plain, server_hostname=broker.host)
        secured.setblocking(False)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise _not_trusted(error) from error
    except TimeoutError as error:
        plain.close()
        raise Disconnected(Cause.TIMEOUT, "no answer in time") from error
    except ssl.SSLError as error:
        plain.close()
        if "ALERT" in (error.reason or ""):
            raise _not_let_in(error) from error
        raise Disconnected(Cause.ENDED, "what answers does not speak TLS") from error
    except OSError as error:
        plain.close()
        raise Disconnected(Cause.ENDED, _os_text(error)) from error
    return secured


def _not_trusted(error: ssl.SSLCertVerificationError) -> Disconnected:
    if error.verify_code == _VERIFY_EXPIRED:
        return Disconnected(Cause.EXPIRED, "the broker's certificate is expired; it needs a new one")
    if error.verify_code == _VERIFY_NOT_YET_VALID:
        return Disconnected(Cause.EXPIRED, "the broker's certificate is not valid yet; check both clocks")
    if error.verify_code in _VERIFY_NAMES:
        return Disconnected(Cause.UNTRUSTED, "the broker's certificate is for another host name")
    return Disconnected(Cause.UNTRUSTED, f"the broker's certificate is not trusted ({error.verify_message})")


def _not_let_in(error: ssl.SSLError) -> Disconnected:
    why = (error.reason or "").lower().replace("_", " ").rpartition("alert ")[2]
    return Disconnected(Cause.NOT_LET_IN, f"the broker does not accept our certificate ({why})")


def _os_text(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
