"""The edge daemon of SGMP: `python Main_Publisher.py`, from wherever its folder was copied to.

`python Main_Publisher.py --help` shows what else it can do; README.md beside this file says how to set it up.

To support a new type of device, either

- put a file into `devices/` that declares `DEVICE_TYPE` and holds one class: it is found by itself, here and in the
  console's dialog; the files there are examples. Or
- put the class, written as the playbook shows, into a file of this folder, import it below, and add it to the map.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

importlib.import_module("sgmp_edge.standalone" if __package__ else "standalone").make_package()

#
# Import the classes for the map here:
#
#     from my_device import MyDevice
#
# A class needs `__init__(self, config)` and `read()`, which returns a dict of fields or a ReadResult; `act(data)` if
# it can be commanded. common.py says what else it may have: memory that outlives a restart, its own history after a
# gap, undoing a command.
#
# It runs on a thread of its own, so `read()` may take its time, but must give up by itself at last.
#

#
# The map from device type to class: {type: class}.
#
# The types that `devices/` declares (egauge, sonnen, powerflex and what was put there since) are known without it. A
# type that is in both is served by the class in the map.
#
# A type that is only here declares no settings: the edge takes any JSON object as its config and hands it to the
# class. What is wrong with the config then shows when the class is made or read: the device is down, with a warning
# that says why, and the other devices go on.
#
# The playbook calls the next lines "line 45".
#
DEVICE_TYPES: dict[str, type] = {
    # "my_device": MyDevice,
}


def main() -> int:
    """Run the daemon; returns the exit code."""
    from sgmp_edge.command import run

    return run(sys.argv[1:], DEVICE_TYPES, default_home=_default_home())


def _default_home() -> Path:
    """A copied folder is its own home; the installed command has one in the user's."""
    return Path(__file__).resolve().parent if __name__ == "__main__" else Path.home() / "sgmp_edge"


if __name__ == "__main__":
    raise SystemExit(main())
