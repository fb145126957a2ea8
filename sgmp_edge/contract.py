"""What edge and console agree on: topics, payloads, and the device types with their config schemas.

Standard library only: the console imports this module and nothing else of the edge. A device type is declared
once, in its driver's file under `devices/`, as a module-level literal `DEVICE_TYPE = {...}`; it is read here
without importing the driver, so a file dropped into that folder appears in the console's dialog and on the Pi.
"""

from __future__ import annotations

import ast
import hashlib
import ipaddress
import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

DEFAULT_DEPLOYMENT = "sgmp"

EDGE_DEVICE_ID = 0
EDGE_DEVICE_NAME = "_edge"
"""The device name under which an edge reports about itself; no device can have it."""

EV_START_CHARGING = "EV_START_CHARGING"
EV_END_CHARGING = "EV_END_CHARGING"
WARNING = "WARNING"
CONFIG_APPLIED = "CONFIG_APPLIED"
CONFIG_REJECTED = "CONFIG_REJECTED"
EDGE_STATUS = "EDGE_STATUS"
COMMAND_RESULT = "COMMAND_RESULT"
PROBE_RESULT = "PROBE_RESULT"

DEVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED_DEVICE_NAMES = frozenset({"events", "analytics"})
MAX_NAME_LENGTH = 64

MAX_PAYLOAD_BYTES = 128 * 1024
"""The largest MQTT payload AWS IoT Core takes."""
MAX_READING_BYTES = MAX_PAYLOAD_BYTES - 1024
"""Of a device's JSON, so that it fits into the answer to a probe or command, too."""


class ContractError(ValueError):
    """A topic or document that does not keep the contract; `str(error)` says where and why, without secrets."""


# --- Topics -----------------------------------------------------------------------------------------------------


def client_id(deployment: str, house_id: int) -> str:
    """The MQTT client id, thing name and certificate CN of a house's edge."""
    return f"{deployment}_house_{house_id}"


def house_id_of(deployment: str, client: str) -> int:
    """The house of a client id. Raises ContractError for any other text."""
    found = re.fullmatch(re.escape(deployment) + r"_house_([1-9][0-9]{0,17})", client, re.ASCII)
    if found is None:
        raise ContractError(f"client id {client!r} is not {deployment}_house_<number>")
    return int(found[1])


@dataclass(frozen=True)
class ReadTopic:
    """`<deployment>_read/<client_id>/<device_id>/<device_name>/<timestamp_ms>/<kind>`, kind `data` or `event`."""

    house_id: int
    device_id: int
    device_name: str
    timestamp_ms: int
    kind: str


def read_topic(deployment: str, where: ReadTopic) -> str:
    client = client_id(deployment, where.house_id)
    return (
        f"{deployment}_read/{client}/{where.device_id}/{where.device_name}/{where.timestamp_ms}/{where.kind}"
    )


def parse_read_topic(deployment: str, topic: str) -> ReadTopic:
    """Take a topic apart. Raises ContractError saying which part is wrong."""
    parts = topic.split("/")
    if len(parts) != 6 or parts[0] != f"{deployment}_read":
        raise ContractError(f"not a {deployment}_read topic of six parts: {topic[:200]!r}")
    _, client, device_id, device_name, timestamp, kind = parts
    if kind not in ("data", "event"):
        raise ContractError(f"a topic ends with data or event, not {kind[:40]!r}")
    if not re.fullmatch(r"[0-9]{1,18}", device_id, re.ASCII):
        raise ContractError(f"device id {device_id[:40]!r} is not a number")
    if not re.fullmatch(r"[0-9]{1,15}", timestamp, re.ASCII):
        raise ContractError(f"timestamp {timestamp[:40]!r} is not a number of milliseconds")
    if device_name != EDGE_DEVICE_NAME and not DEVICE_NAME.fullmatch(device_name):
        raise ContractError(f"device name {device_name[:80]!r} breaks the naming rule")
    return ReadTopic(house_id_of(deployment, client), int(device_id), device_name, int(timestamp), kind)


def read_filter(deployment: str) -> str:
    """The subscription that receives what all edges publish."""
    return f"{deployment}_read/+/+/+/+/+"


def config_topic(deployment: str, house_id: int) -> str:
    return f"{deployment}_config/{client_id(deployment, house_id)}/devices"


