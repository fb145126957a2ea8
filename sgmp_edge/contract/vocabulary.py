"""Names of the contract: what an edge calls itself, its events, the rule of names, the limits."""

from __future__ import annotations

import re

from .codes import ProblemCode, RejectionCode

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
    """A topic or document that does not keep the contract; `str(error)` says where and why, without secrets.

    `code`: what is wrong; `device` and `setting`: where, "" if it is the whole; `problem`: with WRONG_SETTING.
    """

    def __init__(
        self,
        text: str,
        code: RejectionCode = RejectionCode.WRONG_SHAPE,
        *,
        device: str = "",
        setting: str = "",
        problem: ProblemCode | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.device = device
        self.setting = setting
        self.problem = problem


def name_problem(name: str) -> str | None:
    """Why a text can't be the name of a device (or analytic item, but for the reserved words); None if it can."""
    if not DEVICE_NAME.fullmatch(name):
        return "a name starts with a letter and holds only letters A-Z, digits and underscores"
    if len(name) > MAX_NAME_LENGTH:
        return f"a name has at most {MAX_NAME_LENGTH} characters"
    if name in RESERVED_DEVICE_NAMES:
        return f"`{name}` is a word of the formula language and can't name a device"
    return None
