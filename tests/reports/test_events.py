"""What pages say of events."""

from __future__ import annotations

from sgmp_console.reports.events import warning_groups
from sgmp_console.reports.home import WarningGroup
from tests.reports.houses import event


def test_warnings_are_grouped_per_device_and_text_the_newest_first() -> None:
    events = [
        event(10, "sonnen", "WARNING", data="no answer within 3 s"),
        event(20, "egauge", "WARNING", data="no answer within 3 s"),
        event(30, "sonnen", "WARNING", data=" no answer within 3 s"),
        event(25, "sonnen", "WARNING"),
        event(40, "sonnen", "EV_START_CHARGING"),
    ]
    assert warning_groups(events) == (
        WarningGroup("sonnen", "no answer within 3 s", 2, 10, 30),
        WarningGroup("sonnen", "no text given", 1, 25, 25),
        WarningGroup("egauge", "no answer within 3 s", 1, 20, 20),
    )