def probe_topic(deployment: str, house_id: int) -> str:
    return f"{deployment}_config/{client_id(deployment, house_id)}/probe"


def control_topic(deployment: str, house_id: int, device_name: str) -> str:
    return f"{deployment}_control/{client_id(deployment, house_id)}/{device_name}"


# --- A house's credentials --------------------------------------------------------------------------------------

DEFAULT_MQTT_PORT = 8883
MAX_TERMINAL_LINE = 4000
"""Characters; a terminal cuts a pasted line at 4,095, so no line of a printed document may come near."""


@dataclass(frozen=True)
class HouseCredentials:
    """What lets one house's edge into the broker. `private_key_pem` is a secret: never log or format it."""

    certificate_pem: str
    private_key_pem: str
    public_key_pem: str = ""
    root_ca_pem: str | None = None
    """The broker's CA certificates; None: the broker's certificate is checked against the system's."""
    endpoint: str | None = None
    """The broker as `host` or `host:port`; None: it is set in the edge's config.py."""
    client_id: str | None = None
    house_id: int | None = None
    deployment: str | None = None
    certificate_arn: str | None = None
    certificate_id: str | None = None

    def __repr__(self) -> str:
        return f"HouseCredentials(client_id={self.client_id!r}, endpoint={self.endpoint!r}, ...)"


def dump_credentials(credentials: HouseCredentials) -> str:
    """The JSON shown once when a house is created, which `install_certs.py` takes.

    The keys are those of AWS IoT Core's CreateKeysAndCertificate and ours beside them: `{"certificateArn",
    "certificateId", "certificatePem", "keyPair": {"PublicKey", "PrivateKey"}, "rootCa", "endpoint", "clientId",
    "houseId", "deployment"}`; what is None or empty is left out. Printed over several lines, none longer than a
    terminal takes: several CA certificates become a list.
    """
    authority: str | list[str] | None = credentials.root_ca_pem
    if (
        credentials.root_ca_pem is not None
        and len(json.dumps(credentials.root_ca_pem)) > MAX_TERMINAL_LINE - 100
    ):
        authority = _PEM_CERTIFICATE.findall(credentials.root_ca_pem)
    document = {
        "certificateArn": credentials.certificate_arn,
        "certificateId": credentials.certificate_id,
        "certificatePem": credentials.certificate_pem,
        "keyPair": {"PublicKey": credentials.public_key_pem, "PrivateKey": credentials.private_key_pem},
        "rootCa": authority,
        "endpoint": credentials.endpoint,
        "clientId": credentials.client_id,
        "houseId": credentials.house_id,
        "deployment": credentials.deployment,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}, indent=2)


