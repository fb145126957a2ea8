"""Who may do what, in one table: by the console's functions, and by SQL over the account's own connection.

`all`: in the own house and in others; `own`: in the own house only; `-`: in none. `admin` sees all houses, all others are
of one. `installer` is a custom role: devices, houses and accounts, without secrets; `clerk` one that only looks after
accounts. `must-change` is an administrator who has not changed the initial password yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.fleet import houses_overview, sync
from sgmp_console.store import (
    AccountDisabled,
    Database,
    OperatorRule,
    SignInRefused,
    aggregates,
    analytics,
    events,
    findings,
    login_name,
    notes,
    readings,
)
from sgmp_console.store.findings import Channel
from sgmp_console.store.notes import NoteKind
from tests.access.scene import PASSWORD, PEOPLE, T0, Place, Scene, set_up
from tests.database import TestServer, answers

TABLE = """
                           admin  researcher  visitor  installer  clerk  must-change  disabled  no-account
see the house              all    own         own      own        own    -            -         -
read readings              all    own         own      own        -      -            -         -
read the newest readings   all    own         own      own        -      -            -         -
read fields of a device    all    own         own      own        -      -            -         -
read slots                 all    own         own      own        -      -            -         -
read texts                 all    own         own      own        -      -            -         -
read states                all    own         own      own        -      -            -         -
read events                all    own         own      own        -      -            -         -
list events                all    own         own      own        -      -            -         -
read what edges reported   all    own         own      own        -      -            -         -
read the edge's state      all    own         own      own        -      -            -         -
read the fleet             all    own         own      own        -      -            -         -
read how houses are set up all    own         own      own        -      -            -         -
read series of houses      all    own         own      own        -      -            -         -
read items of houses       all    own         own      own        -      -            -         -
read analytic items        all    own         own      own        -      -            -         -
read device names          all    own         own      own        -      -            -         -
read device settings       all    own         -        own        -      -            -         -
read a device's history    all    own         -        own        -      -            -         -
read findings              all    own         own      own        -      -            -         -
read checked days          all    own         own      own        -      -            -         -
read flags of quality      all    own         own      own        -      -            -         -
read the houses' quality   all    own         own      own        -      -            -         -
read maintenance windows   all    own         own      own        -      -            -         -
read rules                 all    own         own      own        -      -            -         -
read notes                 all    own         own      own        -      -            -         -
read excluded times        all    own         own      own        -      -            -         -
read recipients            all    -           -        own        -      -            -         -
read quarantine            all    own         -        own        -      -            -         -
read sent configurations   all    own         own      own        -      -            -         -
read settings once sent    all    own         -        own        -      -            -         -
read accounts              all    -           -        own        own    -            -         -
read audit                 all    -           -        own        own    -            -         -

reveal a device's secrets  all    -           -        -          -      -            -         -
reveal what is to be sent  all    -           -        -          -      -            -         -
reveal what was sent       all    -           -        -          -      -            -         -

