"""What goes to the broker next: nothing twice, nothing forgotten, live first; against a model, with faults of all parts."""

from __future__ import annotations

import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sgmp_edge.delivery import queue as queue_module
from sgmp_edge.delivery.acknowledgements import Acknowledgements
from sgmp_edge.delivery.takeovers import SHORT_S, Takeovers
from tests.edge.sending import Sending

STEPS = int(os.environ.get("SGMP_QUEUE_STEPS", "4000"))
"""Of the long run; 1,000,000 before a release."""
MAX_IN_MEMORY = 30


@pytest.fixture(autouse=True)
def _small_bounds_and_quiet_logs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_module, "MAX_IN_MEMORY", MAX_IN_MEMORY)
        patch.setattr(queue_module, "SMALL_BACKLOG", 20)
        logging.disable(logging.CRITICAL)
        yield
        logging.disable(logging.NOTSET)


def folder() -> tempfile.TemporaryDirectory[str]:
    """In memory where the system offers that: a million transactions wear a disk."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


class SendingMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.folder = folder()
        self.sending = Sending(Path(self.folder.name), seed, MAX_IN_MEMORY)

    @rule(count=st.integers(1, 40), live=st.booleans())
    def put(self, count: int, live: bool) -> None:
        self.sending.put(count, live=live)

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.sending.passes(seconds)

    @rule(max_in_flight=st.sampled_from([1, 2, 17, 65_535]))
    def connect(self, max_in_flight: int) -> None:
        self.sending.connect(max_in_flight)

    @rule()
    def disconnect(self) -> None:
        self.sending.disconnect()

    @rule(at_most=st.integers(1, 100))
    def send(self, at_most: int) -> None:
        self.sending.send(at_most)

    @rule(taken=st.booleans(), count=st.integers(1, 40))
    def answer(self, taken: bool, count: int) -> None:
        for _ in range(count):
            self.sending.answer(taken=taken)

    @rule(taken=st.booleans())
    def late_answer(self, taken: bool) -> None:
        self.sending.answer(taken=taken, old=True)

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        self.sending.restart(killed=killed)

    @rule()
    def damage(self) -> None:
        self.sending.damage()

    @rule()
    def fill_disk(self) -> None:
        self.sending.fill_disk()

    @rule()
    def heal_disk(self) -> None:
        self.sending.heal_disk()

    @rule()
    def settle(self) -> None:
        self.sending.settle()

    @invariant()
    def nothing_is_lost_or_stranded(self) -> None:
        self.sending.check_nothing_is_stranded()
        self.sending.check_nothing_left_the_disk_before_it_arrived()

    def teardown(self) -> None:
        if hasattr(self, "sending"):
            try:
                self.sending.settle()
            finally:
                self.sending.close()
                self.folder.cleanup()


SendingMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


class TestQueueAgainstModel(SendingMachine.TestCase):  # type: ignore[misc, valid-type]
    """Each rule in any order."""


def test_in_a_long_run_no_message_is_ever_stranded_lost_or_sent_twice() -> None:
    chance = random.Random(20261128)
    began = time.monotonic()
    with folder() as name:
        sending = Sending(Path(name), 7, MAX_IN_MEMORY)
        rare = {"restart": 400, "kill": 400, "damage": 1000, "fill": 500, "heal": 200, "settle": 1500}
        counts = dict.fromkeys((*rare, "put", "answer", "connect", "disconnect"), 0)
        try:
            for step in range(STEPS):
                _one_step(sending, chance, rare, counts)
                sending.check_nothing_is_stranded()
                if step % 500 == 0:
                    sending.check_nothing_left_the_disk_before_it_arrived()
            sending.settle()
        finally:
            sending.close()
    print(
        f"\n{STEPS:,} steps in {time.monotonic() - began:.0f} s: {sending.put_count:,} messages put,"
        f" {sending.sent:,} sent, {len(sending.delivered):,} acknowledged, {len(sending.may_be_lost):,} lost to"
        f" damage or with the memory of a killed process; {counts}"
    )


def _one_step(sending: Sending, chance: random.Random, rare: dict[str, int], counts: dict[str, int]) -> None:
    for name, every in rare.items():
        if chance.random() * every < 1.0:
            counts[name] += 1
            match name:
                case "restart" | "kill":
                    sending.restart(killed=name == "kill")
                case "damage":
                    sending.damage()
                case "fill":
                    sending.fill_disk()
                case "heal":
                    sending.heal_disk()
                case "settle":
                    sending.settle()
    draw = chance.random()
    if draw < 0.15:
        counts["put"] += 1
        sending.put(chance.choice((1, 1, 2, 5, 40)), live=chance.random() < 0.8)
    elif draw < 0.40:
        sending.send(chance.choice((1, 5, 100)))
    elif draw < 0.80:
        counts["answer"] += 1
        for _ in range(chance.choice((1, 3, 20))):
            sending.answer(taken=chance.random() < 0.9)
    elif draw < 0.92:
        sending.passes(chance.choice((0.01, 0.1, 1.0, 3.0, 30.0)))
    elif draw < 0.95:
        sending.answer(taken=chance.random() < 0.5, old=True)
    elif draw < 0.98:
        counts["connect"] += 1
        sending.connect(chance.choice((1, 20, 64, 65_535)))
    else:
        counts["disconnect"] += 1
        sending.disconnect()


def test_an_acknowledgement_is_final_when_the_connection_stood_long_enough() -> None:
    acknowledged = Acknowledgements(60.0)
    acknowledged.add(1, 0.0)
    acknowledged.add(2, 30.0)
    assert acknowledged.take_final(59.0) == []
    assert acknowledged.take_final(60.0) == [1]
    assert set(acknowledged) == {2}
    acknowledged.clear()
    assert acknowledged.take_final(1000.0) == []


def test_a_broker_that_says_so_or_hangs_up_thrice_means_another_client() -> None:
    takeovers = Takeovers()
    takeovers.connected(0.0)
    assert takeovers.disconnected(1.0, taken_over=True, hung_up=False)
    found = []
    for at in (10.0, 20.0, 30.0):
        takeovers.connected(at)
        found.append(takeovers.disconnected(at + 1.0, taken_over=False, hung_up=True))
    assert found == [False, False, True]
    takeovers.connected(40.0)
    assert not takeovers.disconnected(40.0 + SHORT_S, taken_over=False, hung_up=True)
    assert takeovers.count == 2


def test_a_broker_that_takes_nothing_is_asked_less_and_less() -> None:
    with folder() as name:
        sending = Sending(Path(name), 1, MAX_IN_MEMORY)
        sending.put(200, live=False)
        sending.connect()
        attempts: list[int] = []
        for _ in range(60):
            before = sending.sent
            until = sending.now + 60.0
            while sending.now < until:
                wait_s = sending.send()
                for _ in range(64):
                    sending.answer(taken=False)
                sending.passes(max(wait_s, 0.05))
            attempts.append(sending.sent - before)
        assert attempts[-1] < attempts[0] / 5
        assert len(sending.held()) == 200
        sending.settle()
        sending.close()


def test_what_a_disk_kept_hidden_is_sent_once_it_shows_it_over_the_same_connection() -> None:
    with folder() as name:
        sending = Sending(Path(name), 1, MAX_IN_MEMORY)
        sending.put(5, live=False)
        obstacle = sending.file.with_name(sending.file.name + "-shm")
        sending.outbox.close()
        obstacle.mkdir()  # where SQLite needs a file
        sending.restart()
        sending.connect()
        sending.put(1, live=True)
        sending.send()
        sending.answer(taken=True)
        assert sending.outbox.problem is not None
        assert sending.delivered == {5}
        obstacle.rmdir()
        sending.settle()
        assert sending.delivered == {0, 1, 2, 3, 4, 5}
        sending.close()
