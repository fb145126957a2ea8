"""HTTP as the drivers need it: every wait bounded, every failure one of common.py's outcomes, nothing secret told."""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unauthorized, Unreachable

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""More than any of the devices sends; a Pi must not run out of memory over one that sends without end."""


@dataclass(frozen=True)
class Patience:
    """Seconds for the connection, for each silence, and for the whole exchange, however it drips."""

    connect_s: float
    silence_s: float
    whole_s: float


IN_THE_HOUSE = Patience(2, 3, 6)
ON_THE_INTERNET = Patience(3, 6, 15)
FOR_ITS_RECORDS = Patience(2, 10, 20)
"""A small device takes its time over what it has stored."""


class AnswerTooLarge(BadAnswer):
    """More than MAX_ANSWER_BYTES; asking for less can help."""


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer of any status. Its repr leaves the body out: a body may hold a token."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, {len(self.body)} bytes)"


class HttpClient:
    """Requests to one device or service over kept-alive connections; for one thread at a time.

    `who` begins every message ("the meter at 192.168.1.20"); `origin` is scheme, host and port. A `remote` service
    is given more time, and is reached through the environment's proxy if it is outside and there is one. With
    `certificate_sha256` the server must show exactly that certificate, and no authority needs to have signed it.

    Raises Unreachable, TimedOut, Unauthorized, BadAnswer or NotReady, with the cause chained.
    """

    def __init__(
        self,
        who: str,
        origin: str,
        *,
        remote: bool = False,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | None = None,
        certificate_sha256: str | None = None,
    ) -> None:
        self.who = who
        self._origin = origin.rstrip("/")
        self._patience = ON_THE_INTERNET if remote else IN_THE_HOUSE
        self._session = requests.Session()
        # A proxy of the environment leads out of the house, not to a device in it.
        self._session.trust_env = remote and not _is_in_the_house(self._origin)
        # Without an auth of its own, requests would take one for this host from ~/.netrc.
        self._session.auth = auth or _NoAuth()
        self._session.headers.update(headers or {})
        if certificate_sha256:
            self._session.verify = False
            self._session.mount("https://", _PinnedCertificate(certificate_sha256))

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> Answer:
        """One exchange. It must bear being repeated, `path` must hold no secret, redirects are not followed."""
        exchange = partial(self._exchange, method, path, headers, json_body, form, patience or self._patience)
        try:
            return exchange()
        except _Closed:
            # Most likely a kept-alive connection that the other side had ended meanwhile.
            log.debug("%s closed the connection; the request is repeated", self.who)
        try:
            return exchange()
        except _Closed as closed:
            raise Unreachable(f"{self.who} closed the connection without an answer") from closed.__cause__

    def expect_ok(self, answer: Answer) -> Answer:
        """The answer itself if its status is 200; else raises what the status means."""
        if answer.status == 200:
            return answer
        raise self.status_error(answer.status)

    def status_error(self, status: int) -> DeviceError:
        if status in (401, 403):
            return Unauthorized(
                f"{self.who} refuses the credentials (HTTP {status}); check user, password or token"
            )
        if 300 <= status < 400:
            return BadAnswer(
                f"{self.who} sends the request elsewhere (HTTP {status}); check the address and protocol"
            )
        if status in (502, 504):
            return Unreachable(f"{self.who} is not reached by its gateway (HTTP {status})")
        if status == 503:
            return NotReady(f"{self.who} is not ready to answer (HTTP 503)")
        if status == 429:
            return BadAnswer(f"{self.who} is asked too often (HTTP 429); choose a longer interval")
        return BadAnswer(f"{self.who} answered with HTTP {status}")

    def decode_json(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"{self.who} sent an answer that is not JSON") from error

    def close(self) -> None:
        self._session.close()

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        json_body: Any,
        form: Mapping[str, str] | None,
        patience: Patience,
    ) -> Answer:
        deadline = time.monotonic() + patience.whole_s
        try:
            with self._session.request(
                method,
                self._origin + path,
                headers=headers,
                json=json_body,
                data=form,
                timeout=(patience.connect_s, patience.silence_s),
                allow_redirects=False,
                stream=True,
                # Said for each request, since the environment's bundle of authorities would go before the session's.
                verify=self._session.verify,
            ) as response:
                return Answer(response.status_code, self._body(response, deadline))
        except requests.ConnectTimeout as error:
            raise Unreachable(f"{self.who} does not take the connection") from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise self._timed_out() from error
        except (requests.exceptions.InvalidHeader, UnicodeError):
            # The cause quotes the header.
            raise Unauthorized(
                f"{self.who} can't be given a token or user name with such characters"
            ) from None
        except requests.exceptions.SSLError as error:
            raise BadAnswer(f"{self.who} shows a certificate that is not trusted") from error
        except requests.exceptions.ProxyError as error:
            raise Unreachable(f"{self.who} is not reached by the proxy") from error
        except requests.ConnectionError as error:
            raise self._connection_error(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise BadAnswer(f"{self.who} broke off in the middle of its answer") from error
        except (requests.RequestException, ValueError) as error:
            raise BadAnswer(f"{self.who} sent an answer that breaks HTTP") from error

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The decoded body, taken as it comes, so that its size and the total time stay bounded."""
        parts: list[bytes] = []
        size = 0
        while part := response.raw.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise AnswerTooLarge(f"{self.who} sent more than {MAX_ANSWER_BYTES // 2**20} MiB")
            if time.monotonic() > deadline:
                raise self._timed_out()
        return b"".join(parts)

    def _timed_out(self) -> TimedOut:
        return TimedOut(f"{self.who} did not answer in time")

    def _connection_error(self, error: requests.ConnectionError) -> Exception:
        reason = error.args[0] if error.args else None
        if isinstance(reason, urllib3.exceptions.MaxRetryError):
            reason = reason.reason
        if isinstance(reason, urllib3.exceptions.NameResolutionError):
            return Unreachable(f"{self.who} is not known by that name")
        if isinstance(reason, urllib3.exceptions.NewConnectionError):
            refused = isinstance(reason.__cause__, ConnectionRefusedError)
            return Unreachable(f"{self.who} {'refuses the connection' if refused else 'cannot be reached'}")
        cause = getattr(reason, "__cause__", None) or getattr(reason, "__context__", None)
        if isinstance(cause, HTTPException) and not isinstance(cause, ConnectionError):
            return BadAnswer(f"{self.who} sent an answer that breaks HTTP")
        return _Closed()


class _Closed(Exception):
    """The other side closed the connection before it answered."""


class _NoAuth(AuthBase):
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


class _PinnedCertificate(HTTPAdapter):
    """Trusts one certificate by its SHA-256 fingerprint, as devices sign their own."""

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, assert_fingerprint=self._sha256)


def _is_in_the_house(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".local")


def origin(host: str, *, scheme: str = "http", port: int | None = None) -> str:
    """`scheme://host[:port]` of a config's host, which may be an IPv6 address and may carry a port of its own.

    `port` counts only where the host has none.
    """
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    if port is not None and not has_port(host):
        host = f"{host}:{port}"
    return f"{scheme}://{host}"


def has_port(host: str) -> bool:
    return re.search(r"(^[^:]+|\]):\d+$", host) is not None


def number(value: Any) -> float | int | None:
    """A device's number, which may come as text or as a flag; None for null, NaN, infinities and anything else."""
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return value if isinstance(value, float) and math.isfinite(value) else None
