"""A local AWS over real HTTP, and a second way to it that fails as networks and services do."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sgmp_console.cloud.aws import Aws

REGION = "eu-central-1"
ACCOUNT = "123456789012"
"""Of the local AWS, whoever asks."""

# The calls of AWS IoT Core are told apart by method and path; Cognito names them in a header.
_IOT = (
    ("POST", r"/certificate/register-no-ca", "RegisterCertificateWithoutCA"),
    ("PUT", r"/target-policies/[^/]+", "AttachPolicy"),
    ("POST", r"/target-policies/[^/]+", "DetachPolicy"),
    ("POST", r"/attached-policies/.+", "ListAttachedPolicies"),
    ("PUT", r"/things/[^/]+/principals", "AttachThingPrincipal"),
    ("DELETE", r"/things/[^/]+/principals", "DetachThingPrincipal"),
    ("GET", r"/things/[^/]+/principals", "ListThingPrincipals"),
    ("GET", r"/principals/things", "ListPrincipalThings"),
    ("POST", r"/things/[^/]+", "CreateThing"),
    ("DELETE", r"/things/[^/]+", "DeleteThing"),
    ("GET", r"/things", "ListThings"),
    ("GET", r"/certificates", "ListCertificates"),
    ("PUT", r"/certificates/[^/]+", "UpdateCertificate"),
    ("GET", r"/certificates/[^/]+", "DescribeCertificate"),
    ("DELETE", r"/certificates/[^/]+", "DeleteCertificate"),
    ("GET", r"/endpoint", "DescribeEndpoint"),
    ("GET", r"/policies/[^/]+", "GetPolicy"),
    ("GET", r"/rules/[^/]+", "GetTopicRule"),
)


@dataclass
class Fault:
    """How a call fails. `error`: 500, not done. `refused`: 403, not done. `throttled`: too many calls, not done. `meanwhile`: somebody else does it just before. `hang`: not done and no answer.

    `lost`: done, and the connection ends without an answer. `times`: how often, None for always.
    `after`: how many calls of that name go well first.
    """

    call: str
    kind: str
    times: int | None = 1
    after: int = 0


@dataclass
class LocalAws:
    """`direct` is the way to look and to prepare; on the way `endpoint` calls are noted in `calls` and can fail."""

    direct: str
    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    patience_s: float = 20.0

    def settings(self, **changes: Any) -> Aws:
        """One attempt, so that what the console does itself is seen."""
        given = {"connect_timeout_s": 2.0, "read_timeout_s": self.patience_s, "attempts": 1, **changes}
        return Aws(REGION, endpoint=self.endpoint, **given)

    def client(self, service: str) -> Any:
        """To look and to prepare: it never fails."""
        return Aws(REGION, endpoint=self.direct).client(service)

    def fail(self, call: str, kind: str, times: int | None = 1, after: int = 0) -> None:
        self.faults.append(Fault(call, kind, times, after))

    def heal(self) -> None:
        self.faults.clear()

    def reset(self) -> None:
        self.faults.clear()
        self.calls.clear()
        urlopen(Request(f"{self.direct}/moto-api/reset", method="POST")).close()

    def take_fault(self, call: str) -> str | None:
        for fault in self.faults:
            if fault.call != call:
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.times is None or fault.times > 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault.kind
        return None


@contextmanager
def running_aws() -> Iterator[LocalAws]:
    application = _moto()
    direct, proxy = _Server(application), _Server(application)
    aws = LocalAws(f"http://127.0.0.1:{direct.server_port}", f"http://127.0.0.1:{proxy.server_port}")
    proxy.aws = aws
    with _serving(direct, "aws"), _serving(proxy, "aws-proxy"):
        yield aws


def _moto() -> Callable[..., Any]:
    """The WSGI application of moto's own server."""
    # Loaded only where it is used: each worker of the suite collects this file.
    from moto.core.config import default_user_config
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    class Application(DomainDispatcherApplication):
        @cache  # noqa: B019 - there is one, as long as the tests run
        def get_backend_for_host(self, host: str | None) -> Any:
            """Moto lists its folder for each request."""
            return super().get_backend_for_host(host)

    # As AWS does: a certificate's id is the hash of its DER form.
    default_user_config["iot"]["use_valid_cert"] = True
    return Application(create_backend_app)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Moto over HTTP, with the faults of `aws` where that is set."""

    daemon_threads = True

    def __init__(self, application: Callable[..., Any]) -> None:
        self.aws: LocalAws | None = None
        super().__init__(("127.0.0.1", 0), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Without asking for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


@contextmanager
def _serving(server: _Server, name: str) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=name)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_WSGI = {
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
_workers = ThreadPoolExecutor(thread_name_prefix="moto")
"""What moto does is done beside the connection, which can say meanwhile that it goes on."""

_ANSWERS = {
    "error": ("InternalFailureException", 500),
    "refused": ("AccessDeniedException", 403),
    "throttled": ("ThrottlingException", 400),
}


class _Handler(WSGIRequestHandler):
    """A connection stays open, as AWS's do, and a call is answered as the server's faults say."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # else each answer waits up to 40 ms for the client to acknowledge its head
    )
    handle = BaseHTTPRequestHandler.handle

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""

    def _handle(self) -> None:
        aws: LocalAws | None = self.server.aws  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = None
        if aws is not None:
            call = self._call(body)
            aws.calls.append(call)
            kind = aws.take_fault(call)
        if kind in _ANSWERS:
            code, status = _ANSWERS[kind]
            content = json.dumps({"__type": code, "message": ""}).encode()
            self._answer(status, [("x-amzn-errortype", code)], content)
            return
        if kind == "hang":
            self.connection.settimeout(30.0)
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client gives up
            self.close_connection = True
            return
        if kind == "meanwhile":
            self._ask_moto(body)
        answer = self._ask_moto(body)
        if kind == "lost":
            self.close_connection = True
            return
        self._answer(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815 - http.server's names

    def _call(self, body: bytes) -> str:
        if target := self.headers.get("X-Amz-Target"):
            return str(target).rpartition(".")[2]
        path = urlsplit(self.path).path
        for method, shape, name in _IOT:
            if method == self.command and re.fullmatch(shape, path):
                return name
        action = re.search(rb"Action=(\w+)", body)
        return action[1].decode() if action else f"{self.command} {path}"

    def _ask_moto(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        from werkzeug.test import run_wsgi_app

        environ = {**self.get_environ(), "RAW_URI": self.path, **_WSGI, "wsgi.input": io.BytesIO(body)}
        work = _workers.submit(run_wsgi_app, self.server.get_app(), environ, buffered=True)  # type: ignore[attr-defined]
        # A slow answer is not a missing one: with each of these the client's patience begins again.
        while not wait([work], 0.1).done:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content, status, headers = work.result()
        return int(status.split()[0]), list(headers.items()), b"".join(content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                head.append(f"{name}: {value}")
        head.append(f"Content-Length: {len(content)}")
        try:
            self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + content)
        except ConnectionError:
            self.close_connection = True  # the client has given up
