"""Servers that refuse to run as root, or should, run as somebody ordinary."""

from __future__ import annotations

import os
import sys


def unprivileged_user() -> tuple[int, int] | None:
    """User and group id to run a server as when we are root: the user who called sudo, else `nobody`.

    None where we are ordinary ourselves, and on Windows.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    caller, group = os.environ.get("SUDO_UID", "0"), os.environ.get("SUDO_GID", "0")
    if caller.isdecimal() and group.isdecimal() and int(caller) > 0:
        return int(caller), int(group)
    import pwd

    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
