"""Keeps the daemon small on a Pi. To be called before there are threads."""

from __future__ import annotations

import ctypes
import importlib
import sys
import warnings
from typing import Any

_M_ARENA_MAX = -8
"""glibc's <malloc.h>."""


def save_memory() -> None:
    """Saves what the daemon's 45 MB have no room for."""
    # glibc gives each thread a heap of its own, and one per device is mostly empty: let all share one.
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
    _import_requests()


def _import_requests() -> None:
    """Import requests without the tables by which it guesses encodings (3 MB): no driver needs a guess.

    WORKAROUND (no upstream report): it has no setting for that, but does without tables that are not installed, with a
    warning. They stay available to a driver that imports them itself.
    """
    absent: dict[str, Any] = {"charset_normalizer": None}
    if not {"requests", *absent} & sys.modules.keys():
        sys.modules.update(absent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("requests")
        del sys.modules["charset_normalizer"]
