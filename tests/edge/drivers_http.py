"""A device's HTTP server on loopback, which answers as a test says and can misbehave in every way of lessons learnt."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unreachable
from sgmp_edge.devices import _http

HURRIED = _http.Timeouts(0.2, 0.3, 0.3)
"""For a device that is silent: what it does not send, it does not send however long one waits."""
SILENT = ("deaf", "hang", "drip")
"""Faults that only a time-out finds."""


@contextmanager
def hurried(fault: str, of: str = "LAN") -> Iterator[None]:
    """Meanwhile drivers wait less for what is in the house (LAN) or outside (INTERNET), if the fault is a silence.

    Only then: a busy machine must not look like a silent device.
    """
    with pytest.MonkeyPatch.context() as patch:
        if fault in SILENT:
            patch.setattr(_http, of, HURRIED)
        yield


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    body: str | bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(document: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(document), status, {"Content-Type": "application/json"})


Answering = Callable[[Request], Reply]


class Patience:
    """How long the drivers on a thread wait for an answer: what they ask of the system, not what a clock measured."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self._over = threading.Event()

    def wait_for(self, seconds: float) -> None:
        """On a device's thread: until somebody waits so long, or the test is over."""
        while not self._over.is_set() and self.asked_s[-1] < seconds:
            self._over.wait(0.005)

    def only_for(self, seconds: float, answer: Answering) -> Answering:
        """A device so slow: it answers those alone who wait so long."""

        def slow(request: Request) -> Reply:
            self.wait_for(seconds)
            return answer(request)

        return slow

    def end(self) -> None:
        self._over.set()


class HttpDevice:
    """`answer` decides what every request gets; `fault` names a way to misbehave instead (see FAULTS)."""

    def __init__(self, answer: Answering, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._tls = tls
        self.fault: str | None = None
        self.requests: list[Request] = []
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._deaf: list[socket.socket] = []
        self._port = 0
        self._start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def misbehave(self, fault: str | None) -> None:
        """From now on, until the next call; None ends it."""
        self._released.set()
        for each in self._deaf:
            each.close()
        self._deaf.clear()
        self._released = threading.Event()
        self.fault = fault
        if fault in ("refuse", "deaf"):
            self._stop()
            if fault == "deaf":
                self._stop_listening()
        elif self._server is None:
            self._start()

    def close(self) -> None:
        self.misbehave("refuse")

    def _start(self) -> None:
        device = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            # Head and body in one packet; two would wait 40 ms for each other.
            wbufsize = -1

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
                device.requests.append(request)
                device.serve(self, request)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                """Tests read `requests` instead."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gives up in the middle is what many a test is about."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def _stop_listening(self) -> None:
        """Keep the port, with its queue of connections full: further ones get no answer."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(0)
        self._deaf.append(listener)
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self._port))
            self._deaf.append(waiting)

    def serve(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        fault, released = self.fault, self._released
        if fault == "hang":
            released.wait(10)
            handler.close_connection = True
        elif fault == "close":
            handler.close_connection = True
        elif fault == "drip":
            self._head(handler, 200, 10_000)
            while not released.wait(0.02):
                handler.wfile.write(b"<")
                handler.wfile.flush()
        elif fault == "cut":
            self._head(handler, 200, 10_000)
            handler.wfile.write(b"<data>")
            handler.close_connection = True
        elif fault == "garbage":
            handler.wfile.write(b"\x00\xff\x16\x03 no HTTP at all\r\n\r\n")
            handler.close_connection = True
        elif fault == "endless":
            self._head(handler, 200, 2**40)
            while not released.is_set():
                handler.wfile.write(b" " * 65536)
        elif fault == "gibberish":
            self._send(handler, Reply(b"\x8b\x00{<[ no document at all"))
        elif fault == "empty":
            self._send(handler, Reply())
        elif fault == "redirect":
            self._send(handler, Reply(status=302, headers={"Location": "http://192.0.2.1/elsewhere"}))
        elif fault is not None:
            self._send(handler, Reply(b"<html>error</html>", int(fault)))
        else:
            self._send(handler, self.answer(request))

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        self._head(handler, reply.status, len(body), reply.headers)
        handler.wfile.write(body)

    def _head(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        length: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        handler.send_response(status)
        for key, value in (headers or {}).items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()


FAULTS: list[tuple[str, type[DeviceError]]] = [
    ("refuse", Unreachable),
    ("deaf", Unreachable),
    ("close", Unreachable),
    ("502", Unreachable),
    ("hang", TimedOut),
    ("drip", TimedOut),
    ("cut", BadAnswer),
    ("garbage", BadAnswer),
    ("endless", BadAnswer),
    ("gibberish", BadAnswer),
    ("empty", BadAnswer),
    ("redirect", BadAnswer),
    ("500", BadAnswer),
    ("429", BadAnswer),
    ("503", NotReady),
]
"""What can be wrong with any device, and what a driver must make of it."""

each_fault = pytest.mark.parametrize(("fault", "outcome"), FAULTS, ids=[name for name, _ in FAULTS])


def own_certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A self-signed certificate, as devices have: the server's side of it, and its SHA-256 fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eGauge")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "device.pem"
    plain = serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def texts_of(error: BaseException) -> str:
    """Everything that a log would show of an error and its causes."""
    texts = []
    link: BaseException | None = error
    while link is not None:
        texts += [str(link), repr(link)]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(texts)


def digest_protected(answer: Answering, username: str, password: str, algorithm: str = "MD5") -> Answering:
    """HTTP digest authentication (qop auth) before `answer`."""
    name = algorithm.removesuffix("-sess").replace("-", "").lower()

    def digest(*parts: object) -> str:
        return hashlib.new(name, ":".join(map(str, parts)).encode()).hexdigest()

    def guard(request: Request) -> Reply:
        sent = request.headers.get("Authorization", "").encode("latin-1").decode()
        given = {
            key: re.sub(r"\\(.)", r"\1", quoted) or bare
            for key, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^",]+))', sent)
        }
        ha1 = digest(username, "eGauge Administration", password)
        if algorithm.endswith("-sess"):
            ha1 = digest(ha1, "nonce1", given.get("cnonce"))
        ha2 = digest(request.method, request.target)
        wanted = digest(ha1, "nonce1", given.get("nc"), given.get("cnonce"), "auth", ha2)
        if given.get("username") == username and given.get("response") == wanted:
            return answer(request)
        challenge = f'Digest realm="eGauge Administration", qop="auth", algorithm={algorithm}, nonce="nonce1"'
        return Reply("<html>login</html>", 401, {"WWW-Authenticate": challenge})

    return guard