def parse_credentials(text: str) -> HouseCredentials:
    """Read the document of `dump_credentials`, or what AWS IoT Core answers, by shape alone.

    Whether key and certificate belong together is for `install_certs.py` to find out. Raises ContractError; its
    text never holds any of the document's values.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the credentials are not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ContractError("the credentials must be a JSON object, from { to }")
    pair = document.get("keyPair")
    if not isinstance(pair, dict):
        raise ContractError("the credentials lack `keyPair`; copy the whole text, from { to }")
    house_id = document.get("houseId")
    if house_id is not None and (not isinstance(house_id, int) or isinstance(house_id, bool) or house_id < 1):
        raise ContractError("`houseId` must be a whole number from 1")
    authority = document.get("rootCa")
    if isinstance(authority, list) and all(isinstance(part, str) for part in authority):
        authority = "\n".join(part.strip() for part in authority) + "\n"
    root_ca = _pem("rootCa", authority, "CERTIFICATE") if authority is not None else None
    endpoint = _optional_text(document, "endpoint")
    if endpoint is not None:
        endpoint_of(endpoint)
    return HouseCredentials(
        certificate_pem=_pem("certificatePem", document.get("certificatePem"), "CERTIFICATE"),
        private_key_pem=_pem("keyPair.PrivateKey", pair.get("PrivateKey"), "PRIVATE KEY"),
        public_key_pem=pair["PublicKey"] if isinstance(pair.get("PublicKey"), str) else "",
        root_ca_pem=root_ca,
        endpoint=endpoint,
        client_id=_optional_text(document, "clientId"),
        house_id=house_id,
        deployment=_optional_text(document, "deployment"),
        certificate_arn=_optional_text(document, "certificateArn"),
        certificate_id=_optional_text(document, "certificateId"),
    )


def endpoint_of(text: str) -> tuple[str, int]:
    """Host and port of an `endpoint`, `host`, `host:port` or `[IPv6]:port`. Raises ContractError."""
    if not _is_host(text):
        raise ContractError("`endpoint` must be a host name or IP address, with a port if it is not 8883")
    if text.count(":") > 1 and not text.startswith("["):
        return text, DEFAULT_MQTT_PORT
    parts = urlsplit(f"//{text}")
    return parts.hostname or text, parts.port or DEFAULT_MQTT_PORT


_PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def _pem(key: str, value: Any, label: str) -> str:
    """The PEM text at `key`, checked to begin and end as a `label` (an RSA or EC PRIVATE KEY counts as one)."""
    if not isinstance(value, str):
        raise ContractError(f"the credentials lack `{key}`; copy the whole text, from {{ to }}")
    shape = rf"-----BEGIN ([A-Z]+ )?{label}-----\s.+-----END ([A-Z]+ )?{label}-----"
    if not re.fullmatch(shape, value.strip(), re.DOTALL):
        raise ContractError(
            f"`{key}` is not a PEM text from -----BEGIN {label}----- to -----END {label}-----"
        )
    return value.strip() + "\n"


def _optional_text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ContractError(f"`{key}` must be a text")
    return value


# --- The device configuration document --------------------------------------------------------------------------


@dataclass(frozen=True)
class DeviceConfig:
    """One device as the edge is told of it. `config` may hold secrets: never log or format it."""

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
    try:
        document = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        # A JSON error quotes no payload text, only a position.
        raise ContractError(f"the document is not valid JSON: {error}") from None
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
    devices = tuple(_parse_device(row, index, known) for index, row in enumerate(rows))
    for what in ("name", "device_id"):
        value, count = (
            Counter(getattr(device, what) for device in devices).most_common(1)[0] if devices else ("", 0)
        )
        if count > 1:
            raise ContractError(f"two devices have the {what} {value!r}")
    try:
        sha256 = devices_sha256(devices)
    except ValueError:  # 1e999, or half of a UTF-16 pair: readable JSON, but not writable
        raise ContractError("a device's config holds a number or text that JSON can't carry") from None
    if promised is not None and promised != sha256:
        raise ContractError("`sha256` does not match the devices: the document was changed on its way")
    return ConfigDocument(version, sha256, devices)


def _device_row(device: DeviceConfig) -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "name": device.name,
        "type": device.type,
        "config": dict(device.config),
    }


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _parse_device(row: Any, index: int, types: Mapping[str, DeviceType]) -> DeviceConfig:
    if not isinstance(row, dict):
        raise ContractError(f"device {index + 1} is not an object")
    device_id, name, kind, config = (row.get(key) for key in ("device_id", "name", "type", "config"))
    if not isinstance(device_id, int) or isinstance(device_id, bool) or device_id < 1:
        raise ContractError(f"device {index + 1}: `device_id` must be a whole number from 1")
    if not isinstance(name, str):
        raise ContractError(f"device {index + 1}: `name` must be a text")
    problem = name_problem(name)
    if problem:
        raise ContractError(f"device {index + 1}: {problem}")
    if not isinstance(kind, str) or kind not in types:
        known = ", ".join(sorted(types))
        raise ContractError(f"device {name}: unknown type {str(kind)[:40]!r}; known are {known}")
    problems = types[kind].problems(config)
    if problems or not isinstance(config, dict):
        raise ContractError(f"device {name}: {problems[0]}")
    return DeviceConfig(device_id, name, kind, config)


def name_problem(name: str) -> str | None:
    """Why a text can't be the name of a device (or analytic item, but for the reserved words); None if it can."""
    if not DEVICE_NAME.fullmatch(name):
        return "a name starts with a letter and holds only letters A-Z, digits and underscores"
    if len(name) > MAX_NAME_LENGTH:
        return f"a name has at most {MAX_NAME_LENGTH} characters"
    if name in RESERVED_DEVICE_NAMES:
        return f"`{name}` is a word of the formula language and can't name a device"
    return None


# --- Probes and commands ----------------------------------------------------------------------------------------

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
    checked = _parse_device(row, 0, device_types() if types is None else types)
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
    try:
        body = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ContractError(f"{what} is not valid JSON: {error}") from None
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


