"""What to say of an error: its own sentence where it was expected, else one sentence for every mistake of ours."""

from __future__ import annotations

from sgmp_console.errors import SgmpError, Unavailable

INTERNAL_ERROR = "An internal error happened; the log has its details."

_TYPED_STAYS = "What was typed is still here."


def explain(error: Exception, *, then: str = "Try again.") -> str:
    """`then`: what to do after an internal error."""
    return str(error) if isinstance(error, SgmpError) else f"{INTERNAL_ERROR} {then}"


def explain_in_form(error: Exception) -> str:
    """In a dialog in which something was typed, which stays."""
    if isinstance(error, Unavailable):
        return f"{error} {_TYPED_STAYS}"
    return explain(error, then=f"{_TYPED_STAYS} Try again.")
