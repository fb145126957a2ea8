"""HTTP as the drivers need it: every wait bounded, every failure one of common.py's outcomes, no secret in a text."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import requests
from requests.auth import HTTPDigestAuth
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, InvalidURL
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, parse_dict_header
from urllib3.exceptions import HTTPError

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unauthorized, Unreachable
from sgmp_edge.contract import certificate_sha256 as sha256_of
from sgmp_edge.devices._values import MAX_REPAIRED_BYTES, parse_json
from sgmp_edge.devices._wire import AnswerTooLarge, BoundedAdapter, Budget, Timeouts, decompressed

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "DigestAuth",
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


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer of any status. Its repr leaves the body out: a body may hold a token.

    `misnamed`: it announces a compression that its body does not have.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    misnamed: bool = False

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, {len(self.body)} bytes)"


class CannotSignIn(Exception):
    """`str(error)` is what the device does, to follow its name."""


class DigestAuth(HTTPDigestAuth):
    """Signs in without sending the password, as meters want it (RFC 7616). Raises CannotSignIn or InvalidHeader."""

    username: str
    password: str
    _thread_local: Any

    def build_digest_header(self, method: str, url: str) -> str:
        challenge: dict[str, str | None] = self._thread_local.chal
        if challenge.get("realm") is None or challenge.get("nonce") is None:
            raise CannotSignIn("asks for a sign-in without saying for what (no realm or nonce)")
        if not self.username.isprintable():
            raise InvalidHeader
        session = (challenge.get("algorithm") or "").upper() == "SHA-256-SESS" and bool(challenge.get("qop"))
        self._thread_local.chal = {**challenge, "algorithm": "SHA-256"} if session else challenge
        header: str | None = super().build_digest_header(method, url)  # type: ignore[no-untyped-call]
        self._thread_local.chal = challenge
        if header is None:
            raise CannotSignIn("asks for a kind of digest sign-in that is not known here")
        # WORKAROUND https://github.com/psf/requests/issues/6102: it escapes nothing, and lets http.client encode in
        # Latin-1 what its digest has in UTF-8.
        for text in {self.username, *challenge.values()} - {None}:
            header = header.replace(f'"{text}"', '"{}"'.format(re.sub(r'(["\\])', r"\\\1", text or "")))
        return (self._of_session(header, method) if session else header).encode().decode("latin-1")

    def _of_session(self, header: str, method: str) -> str:
        """WORKAROUND (no upstream report): the response to SHA-256-sess, of which requests knows SHA-256 alone."""

        def digest(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        sent = parse_dict_header(header.removeprefix("Digest "))  # type: ignore[no-untyped-call]
        user = digest(self.username, sent["realm"], self.password)
        secret = digest(user, sent["nonce"], sent["cnonce"])
        target = digest(method, sent["uri"])
        response = digest(secret, sent["nonce"], sent["nc"], sent["cnonce"], "auth", target)
        return header.replace(sent["response"], response).replace('"SHA-256"', "SHA-256-sess")


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """WORKAROUND https://github.com/psf/requests/issues/4926: it decodes where a redirect leads, or fails.

        Also if the redirect is not followed.
        """


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
        # The zone of an IPv6 address (fe80::1%eth0, or %25eth0) is for this machine's connection alone.
        zone = re.search(r"%(?:25)?([^\]]+)(?=\])", origin)
        self._origin = (origin.replace(zone[0], "") if zone else origin).rstrip("/")
        self._https = urlsplit(origin).scheme == "https"
        self._remote = remote
        sha256 = sha256_of(certificate_sha256) if certificate_sha256 else None
        self._adapter = BoundedAdapter(sha256, zone[1] if zone else None)
        self._session = _Session()
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)
        # Neither the credentials of ~/.netrc nor, in the house, a proxy: it leads out.
        self._session.trust_env = False
        if remote and not _is_in_the_house(urlsplit(origin).hostname or ""):
            self._session.proxies = get_environ_proxies(origin)
        self._session.auth = auth
        self._session.verify = not certificate_sha256 and _authorities()
        self._session.headers.clear()
        host = {"Host": urlsplit(self._origin).netloc} if zone else {}
        self._headers = {"Accept-Encoding": "gzip", "User-Agent": "sgmp-edge", **host, **(headers or {})}
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
        usual = INTERNET if self._remote else LAN
        budget = Budget(self.who, self._grown(timeouts or usual, patient), MAX_ANSWER_BYTES)
        try:
            answer = self._exchange(method, path, budget, headers=headers, json=json_body, data=form)
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
        self._session.close()

    def _exchange(
        self, method: str, path: str, budget: Budget, *, headers: Mapping[str, str] | None, **content: Any
    ) -> Answer:
        self._adapter.budget = budget
        limits = (budget.timeouts.connect_s, budget.timeouts.silence_s)
        sent = {**self._headers, **(headers or {})}
        try:
            if not all(map(str.isprintable, sent.values())):
                raise InvalidHeader
            encoded = {name: value.encode() for name, value in sent.items()}
            response = self._session.request(
                method, self._origin + path, headers=encoded, timeout=limits, allow_redirects=False, **content
            )
        except CannotSignIn as error:
            raise BadAnswer(f"{self.who} {error}") from error
        except InvalidHeader:
            # The cause quotes the header.
            text = f"{self.who} can't take a token or user name with such characters"
            raise Unauthorized(text) from None
        except (InvalidProxyURL, InvalidSchema) as error:
            raise Unreachable(f"{self.who} is not reached by the proxy") from error
        except InvalidURL as error:
            raise Unreachable(f"{self.who} is not known by that name") from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise BadAnswer(f"{self.who} sent an answer that breaks HTTP") from error
        announced = response.headers.get("Content-Encoding", "")
        body, misnamed = decompressed(response.content, announced, budget)
        return Answer(response.status_code, body, response.headers, misnamed)

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
    """Seconds for which the server asks to be left alone, whatever it calls its refusal; 0 if it does not."""
    if answer.status < 300:
        return 0.0
    text = answer.headers.get("Retry-After") or ""
    # Two headers, of a server and of a proxy before it, come as one with a comma.
    number = re.match(r"\s*\+?([0-9]{1,12}(\.[0-9]*)?)\s*([,;]|$)", text)
    if number is not None:
        return min(float(number[1]), LONGEST_PAUSE_S)
    try:
        # Both are of the server's clock, whatever ours shows.
        now = answer.headers.get("Date")
        begun = parsedate_to_datetime(now) if now else datetime.now(UTC)
        seconds = (parsedate_to_datetime(text) - begun).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_PAUSE_S)


def _authorities() -> str | bool:
    """Where the system's authorities are, which its owner may have added to; else those of requests."""
    system = ssl.get_default_verify_paths()
    return system.cafile or system.capath or True


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
