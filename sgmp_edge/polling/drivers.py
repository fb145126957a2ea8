"""From a device type to its driver, and from a driver's call to one of the known outcomes.

What runs here may be somebody's own class, written after the playbook: nothing that it returns or raises may harm
the daemon or carry a secret out of it.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import logging
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sgmp_edge import contract
from sgmp_edge.common import AT_TICK, DeviceError, NotReady, ReadResult
from sgmp_edge.contract import Outcome, WarningChange, WarningKind
from sgmp_edge.delivery.outbox import Message

log = logging.getLogger(__name__)

MAX_TEXT = 300


class Catalogue:
    """The device types this edge can poll: the map of Main_Publisher.py and the files of `devices/`."""

    def __init__(self, mapped: Mapping[str, type] | None = None) -> None:
        self._mapped = dict(mapped or {})

    def types(self) -> dict[str, contract.DeviceType]:
        """All types by name. One that only the map knows declares no settings and accepts any config."""
        known = dict(contract.device_types())
        for name in self._mapped:
            known.setdefault(name, contract.undeclared_type(name))
        return known

    def driver_class(self, type_name: str) -> type:
        """The class for a type; imported only now, so that a broken file harms only its own type.

        Raises DeviceError if there is no class.
        """
        if type_name in self._mapped:
            return self._mapped[type_name]
        file = contract.device_type_file(type_name)
        if file is None:
            raise DeviceError(f"no driver for the type {type_name!r} on this edge")
        try:
            module = importlib.import_module(f"sgmp_edge.devices.{file.stem}")
        except Exception as error:
            log.exception("The driver %s can't be imported", file.name)
            raise DeviceError(f"the driver {file.name} can't be imported: {type(error).__name__}") from error
        classes = [
            value
            for name, value in vars(module).items()
            if inspect.isclass(value)
            and not name.startswith("_")
            and value.__module__ == module.__name__
            and callable(getattr(value, "read", None))
        ]
        if len(classes) != 1:
            raise DeviceError(
                f"the driver {file.name} must have one public class with read(), has {len(classes)}"
            )
        return classes[0]


class Redactor:
    """Takes the secrets of one device's config out of texts, and makes each one line of bounded length."""

    def __init__(self, kind: contract.DeviceType, config: Mapping[str, Any]) -> None:
        secret = kind.secret_keys() if kind.declared else frozenset(config)
        texts = {text for key in secret for text in _texts(config.get(key)) if len(text) > 2}
        self._texts = sorted({form for text in texts for form in _forms(text)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._texts:
            text = text.replace(secret, "***")
        # What a device sends must not look like lines of the log, or move a terminal's cursor.
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"

    def warning(self, message: Message) -> Message:
        """A message as it is; of a driver's own warning its texts without secrets."""
        if message.kind != "event":
            return message
        body = json.loads(message.payload)
        if body["type"] != contract.WARNING or not isinstance(body["data"], Mapping):
            return message
        data = {key: self(value) if isinstance(value, str) else value for key, value in body["data"].items()}
        return replace(message, payload=encode({**body, "data": data}))


def _forms(secret: str) -> set[str]:
    """A secret as texts, URLs, JSON and HTTP headers write it."""
    encoded = secret.encode("utf-8", "replace")
    # What is the same in base64 whatever stands before it (a user's name) and after it.
    inner = {base64.b64encode(b"x" * skip + encoded).decode()[4:-4] for skip in range(3)}
    return {
        *(secret, quote(secret), quote(secret, safe=""), quote_plus(secret)),
        *(json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]),
        *(part for part in inner if len(part) >= _SHORTEST_BASE64),
    }


_SHORTEST_BASE64 = 8
"""Characters of base64 that are a secret's: fewer may be anything."""


@dataclass(frozen=True)
class CallResult:
    """How a call of a driver ended; `text` says why to the operator, "" if it is ok."""

    outcome: Outcome
    text: str = ""
    messages: list[Message] = field(default_factory=list)
    state: str | None = None
    """The driver's memory as JSON; None if it has none."""
    answer: Mapping[str, Any] | None = None
    """What `act` or `release` returned."""
    left_command: str | None = None
    """After a read: why the device no longer does what it was commanded; None while it does."""
    retry_after_s: float = 0.0
    """After a failure: for how many seconds the device asks to be left alone."""
    took_s: float = 0.0
    """How long the call took."""


def guarded(call: Callable[[], CallResult], redact: Redactor) -> CallResult:
    """Make a call of a driver, whatever it raises."""
    try:
        result = call()
        return replace(
            result,
            messages=[redact.warning(message) for message in result.messages],
            left_command=None if result.left_command is None else redact(result.left_command),
        )
    except DeviceError as error:
        return CallResult(
            Outcome.of(error.outcome),
            redact(_text_of(error)) or type(error).__name__,
            retry_after_s=_seconds(error.retry_after_s),
        )
    except BaseException as error:  # noqa: BLE001 - a bug in somebody's driver, sys.exit() included, is a failed poll
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        text = redact(f"{type(error).__name__} in {where}: {_text_of(error)}")
        log.debug("A driver failed: %s", text)
        return CallResult(Outcome.ERROR, text)


def _seconds(value: object) -> float:
    """What a driver may have set, as a number of seconds; 0 for anything that is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < math.inf else 0.0  # type: ignore[operator,arg-type]


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as again:  # noqa: BLE001 - an exception of somebody's own, which has no readable text
        return f"({type(again).__name__} in its text)"


def read(driver: Any, device: contract.DeviceConfig, timestamp_ms: int) -> CallResult:
    """Read a device once; `timestamp_ms` is for readings that carry none. Raises whatever the driver raises."""
    result = _outcome(driver, device, timestamp_ms, driver.read())
    ask = getattr(driver, "left_command", None)
    left = ask() if callable(ask) else None
    return replace(result, left_command=str(left)[:MAX_TEXT]) if left else result


def recover(driver: Any, device: contract.DeviceConfig, start_ms: int, end_ms: int) -> CallResult:
    """Ask a device for what it has recorded itself of a gap. Raises whatever the driver raises."""
    return _outcome(driver, device, start_ms, driver.recover(start_ms, end_ms))


def act(driver: Any, data: Mapping[str, Any]) -> CallResult:
    """Have a driver carry out a command. Raises whatever the driver raises."""
    if not callable(getattr(driver, "act", None)):
        raise DeviceError("devices of this type can't be commanded")
    return CallResult(Outcome.OK, answer=_answer(driver.act(dict(data))))


def can_release(driver: Any) -> bool:
    return callable(getattr(driver, "release", None))


def release(driver: Any) -> CallResult:
    """Have a driver undo its commands. Raises whatever the driver raises."""
    return CallResult(Outcome.OK, answer=_answer(driver.release()))


def _answer(value: Any) -> Mapping[str, Any] | None:
    """A driver's answer as plain JSON data; None if it gave none, or more than the broker takes."""
    if not isinstance(value, Mapping):
        return None
    text = encode(value)
    if len(text) > contract.MAX_READING_BYTES:
        log.warning("A driver's answer of %d KB is left out of the result", len(text) // 1024)
        return None
    plain: dict[str, Any] = json.loads(text)
    return plain


def _outcome(driver: Any, device: contract.DeviceConfig, timestamp_ms: int, result: Any) -> CallResult:
    messages = messages_of(device, timestamp_ms, result)
    return CallResult(Outcome.OK, messages=messages, state=state_of(driver))


def messages_of(device: contract.DeviceConfig, timestamp_ms: int, result: Any) -> list[Message]:
    """What a `read()` returned, as messages: a mapping is one row; else see ReadResult.

    Raises NotReady for None, DeviceError for anything that is neither.
    """
    if result is None:
        raise NotReady("read() returned nothing")
    if isinstance(result, Mapping):
        return [_message(device, timestamp_ms, "data", result)] if result else []
    if not isinstance(result, ReadResult):
        raise DeviceError(f"read() must return a dict or a ReadResult, not {type(result).__name__}")
    messages = []
    for reading in result.readings or []:
        if not isinstance(reading.data, Mapping):
            raise DeviceError(f"the data of a Reading must be a dict, not {type(reading.data).__name__}")
        at = _milliseconds(reading.timestamp, timestamp_ms)
        messages.append(_message(device, at, "data", reading.data))
    for event in result.events or []:
        if not isinstance(event.type, str) or not event.type:
            raise DeviceError("an Event needs a type")
        data = event.data if event.data is not None else {}
        if event.type == contract.WARNING and isinstance(data, Mapping):
            data = {
                "kind": WarningKind.DRIVER,
                "change": WarningChange.NOTICE,
                "condition": None,
                **data,
            }
        body = {"type": event.type, "data": data}
        messages.append(_message(device, _milliseconds(event.timestamp, timestamp_ms), "event", body))
    return messages


def state_of(driver: Any) -> str | None:
    """A driver's memory as JSON text; None if it has none. Raises DeviceError if it can't be written."""
    if not callable(getattr(driver, "state", None)):
        return None
    try:
        return json.dumps(driver.state(), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DeviceError(
            f"state() returned something that JSON can't carry: {type(error).__name__}"
        ) from error


def event_message(
    device_id: int, name: str, timestamp_ms: int, kind: str, data: Mapping[str, Any]
) -> Message:
    """An event as a message."""
    return Message(device_id, name, timestamp_ms, "event", encode({"type": kind, "data": data}))


def encode(body: Mapping[str, Any]) -> bytes:
    """Compact JSON. What JSON has no number for (NaN, infinities) becomes null.

    Raises DeviceError for what is not data.
    """
    try:
        try:
            text = json.dumps(
                body, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
            )
        except ValueError:
            cleaned = _finite(body)
            text = json.dumps(
                cleaned, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
            )
        return text.encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        raise DeviceError(f"the data can't be written as JSON: {type(error).__name__}") from error


def _message(device: contract.DeviceConfig, timestamp_ms: int, kind: str, body: Mapping[str, Any]) -> Message:
    payload = encode(body)
    if len(payload) > contract.MAX_READING_BYTES:
        limit = contract.MAX_READING_BYTES // 1024
        raise DeviceError(f"a reading of {len(payload) // 1024} KB; the broker takes {limit} KB")
    return Message(device.device_id, device.name, timestamp_ms, kind, payload)


def _milliseconds(timestamp: Any, tick_ms: int) -> int:
    """A driver's timestamp as UTC milliseconds, `tick_ms` for AT_TICK."""
    try:
        milliseconds = int(timestamp)
    except (TypeError, ValueError, OverflowError):
        raise DeviceError("a timestamp must be a number of milliseconds") from None
    if not 0 <= milliseconds < 10**15:
        raise DeviceError("a timestamp is out of range; it must be UTC milliseconds")
    return tick_ms if milliseconds == AT_TICK else milliseconds


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(type(value).__name__)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in _texts(each)]
    return []
