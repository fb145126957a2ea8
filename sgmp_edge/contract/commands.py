"""Probes and commands: what the console asks of an edge beside its configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .configuration import parse_device
from .declarations import DeviceType, device_types
from .json_text import parse_json
from .vocabulary import ContractError

LONGEST_TTL_S = 3600
"""A setpoint that shall hold longer is sent again before it lapses."""
MAX_REQUEST_LENGTH = 64


@dataclass(frozen=True)
class Probe:
    """A wish to read a device once without adopting it. `config` may hold secrets."""

    request: str
    type: str
    config: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Probe(request={self.request!r}, type={self.type!r}, config=...)"


@dataclass(frozen=True)
class Command:
    """What `act` is to do, and for how long.

    `ttl_s`: seconds from its arrival until it is undone. `issued_ms` (UTC): a command that is older than its
    time-to-live when it arrives is not carried out. `undo`: what `act` gets to undo it, for a driver without
    `release`.
    """

    request: str
    data: Mapping[str, Any]
    ttl_s: float
    issued_ms: int | None = None
    undo: Mapping[str, Any] | None = None


def dump_probe(probe: Probe) -> bytes:
    """`{"request", "device": {"type", "config"}}`, for the probe topic."""
    body = {"request": probe.request, "device": {"type": probe.type, "config": dict(probe.config)}}
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")


def parse_probe(payload: bytes, types: Mapping[str, DeviceType] | None = None) -> Probe:
    """Raises ContractError, without config values."""
    body = _object(payload, "the probe")
    device = body.get("device")
    if not isinstance(device, dict):
        raise ContractError("`device` must be an object with `type` and `config`")
    row = {"device_id": 1, "name": "probe", "type": device.get("type"), "config": device.get("config")}
    checked = parse_device(row, 0, device_types() if types is None else types)
    return Probe(_request(body), checked.type, checked.config)


def dump_command(command: Command) -> bytes:
    """`{"request", "data", "ttl_s", "issued_ms", "undo"}`, for the control topic."""
    body = {"request": command.request, "data": dict(command.data), "ttl_s": command.ttl_s}
    if command.issued_ms is not None:
        body["issued_ms"] = command.issued_ms
    if command.undo is not None:
        body["undo"] = dict(command.undo)
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")


def parse_command(payload: bytes) -> Command:
    """Raises ContractError."""
    body = _object(payload, "the command")
    data, ttl, issued, undo = (body.get(key) for key in ("data", "ttl_s", "issued_ms", "undo"))
    if not isinstance(data, dict) or not data:
        raise ContractError("`data` must be an object that says what to do")
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not 1 <= ttl <= LONGEST_TTL_S:
        raise ContractError(f"`ttl_s` must be a number of seconds from 1 to {LONGEST_TTL_S}")
    if issued is not None and (isinstance(issued, bool) or not isinstance(issued, int) or issued < 0):
        raise ContractError("`issued_ms` must be a whole number of milliseconds")
    if undo is not None and not isinstance(undo, dict):
        raise ContractError("`undo` must be an object")
    return Command(_request(body), data, float(ttl), issued, undo)


def request_of(payload: bytes) -> str:
    """The `request` of a probe or command, to answer one that is otherwise wrong; "" where it can't be read."""
    try:
        return _request(_object(payload, "the message"))
    except ContractError:
        return ""


def _object(payload: bytes, what: str) -> dict[str, Any]:
    body = parse_json(payload, f"{what} is")
    if not isinstance(body, dict):
        raise ContractError(f"{what} must be a JSON object")
    return body


def _request(body: Mapping[str, Any]) -> str:
    request = body.get("request")
    if not isinstance(request, str) or not re.fullmatch(r"[\x21-\x7e]{1,64}", request):
        raise ContractError(
            f"`request` must be a text of 1 to {MAX_REQUEST_LENGTH} characters, its answer's name"
        )
    return request
