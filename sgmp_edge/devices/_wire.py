"""One HTTP exchange over a kept-alive connection. One time and one size bound all of it, whatever it consists of."""

from __future__ import annotations

import hashlib
import io
import socket
import ssl
import time
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, parse_headers
from typing import Any
from urllib.parse import SplitResult, unquote

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


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer of any status. Its repr leaves the body out: a body may hold a token.

    `misnamed`: it announces a compression that its body does not have.
    """

    status: int
    body: bytes
    headers: Message = field(default_factory=Message)
    misnamed: bool = False

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, {len(self.body)} bytes)"


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

    def spend(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise self.too_large()

    def too_large(self) -> AnswerTooLarge:
        return AnswerTooLarge(f"{self.who} sent more than {max(self.max_bytes // 2**20, 1)} MiB")


@dataclass(frozen=True)
class Peer:
    """Whom to speak to: `url` is scheme, host and port. `tls` is for https; `sha256` pins its certificate."""

    url: SplitResult
    tls: ssl.SSLContext | None = None
    sha256: str | None = None
    proxy: SplitResult | None = None

    @property
    def host(self) -> str:
        """Also of IPv6 with a zone (`fe80::1%eth0`), which a URL may write as %25."""
        return (self.url.hostname or "").replace("%25", "%")

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)

    @property
    def host_header(self) -> str:
        host = self.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
        return f"{host}:{self.url.port}" if self.url.port else host


class Connection:
    """Speaks to one peer. For one thread at a time; a connection that the peer has closed meanwhile is renewed."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._http: _Http | None = None

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, budget: Budget
    ) -> Answer:
        """Raises Unreachable, TimedOut or BadAnswer, with the cause chained. Redirects are not followed."""
        try:
            if self._http is not None:
                try:
                    return self._ask(self._http, method, path, headers, body, budget)
                except _Closed:
                    self.close()
            self._http = _Http(self._peer, budget)
            return self._ask(self._http, method, path, headers, body, budget)
        except _Closed as closed:
            self.close()
            raise Unreachable(f"{budget.who} closed the connection without an answer") from closed.__cause__
        except TimeoutError as error:
            self.close()
            raise TimedOut(f"{budget.who} did not answer in time") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _ask(
        self,
        http: _Http,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        budget: Budget,
    ) -> Answer:
        http.budget = budget
        who = budget.who
        try:
            if http.sock is None:
                http.connect()
            http.sock.settimeout(budget.wait_s(budget.timeouts.silence_s))
            http.send_request(method, path, headers, body)
            response = http.getresponse()
        except TimeoutError:
            raise
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _Closed from error
        except HTTPException as error:
            if str(error).startswith(_TLS_ALERT):
                raise BadAnswer(f"{who} speaks TLS there (check the protocol)") from error
            raise BadAnswer(f"{who} sent an answer that breaks HTTP") from error
        except (OSError, ValueError) as error:
            raise BadAnswer(f"{who} sent an answer that breaks HTTP") from error
        try:
            # Nothing in a redirect is of use but where it leads.
            content = b"" if 300 <= response.status < 400 else _read(response)
        except TimeoutError:
            raise
        except (HTTPException, OSError, ValueError) as error:
            raise BadAnswer(f"{who} broke off in the middle of its answer") from error
        finally:
            ended = response.isclosed()
            response.close()
        if response.will_close or not ended:
            self.close()
        content, misnamed = _decompressed(content, response.headers.get("Content-Encoding", ""), budget)
        return Answer(response.status, content, response.headers, misnamed)


class _Closed(Exception):
    """The other side closed the connection before it answered."""


class _Http(HTTPConnection):
    """The standard library's HTTP over a socket of ours, which keeps to the budget."""

    def __init__(self, peer: Peer, budget: Budget) -> None:
        super().__init__(peer.host, peer.port)
        self.auto_open = 0
        self.budget = budget
        self._to = peer
        self.sock: Any = None
        self.response_class = self._response  # type: ignore[assignment]
        if peer.proxy is not None and peer.tls is not None:
            self.set_tunnel(peer.host, peer.port, _proxy_authorization(peer.proxy))

    def connect(self) -> None:
        """Raises Unreachable, BadAnswer or TimeoutError."""
        who, proxy = self.budget.who, self._to.proxy
        if proxy is None:
            self.sock = _socket(self._to.host, self._to.port, self.budget)
        else:
            try:
                self.sock = _socket(proxy.hostname or "", proxy.port or 3128, self.budget)
                if self._to.tls is not None:
                    self.sock.settimeout(self.budget.wait_s(self.budget.timeouts.silence_s))
                    self._tunnel()  # type: ignore[attr-defined]
            except (Unreachable, OSError, HTTPException) as error:
                raise Unreachable(f"{who} is not reached by the proxy") from error
        if self._to.tls is not None:
            self._secure(self._to.tls)

    def send_request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> None:
        if self._to.proxy is not None and self._to.tls is None:
            path = f"http://{self._to.host_header}{path}"
            headers = {**headers, **_proxy_authorization(self._to.proxy)}
        self.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        self.putheader("Host", self._to.host_header)
        for name, value in headers.items():
            self.putheader(name, value.encode("utf-8"))
        if body is not None or method != "GET":
            self.putheader("Content-Length", str(len(body or b"")))
        self.endheaders(body)

    def _secure(self, tls: ssl.SSLContext) -> None:
        who = self.budget.who
        try:
            self.sock.settimeout(self.budget.wait_s(self.budget.timeouts.silence_s))
            self.sock = tls.wrap_socket(self.sock, server_hostname=self._to.host.partition("%")[0])
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise BadAnswer(
                f"{who} shows a certificate that is not trusted ({error.verify_message})"
            ) from error
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _Closed from error
        except (OSError, ValueError) as error:
            raise BadAnswer(f"{who} does not speak TLS there (check the protocol)") from error
        if self._to.sha256 is not None:
            shown = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").hexdigest()
            if shown != self._to.sha256:
                raise BadAnswer(f"{who} shows another certificate than that of `certificate_sha256`")

    def _response(self, sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:
        return _Response(_Bounded(sock, self.budget), *args, **kwargs)  # type: ignore[arg-type]


class _Response(HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself: those of the 1xx before it (103 Early Hints) are passed over."""
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
        self._sock.settimeout(self._budget.wait_s(self._budget.timeouts.silence_s))
        count = self._raw.readinto(buffer) or 0
        self._budget.spend(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _socket(host: str, port: int, budget: Budget) -> socket.socket:
    """A connected socket, to the first address of the host that takes it. Raises Unreachable."""
    who = budget.who
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{who} is not known by that name") from error
    failure: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(budget.wait_s(budget.timeouts.connect_s))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            failure = failure or error
            if sock is not None:
                sock.close()
        else:
            return sock
    if isinstance(failure, ConnectionRefusedError):
        raise Unreachable(f"{who} refuses the connection") from failure
    if isinstance(failure, TimeoutError):
        raise Unreachable(f"{who} does not take the connection") from failure
    raise Unreachable(f"{who} cannot be reached") from failure


def _read(response: HTTPResponse) -> bytes:
    """The whole body. Raises IncompleteRead where it ends early."""
    parts: list[bytes] = []
    while part := response.read(_PART_BYTES):
        parts.append(part)
    if response.length:
        raise IncompleteRead(b"", response.length)
    return b"".join(parts)


def _decompressed(body: bytes, announced: str, budget: Budget) -> tuple[bytes, bool]:
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


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
