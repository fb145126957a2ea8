"""What is wrong with a formula, and where."""

from __future__ import annotations

from sgmp_console.errors import UserError


class FormulaError(UserError):
    """A formula that can't be used as it stands.

    `message` (also `str(error)`) is the sentence for the operator: what is wrong and what to write instead.
    `position` and `length` give the place in the formula's text, in characters (code points); a length of 0 means
    "here something is missing".
    """

    def __init__(self, message: str, position: int, length: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.length = length


def shown(text: str, limit: int = 40) -> str:
    """A piece of the operator's text as it may stand in a message: short, and without invisible characters."""
    visible = "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text[: limit + 1])
    return visible if len(text) <= limit else visible[:limit] + "..."
