"""Notifications to systemd: the daemon is ready, alive, stopping."""

from __future__ import annotations

import os
import socket
import time

WATCHDOG_S = 120
"""The unit's WatchdogSec."""


class Notifier:
    """Notifies systemd that the daemon is ready and alive; does nothing where it was not started by systemd."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        interval = os.environ.get("WATCHDOG_USEC", "")
        self._every_s = int(interval) / 3_000_000 if interval.isdigit() else 0.0
        self._next = 0.0

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """To be called often; notifies systemd as often as it asks for."""
        if self._every_s and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(text.encode(), self._address)
        except OSError:
            # systemd restarted or the socket is gone; without notifications it restarts us, which is what it is for.
            self._address = ""
