"""A real HTTP endpoint for tests, that keeps what it is sent, and can refuse, fail and lose its answers."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Webhook:
    """`received`: headers and body of each request that was taken. `fault`: the next thing to go wrong: a status as text,
    or `lost` (taken, and the answer lost)."""

    port: int = 0
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    """When each of them came, monotonic seconds."""
    fault: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sgmp"

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    state = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault, state.fault = state.fault, ""
            if fault and fault != "lost":
                self.send_response(int(fault))
                self.end_headers()
                return
            state.received.append((dict(self.headers), body))
            state.arrived.append(time.monotonic())
            if fault == "lost":
                self.connection.close()
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
