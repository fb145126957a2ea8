"""What a driver reports about its device beside readings: each fault once, however often it comes and goes."""

from __future__ import annotations

import time
from collections.abc import Mapping

_FORGOTTEN_AFTER_S = 3600.0
"""A fault that was gone for so long is reported again when it comes back."""


class Notices:
    """Faults by a key of the driver's own."""

    def __init__(self) -> None:
        self._last_active: dict[str, float] = {}

    def new(self, faults: Mapping[str, str]) -> list[str]:
        """The texts of those faults of this poll that were not reported lately."""
        now = time.monotonic()
        self._last_active = {
            key: at for key, at in self._last_active.items() if now - at < _FORGOTTEN_AFTER_S
        }
        texts = [text for key, text in faults.items() if key not in self._last_active]
        self._last_active.update(dict.fromkeys(faults, now))
        return texts
