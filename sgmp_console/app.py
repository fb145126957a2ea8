"""The console: everything it is built of, in order, each part with its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sgmp_console import settings
from sgmp_console.files import private_opener
from sgmp_console.settings import Profile, ThemeChoice, WindowSettings
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window import application, crashes
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.entry.preparation import Preparation, PreparationProcess
from sgmp_console.ui.window.uncaught import UncaughtErrors

if TYPE_CHECKING:
    from sgmp_console.reports.home import HomeSnapshot  # brings the database, which the sign-in does without

__all__ = ["Launch", "Preparation", "check", "run"]

Verdict: TypeAlias = "Callable[[Mapping[str, HomeSnapshot]], list[str]]"
"""What is still missing, as sentences, given the newest snapshot shown of each house by its name."""

Screenshot = tuple[Path, int, int, ThemeChoice]
"""Where to, width and height in pixels, theme."""

_LOG_BYTES = 2_000_000


@dataclass(frozen=True)
class Launch:
    """How to begin: what to prepare, or what to sign in to; with neither, this computer's profiles are offered.

    With profile, email and password given, the window signs in by itself. `folder`: where this window's settings and
    profiles are kept; None: in this computer's usual folder. `house_id`: shown first where none is remembered.
    """

    profile: Profile | None = None
    email: str = ""
    password: str = field(default="", repr=False)
    preparation: Preparation | None = None
    folder: Path | None = None
    house_id: int = 0


def run(launch: Launch) -> int:
    """The window, until it is closed; the exit code. Raises UserError where the profiles can't be read."""
    folder, logs = launch.folder or settings.configuration_folder(), settings.log_folder()
    window = settings.load_window(folder)
    if not window.house_id:
        window = replace(window, house_id=launch.house_id)
    with logging_to(logs):
        crash = crashes.take_report(logs)
        with crashes.recording(logs), _built(launch, window, folder, offscreen=False) as console:
            console.show_window()
            if crash:
                console.show_crash(crash, logs)
            return application.run_event_loop()


def check(
    launch: Launch, verdict: Verdict, *, timeout_s: float, screenshots: Sequence[Screenshot] = ()
) -> dict[str, Any]:
    """The same window offscreen, showing one house after the other until the verdict finds nothing missing.

    Returns what a script wants to know: `ok`, `missing`, `seconds` since the start by stage, and the devices and
    values of each house with their ages. Takes the screenshots before it ends, also after `timeout_s`.
    """
    with _built(launch, WindowSettings(theme="light"), None, offscreen=True) as console:
        # Imported now: it brings the charts, which a person's window does not need before the sign-in.
        from sgmp_console.ui.window.smoke_check import Check

        driver = Check(console, verdict, timeout_s, list(screenshots))
        console.show_window()
        application.run_event_loop(until=driver.finished)
        return driver.result.as_json()


@contextmanager
def _built(
    launch: Launch, window: WindowSettings, folder: Path | None, *, offscreen: bool
) -> Iterator[Console]:
    """The parts from the bottom up; they end in reverse. `folder` None: nothing is remembered."""
    with ExitStack() as end:
        qt = application.start(offscreen=offscreen)

        errors = UncaughtErrors(qt)
        errors.install()
        end.callback(errors.remove)

        appearance = Appearance(qt, window.theme)

        preparation = PreparationProcess(launch.preparation, qt) if launch.preparation else None
        if preparation is not None:
            end.callback(preparation.stop)

        tasks = Tasks(errors.report, qt)
        end.callback(tasks.close)

        console = Console(tasks, appearance, errors, window, folder)
        end.callback(console.shut_down)

        if preparation is not None:
            console.prepare(preparation)
        elif launch.profile is not None:
            console.ask_to_sign_in([launch.profile], launch.email, launch.password)
        else:
            console.ask_to_sign_in(settings.load_profiles(folder) if folder else [])
        yield console


class _PrivateLog(RotatingFileHandler):
    """Names, emails and addresses stand in it."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=private_opener)


@contextmanager
def logging_to(folder: Path) -> Iterator[None]:
    """A bounded log in the user's folder for logs, since a window has no terminal to write to."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    handler = _PrivateLog(folder / "console.log", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(root.level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
