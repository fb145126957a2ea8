"""Control: off unless allowed, always with an end, and undone whatever happens."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sgmp_edge import contract
from sgmp_edge.backoff import BackOff
from sgmp_edge.common import BadAnswer, Unreachable
from sgmp_edge.contract import Command
from sgmp_edge.polling import control
from sgmp_edge.polling.control import Control
from tests.edge.house import NOW, House, Script, device
from tests.waiting import wait_until

pytestmark = pytest.mark.expected_warnings("polling.control: ", "battery: unreachable")


Open = Callable[..., House]
MESSAGES = 10_000


class Controlled:
    """A house with control and one device, `battery`."""

    def __init__(
        self,
        house: Open,
        kind: str = "commanded",
        *,
        enabled: bool = True,
        known: bool = True,
        **options: Any,
    ) -> None:
        self.script = Script.all.get("battery") or Script("battery")
        self.house = house(**options)
        self.results: list[Mapping[str, Any]] = []
        self.durable = True
        self.control = Control(
            self.house.loop,
            self.house.poller,
            self._store,
            enabled=enabled,
            states=self.house.states,
            now_ms=self.house.poller.clock.now_ms,
        )
        self.house.also.append(self.control.wake)
        self._kind = kind
        if known:
            self.configure()

    def configure(self) -> None:
        """The battery becomes known, as a configuration makes it."""
        self.house.apply(device(1, "battery", self._kind))
        self.control.adopt()

    def send(self, name: str = "battery", **fields: Any) -> None:
        command = {"request": "r1", "data": {"power_w": 9000}, "ttl_s": 60.0, **fields}
        payload = contract.dump_command(Command(**command))
        self.control.receive(name, payload)

    def result(self, count: int) -> Mapping[str, Any]:
        self.house.until(lambda: len(self.results) >= count)
        return self.results[count - 1]

    def outcomes(self) -> list[str]:
        return [result["outcome"] for result in self.results]

    def leases(self) -> list[str]:
        return [key for key in self.house.states if key.startswith("lease/")]

    def _store(
        self,
        kind: str | None,
        data: Mapping[str, Any],
        states: Mapping[str, str | None],
        then: Callable[[bool], None] | None = None,
    ) -> None:
        self.house.put([], states)
        if kind is not None:
            assert kind == contract.COMMAND_RESULT
            self.results.append(data)
        if then is not None:
            then(self.durable)


def test_a_command_is_carried_out_read_back_and_says_until_when(house: Open) -> None:
    controlled = Controlled(house)
    before = NOW.time()
    controlled.send(ttl_s=60.0)
    result = controlled.result(1)
    assert controlled.script.acts == [{"power_w": 9000}]
    assert (result["request"], result["device"], result["outcome"]) == ("r1", "battery", "done")
    assert result["read_back"] == {"power_w": 9000}
    assert result["clamped"] == {"power_w": [9000, 3000]}
    assert 55 < result["expires_ms"] / 1000 - before <= 61


def test_control_is_off_unless_the_edge_allows_it(house: Open) -> None:
    controlled = Controlled(house, enabled=False)
    controlled.send()
    assert controlled.result(1)["outcome"] == "refused"
    assert "allow_control" in controlled.result(1)["reason"]
    assert controlled.script.acts == []


def test_a_setpoint_is_undone_when_its_time_is_over(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=1.0)
    assert controlled.result(2)["outcome"] == "released"
    assert controlled.script.releases == 1
    assert controlled.leases() == []


def test_a_renewed_setpoint_is_not_undone_in_between(house: Open) -> None:
    controlled = Controlled(house)
    for number in range(3):
        controlled.send(request=f"r{number}", ttl_s=1.0)
        controlled.result(1 + 2 * number)
        controlled.house.pass_time(0.6)
    assert controlled.script.releases == 0
    controlled.house.until(lambda: controlled.script.releases == 1)
    controlled.house.until(lambda: controlled.outcomes()[-1] == "released")
    assert controlled.outcomes() == ["done", "replaced", "done", "replaced", "done", "released"]


def test_the_lease_is_on_the_disk_before_the_command_reaches_the_device(house: Open) -> None:
    controlled = Controlled(house)
    seen: list[list[str]] = []
    controlled.script.acts = Watching(lambda: seen.append(controlled.leases()))
    controlled.send()
    controlled.result(1)
    assert seen == [["lease/1"]]


class Watching(list[Any]):
    """Says when something is added."""

    def __init__(self, on_append: Callable[[], None]) -> None:
        super().__init__()
        self._on_append = on_append

    def append(self, item: Any) -> None:
        self._on_append()
        super().append(item)


def test_without_a_disk_there_is_no_command(house: Open) -> None:
    controlled = Controlled(house)
    controlled.durable = False
    controlled.send()
    assert controlled.result(1)["outcome"] == "refused"
    assert controlled.script.acts == []


def test_what_a_killed_edge_left_is_undone_at_the_next_start(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    again = Controlled(house, states=dict(controlled.house.states))
    assert again.result(1)["outcome"] == "released"
    assert again.result(1)["request"] == "r1"
    assert again.leases() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"request": 5}', '{"request": "r1", "undo": 7}'])
def test_a_lease_that_cannot_be_read_any_more_is_undone_all_the_same(house: Open, text: str) -> None:
    again = Controlled(house, states={"lease/1": text})
    assert again.result(1)["outcome"] == "released"
    assert again.leases() == []


def test_a_lease_is_kept_until_its_device_is_known_again(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    again = Controlled(house, known=False, states=dict(controlled.house.states))
    assert again.leases() == ["lease/1"]
    again.configure()
    assert again.result(1)["outcome"] == "released"
    assert again.leases() == []


def test_an_ending_edge_gives_everything_back(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    controlled.control.release_all()
    controlled.house.until(controlled.control.idle)
    assert controlled.script.releases == 1
    controlled.send(request="r2")
    assert controlled.results[-1]["outcome"] == "refused"


def test_a_device_that_a_new_configuration_takes_away_is_given_back_first(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    controlled.control.reconfigure([])
    controlled.house.apply()
    wait_until(lambda: controlled.script.closed == 1)
    assert controlled.script.releases == 1
    assert controlled.result(2)["outcome"] == "released"
    controlled.house.until(lambda: controlled.leases() == [])


def test_a_device_that_stays_is_not_given_back_by_a_new_configuration(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    controlled.control.reconfigure([device(1, "battery", "commanded")])
    assert controlled.leases() == ["lease/1"]


def test_a_device_that_was_renamed_is_given_back_all_the_same(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=1.0)
    controlled.result(1)
    before = device(1, "battery", "commanded")
    controlled.house.apply(type(before)(1, "renamed", before.type, before.config))
    assert controlled.result(2)["outcome"] == "released"
    assert controlled.script.releases == 1


def test_a_release_that_fails_is_said_and_tried_until_it_succeeds(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "RETRY_RELEASE", BackOff(0.1, 0.2))
    controlled = Controlled(house)
    controlled.send(ttl_s=1.0)
    controlled.result(1)
    controlled.script.answer = Unreachable("no route")
    assert controlled.result(2)["outcome"] == "release_failed"
    assert controlled.leases() == ["lease/1"]
    controlled.script.answer = {"power": 1.0}
    assert controlled.result(3)["outcome"] == "released"
    assert controlled.leases() == []


def test_a_release_that_failed_for_days_is_still_tried_at_its_pace(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=600.0)
    controlled.result(1)
    controlled.script.answer = Unreachable("gone")
    lease = controlled.control._leases[1]
    lease.tries = 5_000
    lease.lapses_at = 0.0
    controlled.house.until(lambda: lease.tries == 5_001)
    assert lease.lapses_at > NOW.monotonic() + 50.0


def test_a_command_that_failed_is_undone_at_once_since_it_may_have_arrived(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "RETRY_RELEASE", BackOff(0.1, 0.2))
    controlled = Controlled(house)
    controlled.script.answer = BadAnswer("the read-back differs")
    controlled.send()
    assert (controlled.result(1)["outcome"], controlled.result(1)["reason"]) == (
        "failed",
        "the read-back differs",
    )
    controlled.script.answer = {"power": 1.0}
    controlled.house.until(lambda: controlled.script.releases == 1)


def test_a_class_without_release_is_commanded_only_with_an_undo(house: Open) -> None:
    controlled = Controlled(house, kind="irrevocable")
    controlled.send(request="r1")
    assert controlled.result(1)["outcome"] == "failed"
    assert "`undo`" in controlled.result(1)["reason"]
    controlled.house.until(lambda: controlled.leases() == [])
    controlled.send(request="r2", undo={"mode": "auto"}, ttl_s=1.0)
    controlled.house.until(lambda: controlled.script.acts == [{"power_w": 9000}, {"mode": "auto"}])
    controlled.house.until(lambda: controlled.outcomes()[-1] == "released")


def test_a_device_that_cannot_be_commanded_says_so(house: Open) -> None:
    controlled = Controlled(house, kind="scripted")
    controlled.send(undo={})
    assert controlled.result(1)["outcome"] == "failed"
    assert "can't be commanded" in controlled.result(1)["reason"]


def test_the_same_request_twice_is_one_command(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send()
    controlled.send()
    controlled.send(request="r2")
    controlled.house.until(lambda: controlled.outcomes().count("done") == 2)
    assert len(controlled.script.acts) == 2


@pytest.mark.parametrize(
    ("age_s", "reason"), [(61.0, "time-to-live was over"), (-3600.0, "issued in the future")]
)
def test_a_command_that_comes_too_late_or_from_the_future_is_refused(
    house: Open, age_s: float, reason: str
) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=60.0, issued_ms=int((NOW.time() - age_s) * 1000))
    assert reason in controlled.result(1)["reason"]
    assert controlled.script.acts == []


def test_time_on_the_way_counts(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=60.0, issued_ms=int((NOW.time() - 58.5) * 1000))
    assert controlled.result(2)["outcome"] == "released"


def test_a_command_whose_time_was_over_before_its_device_was_free_is_not_carried_out(house: Open) -> None:
    controlled = Controlled(house)
    controlled.script.gate.clear()
    controlled.house.until(lambda: controlled.script.inside == 1)
    controlled.send(ttl_s=1.0)
    controlled.house.pass_time(1.1)
    controlled.script.gate.set()
    assert controlled.result(1)["outcome"] == "failed"
    assert "its time was over" in controlled.result(1)["reason"]
    assert controlled.result(2)["outcome"] == "released"
    assert controlled.script.acts == []


def test_an_unknown_device_is_refused(house: Open) -> None:
    controlled = Controlled(house)
    controlled.send("toaster")
    assert "no device 'toaster'" in controlled.result(1)["reason"]


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'{"request": "r", "data": {"a": 1}}',
        b'{"request": "r", "data": {"a": 1}, "ttl_s": 0}',
        b'{"request": "r", "data": {"a": 1}, "ttl_s": 1e9}',
        b'{"request": "r", "data": {"a": 1}, "ttl_s": true}',
        b'{"request": "r", "data": {}, "ttl_s": 60}',
        b'{"request": "", "data": {"a": 1}, "ttl_s": 60}',
        b'{"data": {"a": 1}, "ttl_s": 60}',
    ],
)
def test_a_command_without_an_end_or_a_name_is_refused(house: Open, payload: bytes) -> None:
    controlled = Controlled(house)
    controlled.control.receive("battery", payload)
    assert controlled.result(1)["outcome"] == "refused"
    assert controlled.script.acts == []


def test_ten_thousand_broken_commands_are_refused_and_the_house_goes_on(
    house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    controlled = Controlled(house)
    good = json.dumps({"request": "r9", "data": {"mode": "x"}, "ttl_s": 60.0, "issued_ms": 5}).encode()
    chance = random.Random(5)
    for _ in range(MESSAGES):
        content = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        name = chance.choice(["battery", "battery", "other", "", "x/y"])
        controlled.control.receive(name, bytes(content[: chance.randrange(1, len(content) + 1)]))
    assert set(controlled.outcomes()) <= {"refused", "done", "replaced", "released"}
    polls = len(controlled.house.messages("battery"))
    controlled.house.until(lambda: len(controlled.house.messages("battery")) > polls + 1)
    controlled.send(request="after")
    controlled.house.until(
        lambda: any(r["request"] == "after" and r["outcome"] == "done" for r in controlled.results)
    )


def test_a_device_that_leaves_its_command_by_itself_is_reported_once_and_at_the_first_poll(
    house: Open,
) -> None:
    controlled = Controlled(house)
    controlled.send(ttl_s=3600.0)
    assert controlled.result(1)["outcome"] == "done"
    polls = len(controlled.script.reads)
    controlled.house.until(lambda: len(controlled.script.reads) > polls + 2)
    assert controlled.outcomes() == ["done"]
    controlled.script.left = "it left manual mode by itself"
    left = controlled.result(2)
    assert (left["outcome"], left["code"]) == ("failed", "left_by_itself")
    assert left["reason"] == "it left manual mode by itself"
    controlled.house.until(lambda: not controlled.leases())
    polls = len(controlled.script.reads)
    controlled.house.until(lambda: len(controlled.script.reads) > polls + 2)
    assert controlled.outcomes() == ["done", "failed"]
    assert controlled.script.releases == 1


def test_what_a_poll_before_the_command_saw_does_not_count(house: Open) -> None:
    controlled = Controlled(house)
    controlled.script.left = "in automatic mode"
    controlled.house.until(lambda: len(controlled.script.reads) >= 2)
    controlled.script.gate.clear()
    controlled.send(ttl_s=3600.0)
    controlled.script.left = None
    controlled.script.gate.set()
    assert controlled.result(1)["outcome"] == "done"
    polls = len(controlled.script.reads)
    controlled.house.until(lambda: len(controlled.script.reads) > polls + 2)
    assert controlled.outcomes() == ["done"]
