"""The demo's supervisor: one process that starts everything, keeps it running, and stops it in reverse.

It does no work of its own that takes long (preparing the database and loading history are child processes), has one
thread, and looks at its children a few times a second. Who started it reads what it reports and closes its standard
input to end it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from sgmp_console.cloud import revocation
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo import programs
from sgmp_console.demo.folder import LOOPBACK, DemoFolder, DemoState, choose_ports
from sgmp_console.demo.houses import DEMO_HOUSES
from sgmp_console.demo.mosquitto import set_store_aside
from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.demo.processes import Child, Program, Service, bound_log, end_children_with_us
from sgmp_console.demo.progress import ProgressReader, Reporter
from sgmp_console.errors import SgmpError
from sgmp_console.server.certificates import ensure_service_files
from sgmp_console.settings import Profile
from sgmp_console.store import SignInRefused, connecting, login_name

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_BOUND_LOGS_EVERY_S = 30.0
_START_TIMEOUT_S = 60.0
_DATABASE_SETTINGS = {"max_wal_size": "256MB"}
"""The disk is somebody's laptop's."""
_GIVE_UP_AFTER = 4
"""Starts in vain of one service, before it ever ran."""
_STOP_TIMEOUT_S = 2.5
"""For each group of services; with the database's own the whole stays under 10 s."""


class StackFailed(SgmpError):
    """Something that the demo needs did not start."""


class _AskedToStop(Exception):
    """Standard input closed, or a signal came."""


