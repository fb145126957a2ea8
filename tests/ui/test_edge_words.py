"""What is said of an edge and its devices: nothing old is said as if it was so now."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.ui import edge_words
from sgmp_edge import contract

NOW_MS = 1_790_000_000_000
ZONE = ZoneInfo("UTC")
IN_SYNC = SyncState(Outcome.IN_SYNC, 3, NOW_MS - 600_000, None, changed=False)
DEVICES = {"meter": contract.Outcome.OK, "battery": contract.Outcome.UNREACHABLE}


def test_an_edge_that_is_away_is_not_said_to_be_in_sync() -> None:
    online = EdgeStanding(Presence.ONLINE, NOW_MS - 5_000, DEVICES)
    assert edge_words.sync_state(IN_SYNC, online, NOW_MS, ZONE).tint == "state_ok"
    for presence in (Presence.OFFLINE, Presence.SILENT, Presence.STOPPED):
        said = edge_words.sync_state(IN_SYNC, EdgeStanding(presence, NOW_MS - 180_000), NOW_MS, ZONE)
        assert "when it was last heard of" in said.text
        assert said.tint == "ink_muted"


def test_devices_that_are_down_are_known_while_the_edge_is_online() -> None:
    online = EdgeStanding(Presence.ONLINE, NOW_MS - 5_000, DEVICES)
    assert edge_words.devices_down(online) == {"battery": contract.Outcome.UNREACHABLE}
    assert edge_words.devices_down(EdgeStanding(Presence.OFFLINE, NOW_MS - 5_000, DEVICES)) == {}
