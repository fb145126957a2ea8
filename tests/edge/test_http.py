"""The drivers' HTTP client against servers that keep to no rule: one time and one size for all of an exchange."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unauthorized, Unreachable
from sgmp_edge.contract import certificate_sha256
from sgmp_edge.devices import _http
from sgmp_edge.devices._http import AnswerTooLarge, DigestAuth, HttpClient, Timeouts, origin
from sgmp_edge.devices._values import parse_json
from tests.edge.drivers_http import (
    HttpDevice,
    Patience,
    Reply,
    digest_protected,
    own_certificate,
)

WHOLE = Timeouts(5, 5, 0.3)
"""Only the time of the whole exchange is short."""


class Wire:
    """A server on loopback; `play(connection)` is what it does with each one, after a request has come in."""

    def __init__(self, play: Callable[[socket.socket], None], family: int = socket.AF_INET) -> None:
        self.play = play
        self.requests: list[bytes] = []
        self._listener = socket.create_server(
            ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family
        )
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := connection.recv(65536):
                    self.requests.append(request)
                    self.play(connection)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def wire() -> Iterator[Callable[..., HttpClient]]:
    """`wire(play)`: a client of a server that plays it."""
    made: list[Any] = []

    def connect(play: Callable[[socket.socket], None], **more: Any) -> HttpClient:
        server = Wire(play)
        client = HttpClient("the meter", f"http://127.0.0.1:{server.port}", **more)
        made.extend((client, server))
        return client

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The time that pauses are measured with."""
    clock = SimpleNamespace(now=1_714_564_800.0)
    clock.monotonic = clock.time = lambda: clock.now
    monkeypatch.setattr(_http, "time", clock)
    return clock


