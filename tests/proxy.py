"""A TCP proxy on loopback with which a test cuts the wire, or one direction of it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

_LOOPBACK = "127.0.0.1"


class Proxy:
    """Forwards `port` to `target_port`.

    `cut()` ends all connections and refuses new ones until `mend()`. `mute()` goes on delivering to clients, but
    nothing that they say.
    """

    def __init__(self, target_port: int) -> None:
        self._target = (_LOOPBACK, target_port)
        self._listener = socket.create_server((_LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._whole = True
        self._muted = False
        self._closed = False
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="test-proxy")
        self._thread.start()

    def cut(self) -> None:
        with self._lock:
            self._whole = False
            for pair in self._pairs:
                self._end(*pair)
            self._pairs.clear()

    def mend(self) -> None:
        with self._lock:
            self._whole, self._muted = True, False

    def mute(self) -> None:
        with self._lock:
            self._muted = True

    def close(self) -> None:
        self.cut()
        self._closed = True
        with contextlib.suppress(OSError), socket.create_connection((_LOOPBACK, self.port), 5):
            self._thread.join(5)
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    else:
                        self._forward(*key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._whole or self._closed:
            client.close()
            return
        try:
            server = socket.create_connection(self._target, 5)
        except OSError:
            client.close()
            return
        self._pairs.append((client, server))
        self._selector.register(client, selectors.EVENT_READ, (client, server, True))
        self._selector.register(server, selectors.EVENT_READ, (server, client, False))

    def _forward(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        if source.fileno() < 0:
            return
        try:
            data = source.recv(65536)
            if data and not (from_client and self._muted):
                sink.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(source, sink)

    def _end(self, *sockets: socket.socket) -> None:
        for one in sockets:
            if one.fileno() >= 0:
                self._selector.unregister(one)
                one.close()


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
