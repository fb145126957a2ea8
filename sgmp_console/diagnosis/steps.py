"""A diagnosis is a sequence of steps: each reports what it found, or what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sgmp_console.errors import SgmpError


@dataclass(frozen=True)
class Step:
    """One thing that is needed. `ok` None: it was not looked at, or is not used. `remedy`: what to do where it is not ok."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class NotAsNeeded(Exception):
    """What a step found; `remedy` is what to do about it."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.remedy = remedy


def step(name: str, look: Callable[[], str], remedy: str = "") -> Step:
    """The outcome of `look`, which returns what it found, or raises. `remedy`: what to do if anything fails."""
    try:
        return Step(name, True, look())
    except NotAsNeeded as error:
        return Step(name, False, str(error), error.remedy)
    except SgmpError as error:
        return Step(name, False, str(error), remedy)