def send(*parts: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(b"".join(parts))


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def endlessly(head: bytes, part: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def play(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)
            time.sleep(pause_s)

    return play


# --- One time and one size --------------------------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHALLENGE = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n'


@pytest.mark.parametrize(
    "play",
    [
        endlessly(b"HTTP/1.1 ", b"2", 0.02),
        endlessly(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.02),
        endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02),
        endlessly(b"HTTP/1.1 103 Early Hints\r\nX-A: ", b"x", 0.02),
        endlessly(b"HTTP/1.1 302 Found\r\nLocation: ", b"x", 0.02),
        endlessly(CHALLENGE + b"Content-Length: 9999\r\n\r\n", b" ", 0.02),
        endlessly(CHUNKED, b"1\r\n \r\n", 0.02),
        endlessly(CHUNKED, b"0", 0.02),
        endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.02),
    ],
)
def test_whatever_drips_the_whole_exchange_has_one_time(
    wire: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without, it would never end."""
    monkeypatch.setattr(_http, "LAN", WHOLE)
    client = wire(play, auth=DigestAuth("user", "password"))
    with pytest.raises((TimedOut, BadAnswer)):
        client.request("GET", "/")


@pytest.mark.parametrize(
    "play",
    [
        endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        endlessly(b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * 65536),
        endlessly(b"HTTP/1.1 200 OK\r\n", b"X-A: x\r\n"),
        endlessly(b"HTTP/1.1 401 No\r\n\r\n", b" " * 65536),
        endlessly(CHALLENGE + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
        endlessly(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
        endlessly(CHUNKED, b"0" * 65536),
        send(answer(gzip.compress(b" " * 9 * 2**20, mtime=0), b"Content-Encoding: gzip")),
    ],
)
def test_whatever_comes_without_end_the_whole_exchange_has_one_size(
    wire: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LAN", Timeouts(2, 5, 20))
    with pytest.raises(BadAnswer):
        wire(play, auth=DigestAuth("user", "password")).request("GET", "/")


def test_a_redirects_body_is_not_even_read(wire: Any) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 100000000\r\n\r\n"
    client = wire(endlessly(head, b" " * 65536))
    with pytest.raises(BadAnswer, match="elsewhere"):
        client.expect_ok(client.request("GET", "/"))


def test_a_redirect_in_any_characters_is_a_redirect(wire: Any) -> None:
    client = wire(send(answer(b"", b"Location: /anmeldung?titel=\xdcbersicht", status=b"302 Found")))
    with pytest.raises(BadAnswer, match="elsewhere"):
        client.expect_ok(client.request("GET", "/"))


def test_a_redirect_to_https_names_the_setting(wire: Any) -> None:
    client = wire(send(answer(b"", b"Location: https://192.0.2.1/", status=b"301 Moved")))
    with pytest.raises(BadAnswer, match="set the protocol to https"):
        client.expect_ok(client.request("GET", "/"))


@pytest.mark.parametrize("hint", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_interim_answer_is_not_the_answer(wire: Any, hint: bytes) -> None:
    client = wire(send(b"HTTP/1.1 " + hint + b"\r\nLink: </a>\r\n\r\n", answer(b"{}")))
    got = client.request("GET", "/")
    assert (got.status, got.body) == (200, b"{}")


# --- Connections ------------------------------------------------------------------------------------------------------


def test_a_connection_that_the_device_ended_meanwhile_is_renewed_without_notice(wire: Any) -> None:
    turns = iter([False, True, True])

    def play(connection: socket.socket) -> None:
        connection.sendall(answer(b"{}"))
        if next(turns, True):
            connection.shutdown(socket.SHUT_RDWR)

    client = wire(play)
    assert [client.request("GET", "/").status for _ in range(4)] == [200] * 4


def test_an_answer_that_ends_early_is_not_a_shorter_one(wire: Any) -> None:
    def play(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(BadAnswer, match="broke off"):
        wire(play).request("GET", "/")


def test_a_device_that_is_slow_is_waited_for_longer_after_a_time_out(
    wire: Any, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LAN", Timeouts(0.05, 0.05, 5))

    def play(connection: socket.socket) -> None:
        patience.wait_for(0.15)
        connection.sendall(answer(b"{}"))

    client = wire(play)
    for _ in range(2):
        with pytest.raises(TimedOut):
            client.request("GET", "/")
    assert [client.request("GET", "/").status for _ in range(2)] == [200, 200]
    with pytest.raises(TimedOut):
        client.request("GET", "/", patient=False)


def test_patience_ends_and_begins_again(
    wire: Any, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LONGEST_WAIT_S", 15)
    monkeypatch.setattr(_http, "LAN", Timeouts(0.05, 0.05, 5))  # for the whole exchange 5, 10, 15, 5, 10
    client = wire(lambda connection: None)
    waited_s = []
    for _ in range(5):
        with pytest.raises(TimedOut):
            client.request("GET", "/")
        waited_s.append(patience.asked_s[-1])
    assert waited_s == [0.05, 0.1, 0.2, 0.05, 0.1]


@pytest.mark.parametrize("host", ["::1%1", "[::1%251]", "::1%30"])
def test_an_ipv6_address_may_name_its_interface(host: str) -> None:
    server = Wire(send(answer(b"{}")), socket.AF_INET6)
    client = HttpClient("the meter", origin(host, port=server.port))
    assert client.request("GET", "/").status == 200
    assert b"\r\nHost: [::1]:" in server.requests[0]
    client.close()
    server.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".invalid"])
def test_a_name_that_is_not_known_says_so(host: str) -> None:
    with pytest.raises(Unreachable, match="not known by that name"):
        HttpClient("the meter", origin(host)).request("GET", "/")


def test_all_addresses_of_a_name_have_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HttpDevice(lambda request: Reply("{}"))
    server.misbehave("deaf")
    port = int(server.host.rpartition(":")[2])
    deaf = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: [deaf] * (1 if host[0] == "1" else 20))
    # Twenty addresses with a time of their own would take a minute.
    monkeypatch.setattr(_http, "LAN", Timeouts(3, 3, 0.3))
    begun = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="does not take the connection"):
            HttpClient("the meter", f"http://meter.invalid:{port}").request("GET", "/")
        assert time.monotonic() - begun < 30
    finally:
        server.close()


def test_what_no_header_can_carry_is_found_before_it_is_sent(wire: Any) -> None:
    client = wire(send(answer(b"{}")), headers={"Auth-Token": "broken\r\ntoken"})
    with pytest.raises(Unauthorized, match="characters") as caught:
        client.request("GET", "/")
    assert "broken" not in str(caught.value)


# --- Proxies ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[socket.socket], None]], Wire]]:
    """`proxied(play)`: the environment's proxy plays it."""
    servers: list[Wire] = []

    def start(play: Callable[[socket.socket], None]) -> Wire:
        servers.append(Wire(play))
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://us%40er:pw@127.0.0.1:{servers[-1].port}")
        monkeypatch.delenv("no_proxy", raising=False)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_service_outside_is_reached_through_the_proxy_of_the_environment(proxied: Any) -> None:
    proxy = proxied(send(answer(b"{}")))
    client = HttpClient("the API", "http://api.example.invalid/base", remote=True)
    assert client.request("GET", "/rows").body == b"{}"
    assert proxy.requests[0].startswith(b"GET http://api.example.invalid/base/rows HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNAZXI6cHc=\r\n" in proxy.requests[0]
    client.close()


def test_an_encrypted_service_is_reached_through_a_tunnel(proxied: Any, tmp_path: Path) -> None:
    context, fingerprint = own_certificate(tmp_path)
    inside: list[bytes] = []

    def play(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection.dup(), server_side=True) as encrypted:
            inside.append(encrypted.recv(65536))
            encrypted.sendall(answer(b"{}"))

    proxy = proxied(play)
    client = HttpClient("the API", "https://api.example.invalid", remote=True, certificate_sha256=fingerprint)
    assert client.request("GET", "/rows").body == b"{}"
    assert proxy.requests[0].startswith(b"CONNECT api.example.invalid:443 HTTP/1.")
    assert inside[0].startswith(b"GET /rows HTTP/1.1\r\nHost: api.example.invalid\r\n")
    client.close()


def test_a_proxy_that_refuses_means_unreachable(proxied: Any) -> None:
    proxied(send(answer(b"", status=b"407 Proxy Authentication Required")))
    with pytest.raises(Unreachable, match="proxy"):
        HttpClient("the API", "https://api.example.invalid", remote=True).request("GET", "/")


def test_a_device_in_the_house_is_reached_without_a_proxy(proxied: Any, wire: Any) -> None:
    proxy = proxied(send(answer(b"{}")))
    assert wire(send(answer(b"[]")), remote=True).request("GET", "/").body == b"[]"
    assert proxy.requests == []


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_https_to_a_port_that_speaks_http_names_the_protocol() -> None:
    server = HttpDevice(lambda request: Reply("{}"))
    try:
        with pytest.raises(BadAnswer, match=r"does not speak TLS there \(check the protocol\)"):
            HttpClient("the meter", f"https://{server.host}").request("GET", "/")
    finally:
        server.close()


def test_http_to_a_port_that_speaks_tls_names_the_protocol(wire: Any) -> None:
    alert = b"\x15\x03\x03\x00\x02\x02\x16"

    def play(connection: socket.socket) -> None:
        connection.sendall(alert)
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(BadAnswer, match=r"speaks TLS there \(check the protocol\)"):
        wire(play).request("GET", "/")


def test_only_a_certificate_that_failed_is_called_not_trusted(tmp_path: Path) -> None:
    context, fingerprint = own_certificate(tmp_path)
    server = HttpDevice(lambda request: Reply("{}"), tls=context)
    try:
        with pytest.raises(BadAnswer, match="not trusted"):
            HttpClient("the meter", f"https://{server.host}").request("GET", "/")
        with pytest.raises(BadAnswer, match="another certificate"):
            HttpClient("m", f"https://{server.host}", certificate_sha256="00" * 32).request("GET", "/")
        pasted = f"sha256 Fingerprint={fingerprint}\n"
        client = HttpClient("m", f"https://{server.host}", certificate_sha256=pasted)
        assert client.request("GET", "/").body == b"{}"
        client.close()
    finally:
        server.close()


def test_an_authority_of_the_system_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, _ = own_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "device.pem"))
    server = HttpDevice(lambda request: Reply("{}"), tls=context)
    client = HttpClient("the meter", f"https://{server.host}")
    try:
        assert [client.request("GET", "/").status for _ in range(2)] == [200, 200]
    finally:
        client.close()
        server.close()


