"""A local AWS over real HTTP, and a proxy in front of it that fails as networks and services do."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

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
    """`direct` is the local AWS itself, `endpoint` the way through the proxy. `calls`: what came through it."""

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
        """To look and to prepare, past the proxy."""
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
    # Loaded only where it is used: each worker of the suite collects this file.
    from moto.core.config import default_user_config
    from moto.server import ThreadedMotoServer

    # As AWS does: a certificate's id is the hash of its DER form.
    default_user_config["iot"]["use_valid_cert"] = True
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    proxy.daemon_threads = True
    aws = LocalAws(f"http://{host}:{port}", f"http://127.0.0.1:{proxy.server_port}")
    proxy.aws = aws  # type: ignore[attr-defined]
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), name="aws-proxy")
    thread.start()
    try:
        yield aws
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        server.stop()


_ANSWERS = {
    "error": ("InternalFailureException", 500),
    "refused": ("AccessDeniedException", 403),
    "throttled": ("ThrottlingException", 400),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # else each answer waits up to 40 ms for the client to acknowledge its head
    )

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""

    def _handle(self) -> None:
        aws: LocalAws = self.server.aws  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = self._call(body)
        aws.calls.append(call)
        kind = aws.take_fault(call)
        if kind in _ANSWERS:
            code, status = _ANSWERS[kind]
            self._answer(
                status, {"x-amzn-errortype": code}, json.dumps({"__type": code, "message": ""}).encode()
            )
            return
        if kind == "hang":
            self.connection.settimeout(30.0)
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client gives up
            self.close_connection = True
            return
        if kind == "meanwhile":
            self._forward(aws, body)
        status, headers, content = self._forward(aws, body)
        if kind == "lost":
            self.close_connection = True
            return
        self._answer(status, headers, content)

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

    def _forward(self, aws: LocalAws, body: bytes) -> tuple[int, dict[str, str], bytes]:
        where = urlsplit(aws.direct)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=20)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            # A slow answer is not a missing one: with each of these the client's patience begins again.
            while not select.select([connection.sock], [], [], 0.1)[0]:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        try:
            self._write(status, headers, content)
        except ConnectionError:
            self.close_connection = True  # the client has given up

    def _write(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
