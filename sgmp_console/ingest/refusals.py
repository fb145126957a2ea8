"""A house that floods is refused by Mosquitto for a while, so that others don't wait behind what it sends.

The broker has one queue for ingest and no limit of its own on how fast a client publishes. Its access list can refuse one
house; it is read again on SIGHUP and holds for connections that are open. An edge that is refused keeps its messages.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgmp_console.files import write_atomic
from sgmp_console.ingest.inbox import house_of_sender
from sgmp_edge import contract

_log = logging.getLogger(__name__)

_FIRST_S = 300.0
_LONGEST_S = 6 * 3600.0
"""A house that floods again soon after is refused for twice as long as before, up to this."""

_SOON_S = 3600.0
_RELOAD_TIMEOUT_S = 10.0
_BEGIN = "# Houses that flood; ingest keeps what follows.\n"


@dataclass(frozen=True)
class _Refusal:
    """`end`: monotonic seconds."""

    end: float
    length_s: float


class Refusals:
    """Keeps the end of the broker's access list. `access_list` None: nobody is refused."""

    def __init__(self, deployment: str, access_list: Path | None, reload: Sequence[str] = ()) -> None:
        """`reload`: the command that makes the broker read the list again; empty where something else does."""
        self._deployment = deployment
        self._access_list = access_list
        self._reload = list(reload)
        self._known: dict[str, _Refusal] = {}
        self._written: frozenset[str] | None = None

    def look(self, flooding: Collection[str]) -> list[str]:
        """Refuse these clients, and no longer those whose time is over. Returns who is refused now."""
        if self._access_list is None:
            return []
        now = time.monotonic()
        for sender in flooding:
            before = self._known.get(sender)
            if house_of_sender(self._deployment, sender) is None or (before and before.end > now):
                continue
            again = before is not None and now - before.end < _SOON_S
            length_s = min(2 * before.length_s, _LONGEST_S) if before and again else _FIRST_S
            self._known[sender] = _Refusal(now + length_s, length_s)
            _log.error("%s floods: the broker refuses what it publishes for %.0f s", sender, length_s)
        refused = frozenset(sender for sender, one in self._known.items() if one.end > now)
        if refused != self._written:
            try:
                self._write(self._access_list, refused)
                self._written = refused
            except (OSError, UnicodeDecodeError, subprocess.SubprocessError) as error:
                _log.error("the broker's access list %s can't be changed: %s", self._access_list, error)
        return sorted(refused)

    def _write(self, access_list: Path, refused: frozenset[str]) -> None:
        before = access_list.read_text("utf-8")
        lines = "".join(
            f"user {sender}\ntopic deny {contract.read_filter(self._deployment, sender)}\n"
            for sender in sorted(refused)
        )
        after = before.partition(_BEGIN)[0] + (_BEGIN + lines if lines else "")
        if after == before:
            return
        write_atomic(access_list, after.encode(), mode=access_list.stat().st_mode & 0o777)
        if self._reload:
            subprocess.run(
                self._reload,
                check=True,
                capture_output=True,
                timeout=_RELOAD_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