DIGITS = "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        DIGITS.upper(),
        ":".join(["AB"] * 32),
        " ".join(["ab"] * 32),
        "sha256 Fingerprint=" + ":".join(["AB"] * 32),
        "SHA256 Fingerprint=" + ":".join(["AB"] * 32) + "\n",
        "SHA-256: " + ":".join(["AB"] * 32),
        "sha256:" + DIGITS,
        "SHA-256-Fingerabdruck: " + ":".join(["AB"] * 32),
        "Cert Hash(sha256): " + " ".join(["ab"] * 32),
        "\u200b" + "\u2013".join(["AB"] * 32),
    ],
)
def test_a_fingerprint_is_taken_as_programs_print_it(text: str) -> None:
    assert certificate_sha256(text) == DIGITS


@pytest.mark.parametrize(
    "text", ["", "ab" * 16, "ab" * 20, "ab" * 33, "zz" * 32, "MD5 Fingerprint=" + DIGITS, "٣" * 64]
)
def test_what_is_not_a_sha256_is_refused(text: str) -> None:
    assert certificate_sha256(text) is None


# --- Being asked to wait ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"), [(429, BadAnswer), (503, NotReady), (401, Unauthorized), (413, BadAnswer)]
)
@pytest.mark.parametrize(
    ("retry_after", "date", "waits_s"),
    [
        ("120", None, 120),
        (" 120 ", None, 120),
        ("119.6", None, 120),
        ("120, 120", None, 120),
        ("99999999999", None, 3600),
        (120, 0, 120),
        (120, -86_400 * 400, 120),
        (9_000, 0, 3600),
    ],
)
def test_a_server_that_asks_to_be_left_alone_is(
    clock: Any, status: int, kind: type[DeviceError], retry_after: Any, date: int | None, waits_s: int
) -> None:
    headers = {"Retry-After": retry_after}
    if date is not None:
        stamps = [datetime.fromtimestamp(clock.now + date + ahead, UTC) for ahead in (0, retry_after)]
        headers = {"Date": format_datetime(stamps[0], True), "Retry-After": format_datetime(stamps[1], True)}
    with asked(headers, status) as (client, device):
        client.request("GET", "/")
        for _ in range(3):
            with pytest.raises(kind, match="left alone"):
                client.request("GET", "/")
        clock.now += waits_s - 1
        with pytest.raises(kind, match="left alone"):
            client.request("GET", "/")
        assert len(device.requests) == 1
        clock.now += 2
        assert client.request("GET", "/").status == status
        assert len(device.requests) == 2


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "0", "1_0", "Wed, 99 Foo 2026 00:00:00 GMT"])
def test_a_wait_that_is_none_is_not_waited(clock: Any, retry_after: str) -> None:
    with asked({"Retry-After": retry_after}, 429) as (client, device):
        for _ in range(2):
            client.request("GET", "/")
        assert len(device.requests) == 2


