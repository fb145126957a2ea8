"""A deployment with two houses that have something of everything, and people of all kinds, all of one house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sgmp_console import store
from sgmp_console.store import (
    Batch,
    Database,
    Device,
    EventRow,
    House,
    OperatorRule,
    ReadingRow,
    Rejected,
    TextRow,
)
from sgmp_console.store.notes import NoteKind
from sgmp_console.store.quality import DayToStore, Run
from tests.database import TestDatabase

T0 = 1_750_000_000_000
PASSWORD = "correct horse battery"
RECIPIENT = "notified"
"""Begins the email of whom a message about a finding did not reach."""

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "installer": (
        "view_dashboards",
        "view_devices",
        "manage_devices",
        "manage_houses",
        "manage_accounts",
    ),
    "clerk": ("manage_accounts",),
    "guest": (),
}
"""Roles of this deployment beside the built-in ones. Nobody signs in as a guest."""

PEOPLE = ("admin", "researcher", "visitor", "installer", "clerk", "must-change", "disabled", "no-account")


@dataclass(frozen=True)
class Place:
    """A house. `mark` is in everything that is of this house only, `secret` in what nobody may see unasked."""

    house: House
    meter: Device
    battery: Device
    item_id: int
    series_id: int
    guest_id: int
    finding_id: int
    window_id: int
    note_id: int
    excluding_id: int
    recipient_id: int
    rule_id: int
    value: float
    mark: str
    secret: str

    @property
    def house_id(self) -> int:
        return self.house.house_id


@dataclass(frozen=True)
class Scene:
    owner: Database
    where: TestDatabase
    own: Place
    other: Place
    role_id: int
    people: dict[str, Database]
    """Who can sign in, by kind."""


@contextmanager
def set_up(where: TestDatabase) -> Iterator[Scene]:
    """In an empty database."""
    with ExitStack() as stack:
        owner = Database.connect(where.url)
        stack.callback(owner.dispose)
        with owner.begin() as connection:
            roles = {
                name: store.roles.create(connection, name, permissions=permissions)
                for name, permissions in PERMISSIONS.items()
            }
            free = store.roles.create(connection, "unused", permissions=["export"])
        own, other = _place(owner, "North", 41.5), _place(owner, "South", 42.5)
        alarms = {
            "not_storing": {"seconds": 61, "reason": other.mark},
            "flood": {"houses": {str(own.house_id): 700.0, str(other.house_id): 800.0}},
            "refused": {"houses": [str(other.house_id)]},
        }
        with owner.begin() as connection:
            store.ingest_state.report(connection, "ingest", {"readings": 7, "alarms": alarms})
        people: dict[str, Database] = {}
        for kind in PEOPLE[:-1]:
            role = {"must-change": "admin", "disabled": "admin"}.get(kind, kind)
            assert role in roles or role in ("admin", "researcher", "visitor")
            with owner.begin() as connection:
                account = store.accounts.create(
                    connection,
                    email=f"{kind}@example.org",
                    name=kind,
                    role=role,
                    house_id=None if role == "admin" else own.house_id,
                    password=PASSWORD,
                    must_change_password=kind == "must-change",
                )
                if kind == "disabled":
                    store.accounts.update(connection, replace(account, enabled=False))
                    continue
            people[kind], _ = store.sign_in(where.address, where.deployment, account.email, PASSWORD)
            stack.callback(people[kind].dispose)
        yield Scene(owner, where, own, other, free.role_id, people)


def _checked_day(house_id: int, series_id: int) -> DayToStore:
    start_ms = T0 - 3_600_000
    run = Run(series_id, start_ms, T0 + 300_000, 1)
    day = date(2025, 6, 15)
    return DayToStore(
        house_id, day, start_ms, start_ms + 86_400_000, 1, T0, 288, 13, {"MISSING": 13}, [], [], [run]
    )


def _place(owner: Database, name: str, value: float) -> Place:
    mark, secret = f"only-in-{name}", f"s3cret-of-{name}"
    config: dict[str, Any] = {"ip": f"{mark.lower()}.example.org", "serial": mark, "token": secret}
    with owner.begin() as connection:
        house = store.houses.create(connection, name, description=mark)
        meter = store.devices.create(
            connection,
            house.house_id,
            "meter",
            "egauge",
            {"ip": "192.0.2.1", "keys": [mark]},
            description=mark,
        )
        battery = store.devices.create(
            connection, house.house_id, "battery", "sonnen", config, description=mark
        )
        store.devices.create(
            connection, house.house_id, "odd", "unheard_of", {"anything": secret, "serial": secret}
        )
        item = store.analytics.create(
            connection, house.house_id, "power", "meter.x", description=mark, aggregated=True
        )
        store.aggregates.register(connection, house.house_id, item.item_id, [("meter", "x")])
        address = (house.house_id, meter.device_id, "meter", T0)
        store.readings.write(
            connection,
            Batch(
                readings=[ReadingRow(*address, {"x": value})],
                texts=[TextRow(*address, {"state": mark})],
                events=[
                    EventRow(*address, "WARNING", {"data": mark}),
                    EventRow(house.house_id, 0, "_edge", T0, "EDGE_STATUS", {"software": mark}),
                ],
            ),
        )
        store.quarantine.store(connection, [Rejected(T0, f"topic {mark}", b"?", "Why.", house.house_id)])
        guest = store.accounts.create(
            connection,
            email=f"{mark.lower()}@example.org",
            name=mark,
            role="guest",
            house_id=house.house_id,
            password=PASSWORD,
        )
        finding_id = connection.exec_driver_sql(
            "INSERT INTO sgmp.finding (house_id, device_name, rule, subject, severity, from_at, seen_at, opened_at)"
            " VALUES (%s, 'battery', 'device_warning', %s, 'warning', now(), now(), now()) RETURNING finding_id",
            (house.house_id, mark),
        ).scalar_one()
        connection.exec_driver_sql(
            "INSERT INTO sgmp.finding (house_id, rule, subject, severity, from_at, seen_at, opened_at)"
            " VALUES (%s, 'delivery', %s, 'warning', now(), now(), now())",
            (house.house_id, f"{RECIPIENT}.{name}@example.org"),
        )
        window_id = store.findings.add_window(
            connection, store.findings.Once(T0, T0 + 1), house_id=house.house_id, note=mark
        )
        note_id, excluding_id = (
            store.notes.add(
                connection, house.house_id, NoteKind.OTHER, T0, T0 + 300_000, mark, excluded=excluded
            )
            for excluded in (False, True)
        )
        recipient_id = store.findings.add_recipient(
            connection, store.findings.Channel.MAIL, f"{mark.lower()}@example.org", house_id=house.house_id
        )
        rule = store.rules.create(
            connection,
            OperatorRule("high", "meter.x", True, 1, guidance=mark, house_id=house.house_id),
        )
        series_id = connection.exec_driver_sql(
            "SELECT series_id FROM sgmp.series WHERE house_id = %s AND field = 'x'", (house.house_id,)
        ).scalar_one()
        store.quality.store_day(connection, _checked_day(house.house_id, series_id))
    with owner.begin() as connection:
        sent = store.devices.to_send(connection, house.house_id)
        rows = [{"device_id": d.device_id, "name": d.name, "type": d.type, "config": d.config} for d in sent]
        store.config_versions.add(connection, house.house_id, 1, f"sha of {mark}", rows)
    store.aggregates.populate(owner, house.house_id)
    return Place(
        house,
        meter,
        battery,
        item.item_id,
        series_id,
        guest.account_id,
        finding_id,
        window_id,
        note_id,
        excluding_id,
        recipient_id,
        rule.rule_id,
        value,
        mark,
        secret,
    )