create a house             all    -           -        -          -      -            -         -
edit a house               all    -           -        own        -      -            -         -
delete a house             all    -           -        own        -      -            -         -
note new credentials       all    -           -        own        -      -            -         -
note a check of the wiring all    -           -        own        -      -            -         -
store a configuration      all    -           -        -          -      -            -         -
synchronize                all    -           -        -          -      -            -         -
create a device            all    -           -        own        -      -            -         -
edit a device              all    -           -        own        -      -            -         -
delete a device            all    -           -        own        -      -            -         -
set a field's unit         all    -           -        own        -      -            -         -
create an analytic item    all    own         -        -          -      -            -         -
edit an analytic item      all    own         -        -          -      -            -         -
delete an analytic item    all    own         -        -          -      -            -         -
register aggregation       all    own         -        -          -      -            -         -
populate aggregates        all    own         -        -          -      -            -         -
create a rule              all    own         -        -          -      -            -         -
create a rule of all       all    -           -        -          -      -            -         -
edit a rule                all    own         -        -          -      -            -         -
delete a rule              all    own         -        -          -      -            -         -
acknowledge a finding      all    -           -        own        -      -            -         -
silence a finding          all    -           -        own        -      -            -         -
add a maintenance window   all    -           -        own        -      -            -         -
end a maintenance window   all    -           -        own        -      -            -         -
add a note                 all    own         -        own        -      -            -         -
change a note              all    own         -        own        -      -            -         -
delete a note              all    own         -        own        -      -            -         -
exclude a time             all    own         -        -          -      -            -         -
exclude a note's time      all    own         -        -          -      -            -         -
move an excluded time      all    own         -        -          -      -            -         -
include a time again       all    own         -        -          -      -            -         -
delete an excluding note   all    own         -        -          -      -            -         -
add a recipient            all    -           -        own        -      -            -         -
add a webhook              all    -           -        -          -      -            -         -
remove a recipient         all    -           -        own        -      -            -         -
test a recipient           all    -           -        own        -      -            -         -
note an export             all    own         -        -          -      -            -         -
note a command             all    -           -        -          -      -            -         -

