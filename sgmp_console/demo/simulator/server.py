"""A simulated device behind a real HTTP server, and the ways in which it can misbehave.

All threads of the simulator are made here: one listener for each device, one for each open connection, and one for as
long as a device refuses connections.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sgmp_console.demo.simulator.clock import SimulatedClock

log = logging.getLogger(__name__)

ADMIN = "/_simulator/"

COMMON_MODES: Mapping[str, str] = {
    "slow": "answers `delay` seconds late (3)",
    "hang": "takes the request and never answers",
    "refuse": "refuses connections; needs `seconds` (10)",
    "garbage": "answers 200 with bytes that mean nothing",
    "truncated": "promises a whole body, sends half of it and closes the connection",
    "http_500": "answers 500",
    "wrong_password": "answers 401, whatever the credentials",
    "stale_clock": "its clock stands still, and its values with it",
    "reboot": "refuses connections for half of `seconds` (10), then answers like a device that has just started",
}
"""What every device can do wrong; a device may know more (`SimulatedDevice.MODES`)."""

_REFUSING = ("refuse", "reboot")
_REFUSAL_S = 10.0
_SLOW_S = 3.0
_IDLE_S = 120.0
_MAX_BODY = 1_000_000
_GARBAGE = b'\x00\xff\xfe{"<\x80garbage' * 20


@dataclass(frozen=True)
class Request:
    """`query`: names without a value map to "". `headers`: by lower-case name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Callable[[], None] | None = None
    """Done once the answer is out."""

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> Response:
        return cls(status, json.dumps(value).encode("utf-8"))


class Misbehaviour:
    """What a device does wrong at present; it ends by itself after its seconds of real time, if it was given any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._mode = ""
        self._options: Mapping[str, Any] = {}
        self._until: float | None = None

    @property
    def mode(self) -> str:
        """The mode, "" for a device that behaves."""
        with self._changed:
            return "" if self._until is not None and self._until <= time.monotonic() else self._mode

    def option(self, name: str, default: Any) -> Any:
        with self._changed:
            return self._options.get(name, default)

    def begin(self, mode: str, seconds: float | None, options: Mapping[str, Any]) -> None:
        with self._changed:
            self._mode, self._options = mode, options
            self._until = None if seconds is None else time.monotonic() + seconds
            self._changed.notify_all()

    def end(self) -> None:
        self.begin("", None, {})

    def wait_while(self, mode: str, at_most: float | None = None) -> None:
        """Return when another mode has begun, this one is over, or after `at_most` seconds."""
        deadline = None if at_most is None else time.monotonic() + at_most
        with self._changed:
            while self._mode == mode:
                ends = [end for end in (deadline, self._until) if end is not None]
                left = min(ends) - time.monotonic() if ends else None
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)


class SimulatedDevice:
    """A device's side of its protocol: subclasses say what it answers, the server does the rest."""

    name = ""
    MODES: Mapping[str, str] = {}
    """What it can do wrong beyond COMMON_MODES."""
    ONCE: Mapping[str, str] = {}
    """What can befall it at a moment, without lasting."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.misbehaviour = Misbehaviour()
        self._clock = clock
        self._stopped_at_ms = 0

    def now_ms(self) -> int:
        """The device's own clock (UTC ms)."""
        return self._stopped_at_ms if self.misbehaviour.mode == "stale_clock" else self._clock.now_ms()

    def begin(self, mode: str, options: Mapping[str, Any]) -> None:
        """Called when a mode is about to begin. Raises ValueError for options that make no sense."""
        if mode == "slow":
            float(options.get("delay", _SLOW_S))
        if mode == "stale_clock":
            self._stopped_at_ms = self.now_ms()

    def respond(self, request: Request) -> Response:
        """The answer to a request. Called from several threads."""
        raise NotImplementedError

    def start_over(self) -> None:
        """Forget what a device loses with its power."""


