"""Write the licences of all locked packages: a table, and the texts that the packages bring.

    python packaging/licences.py OUT [LOCK...]

`OUT` goes into what is given to others; `LOCK`: requirements.lock if not given. Exit code 1, and their names, if packages do not say
under which licence they are. Packages that are locked for other systems are named without a text.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
_TEXT_FILE = re.compile(r"(licen[sc]e|copying|notice|authors)", re.IGNORECASE)
_COMMON = Path("/usr/share/common-licenses")
"""Texts that Debian has, for packages which only name their licence."""
_COMMON_TEXTS = {"LGPL-3.0": ("LGPL-3", "GPL-3"), "GPL-3.0": ("GPL-3",), "Apache": ("Apache-2.0",)}
_OTHER_SYSTEM = "of another system"


def licence_of(package: Distribution) -> str:
    """As the package states it; empty where it does not."""
    stated = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
    classified = [
        text.rpartition("::")[2].strip()
        for text in package.metadata.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    first_line = stated.strip().partition("\n")[0].rpartition("::")[2].strip()
    return first_line if 0 < len(first_line) <= 80 else "; ".join(classified)


def texts_of(package: Distribution) -> list[tuple[str, str]]:
    """(name, text) of the licence files in it."""
    files = [
        file for file in package.files or [] if ".dist-info" in str(file) and _TEXT_FILE.search(file.name)
    ]
    return [(file.name, Path(str(file.locate())).read_text("utf-8", "replace")) for file in files]


def main(out: Path, locks: list[Path]) -> int:
    pins = {name: version for lock in locks for name, version in _PIN.findall(lock.read_text("utf-8"))}
    table, texts, unknown, named = [], [], [], set[str]()
    for name, version in sorted(pins.items()):
        try:
            package = distribution(name)
        except PackageNotFoundError:
            table.append(f"{name} {version}: {_OTHER_SYSTEM}")
            continue
        licence = licence_of(package)
        table.append(f"{name} {version}: {licence}")
        if not licence:
            unknown.append(name)
        found = texts_of(package)
        texts += [f"{'=' * 100}\n{name} {version}: {file}\n\n{text}" for file, text in found]
        if not found:
            named.update(text for key, several in _COMMON_TEXTS.items() if key in licence for text in several)
    texts += [
        f"{'=' * 100}\n{name}\n\n{(_COMMON / name).read_text('utf-8')}"
        for name in sorted(named)
        if (_COMMON / name).is_file()
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        "\n".join(["What SGMP is made with, and under which licences.\n", *table, "", *texts]), "utf-8"
    )
    if unknown:
        print(f"No licence is stated by: {', '.join(unknown)}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), [Path(lock) for lock in sys.argv[2:] or ["requirements.lock"]]))
