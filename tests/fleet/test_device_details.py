"""What the pages of a device and of an edge are made of: outcomes of polls over time, how often polls come, what an edge reports."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.fleet import edge_details, edge_state
from sgmp_console.fleet.device_details import expected_interval_s
from sgmp_console.fleet.edge_details import EdgeReport
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.poll_outcomes import OutcomeRun, runs
from sgmp_console.store import Device, EdgeState
from sgmp_console.store.events import EdgeStatus

MINUTE = 60_000
SILENT = 150_000


def status(minute: float, outcome: str = "ok", state: str = "online") -> EdgeStatus:
    return EdgeStatus(round(minute * MINUTE), state, outcome)


def test_what_a_status_says_holds_until_the_next_one() -> None:
    said = [status(0), status(1), status(2, "timed_out"), status(3)]
    assert runs(said, 0, 4 * MINUTE, SILENT) == (
        OutcomeRun(0, 2 * MINUTE, "ok"),
        OutcomeRun(2 * MINUTE, 3 * MINUTE, "timed_out"),
        OutcomeRun(3 * MINUTE, 4 * MINUTE, "ok"),
    )


def test_of_an_edge_that_is_silent_or_was_stopped_nothing_is_known() -> None:
    said = [status(0), status(10), status(11, "ok", "stopped"), status(12)]
    assert runs(said, 0, 13 * MINUTE, SILENT) == (
        OutcomeRun(0, SILENT, "ok"),
        OutcomeRun(SILENT, 10 * MINUTE, ""),
        OutcomeRun(10 * MINUTE, 11 * MINUTE, "ok"),
        OutcomeRun(11 * MINUTE, 12 * MINUTE, ""),
        OutcomeRun(12 * MINUTE, 13 * MINUTE, "ok"),
    )


def test_the_last_will_which_is_stamped_long_before_it_comes_says_nothing() -> None:
    said = [status(0), status(0.5, "", "offline"), status(1)]
    assert runs(said, 0, 2 * MINUTE, SILENT) == (OutcomeRun(0, 2 * MINUTE, "ok"),)


@given(
    st.lists(
        st.tuples(
            st.integers(-10, 100),
            st.sampled_from(["ok", "timed_out", ""]),
            st.sampled_from(["online", "offline", "stopped", "odd"]),
        )
    )
)
def test_outcomes_fill_their_time_without_gaps_and_two_in_a_row_differ(
    said: list[tuple[int, str, str]],
) -> None:
    found = runs([status(*one) for one in sorted(said)], 0, 60 * MINUTE, SILENT)
    assert (found[0].start_ms, found[-1].end_ms) == (0, 60 * MINUTE)
    for one, other in pairwise(found):
        assert one.end_ms == other.start_ms
        assert one.outcome != other.outcome
    assert all(run.start_ms < run.end_ms for run in found)


@pytest.mark.parametrize(
    ("kind", "config", "of_edge_s", "expected"),
    [
        ("egauge", {"interval": 10}, 4.0, 10.0),
        ("egauge", {}, 4.0, 4.0),
        ("powerflex", {}, 4.0, 15.0),
        ("powerflex", {}, 60.0, 60.0),
        ("unheard_of", {}, 4.0, 4.0),
        ("egauge", {"interval": "often"}, None, None),
        ("egauge", {"interval": True}, 4.0, 4.0),
    ],
)
def test_the_interval_expected_is_that_of_config_type_or_edge(
    kind: str, config: dict[str, Any], of_edge_s: float | None, expected: float | None
) -> None:
    edge = EdgeStanding(Presence.ONLINE, poll_interval_s=of_edge_s)
    assert expected_interval_s(Device(1, 1, "meter", kind, config=config), edge) == expected


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "uptime_s",
                "oldest_ms",
                "dropped",
                "disk_free_mb",
                "control",
                "poll_ms",
                "certificate_expires_ms",
                "poll_interval_s",
                "status_interval_s",
                "devices",
                "state",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.just(10**400)
            | st.floats(allow_nan=False)
            | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=3,
        ),
    )
)
def test_whatever_an_edge_reports_its_standing_and_its_report_can_be_read(said: dict[str, Any]) -> None:
    standing = edge_state.judge(EdgeState(said, 1_000), 2_000)
    assert all(0 <= took < 1e9 for took in standing.poll_ms.values())
    found = edge_details.report(said)
    assert found.uptime_s is None or found.uptime_s >= 0


def test_what_an_edge_does_not_report_is_not_known() -> None:
    assert edge_details.report({}) == EdgeReport()
