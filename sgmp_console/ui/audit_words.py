"""What an entry of the audit says, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sgmp_console.store.audit import ACTS, KINDS, AuditEntry

NONE = "–"


def act(entry: AuditEntry) -> str:
    return ACTS.get(entry.act, entry.act)


def kind(entry: AuditEntry) -> str:
    return KINDS.get(entry.kind, entry.kind)


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """(what, before, after), nested settings one by one; what is the same in both is left out."""
    before, after = _flat(entry.before or {}), _flat(entry.after or {})
    names = list(dict.fromkeys([*before, *after]))
    return [
        (name, before.get(name, NONE), after.get(name, NONE))
        for name in names
        # A secret that changed is masked in both.
        if before.get(name) != after.get(name) or before.get(name) == "***"
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = (
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            )
    return found
