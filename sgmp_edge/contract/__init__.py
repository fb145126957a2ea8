"""What edge and console agree on: topics, payloads, and the device types with their config schemas.

Standard library only: the console imports this package and nothing else of the edge. A device type is declared
once, in its driver's file under `devices/`, as a module-level literal `DEVICE_TYPE = {...}`; it is read here
without importing the driver, so a file dropped into that folder appears in the console's dialog and on the Pi.
"""

from __future__ import annotations

from .addresses import (
    certificate_sha256,
    endpoint_of,
)
from .codes import (
    CommandCode,
    CommandOutcome,
    EdgeState,
    Outcome,
    ProblemCode,
    RejectionCode,
    WarningChange,
    WarningKind,
)
from .commands import (
    Command,
    Probe,
    dump_command,
    dump_probe,
    parse_command,
    parse_probe,
    request_of,
)
from .configuration import (
    ConfigDocument,
    DeviceConfig,
    devices_sha256,
    dump_config,
    parse_config,
)
from .credentials import (
    MAX_TERMINAL_LINE,
    HouseCredentials,
    dump_credentials,
    parse_credentials,
)
from .declarations import (
    EDGE_FOLDER,
    TEXT_KINDS,
    ConfigField,
    ConfigProblem,
    DeviceType,
    device_type_file,
    device_types,
    undeclared_type,
)
from .numbers import integer_in, number_in
from .topics import (
    ReadTopic,
    client_id,
    config_topic,
    control_topic,
    house_id_of,
    parse_read_topic,
    probe_topic,
    read_filter,
    read_topic,
)
from .vocabulary import (
    COMMAND_RESULT,
    CONFIG_APPLIED,
    CONFIG_REJECTED,
    DEFAULT_DEPLOYMENT,
    EDGE_DEVICE_ID,
    EDGE_DEVICE_NAME,
    EDGE_STATUS,
    EV_END_CHARGING,
    EV_START_CHARGING,
    MAX_PAYLOAD_BYTES,
    MAX_READING_BYTES,
    PROBE_RESULT,
    RESERVED_DEVICE_NAMES,
    WARNING,
    ContractError,
    name_problem,
)

__all__ = [
    "COMMAND_RESULT",
    "CONFIG_APPLIED",
    "CONFIG_REJECTED",
    "DEFAULT_DEPLOYMENT",
    "EDGE_DEVICE_ID",
    "EDGE_DEVICE_NAME",
    "EDGE_FOLDER",
    "EDGE_STATUS",
    "EV_END_CHARGING",
    "EV_START_CHARGING",
    "MAX_PAYLOAD_BYTES",
    "MAX_READING_BYTES",
    "MAX_TERMINAL_LINE",
    "PROBE_RESULT",
    "RESERVED_DEVICE_NAMES",
    "TEXT_KINDS",
    "WARNING",
    "Command",
    "CommandCode",
    "CommandOutcome",
    "ConfigDocument",
    "ConfigField",
    "ConfigProblem",
    "ContractError",
    "DeviceConfig",
    "DeviceType",
    "EdgeState",
    "HouseCredentials",
    "Outcome",
    "Probe",
    "ProblemCode",
    "ReadTopic",
    "RejectionCode",
    "WarningChange",
    "WarningKind",
    "certificate_sha256",
    "client_id",
    "config_topic",
    "control_topic",
    "device_type_file",
    "device_types",
    "devices_sha256",
    "dump_command",
    "dump_config",
    "dump_credentials",
    "dump_probe",
    "endpoint_of",
    "house_id_of",
    "integer_in",
    "name_problem",
    "number_in",
    "parse_command",
    "parse_config",
    "parse_credentials",
    "parse_probe",
    "parse_read_topic",
    "probe_topic",
    "read_filter",
    "read_topic",
    "request_of",
    "undeclared_type",
]
