"""Device types and their settings, as the drivers declare them: read from their files, which are not run."""

from __future__ import annotations

import ast
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .addresses import certificate_sha256, is_host, url_problem
from .codes import ProblemCode
from .vocabulary import ContractError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConfigField:
    """One setting of a device type, as the console's form and both validations need it."""

    key: str
    title: str
    help: str
    kind: str  # one of FIELD_KINDS
    required: bool
    secret: bool
    default: Any
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None


FIELD_KINDS = ("text", "host", "url", "fingerprint", "integer", "number", "boolean", "choice", "text_list")
COMMON_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "interval": {
        "title": "Poll interval (s)",
        "kind": "number",
        "minimum": 1,
        "maximum": 3600,
        "help": "Seconds between two reads; without it, that of the house.",
    },
    "scheme": {
        "title": "Protocol",
        "kind": "choice",
        "choices": ["http", "https"],
        "default": "http",
        "help": "`https` for a device that answers encrypted requests only.",
    },
    "certificate_sha256": {
        "title": "Certificate fingerprint",
        "kind": "fingerprint",
        "help": "With https: the SHA-256 fingerprint of the device's certificate, where no public authority signed it.",
    },
}
"""Settings that several types have. A type that declares one of them without a `kind` means this one, with what it
declares beside it."""

TEXT_KINDS = ("text", "host", "url", "fingerprint", "choice")
"""Whose value is a text."""


@dataclass(frozen=True)
class ConfigProblem:
    """`key` is the setting at fault ("" for the whole config), `message` what is said of it: "must be a number". The
    text never holds the setting's value."""

    key: str
    code: ProblemCode
    message: str

    def __str__(self) -> str:
        return f"`{self.key}` {self.message}" if self.key else f"the config {self.message}"


@dataclass(frozen=True)
class DeviceType:
    name: str
    title: str
    fields: tuple[ConfigField, ...]
    example: Mapping[str, Any]
    units: Mapping[str, str]
    """Regular expression over a whole field path -> unit; the first match counts."""
    declared: bool = True
    """False: only the map of Main_Publisher.py knows it, so any JSON object is a config."""

    def unit_of(self, field: str) -> str:
        """The unit of one of the type's fields; "" where it has none or it is not known."""
        return next((unit for pattern, unit in self.units.items() if re.fullmatch(pattern, field)), "")

    def field(self, key: str) -> ConfigField | None:
        """The setting of that name; None if the type has none."""
        return next((field for field in self.fields if field.key == key), None)

    def secret_keys(self) -> frozenset[str]:
        return frozenset(field.key for field in self.fields if field.secret)

    def problems(self, config: Any) -> list[ConfigProblem]:
        """Everything wrong with a config; empty if it can be used. Unknown keys are wrong, too: they are typos."""
        if not isinstance(config, Mapping):
            return [ConfigProblem("", ProblemCode.NOT_AN_OBJECT, "must be a JSON object")]
        if not self.declared:
            return []
        known = {field.key: field for field in self.fields}
        problems = [
            ConfigProblem(
                str(key)[:80],
                ProblemCode.UNKNOWN_SETTING,
                f"is not a setting of a {self.name}, which has {', '.join(known)}",
            )
            for key in config
            if key not in known
        ]
        for field in self.fields:
            if field.key not in config:
                if field.required:
                    problems.append(ConfigProblem(field.key, ProblemCode.MISSING, "is missing"))
                continue
            problem = _value_problem(field, config[field.key])
            if problem is not None:
                problems.append(ConfigProblem(field.key, *problem))
        return problems


def device_types() -> Mapping[str, DeviceType]:
    """All device types by name: of the drivers in `devices/`, and of the map in Main_Publisher.py."""
    types = {name: found.kind for name, found in _declared_types(DRIVER_FOLDER).items()}
    for name in _mapped_types(PROGRAM_FILE):
        types.setdefault(name, undeclared_type(name))
    return types


def type_title(name: str) -> str:
    """What operators call a device type; its name where this program has no such type."""
    known = device_types().get(name)
    return known.title if known else name


def device_type_file(name: str) -> Path | None:
    """The driver's file of a device type; None if there is none."""
    found = _declared_types(DRIVER_FOLDER).get(name)
    return found.file if found else None


def undeclared_type(name: str) -> DeviceType:
    """A device type of which nothing is known but its name."""
    return DeviceType(name=name, title=name, fields=(), example={}, units={}, declared=False)


EDGE_FOLDER = Path(__file__).resolve().parents[1]
"""The edge's code, which can be copied as it is."""
DRIVER_FOLDER = EDGE_FOLDER / "devices"
PROGRAM_FILE = EDGE_FOLDER / "Main_Publisher.py"


@dataclass(frozen=True)
class _Declared:
    kind: DeviceType
    file: Path


@cache
def _declared_types(folder: Path) -> Mapping[str, _Declared]:
    found: dict[str, _Declared] = {}
    for file in sorted(folder.glob("[!_]*.py")):
        try:
            declared = _declaration(file)
        except (SyntaxError, ValueError, TypeError, AttributeError, OSError) as error:
            # Somebody's own file: it must not take the other types with it.
            log.error("The device type in %s can't be used: %s", file.name, error)
            continue
        if declared is not None and declared.name in found:
            log.error(
                "%s declares the type %s again; %s counts",
                file.name,
                declared.name,
                found[declared.name].file,
            )
        elif declared is not None:
            found[declared.name] = _Declared(declared, file)
    return found


