"""Counting the statements that a piece of work sends to the database."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import sqlalchemy as sa


@contextmanager
def counting(*, of_all_threads: bool = True) -> Iterator[list[str]]:
    """The statements that are sent inside, of all engines; and the COPYs of this thread, which SQLAlchemy does not see."""
    sent: list[str] = []
    here = threading.get_ident()

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if of_all_threads or threading.get_ident() == here:
            sent.append(statement)

    def watch(_frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and getattr(called, "__name__", "") == "copy_expert":
            sent.append("COPY")

    before = sys.getprofile()
    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    sys.setprofile(watch)
    try:
        yield sent
    finally:
        sys.setprofile(before)
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
