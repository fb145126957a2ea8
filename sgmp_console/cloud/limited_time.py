"""A bound in time for a whole exchange: the time-out of a socket begins again with each byte that comes."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any


class _Limited:
    """Of a socket: `ends` (monotonic seconds) is when receiving ends with a TimeoutError, `step_s` after how long without a
    byte; None until they are set."""

    ends: float | None = None
    step_s: float | None = None

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        if self.ends is not None:
            left = self.ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(left if self.step_s is None else min(left, self.step_s))  # type: ignore[attr-defined]
        return super().recv_into(*arguments, **options)  # type: ignore[misc,no-any-return]


class _Socket(_Limited, socket.socket):
    pass


class _TlsSocket(_Limited, ssl.SSLSocket):
    pass


def limited(connected: socket.socket, ends: float) -> socket.socket:
    """The same connection with a bound; `connected` must not be used any more. One over TLS is of `tls_context`."""
    if isinstance(connected, _TlsSocket):
        bounded: _Socket | _TlsSocket = connected
        step_s = connected.gettimeout()
    else:
        step_s = connected.gettimeout()
        bounded = _Socket(fileno=connected.detach())
        bounded.settimeout(step_s)
    bounded.ends, bounded.step_s = ends, step_s
    return bounded


def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """Trusts the system's authorities, or that of a PEM file."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.sslsocket_class = _TlsSocket
    return context
