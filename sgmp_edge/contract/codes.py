"""What edge and console name in messages: outcomes, changes, reasons. The values are what stands on the wire.

Nothing may depend on the text beside a code, which is for people. An edge may be older or newer than a console: a
value that is not known here is read as the general one (`of`).
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How reading a device ended; the state of a device in EDGE_STATUS, `outcome` in PROBE_RESULT and WARNING."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UNAUTHORIZED = "unauthorized"
    BAD_ANSWER = "bad_answer"
    NOT_READY = "not_ready"
    ERROR = "error"
    """The driver failed; also whatever is not known here."""
    STARTING = "starting"
    """Only as a state: no poll of the device has ended yet."""
    REFUSED = "refused"
    """Only of a probe: the edge did not read the device."""

    @classmethod
    def of(cls, value: object) -> Outcome:
        """What an edge sent; ERROR where that is not known here."""
        return next((each for each in cls if each == value), cls.ERROR)


class WarningChange(StrEnum):
    """`change` of a WARNING."""

    DOWN = "down"
    STILL_DOWN = "still down"
    """Hourly."""
    BACK = "back"
    NOTICE = "notice"
    """Something happened; nothing says that it is over. Also a warning without a `change`, of an old edge."""
    BEGINS = "begins"
    """What `condition` and `subjects` name holds from now on, until it is reported as over."""
    ENDS = "ends"

    @classmethod
    def of(cls, value: object) -> WarningChange:
        """What an edge sent; NOTICE where that is not known here."""
        return next((each for each in cls if each == value), cls.NOTICE)


class DriverCondition(StrEnum):
    """`condition` of a driver's WARNING that begins or ends; null in its other warnings, absent from an old edge."""

    SILENT_REGISTER = "silent_register"
    """`subjects`: the registers that a meter has no value of."""
    ALERT = "alert"
    """`subjects`: what a battery reports to be wrong."""


class WarningKind(StrEnum):
    """`kind` of a WARNING: what it is about."""

    DEVICE = "device"
    """A device is down or back."""
    DRIVER = "driver"
    """A driver reports something of its device; also a warning without a `kind`, of an old edge."""
    OUTBOX_FULL = "outbox_full"
    OUTBOX_DAMAGED = "outbox_damaged"
    DISK = "disk"
    """The edge's disk takes no readings."""
    SECOND_EDGE = "second_edge"
    """Another program uses the house's credentials."""

    @classmethod
    def of(cls, value: object) -> WarningKind:
        """What an edge sent; DRIVER where that is not known here."""
        return next((each for each in cls if each == value), cls.DRIVER)


class EdgeState(StrEnum):
    """`state` of EDGE_STATUS."""

    ONLINE = "online"
    STOPPED = "stopped"
    """It ended as it should."""
    OFFLINE = "offline"
    """Published by the broker when the connection broke."""


class CommandOutcome(StrEnum):
    """`outcome` of COMMAND_RESULT."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing was done."""
    FAILED = "failed"
    """It may have reached the device, and is undone; or the device left it by itself (`code`)."""
    REPLACED = "replaced"
    """A newer command took over."""
    RELEASED = "released"
    """Undone: its time was over, the edge ended, or the device was reconfigured."""
    RELEASE_FAILED = "release_failed"
    """Tried again until it succeeds."""


class CommandCode(StrEnum):
    """`code` of COMMAND_RESULT: why a command was refused or failed."""

    INVALID = "invalid"
    """The command does not keep the contract."""
    CONTROL_OFF = "control_off"
    UNKNOWN_DEVICE = "unknown_device"
    NOT_ANSWERING = "not_answering"
    IN_THE_FUTURE = "in_the_future"
    """It says that it was issued later than now; the clocks differ."""
    TOO_LATE = "too_late"
    NOT_STORED = "not_stored"
    """The edge's disk takes no lease."""
    RECONFIGURED = "reconfigured"
    DEVICE_FAILED = "device_failed"
    """Device or driver did not do it; `reason` says why."""
    LEFT_BY_ITSELF = "left_by_itself"
    """The device ended the commanded mode before its time."""


class RejectionCode(StrEnum):
    """`code` of CONFIG_REJECTED, and of a ContractError: what is wrong with a document."""

    INVALID_JSON = "invalid_json"
    WRONG_SHAPE = "wrong_shape"
    """It is JSON, but not of the agreed form."""
    WRONG_NAME = "wrong_name"
    """A device's name breaks the naming rule."""
    UNKNOWN_TYPE = "unknown_type"
    WRONG_SETTING = "wrong_setting"
    """A device's config; `setting` and `problem` say which setting and what."""
    DUPLICATE = "duplicate"
    """Two devices have the same name or id."""
    CHANGED = "changed"
    """It is not what was sent: the fingerprint does not match."""
    NOT_STORED = "not_stored"
    """The edge can't store it."""
    UNREADABLE = "unreadable"
    """The edge can't read what it stored."""


class ProblemCode(StrEnum):
    """What is wrong with a setting of a device's config."""

    NOT_AN_OBJECT = "not_an_object"
    """The whole config."""
    UNKNOWN_SETTING = "unknown_setting"
    MISSING = "missing"
    EMPTY = "empty"
    WRONG_TYPE = "wrong_type"
    WRONG_FORM = "wrong_form"
    """A text that is not an address, a fingerprint, and so on."""
    NOT_A_CHOICE = "not_a_choice"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    SECRET_NOT_STORED = "secret_not_stored"  # noqa: S105 - a code
    """It is masked, and there is no stored secret that the mask stands for."""