class asked:  # noqa: N801 - used like a function
    """A client of a server that answers everything so."""

    def __init__(self, headers: dict[str, str], status: int) -> None:
        headers = dict(headers)
        date = headers.pop("Date", "Sat, 01 Jan 2000 00:00:00 GMT")
        head = [f"HTTP/1.1 {status} Wait", "Content-Length: 0", f"Date: {date}"]
        head += [f"{key}: {value}" for key, value in headers.items()]
        self._wire = Wire(send(("\r\n".join(head) + "\r\n\r\n").encode()))
        self._client = HttpClient("the API", f"http://127.0.0.1:{self._wire.port}")

    def __enter__(self) -> tuple[HttpClient, Wire]:
        return self._client, self._wire

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._wire.close()


# --- Compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        answer(b'{"a": 1}', b"Content-Encoding: gzip"),
        answer(b'{"a": 1}', b"Content-Encoding: deflate"),
        answer(b'{"a": 1}', b"Content-Encoding: br"),
        answer(gzip.compress(b'{"a": 1}', mtime=0), b"Content-Encoding: gzip"),
        answer(gzip.compress(b'{"a": 1}', mtime=0)),
        answer(zlib.compress(b'{"a": 1}'), b"Content-Encoding: deflate"),
    ],
)
def test_a_body_is_read_whether_it_is_compressed_or_not(wire: Any, reply: bytes) -> None:
    client = wire(send(reply))
    assert client.decode_json(client.request("GET", "/")) == {"a": 1}


