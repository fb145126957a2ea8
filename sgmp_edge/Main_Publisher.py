"""The edge daemon of SGMP, run as `python Main_Publisher.py` from wherever its folder was copied to.

To add a device type after the playbook: put its class into a file of this folder, import it where the comment below
says so, and add it to the map. A file in `devices/` that declares its type is found without either.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def _make_package() -> None:
    """Let this folder, whatever it is called, be the package `sgmp_edge`, and `common` one and the same module."""
    if "sgmp_edge" not in sys.modules:
        folder = Path(__file__).resolve().parent
        spec = importlib.util.spec_from_file_location(
            "sgmp_edge", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the path is a .py file
        package = importlib.util.module_from_spec(spec)
        sys.modules["sgmp_edge"] = package
        spec.loader.exec_module(package)
    sys.modules["common"] = importlib.import_module("sgmp_edge.common")


_make_package()

# Import classes for the map here, for example: from my_device import MyDevice


#
# The map from device type to class. What `devices/` declares (egauge, sonnen, powerflex, ...) need not be in it;
# a type that is in both is served by the class given here.
#

DEVICE_TYPES: dict[str, type] = {
    # "my_device": MyDevice,
}


def _default_home() -> Path:
    """A copied folder is its own home; the installed command has one in the user's."""
    return Path(__file__).resolve().parent if __name__ == "__main__" else Path.home() / "sgmp_edge"


def main() -> int:
    """Run the daemon. Returns the exit code."""
    from sgmp_edge.command import run

    return run(sys.argv[1:], DEVICE_TYPES, default_home=_default_home())


if __name__ == "__main__":
    raise SystemExit(main())
