"""HTTP as the drivers need it: every wait bounded, every failure one of common.py's outcomes, no secret in a text."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakValueDictionary

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unauthorized, Unreachable
from sgmp_edge.contract import certificate_sha256 as sha256_of
from sgmp_edge.contract import integer_in
from sgmp_edge.devices._digest import DigestAuth
from sgmp_edge.devices._values import MAX_REPAIRED_BYTES, parse_json
from sgmp_edge.devices._wire import Answer, AnswerTooLarge, Budget, Connection, Peer, Timeouts

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "HttpClient",
    "Pause",
    "Timeouts",
    "has_port",
    "origin",
    "pause_of",
    "repeated",
]

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""More than any of the devices sends; a Pi must not run out of memory over one that sends without end."""

LAN = Timeouts(2, 3, 6)
INTERNET = Timeouts(3, 6, 15)
HISTORY = Timeouts(2, 10, 20)
"""A small device takes its time over what it has stored."""

LONGEST_WAIT_S = 22.0
"""What the time for a slow device grows to; a poll that takes 30 s counts as one that hangs."""

LONGEST_PAUSE_S = 3600.0
"""However long a server asks to be left alone: an hour without readings is enough."""


class Pause:
    """Until when a server asked to be left alone; shared by the clients that use it on the same account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: tuple[float, DeviceError] | None = None

    def begin(self, seconds: float, error: DeviceError) -> None:
        with self._lock:
            self._asked = (time.monotonic() + seconds, error)

    def check(self) -> None:
        """Raises the failure that the pause began with while it lasts."""
        with self._lock:
            asked = self._asked
        left_s = asked[0] - time.monotonic() if asked is not None else 0.0
        if asked is not None and left_s > 0:
            raise repeated(asked[1], left_s) from asked[1]


def repeated(error: DeviceError, retry_after_s: float | None = None) -> DeviceError:
    """The same failure for another caller, to be raised from the first."""
    again = type(error)(str(error))
    again.retry_after_s = error.retry_after_s if retry_after_s is None else retry_after_s
    return again


_pauses: WeakValueDictionary[tuple[str, ...], Pause] = WeakValueDictionary()
_pauses_lock = threading.Lock()


def pause_of(*account: str) -> Pause:
    """The pause that all clients of a device or account share."""
    with _pauses_lock:
        return _pauses.setdefault(account, Pause())


class HttpClient:
    """Requests to one device or service over a kept-alive connection; for one thread at a time.

    `who` begins every message ("the meter at 192.168.1.20"); `origin` is scheme, host and port. A `remote` service
    has more time, and is reached through the environment's proxy if it is outside and there is one. With
    `certificate_sha256` the server must show exactly that certificate, and no authority needs to have signed it.
    After a time-out the next request has twice the time, up to LONGEST_WAIT_S and then from the start again.

    Raises Unreachable, TimedOut, Unauthorized, BadAnswer or NotReady, with the cause chained.
    """

    def __init__(
        self,
        who: str,
        origin: str,
        *,
        remote: bool = False,
        headers: Mapping[str, str] | None = None,
        auth: DigestAuth | None = None,
        certificate_sha256: str | None = None,
        pause: Pause | None = None,
    ) -> None:
        self.who = who
        self._base_path = urlsplit(origin).path.rstrip("/")
        self._connection = Connection(_peer(origin, certificate_sha256, remote))
        self._https = urlsplit(origin).scheme == "https"
        self._timeouts = INTERNET if remote else LAN
        self._headers = {"Accept-Encoding": "gzip", "User-Agent": "sgmp-edge", **(headers or {})}
        self._auth = auth
        self._pause = pause or Pause()
        self._growth = 1.0

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        patient: bool = True,
        urgent: bool = False,
    ) -> Answer:
        """One exchange. It must bear being repeated, `path` must hold no secret, redirects are not followed.

        Not `patient`: within the usual time, however slow the device was found to be. `urgent`: also while the
        device asks to be left alone.
        """
        if not urgent:
            self._pause.check()
        body, content_type = _encoded(json_body, form)
        content = {"Content-Type": content_type} if content_type else {}
        sent = self._sendable({**self._headers, **content, **(headers or {})})
        budget = Budget(self.who, self._grown(timeouts or self._timeouts, patient), MAX_ANSWER_BYTES)
        try:
            answer = self._exchange(method, self._base_path + path, sent, body, budget)
        except TimedOut:
            if patient:
                grown = budget.timeouts.whole_s >= LONGEST_WAIT_S
                self._growth = 1.0 if grown else self._growth * 2
            raise
        pause_s = _pause_asked(answer)
        if pause_s > 0:
            self._pause.begin(pause_s, self._paused_error(answer, pause_s))
        return answer

    def expect_ok(self, answer: Answer) -> Answer:
        """The answer itself if its status is 200; else raises what the status means."""
        if answer.status == 200:
            return answer
        raise self.failure(answer)

    def failure(self, answer: Answer) -> DeviceError:
        """What an answer's status means that is not a success."""
        error = self._meaning(answer)
        error.retry_after_s = _pause_asked(answer)
        return error

    def _meaning(self, answer: Answer) -> DeviceError:
        status = answer.status
        if status in (401, 403):
            return Unauthorized(
                f"{self.who} refuses the credentials (HTTP {status}); check user, password or token"
            )
        if 300 <= status < 400:
            to_https = (answer.headers.get("Location") or "").casefold().startswith("https:")
            remedy = "check the address" if self._https else "check the address and protocol"
            if to_https and not self._https:
                remedy = "set the protocol to https"
            return BadAnswer(f"{self.who} sends the request elsewhere (HTTP {status}); {remedy}")
        if status in (502, 504):
            return Unreachable(f"{self.who} is not reached by its gateway (HTTP {status})")
        if status == 503:
            return NotReady(f"{self.who} is not ready to answer (HTTP 503)")
        if status == 429:
            return BadAnswer(f"{self.who} is asked too often (HTTP 429); choose a longer interval")
        return BadAnswer(f"{self.who} answered with HTTP {status}")

    def decode_json(self, answer: Answer) -> Any:
        try:
            return parse_json(answer.body)
        except ValueError as error:
            if len(answer.body) > MAX_REPAIRED_BYTES:
                raise AnswerTooLarge(f"{self.who} sent a long answer that is not JSON") from error
            raise self.unreadable(answer, "sent an answer that is not JSON") from error

    def unreadable(self, answer: Answer, what: str) -> BadAnswer:
        """What to raise for a body that can't be read: `what`, unless something else explains it."""
        return BadAnswer(
            f"{self.who} announces a compression that it does not use"
            if answer.misnamed
            else f"{self.who} {what}"
        )

    def close(self) -> None:
        self._connection.close()

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, budget: Budget
    ) -> Answer:
        answer = self._connection.exchange(method, path, self._signed(method, path, headers), body, budget)
        challenges = answer.headers.get_all("WWW-Authenticate", [])
        if answer.status == 401 and self._auth is not None and self._auth.accept(challenges, self.who):
            signed = self._signed(method, path, headers)
            return self._connection.exchange(method, path, signed, body, budget)
        return answer

    def _signed(self, method: str, path: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        value = self._auth.header(method, path) if self._auth is not None else None
        return headers if value is None else self._sendable({**headers, "Authorization": value})

    def _sendable(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        if all(value.isprintable() for value in headers.values()):
            return headers
        raise Unauthorized(f"{self.who} can't take a token or user name with such characters")

    def _grown(self, timeouts: Timeouts, patient: bool) -> Timeouts:
        if not patient or self._growth == 1:
            return timeouts
        longest = max(LONGEST_WAIT_S, timeouts.whole_s)
        grown = (min(seconds * self._growth, longest) for seconds in (timeouts.silence_s, timeouts.whole_s))
        return Timeouts(timeouts.connect_s, *grown)

    def _paused_error(self, answer: Answer, seconds: float) -> DeviceError:
        until = datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%H:%M UTC")
        return type(self._meaning(answer))(
            f"{self.who} asks to be left alone until {until} (HTTP {answer.status}); choose a longer interval"
        )


def _pause_asked(answer: Answer) -> float:
    """Seconds for which the server asks to be left alone; 0 if it does not."""
    if answer.status not in (429, 503):
        return 0.0
    text = answer.headers.get("Retry-After") or ""
    seconds = integer_in(text)
    if seconds is None:
        try:
            # Both are of the server's clock, whatever ours shows.
            now = answer.headers.get("Date")
            begun = parsedate_to_datetime(now) if now else datetime.now(UTC)
            seconds = int((parsedate_to_datetime(text) - begun).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(float(seconds), 0.0), LONGEST_PAUSE_S)


def _peer(origin: str, sha256: str | None, remote: bool) -> Peer:
    url = urlsplit(origin)
    tls = None
    if url.scheme == "https":
        tls = ssl.create_default_context()
        if sha256:
            # The fingerprint takes the place of an authority's signature.
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
    # A proxy of the environment leads out of the house, not to a device in it.
    proxy = None
    if remote and not _is_in_the_house(url.hostname or "") and not proxy_bypass(url.hostname or ""):
        proxies = getproxies()
        address = proxies.get(url.scheme) or proxies.get("all") or ""
        proxy = urlsplit(address if "//" in address else f"//{address}") if address else None
    return Peer(url, tls, sha256_of(sha256) if sha256 else None, proxy)


def _encoded(json_body: Any, form: Mapping[str, str] | None) -> tuple[bytes | None, str]:
    """(body, its content type)."""
    if json_body is not None:
        return json.dumps(json_body, allow_nan=False).encode(), "application/json"
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    return None, ""


def _is_in_the_house(host: str) -> bool:
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