def test_a_compression_that_is_not_used_is_named_where_nothing_can_be_read(wire: Any) -> None:
    client = wire(send(answer(b"\x01\x02\x03", b"Content-Encoding: gzip")))
    with pytest.raises(BadAnswer, match="announces a compression that it does not use"):
        client.decode_json(client.request("GET", "/"))


def test_a_compressed_body_that_ends_early_broke_off(wire: Any) -> None:
    with pytest.raises(BadAnswer, match="broke off"):
        wire(send(answer(gzip.compress(b'{"a": 1}' * 99, mtime=0)[:-9]))).request("GET", "/")


# --- Digest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest nonce="abc"',
        'Digest realm="abc"',
        "Digest",
        'Digest realm="r", nonce',
        'Digest realm="r", nonce="n", algorithm=ROT13',
        'Digest realm="r", nonce="n", algorithm=SHA-256-sess',
        'Digest realm="r", nonce="n", qop="auth-int"',
    ],
)
def test_a_challenge_that_cannot_be_answered_is_a_bad_answer(wire: Any, challenge: str) -> None:
    reply = answer(b"", b"WWW-Authenticate: " + challenge.encode(), status=b"401 No")
    with pytest.raises(BadAnswer, match="sign-in"):
        wire(send(reply), auth=DigestAuth("user", "password")).request("GET", "/")


def test_another_kind_of_challenge_is_a_refusal(wire: Any) -> None:
    client = wire(
        send(answer(b"", b'WWW-Authenticate: Basic realm="r"', status=b"401 No")), auth=DigestAuth("u", "p")
    )
    with pytest.raises(Unauthorized):
        client.expect_ok(client.request("GET", "/"))


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
def test_each_kind_of_digest_is_answered(algorithm: str) -> None:
    user, password = 'ow"ner\\ü', "pass:word"
    server = HttpDevice(digest_protected(lambda request: Reply("{}"), user, password, algorithm))
    client = HttpClient("the meter", f"http://{server.host}", auth=DigestAuth(user, password))
    try:
        assert [client.request("GET", "/a?b&c=%20").status for _ in range(3)] == [200] * 3
        assert len(server.requests) == 4
    finally:
        client.close()
        server.close()