class Stack:
    """One run of the demo in `folder`.

    `history_days`: how much history a demo has. `poll_s`: how often the edges read their devices, seconds.
    `ends_with_stdin`: stop when standard input closes.
    """

    def __init__(
        self,
        folder: DemoFolder,
        reporter: Reporter,
        *,
        ends_with_stdin: bool,
        history_days: int = 30,
        poll_s: float = 2.0,
    ) -> None:
        self._folder = folder
        self._reporter = reporter
        self._ends_with_stdin = ends_with_stdin
        self._history_days = history_days
        self._poll_s = poll_s
        self._asked_to_stop = False
        self._postgres: EmbeddedPostgres | None = None
        self._services: list[list[Service]] = []  # in the order in which they start; they stop in reverse
        self._broker: Service | None = None
        self._access_list_read: int | None = None
        """When the list was changed that the broker has, by its file."""
        self._tasks: list[_Task] = []
        self._logs_bounded = 0.0

    def run(self, *, reset: bool) -> int:
        """Exit code: 0 after a stop that was asked for, 1 after a failure, which was reported."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        end_children_with_us()
        os.umask(0o077)  # logs, progress and sockets: what a house does all day is nobody else's business
        try:
            with self._folder.locked(reset=reset) as state:
                self._open_log()
                try:
                    self._start(state)
                    while True:
                        self._tick()
                finally:
                    self._stop()
        except _AskedToStop:
            return 0
        except SgmpError as error:
            # For the log file; the reporter is for people.
            _log.info("failed", exc_info=True)
            self._reporter.failed(str(error))
        except Exception:  # noqa: BLE001 - the program that waits for us must get it, whatever it was
            _log.exception("failed by a fault of ours")
            self._reporter.failed(f"The demo failed by a fault of its own; {self._folder.logs} says where.")
        return 1

    # --- Starting ------------------------------------------------------------------------------------------------

    def _start(self, state: DemoState) -> None:
        folder, stage = self._folder, self._reporter.stage
        choose_ports(state, ["database", "broker", *(port for house in DEMO_HOUSES for port in house.ports)])
        folder.save(state)
        authority = LocalAuthority(folder.authority)
        for service in ("console", "ingest"):
            ensure_service_files(authority, folder.certificates, state.deployment, service)

        stage("houses", "Switching on the simulated houses")
        self._add(*(programs.simulator(folder, state, house) for house in DEMO_HOUSES))
        stage("broker", "Starting the MQTT broker")
        self._broker = self._add(programs.broker(folder, state, authority))[0]
        stage("database", "Starting the database")
        self._postgres = EmbeddedPostgres(
            folder.database, port=state.ports["database"], settings=_DATABASE_SETTINGS
        )
        database_url = self._postgres.start()
        self._wait_for_ports(set(state.ports.values()))

        seeded = self._run_task("seed", programs.seed(folder, database_url, self._history_days))
        state.house_ids, state.known_ports = seeded["house_ids"], dict(state.ports)
        folder.save(state)
        stage("edges", "Starting ingest and the edges of the houses")
        self._add(programs.ingest(folder, state, seeded["ingest_url"]))
        self._add(programs.watch(folder, state, seeded["watch_url"]))
        self._add(*(programs.edge(folder, state, authority, house, self._poll_s) for house in DEMO_HOUSES))
        if self._history_days > 0:
            self._run_task(
                "history", programs.history(folder, database_url), finished="All of the history is loaded"
            )
        profile = programs.profile(folder, state)
        self._reporter.ready(
            {
                "profile": asdict(profile),
                "email": state.admin_email,
                "password": state.admin_password if _lets_in(profile, state) else "",
            }
        )

    def _add(self, *several: Program) -> list[Service]:
        """Start services that belong together. Those of one call stop together."""
        services = [Service(program) for program in several]
        self._services.append(services)
        for service in services:
            service.keep_running()
        self._check_stop()
        return services

    def _run_task(self, stage: str, program: Program, *, finished: str = "") -> Mapping[str, Any]:
        """Run a child that prepares something until it has its result; it may go on beside what follows, and `finished`
        is reported when it has ended.

        Raises StackFailed.
        """
        task = _Task(stage, program, self._folder.progress(stage), self._reporter, finished)
        self._tasks.append(task)
        while task.result is None:
            self._tick()
        return task.result

    def _wait_for_ports(self, ports: set[int]) -> None:
        """Until something listens at each of these loopback ports. Raises StackFailed."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while ports := {port for port in ports if not _answers(port)}:
            failing = [service for service in self._all_services() if service.restarts >= _GIVE_UP_AFTER]
            if self._broker in failing and set_store_aside(self._folder.broker):
                self._reporter.stage(
                    "broker",
                    "The broker's store was damaged: it is kept beside, and the broker starts with an empty one",
                )
                self._broker.restarts = 0
                continue
            if failing or time.monotonic() > deadline:
                logs = ", ".join(str(service.program.log) for service in failing) or str(self._folder.logs)
                raise StackFailed(f"A part of the demo does not start; {logs} says why.")
            self._tick()

    # --- Running -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """One round: start again what ended, bound the logs, rest. Raises _AskedToStop."""
        self._check_stop()
        if self._postgres is not None and not self._postgres.is_running():
            _log.warning("the database ended; it starts again")
            self._postgres.start()
        revoked, known = (place / "revoked.pem" for place in (self._folder.authority, self._folder.broker))
        if self._broker is not None and revocation.install(revoked, known):
            _log.info("a certificate was revoked; the broker starts again, which ends its connection")
            self._broker.ask_to_stop()
        self._have_access_list_read()
        for service in self._all_services():
            service.keep_running()
        for task in self._tasks:
            task.look()
        if time.monotonic() - self._logs_bounded > _BOUND_LOGS_EVERY_S:
            self._logs_bounded = time.monotonic()
            for log in (*self._folder.logs.glob("*.log"), *self._folder.database.glob("*.log")):
                bound_log(log)
        time.sleep(_LOOK_EVERY_S)

    def _have_access_list_read(self) -> None:
        """By the broker, after ingest changed it."""
        changed = (self._folder.broker / "acl").stat().st_mtime_ns
        if self._broker is not None and self._broker.pid is not None and changed != self._access_list_read:
            if self._access_list_read is not None and hasattr(signal, "SIGHUP"):
                os.kill(self._broker.pid, signal.SIGHUP)
            self._access_list_read = changed

    def _check_stop(self) -> None:
        if self._asked_to_stop or (self._ends_with_stdin and _stdin_closed()):
            raise _AskedToStop

    def _all_services(self) -> list[Service]:
        return [service for group in self._services for service in group]

    # --- Stopping ------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        for task in self._tasks:
            task.stop(_STOP_TIMEOUT_S)
        for group in reversed(self._services):
            for service in group:
                service.ask_to_stop()
            deadline = time.monotonic() + _STOP_TIMEOUT_S
            for service in group:
                service.stop(max(deadline - time.monotonic(), 0.0))
        if self._postgres is not None:
            self._postgres.stop()
        _log.info("stopped")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _open_log(self) -> None:
        self._folder.logs.mkdir(exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            self._folder.logs / "supervisor.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.INFO)


class _Task:
    """A child that prepares something, and what it has said so far."""

    def __init__(
        self, stage: str, program: Program, progress: Path, reporter: Reporter, finished: str
    ) -> None:
        self.result: Mapping[str, Any] | None = None
        self._stage = stage
        self._program = program
        self._progress = ProgressReader(progress)
        self._reporter = reporter
        self._child = Child(program)
        self._finished = finished
        self._ended = False
        self._lines: deque[dict[str, Any]] = deque()
        self._text = ""

    def look(self) -> None:
        """Tell what is new. Raises StackFailed where it ended without its result."""
        if self._ended:
            return
        code = self._child.exit_code()  # before its last lines are read
        self._lines.extend(self._progress.lines())
        while self._lines:
            line = self._lines.popleft()
            if "failed" in line:
                raise StackFailed(line["failed"])
            if "result" in line:
                self.result = line["result"]
                if self._text:
                    self._reporter.stage(self._stage, self._text, 1.0)
                return  # what it does besides is reported after the program that waits for the result went on
            self._text = line["text"]
            self._reporter.stage(self._stage, self._text, line["fraction"])
        if code is None:
            return
        self._ended = True
        if self.result is None:
            raise StackFailed(
                f"A step of the start did not finish; {self._program.log} says why. Starting again repeats it."
            )
        if code == 0 and self._finished:
            self._reporter.stage(self._stage, self._finished, 1.0)
        if code != 0:
            _log.error("%s ended early (%s); the next start goes on with it", self._program.name, code)

    def stop(self, timeout_s: float) -> None:
        self._child.stop(timeout_s)


def _lets_in(profile: Profile, state: DemoState) -> bool:
    """Whether the administrator still has the password that the demo made."""
    parameters = connecting.parameters_of(
        profile.database_url,
        user=login_name(state.deployment, state.admin_email),
        password=state.admin_password,
    )
    try:
        connecting.connect(parameters).close()
    except SignInRefused:
        return False
    return True


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


if sys.platform == "win32":
    import ctypes
    import msvcrt

    def _stdin_closed() -> bool:
        # Pipes can't be waited for there; looking into one fails once its other end is closed.
        handle = msvcrt.get_osfhandle(sys.stdin.fileno())
        return not ctypes.windll.kernel32.PeekNamedPipe(handle, None, 0, None, None, None)

else:
    import select

    def _stdin_closed() -> bool:
        readable, _, _ = select.select([0], [], [], 0)
        return bool(readable) and not os.read(0, 4096)
