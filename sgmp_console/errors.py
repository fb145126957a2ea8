"""The kinds of failure.

`str(error)` is the sentence shown to the operator: what happened and what to do. The cause, for the log, is
chained with `raise ... from`. An exception that is none of these is our bug and reaches the one hook for
uncaught errors. Neither sentence nor cause may hold a secret.
"""


class SgmpError(Exception):
    """An expected failure."""


class UserError(SgmpError):
    """What was asked for can't be done as it stands; the operator can change it."""


class Taken(UserError):
    """The name that was chosen has something else already."""


class Refused(UserError):
    """The account may not do this."""


class Conflict(UserError):
    """Somebody else changed the same thing meanwhile; nothing was overwritten."""


class Unavailable(SgmpError):
    """A part we depend on (database, broker, mail, AWS, an edge) does not answer; trying again can help."""


class Cancelled(SgmpError):
    """The operator stopped it."""

    def __init__(self, sentence: str = "It was cancelled.") -> None:
        super().__init__(sentence)
