"""Bearer tokens of the simulated devices."""

from __future__ import annotations

import secrets
import time
from threading import Lock


class Tokens:
    """Tokens a device has issued; each is good for `lifetime_s` of real time."""

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._good_until: dict[str, float] = {}
        self._lock = Lock()

    def issue(self) -> str:
        now = time.monotonic()
        token = ".".join(secrets.token_urlsafe(length) for length in (12, 48, 32))
        with self._lock:
            self._good_until = {known: end for known, end in self._good_until.items() if end > now}
            self._good_until[token] = now + self._lifetime_s
        return token

    def accepts(self, authorization: str) -> bool:
        """Whether a header `Authorization: Bearer ...` holds a good token."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            return scheme.lower() == "bearer" and self._good_until.get(token.strip(), 0.0) > time.monotonic()

    def forget(self) -> None:
        with self._lock:
            self._good_until.clear()
