"""`sgmp-console demo`: the window on a stack of its own, that stack alone, or the check of the whole chain."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sgmp_console.demo.check import Verdict
from sgmp_console.demo.folder import DemoFolder, default_folder
from sgmp_console.demo.houses import DEMO_HOUSES
from sgmp_console.demo.progress import JsonReporter, TextReporter
from sgmp_console.demo.simulator.sun import elevation
from sgmp_console.errors import UserError

if TYPE_CHECKING:
    from sgmp_console.app import Launch, Preparation, Screenshot

CHECK_TIMEOUT_S = 80.0
"""With what ending everything takes, the check is over within 90 s."""

_SHAPES: tuple[tuple[int, int, Literal["light", "dark"]], ...] = (
    (1280, 800, "light"),
    (1280, 800, "dark"),
    (1920, 1080, "light"),
    (1920, 1080, "dark"),
)


@dataclass(frozen=True)
class StackOptions:
    """The options of the stack, for all ways to run it. `data` None: the usual folder."""

    data: Path | None = None
    reset: bool = False
    history_days: int = 30
    poll_s: float = 2.0

    @property
    def folder(self) -> DemoFolder:
        return DemoFolder(self.data or default_folder())

    def arguments(self) -> list[str]:
        """The same on a command line."""
        given = ["--data", str(self.folder.path), "--history-days", str(self.history_days)]
        return [*given, "--poll", f"{self.poll_s:g}", *(["--reset"] if self.reset else [])]


def supervise(options: StackOptions) -> int:
    """The stack for the program that started us: JSON lines out, until standard input closes."""
    from sgmp_console.demo.stack import Stack

    stack = Stack(
        options.folder,
        JsonReporter(sys.stdout),
        ends_with_stdin=True,
        history_days=options.history_days,
        poll_s=options.poll_s,
    )
    return stack.run(reset=options.reset)


def headless(options: StackOptions) -> int:
    """The stack at a terminal, until Ctrl-C."""
    from sgmp_console.demo.stack import Stack

    stack = Stack(
        options.folder,
        TextReporter(sys.stdout, sys.stderr, options.folder.path),
        ends_with_stdin=False,
        history_days=options.history_days,
        poll_s=options.poll_s,
    )
    return stack.run(reset=options.reset)


def window(options: StackOptions) -> int:
    """The window, which opens at once, shows how far the stack is, and signs in when it is ready."""
    from sgmp_console import app

    if options.reset:
        # Done here and once: Retry runs the preparation again, and must not delete what was gathered.
        with options.folder.locked(reset=True):
            options = replace(options, reset=False)
    return app.run(launch(options))


def launch(options: StackOptions) -> Launch:
    """How the demo's window begins."""
    from sgmp_console import settings
    from sgmp_console.app import Launch

    return Launch(
        preparation=_preparation(options),
        # The console of this computer remembers its own connection, email and house.
        folder=settings.configuration_folder() / "demo",
        house_id=_house_by_day(options.folder),
    )


def _house_by_day(folder: DemoFolder) -> int:
    """The id of the house where the sun is highest now: the other has little to show. Before the first start, when no
    house has an id yet, the one that it will get: its place among the houses."""
    now_ms = time.time_ns() // 1_000_000
    brightest = max(DEMO_HOUSES, key=lambda house: elevation(now_ms, house.latitude, house.longitude))
    try:
        known = folder.read().house_ids
    except UserError:
        known = {}  # the preparation says what is wrong with the folder
    return known.get(brightest.key, DEMO_HOUSES.index(brightest) + 1)


def check(options: StackOptions, screenshots: Sequence[Path]) -> dict[str, Any]:
    """The window offscreen until both houses are live: what `app.check` says of it, and `logs` if it failed.

    Without `options.data` in a temporary folder, which is deleted afterwards unless it failed. `screenshots`: see
    `screenshot_files`.
    """
    from sgmp_console import app

    temporary = None if options.data else Path(tempfile.mkdtemp(prefix="sgmp-demo-"))
    if temporary is not None:
        temporary.chmod(0o711)  # as root the servers run as somebody else, who must get through
        options = replace(options, data=temporary)
    result = app.check(
        app.Launch(preparation=_preparation(options)),
        Verdict(),
        timeout_s=CHECK_TIMEOUT_S,
        screenshots=screenshot_files(screenshots),
    )
    if not result["ok"]:
        return {**result, "logs": str(options.folder.logs)}
    if temporary is not None:
        shutil.rmtree(temporary)
    return result


def as_text(result: Mapping[str, Any]) -> str:
    """The result of `check` for a person."""
    lines = [f"{stage.replace('_', ' '):12} {seconds:6.1f} s" for stage, seconds in result["seconds"].items()]
    for name, house in result["houses"].items():
        lines.append(name)
        for device, state in house["devices"].items():
            age = "no reading" if state["age_ms"] is None else f"{state['age_ms'] / 1000:.1f} s old"
            lines.append(f"  {device:20} {age}")
        for item, state in house["values"].items():
            lines.append(
                f"  {item:20} {state['value']:.3f} {state['unit']}, {state['age_ms'] / 1000:.1f} s old"
            )
    lines += [f"Missing: {sentence}" for sentence in result["missing"]]
    if "logs" in result:
        lines.append(f"The logs are in {result['logs']}.")
    lines.append("The chain is live." if result["ok"] else "The chain is not live.")
    return "\n".join(lines)


def screenshot_files(given: Sequence[Path]) -> list[Screenshot]:
    """One file: 1280x800 light; several: then dark, then 1920x1080 light and dark. A folder stands for all four."""
    if len(given) == 1 and not given[0].suffix:
        given = [given[0] / f"home-{width}x{height}-{theme}.png" for width, height, theme in _SHAPES]
    return [(file, *shape) for file, shape in zip(given, _SHAPES, strict=False)]


def _preparation(options: StackOptions) -> Preparation:
    from sgmp_console.app import Preparation

    return Preparation((sys.executable, "-m", "sgmp_console", "demo", "--supervise", *options.arguments()))
