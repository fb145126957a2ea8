"""A way to the database on which one commit is lost, before it arrives or on the way back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


class CommitCutter:
    """Forwards to a PostgreSQL server. `fault`: what becomes of the next COMMIT: `dropped`, `lost` (its answer),
    or `gone` (its answer, and the way to the server from then on)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        where = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{where}"))
        self.address = urlunsplit(parts._replace(netloc=where))
        self.fault = ""
        self._threads = [threading.Thread(target=self._accept, name="commit-cutter")]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()  # also where it is closed already
        for one in self._sockets:
            _end(one)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            losing = threading.Event()
            for target in ((self._requests, client, server, losing), (self._answers, server, client, losing)):
                thread = threading.Thread(target=target[0], args=target[1:], name="commit-cutter")
                self._threads.append(thread)
                thread.start()

    def _requests(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        for data in _received(client):
            if self.fault and b"COMMIT" in data:
                fault, self.fault = self.fault, ""
                if fault == "dropped":
                    break
                losing.set()
                if fault == "gone":
                    self._listener.shutdown(socket.SHUT_RDWR)
                    self._listener.close()
            with contextlib.suppress(OSError):
                server.sendall(data)
        _end(client)
        _end(server)

    def _answers(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        for data in _received(server):
            if losing.is_set():
                break  # committed: the server has answered
            with contextlib.suppress(OSError):
                client.sendall(data)
        _end(server)
        _end(client)


def _received(connection: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            data = connection.recv(65536)
        except OSError:
            return
        if not data:
            return
        yield data


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(url: str) -> Iterator[CommitCutter]:
    cutter = CommitCutter(url)
    try:
        yield cutter
    finally:
        cutter.close()
