"""Child processes that are kept running, and of which none survives their parent.

A parent killed outright can't stop anything. On Linux the kernel ends each child with it (a signal at the parent's
death); on Windows all are in a job that ends with the last handle to it; elsewhere each child has a guard, a small
process that ends it when the parent's end of a pipe closes.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sgmp_console.backoff import delays
from sgmp_console.files import private_opener, write_atomic

_log = logging.getLogger(__name__)

MAX_LOG_BYTES = 4 * 1024 * 1024
"""A child's log longer than this becomes `NAME.log.1`, replacing the one before."""

_LONGEST_DELAY_S = 10.0
"""Before a program is started again."""

_STEADY_AFTER_S = 30.0
"""What ran this long has recovered: the next crash is the first again."""

_PR_SET_PDEATHSIG = 1
_LEASH_S = 2.0


@dataclass(frozen=True)
class Program:
    """How one child is run."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to ours; may hold secrets, which therefore never stand in the command."""
    owner: tuple[int, int] | None = None
    """User and group id to run as, where not ours."""


class Child:
    """A running program. Its output goes to its log, its input is empty."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        bound_log(program.log)
        user, group = program.owner or (None, None)
        command = list(program.command)
        guarded = sys.platform not in ("linux", "win32")
        if guarded:
            command = [sys.executable, "-m", "sgmp_console.demo.child_guard", *command]
        with open(program.log, "ab", opener=private_opener) as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if guarded else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment},
                user=user,
                group=group,
                extra_groups=[] if program.owner else None,
                start_new_session=sys.platform != "win32",  # Ctrl-C is for the parent, who stops all in order
                creationflags=_CREATION_FLAGS,
                preexec_fn=_before_exec(),
            )
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(_STOP_SIGNAL)

    def stop(self, timeout_s: float) -> None:
        """Ask, wait, and kill after `timeout_s`."""
        self.ask_to_stop()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _log.warning("%s did not stop within %g s and was killed", self.program.name, timeout_s)
            self._release_guard()
            self._process.kill()
            self._process.wait()
        self._release_guard()

    def _release_guard(self) -> None:
        """The guard, where there is one, then kills what it holds; killed itself, it could not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LEASH_S)


class Service:
    """A program that is started again whenever it ends, sooner or later depending on how often."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.restarts = 0
        self._child: Child | None = None
        self._delays = delays(longest_s=_LONGEST_DELAY_S)
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """None between a crash and the next start."""
        return self._child.pid if self._child is not None else None

    def keep_running(self) -> None:
        """Start it if it doesn't run; to be called often. Never blocks."""
        now = time.monotonic()
        if self._child is not None:
            code = self._child.exit_code()
            if code is None:
                return
            if now - self._child.started >= _STEADY_AFTER_S:
                self._delays = delays(longest_s=_LONGEST_DELAY_S)
            delay_s = next(self._delays)
            _log.warning("%s ended (%s), starts again in %.1f s", self.program.name, code, delay_s)
            self._child = None
            self.restarts += 1
            self._not_before = now + delay_s
        if now >= self._not_before:
            self._child = Child(self.program)

    def ask_to_stop(self) -> None:
        if self._child is not None:
            self._child.ask_to_stop()

    def stop(self, timeout_s: float) -> None:
        if self._child is not None:
            self._child.stop(timeout_s)
            self._child = None


def bound_log(log: Path) -> None:
    """Keep a log that its writer has open from growing without end."""
    try:
        if log.stat().st_size <= MAX_LOG_BYTES:
            return
    except FileNotFoundError:
        return
    # Copied and emptied rather than renamed: the writer goes on in the same file, at its new end.
    write_atomic(log.with_name(log.name + ".1"), log.read_bytes())
    os.truncate(log, 0)


if sys.platform == "win32":
    from ctypes import wintypes

    _STOP_SIGNAL = signal.CTRL_BREAK_EVENT
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP

    def _before_exec() -> Callable[[], None] | None:
        return None  # nothing can run there; the job below does what is needed

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    _EXTENDED_LIMIT_INFORMATION = 9
    _KILL_ON_JOB_CLOSE = 0x2000

    def end_children_with_us() -> None:
        """Put this process, and so all it starts, into a job that ends when this process does."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        kernel.SetInformationJobObject.argtypes = (
            wintypes.HANDLE,
            ctypes.c_int,
            ctypes.c_void_p,
            wintypes.DWORD,
        )
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        job = kernel.CreateJobObjectW(None, None)  # never closed by us: that is the point
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limits)
        if not (
            job
            and kernel.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size)
            and kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
        ):
            _log.warning("no job object (error %d): children may outlive a crash", ctypes.get_last_error())

else:
    _STOP_SIGNAL = signal.SIGTERM
    _CREATION_FLAGS = 0

    def _before_exec() -> Callable[[], None]:
        # Resolved here: between fork and exec as little as possible may happen.
        prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
        parent = os.getpid()

        def in_child() -> None:
            if prctl is not None:
                prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:  # it died before the call above
                    os.kill(os.getpid(), signal.SIGKILL)

        return in_child

    def end_children_with_us() -> None:
        """Nothing to prepare here: each child is tied to us as it starts."""
