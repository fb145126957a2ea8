"""The bits of quality."""

from __future__ import annotations

from enum import IntFlag

VERSION = 1
"""Of the checks. It goes up when a check finds other readings than before, or a bit is added."""


class Quality(IntFlag):
    """What is wrong with a reading or a slot; 0: nothing. The values are stored and exported: never reuse one."""

    MISSING = 1
    """Less than half of the polls that were due in the slot."""
    STUCK = 2
    """The same value, bit for bit, for longer than what is measured can stand still."""
    OUT_OF_RANGE = 4
    """Beyond what is physically possible, or not a finite number."""
    SPIKE = 8
    """A single reading far from both of its neighbours."""
    TIME_BACK = 16
    """Stamped before a reading that came earlier."""
    TIME_REPEATED = 32
    """Stamped as a reading that came earlier."""
    SUN_AT_NIGHT = 64
    """Solar power while the sun is down."""
    WRONG_SIGN = 128
    """Negative where it can only be positive: a current transformer that is turned round."""
    UNBALANCED = 256
    """Sources and uses of the house differ for 15 minutes or longer."""
    COUNTER_BACK = 512
    """A counter of energy went back by more than its own consumption explains."""
    FIELD_APPEARED = 1024
    """The first value of a field that the device did not have before."""
    FIELD_VANISHED = 2048
    """The device delivers, and the field that it had does not come any more."""
