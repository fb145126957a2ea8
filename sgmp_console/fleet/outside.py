"""Acts that change the database and something outside of it: both or neither, or the error says what was left.

The transaction stays open while the act works outside, and is committed last. Where that or a later step fails, what was
done outside is taken back. A commit whose answer was lost is looked up: if it arrived, the act succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_console.fleet.failures import with_message
from sgmp_console.store import Database

_MAX_LEFT = 5
"""Sentences about what was left that one error has; more would not be read."""


class Outside:
    """One act. `failed`: a sentence without its full stop for what did not happen, put before the reason; "" leaves the
    reason alone. `left`: what may be left though all was taken back, "" if nothing. `unknown`: what to do where the
    database does not say whether it stored the act.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.failed = ""
        self.left = ""
        self.unknown = "Look at what is there before you do it again."
        self._undo: list[tuple[Callable[[], None], Callable[[SgmpError], str]]] = []

    def undo(self, take_back: Callable[[], None], otherwise: Callable[[SgmpError], str]) -> None:
        """Call `take_back` where the act fails. `otherwise`: what is left where that fails, too, and what to do."""
        self._undo.append((take_back, otherwise))

    def take_back(self, cause: BaseException, *, is_known: bool = True) -> None:
        """Raises `cause` again with what became of it, where there is anything to say. `is_known`: that the database
        did not store the act; False where it does not answer."""
        failures: list[SgmpError] = []
        sentences: list[str] = []
        for take_back, otherwise in reversed(self._undo):
            try:
                take_back()
            except SgmpError as error:
                failures.append(error)
                sentences.append(otherwise(error))
        if len(sentences) > _MAX_LEFT:
            sentences[_MAX_LEFT:] = [f"The same is true of {len(sentences) - _MAX_LEFT} more."]
        if self._undo and self.left:
            sentences.append(self.left)
        if not is_known:
            begun = f"It is not known whether the database stored this: {cause} {self.unknown}"
        elif not self.failed:
            begun = str(cause)
        elif failures:
            begun = f"{self.failed}: {cause}"
        else:
            begun = f"{self.failed}, and nothing is left of it: {cause}"
        text = " ".join([begun, *sentences])
        if failures:
            raise with_message(failures[0], text) from cause
        if text != str(cause) and isinstance(cause, SgmpError):
            raise with_message(cause, text) from cause


@contextmanager
def outside(database: Database, is_committed: Callable[[sa.Connection], bool]) -> Iterator[Outside]:
    """`is_committed`: whether the database holds what the act stored; asked where the commit's answer was lost."""
    act: Outside | None = None
    finished = False
    try:
        with database.begin() as connection:
            act = Outside(connection)
            yield act
            finished = True
    except BaseException as error:
        stored = _holds(database, is_committed) if finished and isinstance(error, Unavailable) else False
        if stored:
            return
        if act is not None:
            act.take_back(error, is_known=stored is not None)
        raise


def _holds(database: Database, is_committed: Callable[[sa.Connection], bool]) -> bool | None:
    """None where the database does not answer."""
    try:
        with database.begin() as connection:
            return is_committed(connection)
    except UserError:
        return False
    except Unavailable:
        return None
