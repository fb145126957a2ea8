"""requests with a bound: one time and one size for all of an exchange, whatever it consists of, and plain outcomes."""

from __future__ import annotations

import io
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Retry

from sgmp_edge.common import BadAnswer, TimedOut, Unreachable

_PART_BYTES = 65536
_MAX_INTERIM = 16
"""Answers with a status of 1xx before the answer itself; servers send one or two."""
_TLS_ALERT = "\x15\x03"
"""How a server that speaks TLS begins its answer to plain HTTP: record type and major version."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds for the connection, for each silence, and for the whole exchange, however it drips."""

    connect_s: float
    silence_s: float
    whole_s: float


class AnswerTooLarge(BadAnswer):
    """More than an exchange may bring; asking for less can help."""


class Budget:
    """What one exchange may take: 1xx answers, headers, challenges, repetitions and bodies together."""

    def __init__(self, who: str, timeouts: Timeouts, max_bytes: int) -> None:
        self.who = who
        self.timeouts = timeouts
        self.max_bytes = max_bytes
        self._left_bytes = max_bytes
        self._deadline = time.monotonic() + timeouts.whole_s

    def wait_s(self, longest_s: float) -> float:
        """How long to wait for the next thing. Raises TimeoutError when the time of the exchange is over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, longest_s)

    def limit(self, sock: socket.socket) -> None:
        """Bound the next wait on the socket. Raises TimeoutError as `wait_s`."""
        sock.settimeout(self.wait_s(self.timeouts.silence_s))

    def spend(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise self.too_large()

    def too_large(self) -> AnswerTooLarge:
        return AnswerTooLarge(f"{self.who} sent more than {max(self.max_bytes // 2**20, 1)} MiB")


class BoundedAdapter(HTTPAdapter):
    """Sends the requests of one session within `budget`, which is to be set for each exchange.

    Raises Unreachable, TimedOut or BadAnswer, with the cause chained. The response's body is there, as it was sent
    (`decompressed` unpacks it); that of a redirect is left out. A connection that the peer has closed meanwhile is
    renewed.
    """

    budget: Budget

    def __init__(self, certificate_sha256: str | None, zone: str | None) -> None:
        self._certificate_sha256 = certificate_sha256
        self._zone = zone
        super().__init__(max_retries=Retry(False))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            response = super().send(request, *args, **kwargs)
        except _Stale:
            response = super().send(request, *args, **kwargs)
        raw, who = response.raw, self.budget.who
        try:
            if 300 <= response.status_code < 400:
                # Nothing in a redirect is of use but where it leads.
                raw.close()
                body = b""
            else:
                body = b"".join(raw.stream(_PART_BYTES, decode_content=False))
        except ReadTimeoutError as error:
            raise TimedOut(f"{who} did not answer in time") from error
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise BadAnswer(f"{who} broke off in the middle of its answer") from error
        finally:
            raw.release_conn()
        response.raw = io.BytesIO(body)
        return response

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        both: Any = super().build_connection_pool_key_attributes(*args, **kwargs)
        host, tls = both
        tls["assert_fingerprint"] = self._certificate_sha256
        if self._zone is not None:
            # WORKAROUND https://github.com/psf/requests/issues/6735: it takes a zone in a URL for something quoted.
            host["host"], tls["server_hostname"] = f"[{host['host']}%{self._zone}]", host["host"]
        return both

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(_SecureConnection if pool.scheme == "https" else _Connection, self)
        return pool


def decompressed(body: bytes, announced: str, budget: Budget) -> tuple[bytes, bool]:
    """(the body as it was before compression, whether a compression is announced that it does not have).

    Raises AnswerTooLarge, or BadAnswer for a compressed body that ends early.
    """
    zipped = body.startswith(b"\x1f\x8b")
    if not zipped and (not body or announced.strip().casefold() in ("", "identity")):
        return body, False
    unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    try:
        plain = unpack.decompress(body, budget.max_bytes)
    except zlib.error:
        return body, True
    if unpack.unconsumed_tail:
        raise budget.too_large()
    if not unpack.eof:
        raise BadAnswer(f"{budget.who} broke off in the middle of its answer")
    return plain, False


class _Stale(Exception):
    """The other side closed a kept-alive connection before it answered."""


class _Connection(HTTPConnection):
    """urllib3's connection, whose waits keep to the adapter's budget and whose faults are outcomes."""

    def __init__(self, adapter: BoundedAdapter, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapter = adapter
        self._has_answered = False

    def connect(self) -> None:
        self._has_answered = False
        with self._outcomes("does not speak TLS there (check the protocol)"):
            super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        with self._outcomes():
            super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        with self._outcomes():
            response = super().getresponse()
        self._has_answered = True
        return response

    def response_class(self, sock: socket.socket, **kwargs: Any) -> HTTPResponse:  # type: ignore[override]
        return _Response(_Bounded(sock, self._adapter.budget), **kwargs)  # type: ignore[arg-type]

    @contextmanager
    def _outcomes(self, otherwise: str = "sent an answer that breaks HTTP") -> Iterator[None]:
        who = self._adapter.budget.who
        try:
            yield
        except TimeoutError as error:
            raise TimedOut(f"{who} did not answer in time") from error
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            if self._has_answered:
                raise _Stale from error
            raise Unreachable(f"{who} closed the connection without an answer") from error
        except ssl.SSLCertVerificationError as error:
            raise BadAnswer(
                f"{who} shows a certificate that is not trusted ({error.verify_message})"
            ) from error
        except SSLError as error:
            raise BadAnswer(f"{who} shows another certificate than that of `certificate_sha256`") from error
        except (HTTPException, HTTPError, OSError, ValueError) as error:
            if str(error).startswith(_TLS_ALERT):
                otherwise = "speaks TLS there (check the protocol)"
            raise BadAnswer(f"{who} {otherwise}") from error

    def _new_conn(self) -> socket.socket:
        budget, name = self._adapter.budget, self._dns_host
        failure: Exception | None = None
        try:
            # One by one, since urllib3 waits equally long for each address of a name, however many there are.
            for *_, address in socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM):
                self._dns_host = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
                try:
                    self.timeout = budget.wait_s(budget.timeouts.connect_s)
                    sock = super()._new_conn()
                    budget.limit(sock)
                    return sock
                except (HTTPError, TimeoutError) as error:
                    failure = failure or error
        except (OSError, ValueError) as error:
            failure = error
        finally:
            self._dns_host = name
        raise Unreachable(f"{budget.who} {self._why_unreachable(failure)}") from failure

    def _why_unreachable(self, failure: Exception | None) -> str:
        if self.proxy is not None:
            return "is not reached by the proxy"
        if isinstance(failure, (socket.gaierror, UnicodeError)):
            return "is not known by that name"
        if failure is not None and isinstance(failure.__cause__, ConnectionRefusedError):
            return "refuses the connection"
        if isinstance(failure, NewConnectionError):
            return "cannot be reached"
        return "does not take the connection"

    def _tunnel(self) -> None:
        budget = self._adapter.budget
        try:
            super()._tunnel()
        except (HTTPException, OSError, ValueError) as error:
            raise Unreachable(f"{budget.who} is not reached by the proxy") from error
        budget.limit(self.sock)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Response(HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself: those of the 1xx before it (103 Early Hints) are passed over.

        WORKAROUND (no upstream report): http.client passes over 100 Continue only.
        """
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("interim answers without end")


class _Bounded(io.RawIOBase):
    """A socket's side to read from, within a budget. http.client asks for it by `makefile`."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open for the answer's body
        self._budget = budget

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._budget.limit(self._sock)
        count = self._raw.readinto(buffer) or 0
        self._budget.spend(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