# --- Device types -----------------------------------------------------------------------------------------------


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


FIELD_KINDS = ("text", "host", "url", "integer", "number", "boolean", "choice", "text_list")


@dataclass(frozen=True)
class ConfigProblem:
    """`key` is the setting at fault ("" for the whole config). The text never holds the setting's value."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"`{self.key}`: {self.message}" if self.key else self.message


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

    def secret_keys(self) -> frozenset[str]:
        return frozenset(field.key for field in self.fields if field.secret)

    def problems(self, config: Any) -> list[ConfigProblem]:
        """Everything wrong with a config; empty if it can be used. Unknown keys are wrong, too: they are typos."""
        if not isinstance(config, Mapping):
            return [ConfigProblem("", "the config must be a JSON object")]
        if not self.declared:
            return []
        known = {field.key: field for field in self.fields}
        problems = [
            ConfigProblem(str(key)[:80], f"unknown setting; a {self.name} has {', '.join(known)}")
            for key in config
            if key not in known
        ]
        for field in self.fields:
            if field.key not in config:
                if field.required:
                    problems.append(ConfigProblem(field.key, "is missing"))
                continue
            message = _value_problem(field, config[field.key])
            if message:
                problems.append(ConfigProblem(field.key, message))
        return problems


def device_types() -> Mapping[str, DeviceType]:
    """All device types by name: of the drivers beside this file, and of the map in Main_Publisher.py."""
    types = {name: found.kind for name, found in _declared_types(DRIVER_FOLDER).items()}
    for name in _mapped_types(PROGRAM_FILE):
        types.setdefault(name, undeclared_type(name))
    return types


def device_type_file(name: str) -> Path | None:
    """The driver's file of a device type; None if there is none."""
    found = _declared_types(DRIVER_FOLDER).get(name)
    return found.file if found else None


def undeclared_type(name: str) -> DeviceType:
    """A device type of which nothing is known but its name."""
    return DeviceType(name=name, title=name, fields=(), example={}, units={}, declared=False)


DRIVER_FOLDER = Path(__file__).resolve().parent / "devices"
PROGRAM_FILE = Path(__file__).resolve().parent / "Main_Publisher.py"


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
        except (SyntaxError, ValueError, TypeError, KeyError, OSError) as error:
            # Somebody's own file: it must not take the other types with it.
            log.error("%s declares no device type: %s: %s", file.name, type(error).__name__, error)
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
    "minimum", "maximum"}}, "example": {...}, "units": {field pattern: unit}}`; in a field only title and kind must
    be given.
    """
    fields = []
    for key, spec in declared["fields"].items():
        if spec["kind"] not in FIELD_KINDS:
            raise ContractError(f"{declared['name']}.{key}: kind {spec['kind']!r} is none of {FIELD_KINDS}")
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
        example=declared["example"],
        units=declared.get("units", {}),
    )


def _value_problem(field: ConfigField, value: Any) -> str | None:
    kind = field.kind
    if kind in ("text", "host", "url", "choice"):
        if not isinstance(value, str):
            return "must be a text in quotes"
        if field.required and not value.strip():
            return "must not be empty"
        if kind == "host" and not _is_host(value):
            return (
                "must be an IP address or host name, with a port if it needs one (192.168.1.20 or meter:8080)"
            )
        if kind == "url" and not _is_url(value):
            return "must be a web address (https://host:port)"
        if kind == "choice" and value not in field.choices:
            return f"must be one of {', '.join(field.choices)}"
        return None
    if kind == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if kind == "text_list":
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            return "must be a list of texts"
        return "must not be empty" if field.required and not value else None
    if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else (int, float)):
        return "must be a whole number" if kind == "integer" else "must be a number"
    if field.minimum is not None and value < field.minimum:
        return f"must be at least {field.minimum:g}"
    if field.maximum is not None and value > field.maximum:
        return f"must be at most {field.maximum:g}"
    return None


def _is_host(text: str) -> bool:
    """`host`, `host:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return True
    try:
        parts = urlsplit(f"//{text}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if host is None or parts.netloc != text or parts.username is not None:
        return False
    if text.startswith("["):
        return True
    return len(host) <= 253 and all(
        re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", label) for label in host.split(".")
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
