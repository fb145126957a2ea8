"""Expected failures restated with what became of the act they ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sgmp_console.errors import Cancelled, Refused, SgmpError, Unavailable, UserError


def with_message(error: SgmpError, text: str) -> SgmpError:
    """An error of the same kind with another sentence."""
    for kind in (Cancelled, Refused, UserError):
        if isinstance(error, kind):
            return kind(text)
    return Unavailable(text)


def no_checkpoint() -> None:
    """The checkpoint of acts that nobody cancels."""


@contextmanager
def error_context(beginning: str) -> Iterator[None]:
    """Expected failures inside, with `beginning` before their sentence."""
    try:
        yield
    except SgmpError as error:
        raise with_message(error, f"{beginning} {error}") from error
