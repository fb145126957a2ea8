"""`sgmp-edge install`: the edge as a systemd service."""

from __future__ import annotations

import argparse
import os
import shutil
import string
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sgmp_edge.settings import CONFIG_FILE, CREDENTIALS_FILE
from sgmp_edge.systemd_notify import WATCHDOG_S

NAME = "sgmp-edge"
DEFAULT_HOME = Path("/var/lib/sgmp-edge")
UNIT_FOLDER = Path("/etc/systemd/system")
_EDGE_FOLDER = Path(__file__).resolve().parents[1]


class CannotInstall(Exception):
    """`str(error)` says why, and what to do."""


def install(arguments: Sequence[str]) -> int:
    """`sgmp-edge install`: write the unit, make its user and home. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"{NAME} install", description="Run the edge as a systemd service, under a user of its own."
    )
    parser.add_argument(
        "--user", default=NAME, help="who it runs as; created if missing (default: %(default)s)"
    )
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="its folder (default: %(default)s)")
    parser.add_argument("--print", action="store_true", help="print the unit and change nothing")
    options = parser.parse_args(list(arguments))
    home: Path = options.home.expanduser().resolve()
    text = unit(options.user, home)
    if options.print:
        sys.stdout.write(text)
        return 0
    try:
        _install(options.user, home, text)
    except CannotInstall as error:
        sys.stderr.write(f"Not installed: {error}\n")
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"Not installed: {error}\n")
        return 1
    sys.stdout.write(f"Written: {UNIT_FOLDER / f'{NAME}.service'}\nNext:\n")
    for step in _next_steps(home):
        sys.stdout.write(f"  {step}\n")
    return 0


def _next_steps(home: Path) -> list[str]:
    steps = []
    if not (home / CONFIG_FILE).exists():
        example = _quoted(_EDGE_FOLDER / "config_example.py")
        steps.append(f"sudo cp {example} {_quoted(home / CONFIG_FILE)}    # and set house_id in it")
    if not (home / CREDENTIALS_FILE).exists():
        steps.append(f"sudo {_program()} install-certs --home {_quoted(home)}")
    return [*steps, f"sudo systemctl enable --now {NAME}"]


def unit(user: str, home: Path) -> str:
    """The unit's text for this installation."""
    template = string.Template(Path(__file__).with_name(f"{NAME}.service").read_text("utf-8"))
    places = [home, Path(sys.prefix), _EDGE_FOLDER]
    in_home = any(place.is_relative_to(folder) for place in places for folder in ("/home", "/root"))
    return template.substitute(
        command=f"{_program()} --home {_quoted(home)}",
        home=str(home).replace("%", "%%"),
        quoted_home=_quoted(home),
        user=user,
        watchdog_s=WATCHDOG_S,
        protect_home="read-only" if in_home else "yes",
    )


def _program() -> str:
    """The command of this installation: the installed script, or python with the copied folder's file."""
    script = Path(sys.executable).with_name(NAME)
    main = _EDGE_FOLDER / "Main_Publisher.py"
    installed = script.exists() and "site-packages" in main.parts
    return _quoted(script) if installed else f"{_quoted(Path(sys.executable))} {_quoted(main)}"


def _quoted(path: Path) -> str:
    """As systemd (and a shell) wants a path that may hold blanks."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text


def _install(user: str, home: Path, text: str) -> None:
    if sys.platform == "win32" or not UNIT_FOLDER.is_dir():
        raise CannotInstall("this machine has no systemd. Start the edge by its command in another way.")
    if os.geteuid() != 0:
        raise CannotInstall(f"that needs root. Run: sudo {_program()} install")
    import pwd

    try:
        account = pwd.getpwnam(user)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", user], check=True
        )
        account = pwd.getpwnam(user)
    _check_readable(user)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (home, *home.iterdir()):
        # Not what a link of that user's points to.
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    (UNIT_FOLDER / f"{NAME}.service").write_text(text, "utf-8")
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def _check_readable(user: str) -> None:
    """The service's user must get at the interpreter and the code."""
    runuser = shutil.which("runuser")
    if runuser is None:
        return
    code = Path(__file__).resolve()
    for path in (sys.executable, str(code)):
        tried = subprocess.run([runuser, "-u", user, "--", "test", "-r", path], check=False)
        if tried.returncode != 0:
            raise CannotInstall(
                f"the user {user} can't read {path}. Install where everybody can, such as /opt/{NAME}:"
                f" sudo python3 -m venv /opt/{NAME}; or name a user who can with --user."
            )
