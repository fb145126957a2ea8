"""Children: kept running, bounded in what they log, and gone with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sgmp_console.demo.processes import MAX_LOG_BYTES, Child, Program, Service, bound_log
from sgmp_console.unprivileged_user import unprivileged_user
from tests.waiting import WAIT_S, wait_until

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(Program("sleeper", SLEEPER, tmp_path / "sleeper.log"))
    yield service
    service.stop(WAIT_S)


def _is_up(log: Path) -> bool:
    return log.exists() and "up" in log.read_text()


@pytest.mark.expected_warnings("ended .*, starts again")
def test_a_killed_service_is_started_again(service: Service) -> None:
    service.keep_running()
    first = service.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        service.keep_running()
        return service.pid not in (None, first)

    wait_until(is_back)
    assert service.restarts == 1


@pytest.mark.expected_warnings("ended .*, starts again")
def test_a_service_that_keeps_ending_is_started_ever_less_often(tmp_path: Path) -> None:
    service = Service(Program("loser", [sys.executable, "-S", "-c", ""], tmp_path / "loser.log"))
    started: list[float] = []

    def has_ended_three_times() -> bool:
        before = service.pid
        service.keep_running()
        if service.pid is not None and before is None:
            started.append(time.monotonic())
        return service.restarts >= 3

    wait_until(has_ended_three_times, every_s=0.01)
    # Half a second and a second, each a third shorter or longer by chance, and longer on a busy machine.
    assert started[1] - started[0] >= 0.35
    assert started[2] - started[1] >= 0.7
    service.stop(WAIT_S)


@pytest.mark.expected_warnings("did not stop within .* and was killed")
def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    child = Child(Program("stubborn", STUBBORN, tmp_path / "stubborn.log"))
    wait_until(lambda: _is_up(tmp_path / "stubborn.log"))
    child.stop(timeout_s=0.2)
    assert child.exit_code() == -signal.SIGKILL


def test_what_a_child_says_is_in_its_log_and_secrets_are_not_in_its_command(tmp_path: Path) -> None:
    program = Program(
        "teller",
        [sys.executable, "-c", "import os; print(os.environ['TOKEN'][::-1])"],
        tmp_path / "logs" / "teller.log",
        environment={"TOKEN": "s3cret"},
    )
    child = Child(program)
    wait_until(lambda: child.exit_code() == 0)
    assert program.log.read_text() == "terc3s\n"
    assert "s3cret" not in repr(program)


def test_a_log_is_bounded_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "chatter.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (MAX_LOG_BYTES + 1))
        bound_log(log)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "chatter.log.1").stat().st_size == MAX_LOG_BYTES + 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
@pytest.mark.parametrize("owner", [None, unprivileged_user()], ids=["ours", "ordinary user"])
def test_nothing_survives_a_parent_that_is_killed(tmp_path: Path, owner: tuple[int, int] | None) -> None:
    parent_code = (
        "import sys, time; from pathlib import Path;"
        "from sgmp_console.demo.processes import Child, Program;"
        f"child = Child(Program('child', ['/bin/sleep', '600'], Path(sys.argv[1]), owner={owner!r}));"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, str(tmp_path / "child.log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.uids().real == (owner[0] if owner else os.getuid())
        parent.kill()
        wait_until(lambda: not child.is_running() or child.status() == "zombie")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_guard_ends_its_command_when_it_is_let_go(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sgmp_console.demo.child_guard", *SLEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as guard:
        assert guard.stdin is not None
        assert guard.stdout is not None
        assert guard.stdout.readline() == b"up\n"
        (held,) = psutil.Process(guard.pid).children()
        guard.stdin.close()
        assert guard.wait(WAIT_S) == -signal.SIGKILL % 256 or guard.returncode < 0
        assert not held.is_running()
