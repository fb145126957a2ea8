"""Messages as signed JSON to an address of the recipient's.

A receiver computes HMAC-SHA256 of `<X-SGMP-Timestamp>.<body>` with the secret it shares with us, compares it with
`X-SGMP-Signature` (`sha256=<hex>`), refuses old timestamps, and takes a repeated `Idempotency-Key` for the message it has.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sgmp_console.cloud.limited_time import limited, tls_context
from sgmp_console.errors import Unavailable, UserError

WITHIN_S = 10.0
"""For the whole exchange, from connecting to the status of the answer."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_INTERIM = 16
"""Answers with a status of 1xx before the answer itself; servers send one or two."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones (RFC 6052)."""


class WebhookUnavailable(Unavailable):
    """It did not answer, or asks to be tried again. It may have taken the message."""


class WebhookRefused(UserError):
    """It does not take this message, or the watch may not send there; trying again is in vain."""


def checked_address(address: str) -> str:
    """Raises UserError for what is not an https address (http to this computer only)."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        ascii_host = (host or "").encode("idna").decode("ascii")
    except ValueError:
        host, port, ascii_host, parts = None, None, "", urlsplit("")
    local = host is not None and (host == "localhost" or _is_loopback(host))
    if (
        not ascii_host
        or parts.scheme not in (("https", "http") if local else ("https",))
        or "@" in parts.netloc
        or port == 0
        or not address.isascii()
        or any(not "!" <= character <= "~" or character == "\\" for character in address)
    ):
        raise UserError(
            "A webhook's address looks like https://example.org/path, without a user's name, blanks and accents."
        )
    return address


def post(
    address: str, secret: str, document: Mapping[str, Any], key: str, networks: Sequence[Network] = ()
) -> None:
    """Returns when it was taken (any 2xx). Raises WebhookUnavailable, WebhookRefused, UserError.

    Who enters an address may not choose what this computer reaches in its own networks: the address must be public, or
    of `networks`. It is looked up once, so that what was checked is what is connected to.
    """
    checked_address(address)
    parts = urlsplit(address)
    body = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    stamp = str(int(time.time()))
    headers = {
        "Host": parts.netloc,
        "Connection": "close",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "X-SGMP-Timestamp": stamp,
        "X-SGMP-Signature": f"sha256={signature(secret, stamp, body)}",
    }
    where = parts.netloc
    ends = time.monotonic() + WITHIN_S
    try:
        connected = _connected(parts.hostname or "", parts.port or _PORTS[parts.scheme], networks, ends)
        status = _status(connected, parts, body, headers, ends)
    except (OSError, http.client.HTTPException) as error:
        raise WebhookUnavailable(f"{where} can't be reached: {_reason(error)}.") from error
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise WebhookUnavailable(f"{where} answered {status}; it is tried again.")
    raise WebhookRefused(f"{where} answered {status}. Check the address.")


def _reason(error: OSError | http.client.HTTPException) -> str:
    """For the operator; the exception itself is the cause that the log has."""
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, TimeoutError):
        return f"it did not answer within {WITHIN_S:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror.lower()
    return "the connection ended" if isinstance(error, OSError) else "what it answers is not HTTP"


def signature(secret: str, stamp: str, body: bytes) -> str:
    """Hexadecimal."""
    return hmac.new(secret.encode("utf-8"), stamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


_PORTS = {"https": 443, "http": 80}


def _connected(host: str, port: int, networks: Sequence[Network], ends: float) -> socket.socket:
    """To the first of the host's addresses that answers. Raises WebhookRefused where one of them may not be reached."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not all(_may_reach(one, networks) for one in found):
        raise WebhookRefused(
            f"{host} is in a network that the watch may not send to. Who runs the watch can name the network "
            "(--webhook-network)."
        )
    failure = OSError("no address")
    for one in dict.fromkeys(found):
        try:
            return socket.create_connection((one, port), max(ends - time.monotonic(), 0.1))
        except OSError as error:
            failure = error
    raise failure


def _may_reach(text: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        else:
            address = address.ipv4_mapped or address.sixtofour or address
    if any(address in network for network in networks):
        return True
    return address.is_global and not address.is_multicast


def _status(
    connected: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str], ends: float
) -> int:
    """Of the answer; its body is not read."""
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host)
    connection.response_class = _FinalResponse
    connection.sock = connected
    try:
        if parts.scheme == "https":
            connection.sock = tls_context().wrap_socket(connected, server_hostname=host)
        connection.sock = limited(connection.sock, ends)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


class _FinalResponse(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself: those of the 1xx before it (103 Early Hints) are passed over.

        WORKAROUND (no upstream report): http.client passes over 100 Continue only.
        """
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("interim answers without end")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
