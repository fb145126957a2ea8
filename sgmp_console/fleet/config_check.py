"""The answer of `check config`: whether an edge would take a document, or a device type a config. Shows no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sgmp_edge import contract


def check_document(payload: bytes) -> dict[str, Any]:
    """Of the document that is pushed to a house, in either form: `ok`, `error`, `version`, `sha256`, `devices`."""
    try:
        document = contract.parse_config(payload)
    except contract.ContractError as error:
        return {"ok": False, "error": str(error)}
    devices = [{"device_id": one.device_id, "name": one.name, "type": one.type} for one in document.devices]
    return {
        "ok": True,
        "error": None,
        "version": document.version,
        "sha256": document.sha256,
        "devices": devices,
    }


def check_device(payload: bytes, type_name: str) -> dict[str, Any]:
    """Of one device's config: `ok`, `error` (no JSON, no such type), `problems` [{"setting", "code", "message"}]."""
    types = contract.device_types()
    if type_name not in types:
        known = ", ".join(sorted(types))
        return {
            "ok": False,
            "error": f"there is no device type {type_name}; there are {known}",
            "problems": [],
        }
    try:
        config = contract.parse_json(
            payload.decode(json.detect_encoding(payload), "replace"), "the config is"
        )
    except contract.ContractError as error:
        return {"ok": False, "error": str(error), "problems": []}
    problems = [
        {"setting": problem.key, "code": problem.code, "message": problem.message}
        for problem in types[type_name].problems(config)
    ]
    return {"ok": not problems, "error": None, "problems": problems}


def as_text(result: Mapping[str, Any]) -> str:
    """For people."""
    if result["error"]:
        return f"This can't be used: {result['error']}."
    if not result["ok"]:
        lines = (f"  {one['setting'] or 'the config'} {one['message']}" for one in result["problems"])
        return "\n".join(("This config can't be used:", *lines))
    if "devices" not in result:
        return "The config is in order."
    version = f"version {result['version']}, " if result["version"] else ""
    lines = (f"  {one['device_id']}  {one['name']} ({one['type']})" for one in result["devices"])
    count = len(result["devices"])
    return "\n".join((f"In order: {version}{count} device{'' if count == 1 else 's'}", *lines))
