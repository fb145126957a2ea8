"""The document that says which devices an edge polls."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .codes import RejectionCode
from .declarations import DeviceType, device_types
from .json_text import parse_json
from .vocabulary import ContractError, name_problem


@dataclass(frozen=True)
class DeviceConfig:
    """One device that an edge polls. `config` may hold secrets: never log or format it."""

    device_id: int
    name: str
    type: str
    config: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"DeviceConfig(device_id={self.device_id}, name={self.name!r}, type={self.type!r}, config=...)"


@dataclass(frozen=True)
class ConfigDocument:
    """What a house's edge should poll. `version` is None for the bare list of old."""

    version: int | None
    sha256: str
    devices: tuple[DeviceConfig, ...]


def devices_sha256(devices: Sequence[DeviceConfig]) -> str:
    """The fingerprint both sides compare: SHA-256 of the canonical JSON of the device list, in order of id."""
    rows = [_device_row(device) for device in sorted(devices, key=lambda d: d.device_id)]
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def dump_config(version: int, devices: Sequence[DeviceConfig]) -> bytes:
    """The versioned document, as published retained on the config topic."""
    document = {
        "version": version,
        "sha256": devices_sha256(devices),
        "devices": [_device_row(device) for device in sorted(devices, key=lambda d: d.device_id)],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")


def parse_config(payload: bytes, types: Mapping[str, DeviceType] | None = None) -> ConfigDocument:
    """Read either form of the document and check it whole, device types and their configs included.

    `types`: the device types that count, if not `device_types()`. Raises ContractError naming the first thing wrong;
    its text never holds a config value.
    """
    document = parse_json(payload, "the document is")
    version: int | None = None
    promised: str | None = None
    rows = document
    if isinstance(document, dict):
        version, promised, rows = document.get("version"), document.get("sha256"), document.get("devices")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ContractError("`version` must be a whole number from 1")
    if not isinstance(rows, list):
        raise ContractError("the devices must be a list")
    known = device_types() if types is None else types
    devices = tuple(parse_device(row, index, known) for index, row in enumerate(rows))
    for what in ("name", "device_id"):
        value, count = (
            Counter(getattr(device, what) for device in devices).most_common(1)[0] if devices else ("", 0)
        )
        if count > 1:
            raise ContractError(f"two devices have the {what} {value!r}", RejectionCode.DUPLICATE)
    try:
        sha256 = devices_sha256(devices)
    except ValueError:  # 1e999, or half of a UTF-16 pair: readable JSON, but not writable
        raise ContractError("a device's config holds a number or text that JSON can't carry") from None
    if promised is not None and promised != sha256:
        raise ContractError(
            "`sha256` does not match the devices: the document was changed on its way", RejectionCode.CHANGED
        )
    return ConfigDocument(version, sha256, devices)


def _device_row(device: DeviceConfig) -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "name": device.name,
        "type": device.type,
        "config": dict(device.config),
    }


def parse_device(row: Any, index: int, types: Mapping[str, DeviceType]) -> DeviceConfig:
    """One row of the document, the `index`th from 0. Raises ContractError."""
    if not isinstance(row, dict):
        raise ContractError(f"device {index + 1} is not an object")
    device_id, name, type_name, config = (row.get(key) for key in ("device_id", "name", "type", "config"))
    if not isinstance(device_id, int) or isinstance(device_id, bool) or device_id < 1:
        raise ContractError(f"device {index + 1}: `device_id` must be a whole number from 1")
    if not isinstance(name, str):
        raise ContractError(f"device {index + 1}: `name` must be a text")
    problem = name_problem(name)
    if problem:
        raise ContractError(f"device {index + 1}: {problem}", RejectionCode.WRONG_NAME, device=name)
    if not isinstance(type_name, str) or type_name not in types:
        known = ", ".join(sorted(types))
        raise ContractError(
            f"device {name}: unknown type {str(type_name)[:40]!r}; known are {known}",
            RejectionCode.UNKNOWN_TYPE,
            device=name,
        )
    problems = types[type_name].problems(config)
    if problems or not isinstance(config, dict):
        first = problems[0]
        raise ContractError(
            f"device {name}: {first}",
            RejectionCode.WRONG_SETTING,
            device=name,
            setting=first.key,
            problem=first.code,
        )
    return DeviceConfig(device_id, name, type_name, config)
