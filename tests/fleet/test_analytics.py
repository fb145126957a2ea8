"""Analytic items: checked before they are stored, never left pointing nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.fleet import analytics, devices
from sgmp_console.fleet.required import required_items
from sgmp_console.formula import AnalyticsIdentifier, DeviceIdentifier, FormulaError, parse
from sgmp_console.store import AnalyticItem, Batch, ChangedMeanwhile, Database, EventRow, House, ReadingRow
from sgmp_console.timeseries import Series
from tests.fleet.configs import EGAUGE, KEYS, SONNEN
from tests.series import write_series

T0 = 1_750_000_200_000  # on a slot


@pytest.fixture(autouse=True)
def meters(database: Database, house: House) -> None:
    devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)


def stored(database: Database, house: House) -> dict[str, AnalyticItem]:
    with database.begin() as connection:
        return {item.name: item for item in store.analytics.list_all(connection, house.house_id)}


def test_an_item_is_made(database: Database, house: House) -> None:
    made = analytics.create(
        database, house.house_id, "load", "-egauge.A.Load", description="Load ", aggregated=True
    )
    assert stored(database, house) == {"load": made}
    assert (made.formula, made.description, made.aggregated) == ("-egauge.A.Load", "Load", True)


def test_the_unit_is_inferred_where_none_is_given(database: Database, house: House) -> None:
    assert analytics.create(database, house.house_id, "a", "sonnen.status.Pac_total_W / 1000").unit == "kW"
    assert analytics.create(database, house.house_id, "b", "2 * analytics.a").unit == "kW"
    assert analytics.create(database, house.house_id, "c", "egauge.A.Load", unit="hp").unit == "hp"


@pytest.mark.parametrize(
    ("formula", "position", "message"),
    [
        ("egauge.A.Load +", 15, "missing"),
        ("1 + egague.A.Load", 4, "did you mean `egauge`"),
        ("analytics.nothing", 0, "no analytic item `nothing`"),
        ("egauge.A.Load / 0", 16, "always zero"),
        ("egauge.A.Load + sonnen.battery.battery_status.relativestateofcharge", 0, "kW and % can't be added"),
        ("42", 0, "names no field"),
    ],
)
def test_a_wrong_formula_is_refused_at_its_place(
    database: Database, house: House, formula: str, position: int, message: str
) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        analytics.create(database, house.house_id, "a", formula)
    assert caught.value.position == position
    assert stored(database, house) == {}


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a.b", "x" * 65, "ö"])
def test_a_name_that_no_formula_could_use_is_refused(database: Database, house: House, name: str) -> None:
    with pytest.raises(UserError, match="a name"):
        analytics.create(database, house.house_id, name, "egauge.A.Load")


def test_the_words_that_cannot_name_a_device_can_name_an_item(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "events", "egauge.A.Load")
    assert analytics.create(database, house.house_id, "analytics", "analytics.events").name == "analytics"


def test_a_name_is_unique_in_its_house(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "a", "egauge.A.Load")
    with pytest.raises(UserError, match="An analytic item a exists already"):
        analytics.create(database, house.house_id, "a", "egauge.A.EV")


@pytest.mark.parametrize("formula", ["events.::EV_END_CHARGING.energy", "analytics.a"])
def test_aggregation_of_events_and_items_is_refused_with_the_reason(
    database: Database, house: House, formula: str
) -> None:
    analytics.create(database, house.house_id, "a", "egauge.A.Load")
    with pytest.raises(UserError, match=r"Continuous aggregation is not possible: .*(event|another item)"):
        analytics.create(database, house.house_id, "b", formula, aggregated=True)
    assert analytics.create(database, house.house_id, "b", formula).name == "b"


def test_a_circle_is_refused_with_its_path(database: Database, house: House) -> None:
    first = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    analytics.create(database, house.house_id, "b", "2 * analytics.a")
    with pytest.raises(FormulaError, match="a → b → a") as caught:
        analytics.update(database, replace(first, formula="1 + analytics.b"))
    assert (caught.value.position, caught.value.length) == (4, 11)
    with pytest.raises(FormulaError, match="can't refer to itself"):
        analytics.update(database, replace(first, formula="analytics.a"))


def test_all_but_the_name_can_be_changed(database: Database, house: House) -> None:
    made = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    analytics.update(
        database, replace(made, formula="egauge.A.EV", unit="W", description="x", aggregated=True)
    )
    changed = stored(database, house)["a"]
    assert (changed.formula, changed.unit, changed.description, changed.aggregated) == (
        "egauge.A.EV",
        "W",
        "x",
        True,
    )


def test_the_second_of_two_operators_is_told(database: Database, house: House) -> None:
    made = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    analytics.update(database, replace(made, description="One"))
    with pytest.raises(ChangedMeanwhile, match="Analytic item a"):
        analytics.update(database, replace(made, description="Two"))


def test_an_item_that_others_refer_to_is_deleted_only_together_with_them(
    database: Database, house: House
) -> None:
    a = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    b = analytics.create(database, house.house_id, "b", "analytics.a * 2")
    c = analytics.create(database, house.house_id, "c", "egauge.A.EV")
    with pytest.raises(UserError, match="a is used by b"):
        analytics.delete(database, house.house_id, [c.item_id, a.item_id])
    assert set(stored(database, house)) == {"a", "b", "c"}
    analytics.delete(database, house.house_id, [a.item_id, b.item_id])
    assert set(stored(database, house)) == {"c"}


def test_an_item_of_another_house_is_not_deleted(database: Database, house: House) -> None:
    made = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    with pytest.raises(UserError, match="not in this house any more"):
        analytics.delete(database, house.house_id + 1, [made.item_id])


def test_an_editor_learns_what_the_house_has(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "a", "egauge.A.Load")
    with database.begin() as connection:
        number = {one.name: one.device_id for one in store.devices.list_all(connection, house.house_id)}[
            "egauge"
        ]
        batch = Batch(
            readings=[ReadingRow(house.house_id, number, "egauge", T0, {"A.Load": 1.0, "A.Solar": 2.0})],
            events=[
                EventRow(house.house_id, number, "egauge", T0 + after, kind, {})
                for after, kind in enumerate(["WARNING", "OUTAGE", "WARNING"])
            ],
        )
        store.readings.write(connection, batch)
        known = analytics.catalogue(connection, house.house_id, parse("sonnen.status.Pac_total_W"))
    assert known.devices == {"egauge": {"A.Load", "A.Solar"}, "sonnen": set()}
    assert known.items == {"a": "egauge.A.Load"}
    assert known.event_types == ["OUTAGE", "WARNING"]
    assert known.units[DeviceIdentifier("egauge", "A.Solar")] == "kW"
    assert known.units[DeviceIdentifier("sonnen", "status.Pac_total_W")] == "W"
    assert known.units[AnalyticsIdentifier("a")] == "kW"


# --- Continuous aggregation ------------------------------------------------------------------------------------------


def aggregated(database: Database, house: House) -> set[tuple[str, str]]:
    with database.begin() as connection:
        return set(store.aggregates.registered(connection, house.house_id))


def test_aggregates_are_kept_of_the_fields_of_items_that_ask(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "a", "egauge.A.Load - egauge.A.EV", aggregated=True)
    analytics.create(database, house.house_id, "b", "egauge.A.Solar")
    assert aggregated(database, house) == {("egauge", "A.Load"), ("egauge", "A.EV")}


def test_a_field_that_two_items_share_is_released_with_the_last(database: Database, house: House) -> None:
    one = analytics.create(database, house.house_id, "a", "egauge.A.Load", aggregated=True)
    two = analytics.create(database, house.house_id, "b", "pos(egauge.A.Load)", aggregated=True)
    analytics.delete(database, house.house_id, [one.item_id])
    assert aggregated(database, house) == {("egauge", "A.Load")}
    analytics.update(database, replace(two, aggregated=False))
    assert aggregated(database, house) == set()


def test_a_changed_formula_changes_what_is_aggregated(database: Database, house: House) -> None:
    made = analytics.create(database, house.house_id, "a", "egauge.A.Load", aggregated=True)
    analytics.update(database, replace(made, formula="egauge.A.EV"))
    assert aggregated(database, house) == {("egauge", "A.EV")}


def test_deleting_several_items_releases_their_fields_and_no_others(database: Database, house: House) -> None:
    fields = {"a": "A.Load", "b": "A.EV", "c": "A.Solar"}
    made = {
        name: analytics.create(database, house.house_id, name, f"egauge.{field}", aggregated=True)
        for name, field in fields.items()
    }
    analytics.delete(database, house.house_id, [made["a"].item_id, made["c"].item_id])
    assert aggregated(database, house) == {("egauge", "A.EV")}


def test_a_change_of_an_item_that_does_not_ask_aggregates_nothing(database: Database, house: House) -> None:
    made = analytics.create(database, house.house_id, "a", "egauge.A.Load")
    analytics.update(database, replace(made, formula="egauge.A.EV", description="Car"))
    assert aggregated(database, house) == set()


def test_what_was_stored_before_is_populated(database: Database, house: House) -> None:
    with database.begin() as connection:
        egauge = next(d for d in store.devices.list_all(connection, house.house_id) if d.name == "egauge")
        times = range(T0, T0 + 2 * 300_000, 60_000)
        load = Series(list(times), [2.0] * len(times))
        write_series(connection, house.house_id, egauge.device_id, {"A.Load": load})
    analytics.create(database, house.house_id, "load", "egauge.A.Load", aggregated=True)
    heard: list[float] = []
    analytics.populate(database, house.house_id, heard.append)
    assert heard[-1] == 1.0
    with database.begin() as connection:
        key = ("egauge", "A.Load")
        series = store.series_of(connection, house.house_id)
        slots = store.aggregates.read_slots(connection, series, T0, T0 + 2 * 300_000)[key]
    assert slots.sums.tolist() == [10.0, 10.0]


# --- The required items ---------------------------------------------------------------------------------------------


def test_the_required_items_are_made_in_one_call(database: Database, house: House) -> None:
    done = analytics.create_required(database, house.house_id)
    assert [item.name for item in done.created] == list(required_items())
    assert (dict(done.obstacles), done.remarks) == ({}, ())
    made = stored(database, house)
    for name, required in required_items().items():
        assert (made[name].formula, made[name].aggregated, made[name].unit) == (
            required.formula,
            required.aggregated,
            required.unit,
        )


def test_the_unit_of_every_required_item_is_the_one_its_formula_implies(
    database: Database, house: House
) -> None:
    for item in required_items().values():
        inferred = analytics.create(database, house.house_id, item.name, item.formula).unit
        assert inferred in ("", item.unit)


def test_making_them_again_changes_nothing(database: Database, house: House) -> None:
    own = analytics.create(database, house.house_id, "load", "egauge.A.SubPanel", aggregated=True)
    analytics.create_required(database, house.house_id)
    again = analytics.create_required(database, house.house_id)
    assert again.created == ()
    assert stored(database, house)["load"] == own


def test_what_the_house_lacks_is_told_and_the_rest_is_made(database: Database, house: House) -> None:
    with database.begin() as connection:
        sonnen = next(d for d in store.devices.list_all(connection, house.house_id) if d.name == "sonnen")
    devices.delete(database, house.house_id, [sonnen.device_id])
    done = analytics.create_required(database, house.house_id)
    assert list(done.obstacles) == ["battery", "battery_charging", "battery_discharging", "soc"]
    assert done.obstacles["soc"] == (
        "soc needs a device of type sonnenBatterie, and this house has no device of that type."
    )
    assert len(done.created) == 12


def test_a_device_of_the_type_under_another_name_is_used(database: Database, house: House) -> None:
    with database.begin() as connection:
        ids = [device.device_id for device in store.devices.list_all(connection, house.house_id)]
    devices.delete(database, house.house_id, ids)
    devices.create(database, house.house_id, "cellar_meter", "egauge", EGAUGE)
    devices.create(database, house.house_id, "store_1", "sonnen", SONNEN)
    done = {item.name: item.formula for item in analytics.create_required(database, house.house_id).created}
    assert done["load"] == "-cellar_meter.A.Load"
    assert done["battery_charging"] == "-neg(store_1.status.Pac_total_W/1000)"


def test_which_of_two_meters_is_meant_is_not_guessed(database: Database, house: House) -> None:
    with database.begin() as connection:
        egauge = next(d for d in store.devices.list_all(connection, house.house_id) if d.name == "egauge")
    devices.delete(database, house.house_id, [egauge.device_id])
    for name in ("east", "west"):
        devices.create(database, house.house_id, name, "egauge", EGAUGE)
    assert (
        "2 devices of that type and none of that name"
        in analytics.create_required(database, house.house_id).obstacles["load"]
    )


def test_registers_that_a_meter_does_not_read_are_told(database: Database, house: House) -> None:
    with database.begin() as connection:
        egauge = next(d for d in store.devices.list_all(connection, house.house_id) if d.name == "egauge")
    keys = [key for key in KEYS if key != "A.EV"]
    devices.update(database, replace(egauge, config={**EGAUGE, "keys": keys}))
    assert analytics.create_required(database, house.house_id).remarks == (
        "Device egauge does not read `A.EV`: add it to its keys and synchronize the configuration.",
    )


def test_disabled_aggregation_of_a_required_item_is_told(database: Database, house: House) -> None:
    analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    (remark,) = analytics.create_required(database, house.house_id).remarks
    assert remark.startswith("Analytic item load has continuous aggregation disabled")
