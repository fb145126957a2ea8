"""Keeps the daemon small on a Pi. To be called before there are threads."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""glibc's <malloc.h>."""


def save_memory() -> None:
    """Let all threads share one heap: glibc gives each one of its own, and one per device is mostly empty."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
