"""Run a command, and end it when our standard input closes, which is when the process that started us has ended.

`python -m sgmp_console.demo.child_guard COMMAND ARGUMENT...` for POSIX systems without a death signal (macOS, BSD).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys


def main(command: list[str]) -> int:
    """Returns the command's exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 4096):
            process.kill()
            break
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
