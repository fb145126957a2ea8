"""Ticks: shared by all devices, and never the same timestamp twice, however the clock is set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge.polling.clock import HOLD_MS, PATIENCE_S, Clock, Mark


class Times:
    """A wall clock that can be set, and a monotonic one that can't."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.wall = wall
        self.monotonic = 5.0

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def clock(self, mark: Mark | None = None, *, earliest_ms: int = 0) -> Clock:
        return Clock(
            mark or Mark(), wall=lambda: self.wall, monotonic=lambda: self.monotonic, earliest_ms=earliest_ms
        )


def test_a_tick_is_a_whole_multiple_of_the_interval() -> None:
    clock = Times(1_700_000_001.5).clock()
    assert clock.next_tick(4000) == 1_700_000_004_000
    assert clock.next_tick(60_000) == 1_700_000_040_000


def test_devices_of_one_tick_get_the_same_timestamp() -> None:
    clock = Times().clock()
    assert clock.timestamp(1_700_000_004_000) == clock.timestamp(1_700_000_004_000)


def test_time_that_passes_is_no_step() -> None:
    times = Times()
    clock = times.clock()
    times.pass_s(3600.0)
    assert clock.step_ms() == 0


def test_a_step_is_told_once() -> None:
    times = Times()
    clock = times.clock()
    times.wall -= 30.0
    assert clock.step_ms() == -30_000
    assert clock.step_ms() == 0


def test_set_back_a_little_polls_wait_until_the_last_tick_is_over() -> None:
    times = Times()
    clock = times.clock()
    clock.timestamp(1_700_000_000_000)
    times.wall -= 10.0
    clock.step_ms()
    assert clock.next_tick(4000) == 1_700_000_004_000


def test_set_back_far_polls_go_on_with_timestamps_of_their_own() -> None:
    times = Times()
    clock = times.clock()
    given = {clock.timestamp(1_700_000_000_000)}
    times.wall -= 3600.0
    clock.step_ms()
    while times.wall < 1_700_000_010.0:
        tick = clock.next_tick(4000)
        times.pass_s(tick / 1000 - times.wall)
        assert abs(tick / 1000 - times.wall) < 0.01
        timestamp = clock.timestamp(tick)
        assert timestamp not in given
        given.add(timestamp)
    assert max(given) % 4000 == 0  # past the newest, ticks are whole again


def test_a_restart_with_a_clock_far_behind_repeats_no_timestamp() -> None:
    before = Times()
    clock = before.clock()
    clock.timestamp(1_700_000_000_000)
    times = Times(1_700_000_000.0 - 7200.0)
    after = times.clock(clock.mark)
    assert not after.is_set()
    times.pass_s(PATIENCE_S)
    assert after.is_set()
    assert after.timestamp(after.next_tick(4000)) % 4000 == 1


def test_after_a_boot_without_a_network_polls_wait_for_the_clock_to_be_set() -> None:
    times = Times(1_700_000_000.0 - 1800.0)
    clock = times.clock(Mark(1_700_000_000_000, 1_700_000_000_000, 0))
    times.pass_s(60.0)
    assert not clock.is_set()
    times.wall += 3600.0
    clock.step_ms()
    assert clock.is_set()
    assert clock.timestamp(clock.next_tick(4000)) % 4000 == 0


def test_at_the_first_boot_a_clock_behind_the_edges_own_files_was_not_set() -> None:
    times = Times(1_718_928_000.0)
    clock = times.clock(earliest_ms=1_795_000_000_000)
    times.pass_s(60.0)
    assert not clock.is_set()
    times.wall = 1_795_000_100.0
    clock.step_ms()
    assert clock.is_set()


def test_a_clock_that_nobody_sets_is_taken_after_five_minutes() -> None:
    times = Times(1_718_928_000.0)
    clock = times.clock(earliest_ms=1_795_000_000_000)
    times.pass_s(PATIENCE_S - 1)
    assert not clock.is_set()
    times.pass_s(1)
    assert clock.is_set()


def test_a_clock_ahead_of_the_last_reading_is_taken_as_it_is() -> None:
    assert Times().clock(Mark(1_600_000_000_000, 1_600_000_000_000, 0)).is_set()


steps = st.lists(
    st.one_of(
        st.floats(0.0, 30.0),  # time passes
        st.floats(0.0, 400.0),
        st.floats(-HOLD_MS / 1000, -1.1),  # set back a little
        st.floats(-1e6, -61.0),  # set back far
        st.floats(31.0, 1e6).map(lambda s: -s),
        st.sampled_from(["forward", "restart"]),
    ),
    max_size=60,
)


@given(steps)
def test_no_device_ever_gets_a_timestamp_twice(history: list[float | str]) -> None:
    times = Times()
    clock = times.clock()
    given_out: dict[int, set[int]] = {4000: set(), 10_000: set()}
    due = {interval: clock.next_tick(interval) for interval in given_out}
    waits = False
    for change in history:
        if change == "restart":
            clock = times.clock(clock.mark)
            due = {interval: clock.next_tick(interval) for interval in given_out}
        elif change == "forward":
            times.wall += 5000.0
        elif isinstance(change, float) and change >= 0.0:
            times.pass_s(change)
        elif isinstance(change, float):
            times.wall += change
        waited = waits
        stepped, waits = clock.step_ms(), not clock.is_set()
        if stepped or (waited and not waits):
            due = {interval: clock.next_tick(interval) for interval in due}
        if waits:
            continue
        now = clock.now_ms()
        for interval, tick in due.items():
            if now >= tick:
                timestamp = clock.timestamp(now // interval * interval)
                assert timestamp not in given_out[interval]
                given_out[interval].add(timestamp)
                due[interval] = clock.next_tick(interval)