class DeviceServer:
    """Serves one device on a port (0: any free one), which it keeps while it refuses connections.

    `house`: all servers of the house by device name, itself included, so that each can be asked about any device.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        house: MutableMapping[str, DeviceServer],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.device = device
        self._served = 0
        self._house = house
        self._host = host
        self._port = port
        self._http: _HttpServer | None = None
        self._held: socket.socket | None = None
        self._stopping = False
        self._lock = threading.Lock()
        self._refusal = threading.Lock()
        self._counting = threading.Lock()
        house[device.name] = self

    @property
    def address(self) -> str:
        """`host:port`, known once it has started."""
        return f"{self._host}:{self._port}"

    @property
    def is_listening(self) -> bool:
        """Whether it takes connections at present."""
        with self._lock:
            return self._http is not None

    @property
    def requests_served(self) -> int:
        """Requests to the device so far, those it misbehaved at included."""
        with self._counting:
            return self._served

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        with self._lock:
            if self._stopping or self._http is not None:
                return
            self._release_port()
            self._http = _HttpServer((self._host, self._port), self)
            self._port = self._http.server_address[1]
            listener = threading.Thread(
                target=self._http.serve_forever, args=(0.1,), name=f"{self.device.name} listener"
            )
            listener.start()
            self._http.listener = listener

    def stop(self) -> None:
        """Close the port and every connection, and wait until the threads are gone."""
        self._stopping = True
        self.device.misbehaviour.end()  # or its requests would hang on
        with self._refusal, self._lock:
            self._close()
            self._release_port()

    def misbehave(self, mode: str, seconds: float | None = None, **options: Any) -> None:
        """Begin a mode, for so many seconds of real time or until further notice; "none" ends it.

        Raises ValueError for a mode the device does not know.
        """
        begin = self._begin(mode, seconds, options)
        if begin is not None:
            begin()

    def modes(self) -> dict[str, str]:
        """The commands of the device, with their meaning."""
        return {**COMMON_MODES, **self.device.MODES, **self.device.ONCE}

    def _begin(
        self, mode: str, seconds: float | None, options: Mapping[str, Any]
    ) -> Callable[[], None] | None:
        """Begin a mode; what is left to do cuts the connection it was asked for on."""
        if mode == "none":
            self.device.misbehaviour.end()
            return None
        known = self.modes()
        if mode not in known:
            raise ValueError(
                f"{self.device.name} has no mode {mode!r}; it has {', '.join(sorted(known))} and none"
            )
        self.device.begin(mode, options)
        if mode in self.device.ONCE:
            return None
        if mode not in _REFUSING:
            self.device.misbehaviour.begin(mode, seconds, options)
            return None
        length = _REFUSAL_S if seconds is None else seconds
        self.device.misbehaviour.begin(mode, length, options)
        return threading.Thread(
            target=self._refuse, args=(mode, length), name=f"{self.device.name} refusal", daemon=True
        ).start

    def _refuse(self, mode: str, seconds: float) -> None:
        with self._refusal:
            with self._lock:
                if self._stopping or self._http is None:
                    return
                self._close()
                # Bound but not listening: the port stays ours, and who connects is refused.
                self._held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.bind((self._host, self._port))
            self.device.misbehaviour.wait_while(mode, seconds if mode == "refuse" else seconds / 2)
            if mode == "reboot":
                self.device.start_over()
            self.start()

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _release_port(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    # --- For the request handler --------------------------------------------------------------------------------

    def count_request(self) -> None:
        with self._counting:
            self._served += 1

    def admin(self, request: Request) -> Response:
        """Answer a request below /_simulator/, which no misbehaviour disturbs."""
        if (request.method, request.path) == ("POST", ADMIN + "misbehave"):
            try:
                return self._admin_misbehave(request.json())
            except (TypeError, ValueError) as error:
                return Response.of_json({"error": str(error)}, 400)
        if (request.method, request.path) == ("GET", ADMIN + "status"):
            status = {
                name: {
                    "address": server.address,
                    "mode": server.device.misbehaviour.mode or "none",
                    "requests_served": server.requests_served,
                    "modes": server.modes(),
                }
                for name, server in self._house.items()
            }
            return Response.of_json(status)
        return Response.of_json(
            {"error": "there are POST /_simulator/misbehave and GET /_simulator/status"}, 404
        )

    def _admin_misbehave(self, asked: Any) -> Response:
        if not isinstance(asked, dict) or not isinstance(asked.get("mode"), str):
            raise ValueError('the body must be {"device": ..., "mode": ..., "seconds": ...}')
        name = asked.get("device", self.device.name)
        if name not in self._house:
            raise ValueError(f"no device {name!r}; there are {', '.join(sorted(self._house))}")
        seconds = asked.get("seconds")
        options = {key: value for key, value in asked.items() if key not in ("device", "mode", "seconds")}
        then = self._house[name]._begin(asked["mode"], None if seconds is None else float(seconds), options)
        return Response(200, b'{"ok": true}', then=then)


class _HttpServer(ThreadingHTTPServer):
    """Knows its connections, so that closing leaves none behind."""

    daemon_threads = False
    listener: threading.Thread

    def __init__(self, address: tuple[str, int], owner: DeviceServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def close(self) -> None:
        self.shutdown()
        self.listener.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # it closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            log.debug("%s: a client went away", self.owner.device.name)
        else:
            log.exception("%s: a request failed", self.owner.device.name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S
    server: _HttpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        log.debug("%s: " + format, self.server.owner.device.name, *args)

    def _serve(self) -> None:
        owner = self.server.owner
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= _MAX_BODY:
            self.close_connection = True
            self._send(Response.of_json({"error": "body too large"}, 413))
            return
        url = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(url.path),
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        if request.path.startswith(ADMIN):
            self._send(owner.admin(request))
            return
        owner.count_request()
        behaviour = owner.device.misbehaviour
        mode = behaviour.mode
        if mode == "hang":
            behaviour.wait_while("hang")
            self.close_connection = True
            return
        if mode == "slow":
            behaviour.wait_while("slow", float(behaviour.option("delay", _SLOW_S)))
        instead = {
            "http_500": Response(500, b"Internal Server Error", "text/plain"),
            "wrong_password": Response(401, b'{"error": "Unauthorized"}'),
            "garbage": Response(200, _GARBAGE),
        }
        response = instead.get(mode) or owner.device.respond(request)
        if mode == "truncated":
            self.close_connection = True
            self._send(response, sent=len(response.body) // 2)
        else:
            self._send(response)

    def _send(self, response: Response, sent: int | None = None) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[:sent])
        self.wfile.flush()
        if response.then is not None:
            response.then()