create an account          all    -           -        own        own    -            -         -
edit an account            all    -           -        own        own    -            -         -
disable an account         all    -           -        own        own    -            -         -
reset a password           all    -           -        own        own    -            -         -
delete an account          all    -           -        own        own    -            -         -
make an administrator      all    -           -        -          -      -            -         -
create a role              all    -           -        -          -      -            -         -
edit a role                all    -           -        -          -      -            -         -
delete a role              all    -           -        -          -      -            -         -
change the own password    all    all         all      all        all    all          -         -
"""

SPAN = (T0 - 1, T0 + 1)


def setting_is_shown(config: Any, place: Place) -> bool:
    return dict(config).get("serial") == place.mark


def battery_of(found: Any) -> Any:
    return next((one.config for one in found if one.name == "battery"), {})


class NullBroker:
    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        pass


@dataclass(frozen=True)
class Act:
    """`console`: true where it was allowed and told or did something; refusals are raised. `sql`: returns a row if so."""

    console: Callable[[sa.Connection, Place], object]
    sql: str


def edit_device(connection: sa.Connection, place: Place) -> object:
    shown = store.devices.get(connection, place.battery.device_id)
    return store.devices.update(connection, replace(shown, description="edited"))


def edit_item(connection: sa.Connection, place: Place) -> object:
    return analytics.update(connection, replace(analytics.get(connection, place.item_id), formula="meter.y"))


def change_note(connection: sa.Connection, place: Place, note_id: int, **change: Any) -> object:
    before = notes.get(connection, place.house_id, note_id)
    notes.change(connection, before, replace(before, **change))
    return True


def edit_account(connection: sa.Connection, place: Place, **change: Any) -> object:
    account = store.accounts.get(connection, place.guest_id)
    return store.accounts.update(connection, replace(account, **change))


def delete_account(connection: sa.Connection, place: Place) -> object:
    store.accounts.delete(connection, place.guest_id)
    return True


def create_account(connection: sa.Connection, place: Place, role: str = "guest") -> object:
    return store.accounts.create(
        connection,
        email="new@example.org",
        name="New",
        role=role,
        house_id=place.house_id,
        password=PASSWORD,
    )


def edit_role(connection: sa.Connection, place: Place) -> object:
    role = next(one for one in store.roles.list_all(connection) if one.name == "unused")
    return store.roles.update(connection, replace(role, description="edited"))


def delete_role(connection: sa.Connection, place: Place) -> object:
    role = next(one for one in store.roles.list_all(connection) if one.name == "unused")
    store.roles.delete(connection, role.role_id)
    return True


def done(act: Callable[..., object]) -> Callable[[sa.Connection, Place], object]:
    """For what returns nothing: it is done unless it is refused."""

    def wrapped(connection: sa.Connection, place: Place) -> object:
        act(connection, place)
        return True

    return wrapped


def is_registered(connection: sa.Connection, place: Place) -> object:
    aggregates.register(connection, place.house_id, place.item_id, [("meter", "state")])
    return True


VERIFIER = "SCRAM-SHA-256$4096:" + "A" * 22 + "==$" + "A" * 43 + "=:" + "A" * 43 + "="

RULE = "'x', 'meter.x', true, 1, NULL, 0, 0, NULL, NULL, 'info', '', '', true"

ACTS = {
    "see the house": Act(
        lambda c, p: store.houses.get(c, p.house_id), "SELECT FROM sgmp.houses WHERE house_id = {house}"
    ),
    "read readings": Act(
        lambda c, p: len(readings.read(c, p.house_id, [("meter", "x")], *SPAN)["meter", "x"]),
        "SELECT FROM sgmp.readings_between(ARRAY[{series}], '-infinity', 'infinity') WHERE value = {value}",
    ),
    "read the newest readings": Act(
        lambda c, p: readings.latest(c, p.house_id), "SELECT FROM sgmp.newest_readings(ARRAY[{house}])"
    ),
    "read fields of a device": Act(
        lambda c, p: readings.fields_now(c, p.meter.device_id),
        "SELECT FROM sgmp.fields_now({meter}) WHERE text_value = {mark}",
    ),
    "read slots": Act(
        lambda c, p: len(
            aggregates.read_slots(c, {"x": p.series_id}, T0 - 600_000, T0 + 600_000)["x"].starts
        ),
        "SELECT FROM sgmp.packed_slots(ARRAY[{series}], '-infinity', 'infinity') WHERE sums = float8send({value})",
    ),
    "read texts": Act(
        lambda c, p: c.exec_driver_sql(
            "SELECT value FROM sgmp.fields_of(%s) f, sgmp.texts_between(ARRAY[f.series_id], '-infinity', 'infinity')",
            (p.house_id,),
        ).first(),
        "SELECT FROM sgmp.fields_of({house}) f, sgmp.texts_between(ARRAY[f.series_id], '-infinity', 'infinity') t"
        " WHERE t.value = {mark}",
    ),
    "read states": Act(
        lambda c, p: events.state_changes(c, p.house_id, *SPAN),
        "SELECT FROM sgmp.state_changes({house}, '-infinity', 'infinity', 10) WHERE value = {mark}",
    ),
    "read events": Act(
        lambda c, p: events.read(c, p.house_id, *SPAN),
        "SELECT FROM sgmp.events_between({house}, '-infinity', 'infinity')",
    ),
    "list events": Act(
        lambda c, p: events.newest(c, p.house_id, *SPAN, limit=10),
        "SELECT FROM sgmp.newest_events({house}, '-infinity', 'infinity', 0, '{{}}', '{{}}', '', 10)",
    ),
    "read what edges reported": Act(
        lambda c, p: events.edge_statuses(c, p.house_id, T0 - 1, device="meter"),
        "SELECT FROM sgmp.edge_statuses({house}, 'meter', '-infinity', 10)",
    ),
    "read the edge's state": Act(
        lambda c, p: store.config_versions.edge_state(c, p.house_id).status,
        "SELECT FROM sgmp.house_states WHERE house_id = {house}",
    ),
    "read the fleet": Act(
        lambda c, p: [one for one in houses_overview.fleet(c, T0).houses if one.house.house_id == p.house_id],
        "SELECT FROM sgmp.house_standings() s LEFT JOIN sgmp.newest_of_houses() n USING (house_id)"
        " WHERE s.house_id = {house}",
    ),
    "read how houses are set up": Act(
        lambda c, p: (
            store.standings.of_fleet(c).houses[p.house_id][2].created_ms
            if p.house_id in store.standings.of_fleet(c).houses
            else None
        ),
        "SELECT FROM sgmp.house_setups('{{}}') WHERE house_id = {house}",
    ),
    "note a check of the wiring": Act(
        lambda c, p: store.standings.note_wiring(c, p.house_id, wrong=0, unknown=0),
        "SELECT NULLIF(sgmp.note_wiring({house}, 0, 0), false)",
    ),
    "read series of houses": Act(
        lambda c, p: aggregates.standings(c, [p.house_id])[p.house_id][0],
        "SELECT FROM unnest(ARRAY[{house}]) AS asked (house), LATERAL sgmp.fields_of(asked.house)",
    ),
    "read items of houses": Act(
        lambda c, p: analytics.of_houses(c, [p.house_id])[p.house_id],
        "SELECT FROM sgmp.analytic_items WHERE house_id IN ({house})",
    ),
    "read analytic items": Act(
        lambda c, p: analytics.list_all(c, p.house_id),
        "SELECT FROM sgmp.analytic_items WHERE description = {mark}",
    ),
    "read device names": Act(
        lambda c, p: store.devices.list_all(c, p.house_id),
        "SELECT name FROM sgmp.devices WHERE house_id = {house}",
    ),
    "read device settings": Act(
        lambda c, p: setting_is_shown(battery_of(store.devices.list_all(c, p.house_id)), p),
        "SELECT FROM sgmp.devices WHERE config ->> 'serial' = {mark}",
    ),
    "read a device's history": Act(
        lambda c, p: store.audit.of_device(c, p.battery.device_id, 10),
        "SELECT FROM sgmp.device_history({battery}, 10) WHERE after #>> '{{config, serial}}' = {mark}",
    ),
    "read findings": Act(
        lambda c, p: [one for one in findings.read(c) if one.house_id == p.house_id],
        "SELECT FROM sgmp.visible_findings(NULL, 'infinity', 0) WHERE subject = {mark}",
    ),
    "read checked days": Act(
        lambda c, p: store.quality.checked_days(c, p.house_id, *SPAN),
        "SELECT FROM sgmp.checked_days({house}, '-infinity', 'infinity')",
    ),
    "read flags of quality": Act(
        lambda c, p: store.quality.runs(c, p.house_id, *SPAN),
        "SELECT FROM sgmp.quality_between({house}, '-infinity', 'infinity')",
    ),
    "read the houses' quality": Act(
        lambda c, p: store.quality.of_houses(c, [p.house_id], T0),
        "SELECT FROM sgmp.quality_of_houses(ARRAY[{house}], '2000-01-01')",
    ),
    "acknowledge a finding": Act(
        lambda c, p: findings.acknowledge(c, p.finding_id, "seen"),
        "SELECT sgmp.act_on_finding({finding}, 'acknowledge', '', NULL)",
    ),
    "silence a finding": Act(
        lambda c, p: findings.silence(c, p.finding_id, int(time.time() * 1000) + 3_600_000),
        "SELECT sgmp.act_on_finding({finding}, 'silence', '', now() + interval '1 hour')",
    ),
    "read maintenance windows": Act(
        lambda c, p: [one for one in findings.windows(c) if one.house_id == p.house_id],
        "SELECT FROM sgmp.visible_windows() WHERE note = {mark}",
    ),
    "add a maintenance window": Act(
        lambda c, p: findings.add_window(c, findings.Once(T0, T0 + 1), house_id=p.house_id),
        "SELECT sgmp.add_window({house}, '', now(), now() + interval '1 hour', NULL, NULL, NULL, '')",
    ),
    "end a maintenance window": Act(
        lambda c, p: findings.remove_window(c, p.window_id),
        "SELECT NULLIF(sgmp.remove_window({window}), false)",
    ),
    "read rules": Act(
        lambda c, p: [one for one in store.rules.read(c) if one.house_id == p.house_id],
        "SELECT FROM sgmp.visible_rules() WHERE guidance = {mark}",
    ),
    "create a rule": Act(
        lambda c, p: store.rules.create(c, OperatorRule("x", "meter.x", True, 1, house_id=p.house_id)),
        f"SELECT sgmp.create_rule({{house}}, {RULE})",
    ),
    "create a rule of all": Act(
        lambda c, p: store.rules.create(c, OperatorRule(p.mark, "meter.x", True, 1)),
        f"SELECT sgmp.create_rule(NULL, {RULE})",
    ),
    "edit a rule": Act(
        lambda c, p: store.rules.update(
            c, OperatorRule("y", "meter.x", True, 1, house_id=p.house_id, rule_id=p.rule_id)
        ),
        f"SELECT sgmp.update_rule({{rule}}, 1, {RULE})",
    ),
    "delete a rule": Act(
        done(lambda c, p: store.rules.delete(c, p.rule_id)),
        "SELECT sgmp.delete_rule({rule})",
    ),
    "read notes": Act(
        lambda c, p: notes.read(c, p.house_id, *SPAN),
        "SELECT FROM sgmp.visible_notes(ARRAY[{house}], '-infinity', 'infinity', false) WHERE text = {mark}",
    ),
    "read excluded times": Act(
        lambda c, p: len(notes.excluded(c, [p.house_id])[p.house_id].starts),
        "SELECT FROM sgmp.visible_notes(ARRAY[{house}], '-infinity', 'infinity', true)",
    ),
    "add a note": Act(
        lambda c, p: notes.add(c, p.house_id, NoteKind.OUTAGE, *SPAN),
        "SELECT sgmp.add_note({house}, 'outage', now(), now() + interval '1 hour', '', false)",
    ),
    "change a note": Act(
        lambda c, p: change_note(c, p, p.note_id, text="changed"),
        "SELECT sgmp.change_note({note}, 1, 'outage', now(), now() + interval '1 hour', '', false)",
    ),
    "delete a note": Act(
        done(lambda c, p: notes.delete(c, p.note_id)), "SELECT FROM sgmp.delete_note({note})"
    ),
    "exclude a time": Act(
        lambda c, p: notes.add(c, p.house_id, NoteKind.OUTAGE, *SPAN, excluded=True),
        "SELECT sgmp.add_note({house}, 'outage', now(), now() + interval '1 hour', '', true)",
    ),
    "exclude a note's time": Act(
        lambda c, p: change_note(c, p, p.note_id, excluded=True),
        "SELECT sgmp.change_note({note}, 1, 'outage', now(), now() + interval '1 hour', '', true)",
    ),
    "move an excluded time": Act(
        lambda c, p: change_note(c, p, p.excluding_id, to_ms=T0 + 1),
        "SELECT sgmp.change_note({excluding}, 1, 'outage', now(), now() + interval '1 hour', '', true)",
    ),
    "include a time again": Act(
        lambda c, p: change_note(c, p, p.excluding_id, excluded=False),
        "SELECT sgmp.change_note({excluding}, 1, 'outage', now(), now() + interval '1 hour', '', false)",
    ),
    "delete an excluding note": Act(
        done(lambda c, p: notes.delete(c, p.excluding_id)), "SELECT FROM sgmp.delete_note({excluding})"
    ),
    "read recipients": Act(
        lambda c, p: [one for one in findings.recipients(c) if one.house_id == p.house_id],
        "SELECT FROM sgmp.visible_recipients() WHERE house_id = {house}",
    ),
    "add a recipient": Act(
        lambda c, p: findings.add_recipient(c, Channel.MAIL, "new@example.org", house_id=p.house_id),
        "SELECT sgmp.add_recipient('mail', 'new@example.org', '', {house}, 'info')",
    ),
    "add a webhook": Act(
        lambda c, p: findings.add_recipient(c, Channel.WEBHOOK, "https://example.org", house_id=p.house_id),
        "SELECT sgmp.add_recipient('webhook', 'https://example.org', 's', {house}, 'info')",
    ),
    "remove a recipient": Act(
        done(lambda c, p: findings.remove_recipient(c, p.recipient_id)),
        "SELECT sgmp.remove_recipient({recipient})",
    ),
    "test a recipient": Act(
        lambda c, p: findings.send_test(c, p.recipient_id),
        "SELECT sgmp.test_recipient({recipient})",
    ),
    "read quarantine": Act(
        lambda c, p: store.quarantine.read(c, p.house_id),
        "SELECT FROM sgmp.visible_quarantine() WHERE topic LIKE '%' || {mark}",
    ),
    "read sent configurations": Act(
        lambda c, p: store.config_versions.list_all(c, p.house_id),
        "SELECT version FROM sgmp.config_version_list({house})",
    ),
    "read settings once sent": Act(
        lambda c, p: setting_is_shown(battery_of(store.config_versions.devices_of(c, p.house_id, 1)), p),
        "SELECT FROM sgmp.config_versions WHERE devices::text LIKE '%' || {mark} || '%'",
    ),
    "read accounts": Act(
        lambda c, p: store.accounts.get(c, p.guest_id), "SELECT FROM sgmp.accounts WHERE account_id = {guest}"
    ),
    "read audit": Act(
        lambda c, p: store.audit.read(c, house_id=p.house_id),
        "SELECT FROM sgmp.audit_entries WHERE house_id = {house}",
    ),
    "reveal a device's secrets": Act(
        lambda c, p: store.devices.reveal(c, p.battery.device_id)["token"] == p.secret,
        "SELECT sgmp.announce_reveal('device', {battery})",
    ),
    "reveal what is to be sent": Act(
        lambda c, p: battery_of(store.devices.to_send(c, p.house_id))["token"] == p.secret,
        "SELECT sgmp.announce_reveal('configuration', {house})",
    ),
    "reveal what was sent": Act(
        lambda c, p: battery_of(store.config_versions.to_send(c, p.house_id, 1))["token"] == p.secret,
        "SELECT sgmp.announce_reveal('configuration', {house}, 1)",
    ),
    "create a house": Act(
        lambda c, p: store.houses.create(c, "East"),
        "SELECT sgmp.create_house('East', '', 'UTC')",
    ),
    "edit a house": Act(
        lambda c, p: store.houses.update(c, replace(store.houses.get(c, p.house_id), description="edited")),
        "SELECT sgmp.update_house({house}, 1, 'New', 'edited', 'UTC', true, 37.4, -122.2)",
    ),
    "delete a house": Act(
        done(lambda c, p: store.houses.delete(c, p.house_id)),
        "SELECT sgmp.delete_house({house}) OR NULL",
    ),
    "note new credentials": Act(
        done(lambda c, p: store.audit.note(c, "issue_credentials", "credentials", "x", house_id=p.house_id)),
        "SELECT sgmp.audit_external('issue_credentials', 'credentials', 'x', {house}, NULL)",
    ),
    "store a configuration": Act(
        done(lambda c, p: store.config_versions.add(c, p.house_id, 2, "sha", [])),
        "SELECT sgmp.add_config_version({house}, 2, 'x', '[]')",
    ),
    "create a device": Act(
        lambda c, p: store.devices.create(c, p.house_id, "fresh", "egauge", {"ip": "192.0.2.9"}),
        "SELECT sgmp.create_device({house}, 'fresh', 'egauge', '', '{{}}')",
    ),
    "edit a device": Act(
        edit_device,
        "SELECT sgmp.update_device({battery}, 1, 'egauge', 'edited', '{{}}')",
    ),
    "delete a device": Act(
        done(lambda c, p: store.devices.delete(c, p.battery.device_id)),
        "SELECT sgmp.delete_device({battery}) OR NULL",
    ),
    "set a field's unit": Act(
        done(lambda c, p: readings.set_unit(c, p.house_id, ("meter", "x"), "kW")),
        "SELECT sgmp.set_unit({series}, 'kW') OR NULL",
    ),
    "create an analytic item": Act(
        lambda c, p: analytics.create(c, p.house_id, "fresh", "meter.x"),
        "SELECT sgmp.create_analytic_item({house}, 'fresh', '', '1', false, '')",
    ),
    "edit an analytic item": Act(
        edit_item, "SELECT sgmp.update_analytic_item({item}, 1, '', '1', false, '')"
    ),
    "delete an analytic item": Act(
        done(lambda c, p: analytics.delete(c, p.item_id)),
        "SELECT sgmp.delete_analytic_item({item}) OR NULL",
    ),
    "register aggregation": Act(
        is_registered,
        "SELECT FROM sgmp.register_aggregation({house}, {item}, ARRAY['meter'], ARRAY['state'])",
    ),
    "populate aggregates": Act(
        done(lambda c, p: c.execute(sa.func.sgmp.populate(p.house_id).select())),
        "SELECT FROM sgmp.populate({house})",
    ),
    "note an export": Act(
        done(lambda c, p: store.audit.note(c, "export", "report", "x", house_id=p.house_id)),
        "SELECT sgmp.audit_external('export', 'report', 'x', {house}, NULL)",
    ),
    "note a command": Act(
        done(lambda c, p: store.audit.note(c, "control", "device", "x", house_id=p.house_id)),
        "SELECT sgmp.audit_external('control', 'device', 'x', {house}, NULL)",
    ),
    "create an account": Act(
        create_account,
        "SELECT sgmp.create_account('new@example.org', 'New', 'guest', {house}, {verifier}, true)",
    ),
    "edit an account": Act(
        lambda c, p: edit_account(c, p, name="Edited"),
        "SELECT sgmp.update_account({guest}, 1, 'Edited', 'guest', {house}, true)",
    ),
    "disable an account": Act(
        lambda c, p: edit_account(c, p, enabled=False),
        "SELECT sgmp.update_account({guest}, 1, 'x', 'guest', {house}, false)",
    ),
    "reset a password": Act(
        done(lambda c, p: store.accounts.reset_password(c, p.guest_id, "another secret")),
        "SELECT sgmp.reset_password({guest}, {verifier})",
    ),
    "delete an account": Act(delete_account, "SELECT sgmp.delete_account({guest})"),
    "make an administrator": Act(
        lambda c, p: edit_account(c, p, role="admin"),
        "SELECT sgmp.update_account({guest}, 1, 'x', 'admin', {house}, true)",
    ),
    "create a role": Act(
        lambda c, p: store.roles.create(c, "fresh", permissions=["view_dashboards"]),
        "SELECT sgmp.create_role('fresh', '', '{{view_dashboards}}')",
    ),
    "edit a role": Act(edit_role, "SELECT sgmp.update_role({role}, 1, 'unused', 'edited', '{{export}}')"),
    "delete a role": Act(delete_role, "SELECT sgmp.delete_role({role})"),
    "change the own password": Act(
        done(lambda c, p: store.accounts.change_own_password(c, "another secret")),
        "SELECT sgmp.set_own_password({verifier})",
    ),
}


def expected() -> dict[tuple[str, str], str]:
    """(act, person) -> verdict."""
    header, *lines = [line for line in TABLE.splitlines() if line.strip()]
    people = header.split()
    return {
        (line[:27].strip(), person): verdict
        for line in lines
        for person, verdict in zip(people, line[27:].split(), strict=True)
    }


EXPECTED = expected()
NAMES = list(dict.fromkeys(act for act, _ in EXPECTED))


@pytest.fixture(scope="module")
def scene(database_server: TestServer) -> Iterator[Scene]:
    with database_server.database() as where, set_up(where) as made:
        yield made


@dataclass
class Login:
    """An account with psql: `session` is None where it may not sign in, which the server answers late."""

    address: str
    user: str
    session: psycopg2.extensions.connection | None = None

    def __post_init__(self) -> None:
        with suppress(psycopg2.OperationalError):
            self.session = psycopg2.connect(self.address, user=self.user, password=PASSWORD)

    @contextmanager
    def cursor(self) -> Iterator[psycopg2.extensions.cursor]:
        """Takes back what was done."""
        if self.session is None or not answers(
            self.session
        ):  # to change one's password ends one's other sessions
            self.__post_init__()
        assert self.session is not None
        with self.session.cursor() as cursor:
            try:
                yield cursor
            finally:
                self.session.rollback()


@pytest.fixture(scope="module")
def logins(scene: Scene) -> Iterator[dict[str, Login]]:
    where = scene.where
    found = {
        person: Login(where.address, login_name(where.deployment, f"{person}@example.org"))
        for person in PEOPLE
    }
    yield found
    for login in found.values():
        if login.session is not None:
            login.session.close()


def verdict(own: bool, other: bool) -> str:
    return {(True, True): "all", (True, False): "own", (False, False): "-"}.get((own, other), "other only")


class _Undone(Exception):
    """Takes back what was tried."""


def by_console(person: Database, act: Act, place: Place) -> bool:
    allowed = False
    try:
        with person.begin() as connection:
            allowed = bool(act.console(connection, place))
            raise _Undone
    except _Undone:
        return allowed
    except UserError:
        return False


def by_sql(login: Login, scene: Scene, act: Act, place: Place) -> bool:
    if login.session is None:
        return False
    statement = act.sql.format(
        house=place.house_id,
        value=place.value,
        mark=f"'{place.mark}'",
        meter=place.meter.device_id,
        battery=place.battery.device_id,
        series=place.series_id,
        item=place.item_id,
        guest=place.guest_id,
        finding=place.finding_id,
        window=place.window_id,
        note=place.note_id,
        excluding=place.excluding_id,
        recipient=place.recipient_id,
        rule=place.rule_id,
        role=scene.role_id,
        verifier=f"'{VERIFIER}'",
    )
    with login.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            if error.pgcode not in ("SG001", "SG002", "42501"):
                raise
            return False
        rows = cursor.fetchall()
        return bool(rows) and rows[0] != (None,)


def test_the_table_is_complete() -> None:
    assert set(NAMES) == {*ACTS, "synchronize"}
    assert {person for _, person in EXPECTED} == set(PEOPLE)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "synchronize"])
def test_the_console_and_sql_come_to_the_verdict_of_the_table(
    scene: Scene, logins: dict[str, Login], name: str
) -> None:
    act = ACTS[name]
    console, sql = {}, {}
    for person in PEOPLE:
        database = scene.people.get(person)
        console[person] = (
            "-"
            if database is None
            else verdict(*(by_console(database, act, place) for place in (scene.own, scene.other)))
        )
        sql[person] = verdict(
            *(by_sql(logins[person], scene, act, place) for place in (scene.own, scene.other))
        )
    wanted = {person: EXPECTED[name, person] for person in PEOPLE}
    assert console == wanted
    assert sql == wanted


def test_synchronizing_takes_houses_and_secrets(scene: Scene) -> None:
    def allowed(database: Database, place: Place) -> bool:
        try:
            sync.synchronize(database, NullBroker(), scene.where.deployment, place.house_id)
        except UserError as error:
            return "unknown type" in str(error)  # of the odd device: got as far as checking what is sent
        return True

    for person, database in scene.people.items():
        found = verdict(allowed(database, scene.own), allowed(database, scene.other))
        assert found == EXPECTED["synchronize", person], person


def test_who_may_not_sign_in_is_told_only_what_they_may_know(scene: Scene) -> None:
    where = scene.where
    with pytest.raises(AccountDisabled):
        store.sign_in(where.address, where.deployment, "disabled@example.org", PASSWORD)
    told = set()
    for email in ("disabled@example.org", "no-account@example.org", "visitor@example.org"):
        with pytest.raises(SignInRefused) as refused:
            store.sign_in(where.address, where.deployment, email, "a wrong password")
        assert type(refused.value) is SignInRefused
        told.add(str(refused.value))
    assert len(told) == 1


def test_permissions_are_as_the_roles_say(scene: Scene) -> None:
    with scene.people["must-change"].begin() as connection:
        account = store.accounts.current(connection)
    assert account.must_change_password
    assert account.permissions == frozenset()
