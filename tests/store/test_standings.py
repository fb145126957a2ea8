"""Whether the devices of a house are others than those of its newest version."""

from __future__ import annotations

import json

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.store import Database
from tests.fleet.configs import EGAUGE


def test_devices_differ_by_what_the_edge_would_get_and_not_by_their_order(database: Database) -> None:
    with database.begin() as connection:
        house = store.houses.create(connection, "Maple House", time_zone="UTC").house_id

        def changed() -> bool:
            return store.standings.of_house(connection, house).changed

        assert changed()  # nothing was ever sent, not even that there is no device
        devices = [
            store.devices.create(connection, house, name, "egauge", {**EGAUGE, "interval": 10})
            for name in ("first", "second")
        ]
        sent = [
            {"device_id": one.device_id, "name": one.name, "type": one.type, "config": dict(one.config)}
            for one in devices
        ]

        def send(version: int, documents: object) -> None:
            connection.execute(
                sa.text("SELECT sgmp.add_config_version(:house, :version, 'abc', CAST(:devices AS jsonb))"),
                {"house": house, "version": version, "devices": json.dumps(documents)},
            )

        send(1, sent)
        assert not changed()
        send(2, sent[::-1])
        assert not changed()
        send(3, [sent[0], {**sent[1], "config": {**EGAUGE, "interval": 10.0}}])
        assert changed()  # 10.0 has another fingerprint than 10
        send(4, sent[:1])
        assert changed()
        assert store.standings.of_house(connection, house).devices == 2