@cache
def _mapped_types(file: Path) -> tuple[str, ...]:
    """The names in the map `DEVICE_TYPES` of the program, which is read, not run: its classes are for the edge."""
    try:
        statements = ast.parse(file.read_text("utf-8"), str(file)).body
    except (SyntaxError, ValueError, OSError) as error:
        # Somebody edited it; on an edge it would not even start.
        log.error("%s can't be read for device types: %s: %s", file.name, type(error).__name__, error)
        return ()
    for statement in statements:
        if isinstance(statement, ast.AnnAssign):
            targets: list[ast.expr] = [statement.target]
        elif isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            continue
        named = any(isinstance(target, ast.Name) and target.id == "DEVICE_TYPES" for target in targets)
        if named and isinstance(statement.value, ast.Dict):
            keys = (key.value for key in statement.value.keys if isinstance(key, ast.Constant))
            return tuple(key for key in keys if isinstance(key, str))
    return ()


def _declaration(file: Path) -> DeviceType | None:
    """The literal `DEVICE_TYPE` of a driver's file; None if it has none."""
    for statement in ast.parse(file.read_text("utf-8"), str(file)).body:
        if isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names = [statement.target.id]
        else:
            continue
        if "DEVICE_TYPE" in names and statement.value is not None:
            return device_type(ast.literal_eval(statement.value))
    return None


def device_type(declared: Mapping[str, Any]) -> DeviceType:
    """The typed form of a driver's `DEVICE_TYPE` literal.

    `{"name", "title", "fields": {key: {"title", "kind", "help", "required", "secret", "default", "choices",
    "minimum", "maximum"}}, "example": {...}, "units": {field pattern: unit}}`; `example` and `units` may be left out; in a
    field only title and kind are required, and not even these in one of COMMON_FIELDS. Raises ContractError.
    """
    _require(declared, ("name", "title", "fields"), "DEVICE_TYPE")
    fields = []
    for key, own in declared["fields"].items():
        spec = own if "kind" in own else {**COMMON_FIELDS.get(key, {}), **own}
        _require(spec, ("title", "kind"), f"its field {key}")
        if spec["kind"] not in FIELD_KINDS:
            raise ContractError(
                f"the kind {spec['kind']!r} of its field {key} is not one of {', '.join(FIELD_KINDS)}"
            )
        fields.append(
            ConfigField(
                key=key,
                title=spec["title"],
                help=spec.get("help", ""),
                kind=spec["kind"],
                required=spec.get("required", False),
                secret=spec.get("secret", False),
                default=spec.get("default"),
                choices=tuple(spec.get("choices", ())),
                minimum=spec.get("minimum"),
                maximum=spec.get("maximum"),
            )
        )
    return DeviceType(
        name=declared["name"],
        title=declared["title"],
        fields=tuple(fields),
        example=declared.get("example", {}),
        units=declared.get("units", {}),
    )


def _require(declared: Mapping[str, Any], keys: tuple[str, ...], what: str) -> None:
    if absent := [key for key in keys if key not in declared]:
        raise ContractError(f"{what} has no {' and no '.join(absent)}")


def _value_problem(field: ConfigField, value: Any) -> tuple[ProblemCode, str] | None:
    kind = field.kind
    if kind in TEXT_KINDS:
        return _text_problem(field, value)
    if kind == "boolean":
        return None if isinstance(value, bool) else (ProblemCode.WRONG_TYPE, "must be true or false")
    if kind == "text_list":
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            return ProblemCode.WRONG_TYPE, "must be a list of texts"
        if not all(map(_can_be_stored, value)):
            return ProblemCode.WRONG_FORM, _NOT_STORABLE
        return (ProblemCode.EMPTY, "must not be empty") if field.required and not value else None
    is_number = isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:  # nor NaN, which JSON does not have
        return ProblemCode.WRONG_TYPE, ("must be a whole number" if kind == "integer" else "must be a number")
    if field.minimum is not None and value < field.minimum:
        return ProblemCode.TOO_SMALL, f"must be at least {field.minimum:g}"
    if field.maximum is not None and value > field.maximum:
        return ProblemCode.TOO_LARGE, f"must be at most {field.maximum:g}"
    return None


_NOT_STORABLE = "holds a character that can't be stored (NUL, or half of a pair)"


def _can_be_stored(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _text_problem(field: ConfigField, value: Any) -> tuple[ProblemCode, str] | None:
    if not isinstance(value, str):
        return ProblemCode.WRONG_TYPE, "must be a text in quotes"
    if not _can_be_stored(value):
        return ProblemCode.WRONG_FORM, _NOT_STORABLE
    if field.required and not value.strip():
        return ProblemCode.EMPTY, "must not be empty"
    if field.kind == "host" and not is_host(value):
        return (
            ProblemCode.WRONG_FORM,
            "must be an IP address or host name, with a port if it needs one (192.168.1.20 or meter:8080)",
        )
    if field.kind == "url" and (problem := url_problem(value)):
        return ProblemCode.WRONG_FORM, problem
    if field.kind == "fingerprint" and value and certificate_sha256(value) is None:
        return (
            ProblemCode.WRONG_FORM,
            "must be a SHA-256 fingerprint of 64 hexadecimal digits (openssl x509 -noout -fingerprint -sha256)",
        )
    if field.kind == "choice" and value not in field.choices:
        return ProblemCode.NOT_A_CHOICE, f"must be one of {', '.join(field.choices)}"
    return None