# --- JSON that is nearly right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ('{"a": -nan, "b": 2}', {"a": None, "b": 2}),
        ('{"a": nan(0x1), "b": 2}', {"a": None, "b": 2}),
        ('{"a": NaN, "b": -Infinity, "c": inf}', {"a": None, "b": None, "c": None}),
        ('{"a": +5, "b": .5, "c": 5., "d": 007}', {"a": 5, "b": 0.5, "c": 5, "d": 7}),
        ('{"a": , "b": 2}', {"a": None, "b": 2}),
        ('{"a":1,,"b": 2,}', {"a": 1, "b": 2}),
        ("[1,,2,]", [1, None, 2]),
        ('{"a": undefined, "b": True, "c": None}', {"a": None, "b": None, "c": None}),
        ('{ts: 5, "b": 2}', {"ts": 5, "b": 2}),
        ('{"a": "\\xdc", "b": 2}', {"a": "\\xdc", "b": 2}),
        ('{"a": "C:\\\\dir\\q", "b": 2}', {"a": "C:\\dir\\q", "b": 2}),
        ('\ufeff{"a": "x\ty\x01", "b": 2}', {"a": "x\ty\x01", "b": 2}),
        ('{"a": ' + "9" * 5000 + ', "b": 2}', {"a": None, "b": 2}),
        ('{"a": {"x": nan, "y": [1, -nan]}, "b": 2}', {"a": {"x": None, "y": [1, None]}, "b": 2}),
    ],
)
def test_one_odd_value_costs_that_value_alone(text: str, document: Any) -> None:
    assert parse_json(text.encode()) == document


def test_wrong_characters_cost_that_text_alone() -> None:
    assert parse_json(b'{"a": "Hall\xfc", "b": 2}') == {"a": "Hall\ufffd", "b": 2}


@pytest.mark.parametrize(
    "text", ["", "<html>", '{"a": 1', "[1, 2", '{"a": "unterminated', "[" * 10_000, '{"a" "b"}']
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        parse_json(text.encode())


@settings(max_examples=100, deadline=None)
@given(
    document=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        min_size=1,
        max_size=6,
    ),
    odd=st.sampled_from(
        [
            "-nan",
            "+1",
            "inf",
            "1.#QNAN",
            "",
            "nan(ind)",
            "--",
            "0x1F",
            "1_000",
            "1,5",
            "1 000",
            "12:30",
            "--:--",
            "no sensor",
            '"5" V',
            "2026-11-29 12:30:00",
            "1;",
            "// none",
        ]
    ),
    data=st.data(),
)
def test_any_document_keeps_its_other_values(document: dict[str, Any], odd: str, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(document)))
    mark = "mark-of-the-odd-value"
    text = json.dumps({**document, key: mark}).replace(f'"{mark}"', odd)
    read = parse_json(text.encode())
    read.pop(key)
    assert read == {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1 "b": {"c": 2 "d": [3]} "e": 4}',
        '{"a": 1,, "b": {"c": 2, "d": [3],}, "e": 4,}',
        "{a: 1, b: {c: 2, d: [3]}, e: 4}",
    ],
)
def test_commas_and_quotes_that_are_missing_or_too_many_cost_nothing(text: str) -> None:
    assert parse_json(text.encode()) == {"a": 1, "b": {"c": 2, "d": [3]}, "e": 4}


@pytest.mark.parametrize("rest", ["\0\0", "}", ', "b": 2}', "<!-- -->", '{"a": 9}'])
@pytest.mark.parametrize(("written", "read"), [("1", 1), ("nan", None)])
def test_what_stands_after_the_end_of_a_document_is_not_part_of_it(
    rest: str, written: str, read: int | None
) -> None:
    assert parse_json(f' {{"a": {written}}}{rest}'.encode()) == {"a": read}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]:,"\\ax1 ').map(str.encode))
def test_any_bytes_are_a_document_or_a_value_error(body: bytes) -> None:
    try:
        parse_json(body)
    except ValueError:
        return


def test_long_json_with_a_mistake_is_too_large_so_that_less_is_asked_for(wire: Any) -> None:
    body = b"[" + b"1," * 600_000 + b"nan]"
    client = wire(send(answer(body)))
    with pytest.raises(AnswerTooLarge):
        client.decode_json(client.request("GET", "/"))
