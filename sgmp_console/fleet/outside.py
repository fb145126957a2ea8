"""Acts that change the database and something outside of it: both or neither, or the error says what was left.

The transaction stays open while the act works outside, and is committed last. Where that or a later step fails, what was
done outside is taken back. A commit whose answer was lost is looked up: if it arrived, the act succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_console.fleet.failures import restated
from sgmp_console.store import Database


class Outside:
    """One act. `failed`: a sentence without its full stop for what did not happen, put before the reason where something
    had been done outside; "" leaves the reason alone. `left`: what may be left though all was taken back, "" if nothing.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.failed = ""
        self.left = ""
        self._undo: list[tuple[Callable[[], None], Callable[[SgmpError], str]]] = []

    def undo(self, take_back: Callable[[], None], otherwise: Callable[[SgmpError], str]) -> None:
        """Call `take_back` where the act fails. `otherwise`: what is left where that fails, too, and what to do."""
        self._undo.append((take_back, otherwise))

    def take_back(self, cause: BaseException) -> None:
        """Raises `cause` again with what became of it, where there is anything to say."""
        failures = []
        for take_back, otherwise in reversed(self._undo):
            try:
                take_back()
            except SgmpError as error:
                failures.append((error, otherwise(error)))
        begun = f"{self.failed}: {cause}" if self.failed else str(cause)
        if failures:
            text = " ".join([begun, *(sentence for _, sentence in failures)])
            raise restated(failures[0][0], f"{text}{self.left and ' '}{self.left}") from cause
        if self._undo and self.failed and isinstance(cause, SgmpError):
            text = f"{self.failed}, and nothing is left of it: {cause}"
            raise restated(cause, f"{text}{self.left and ' '}{self.left}") from cause


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
        if finished and isinstance(error, Unavailable) and _holds(database, is_committed):
            return
        if act is not None:
            act.take_back(error)
        raise


def _holds(database: Database, is_committed: Callable[[sa.Connection], bool]) -> bool:
    """False where the database does not answer."""
    try:
        with database.begin() as connection:
            return is_committed(connection)
    except (Unavailable, UserError):
        return False
