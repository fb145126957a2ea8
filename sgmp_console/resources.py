"""Where the files that come with the console are: icons, themes, templates, data.

They live in `resources/` of the repository; a wheel carries them inside the package, since an installed program
finds files only there.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_resources"
_REPOSITORY = _PACKAGE.parent / "resources"


def resource(name: str) -> Path:
    """The file or folder `name`, given relative to `resources/` with forward slashes.

    Raises FileNotFoundError naming it: the installation is damaged, or the name is a typo.
    """
    path = (_INSTALLED if _INSTALLED.is_dir() else _REPOSITORY).joinpath(*name.split("/"))
    if not path.exists():
        raise FileNotFoundError(f"resource {name!r} is missing from the installation")
    return path
