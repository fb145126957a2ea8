"""Making, changing and deleting the analytic items of a house, with everything that is checked before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.fleet import in_use
from sgmp_console.fleet.editing import editing
from sgmp_console.fleet.required import RequiredItem, required_items
from sgmp_console.formula import (
    AnalyticsIdentifier,
    Catalogue,
    DeviceIdentifier,
    EventIdentifier,
    Formula,
    FormulaError,
    Identifier,
    aggregation_refusal,
    identifiers,
    parse,
    problems,
    unit,
    users_of_item,
)
from sgmp_console.store import (
    AnalyticItem,
    Database,
    Device,
    aggregates,
    analytics,
    devices,
    events,
    readings,
)
from sgmp_edge import contract

EVENT_UNITS = {
    (contract.EV_END_CHARGING, "duration"): "ms",
    (contract.EV_END_CHARGING, "energy"): "mWh",
}
"""By event type and field: what the events' numbers are in."""


def create(
    database: Database,
    house_id: int,
    name: str,
    formula: str,
    *,
    description: str = "",
    aggregated: bool = False,
    unit: str = "",
) -> AnalyticItem:
    """Make an analytic item. `aggregated`: the playbook's "Continuous Aggregation". `unit` "" is inferred.

    Aggregates are kept from now on; what was stored before is counted by `populate`. Raises FormulaError with the place
    in the formula, UserError (name taken or against the rule, aggregation not possible).
    """
    _check_name(name)
    with editing(database, house_id) as connection:
        item = AnalyticItem(0, house_id, name, description.strip(), formula, aggregated, unit.strip())
        return _create(connection, _checked(item, catalogue(connection, house_id)))


def update(database: Database, item: AnalyticItem) -> AnalyticItem:
    """Store all but the name. Raises as `create` does, and ChangedMeanwhile where `item` is stale."""
    with editing(database, item.house_id) as connection:
        stored = analytics.update(connection, _checked(item, catalogue(connection, item.house_id)))
        _register(connection, stored)
        return stored


def populate(database: Database, house_id: int, progress: aggregates.Progress | None = None) -> None:
    """Count the readings that were stored before their fields were aggregated; takes minutes for long histories.

    To be called after items with continuous aggregation were made or changed. Can be stopped (`progress` raises
    Cancelled) and called again: it goes on where it was.
    """
    aggregates.populate(database, house_id, progress)


def delete(database: Database, house_id: int, item_ids: Collection[int]) -> None:
    """Delete items of a house, all or none.

    Raises UserError where another item, which is not among them, refers to one, naming both.
    """
    with editing(database, house_id) as connection:
        items = {item.item_id: item for item in analytics.list_all(connection, house_id)}
        wanted = set(item_ids)
        if not wanted <= items.keys():
            raise UserError("An analytic item is not in this house any more. It may have been deleted.")
        going = {items[number].name for number in wanted}
        staying = {
            name: text for name, text in in_use.formulas(connection, house_id).items() if name not in going
        }
        names = [items[number].name for number in sorted(wanted)]
        if problem := in_use.refusal({name: users_of_item(name, staying) for name in names}):
            raise UserError(problem)
        for number in sorted(wanted):
            analytics.delete(connection, number)


def catalogue(connection: sa.Connection, house_id: int, *formulas: Formula) -> Catalogue:
    """A house as its formulas see it: devices with the fields seen so far, items, event types seen so far.

    Units are those of the fields seen so far, and of those in `formulas` as far as the device types declare them.
    """
    types = {device.name: device.type for device in devices.list_all(connection, house_id)}
    items = analytics.list_all(connection, house_id)
    fields: dict[str, set[str]] = {name: set() for name in types}
    units: dict[Identifier, str] = {AnalyticsIdentifier(item.name): item.unit for item in items}
    for (name, field), known in readings.units(connection, house_id).items():
        if name in fields:
            fields[name].add(field)
            units[DeviceIdentifier(name, field)] = known
    return with_declared_units(
        Catalogue(
            devices=fields,
            items={item.name: item.formula for item in items},
            event_types=events.types(connection, house_id),
            units=units,
            device_types=types,
        ),
        *formulas,
    )


def _with_item(known: Catalogue, item: AnalyticItem) -> Catalogue:
    return replace(
        known,
        items={**known.items, item.name: item.formula},
        units={**known.units, AnalyticsIdentifier(item.name): item.unit},
    )


def with_declared_units(known: Catalogue, *formulas: Formula) -> Catalogue:
    """Also with the units that device and event types declare for fields in `formulas` that were not seen yet."""
    declared: dict[Identifier, str] = {}
    for formula in formulas:
        for reference in formula.references:
            match reference.identifier:
                case DeviceIdentifier(device=name, field=field):
                    device_type = contract.device_types().get(known.device_types.get(name, ""))
                    declared[reference.identifier] = device_type.unit_of(field) if device_type else ""
                case EventIdentifier(types=(event_type,), field=str(field)):
                    declared[reference.identifier] = EVENT_UNITS.get((event_type, field), "")
    return replace(known, units={**declared, **known.units})


def text_fields(
    connection: sa.Connection, house_id: int, formula: Formula, start_ms: int, end_ms: int
) -> list[str]:
    """The identifiers of event fields in a formula that are text in the range [start_ms, end_ms), which has no values."""
    found = []
    for reference in formula.references:
        match reference.identifier:
            case EventIdentifier(devices=names, types=kinds, field=str(field)):
                seen = events.read(
                    connection, house_id, start_ms, end_ms, devices=list(names), types=list(kinds)
                )
                values = [event.data[field] for event in seen if field in event.data]
                if values and all(isinstance(value, str) for value in values):
                    found.append(reference.text)
    return sorted(set(found))


# --- The required items ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RequiredCreated:
    """What `create_required` did, in the playbook's order.

    `obstacles`: name of an item that could not be created -> why. `absent_types`: titles of the device types that those
    items need and the house has none of. `remarks`: what is worth changing at the house's devices or items, so that every
    item has values and long reports are quick.
    """

    created: tuple[AnalyticItem, ...]
    obstacles: Mapping[str, str]
    absent_types: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def not_created(self) -> tuple[str, ...]:
        """Why items were not created, as few sentences as possible."""
        if not self.obstacles:
            return ()
        if not self.absent_types:
            return tuple(f"{name} was not created: {why}" for name, why in self.obstacles.items())
        needed = " and ".join(
            f"{'an' if title[0].lower() in 'aeiou' else 'a'} {title}" for title in self.absent_types
        )
        return (
            f"{len(self.obstacles)} of {len(required_items())} required items were not created: they need {needed}, "
            "which this house does not have.",
        )


def create_required(database: Database, house_id: int) -> RequiredCreated:
    """Make the required items that a house does not have; the others stay as they are.

    The suggested formulas name a device of each type after its type. Where the house has one of that type under
    another name, its name is used.
    """
    created: list[AnalyticItem] = []
    obstacles: dict[str, str] = {}
    absent: dict[str, bool] = {}
    """Type of a device that an item needs -> whether the house has none of it; else it has several."""
    remarks: list[str] = []
    with editing(database, house_id) as connection:
        house_devices = devices.list_all(connection, house_id)
        present = {item.name: item for item in analytics.list_all(connection, house_id)}
        known = catalogue(connection, house_id)
        unread: set[tuple[str, str]] = set()
        for required in required_items().values():
            if required.name in present:
                remarks += _differing(required, present[required.name])
                continue
            formula, missing = _fitted(required, house_devices)
            if missing is not None:
                obstacles[required.name] = missing.sentence(required.name)
                absent[missing.type] = missing.count == 0
                continue
            unread |= _unread_fields(formula, house_devices)
            item = AnalyticItem(
                0,
                house_id,
                required.name,
                required.description,
                formula.text,
                required.aggregated,
                required.unit,
            )
            created.append(_create(connection, _checked(item, known)))
            known = _with_item(known, created[-1])
    remarks += [
        f"Device {device} does not read `{field}`: add it to its keys and synchronize the configuration."
        for device, field in sorted(unread)
    ]
    titles = sorted(map(contract.type_title, absent), key=str.casefold)
    only_absent = all(absent.values())
    return RequiredCreated(tuple(created), obstacles, tuple(titles) if only_absent else (), tuple(remarks))


@dataclass(frozen=True)
class _NoSingleDevice:
    """A house has `count` devices of a type, and not one, so that it is not known which is meant."""

    type: str
    count: int

    def sentence(self, item: str) -> str:
        count = f"{self.count} devices" if self.count else "no device"
        return (
            f"{item} needs a device of type {contract.type_title(self.type)}, and this house has {count} of that "
            f"type{' and none of that name' if self.count else ''}."
        )


def _fitted(
    required: RequiredItem, house_devices: Collection[Device]
) -> tuple[Formula, _NoSingleDevice | None]:
    """The suggested formula with this house's names of devices; or the device that is missing for it."""
    formula = parse(required.formula)
    names = {device.name for device in house_devices}
    text = formula.text
    for reference in reversed(formula.references):
        identifier = reference.identifier
        if not isinstance(identifier, DeviceIdentifier) or identifier.device in names:
            continue
        of_type = [device.name for device in house_devices if device.type == identifier.device]
        if len(of_type) != 1:
            return formula, _NoSingleDevice(identifier.device, len(of_type))
        own = identifiers.write(replace(identifier, device=of_type[0]))
        text = text[: reference.position] + own + text[reference.position + reference.length :]
    return parse(text), None


def _unread_fields(formula: Formula, house_devices: Collection[Device]) -> set[tuple[str, str]]:
    """The fields in a formula that a device's config leaves out, as (device, field)."""
    configs = {device.name: device.config for device in house_devices}
    unread = set()
    for reference in formula.references:
        if isinstance(reference.identifier, DeviceIdentifier):
            keys = configs[reference.identifier.device].get("keys")
            if isinstance(keys, list) and keys and reference.identifier.field not in keys:
                unread.add((reference.identifier.device, reference.identifier.field))
    return unread


def _differing(required: RequiredItem, item: AnalyticItem) -> list[str]:
    if required.aggregated and not item.aggregated:
        return [
            f"Analytic item {item.name} has continuous aggregation disabled: enable it, or reports over long times are "
            "slow, and end where raw readings are no longer kept."
        ]
    return []


# --- Checks ---------------------------------------------------------------------------------------------------------


def _checked(item: AnalyticItem, known: Catalogue) -> AnalyticItem:
    """The item, its unit filled in where it can be inferred. Raises FormulaError, UserError."""
    formula = parse(item.formula)
    known = with_declared_units(known, formula)
    for problem in problems(formula, known, name=item.name):
        if problem.is_error:
            raise FormulaError(problem.message, problem.position, problem.length)
    if item.aggregated:
        refusal = aggregation_refusal(formula)
        if refusal:
            raise UserError(f"Continuous aggregation is not possible: {refusal}.")
    return item if item.unit else replace(item, unit=unit(formula, known))


def name_problem(name: str) -> str | None:
    """Why a text can't be the name of an analytic item; None if it can."""
    # The words that can't name a device can name an item: `analytics.events` is not an event identifier.
    return None if name in contract.RESERVED_DEVICE_NAMES else contract.name_problem(name)


def _check_name(name: str) -> None:
    if problem := name_problem(name):
        raise UserError(f"Analytic item {name[:80]!r} can't be stored: {problem}.")


def _create(connection: sa.Connection, item: AnalyticItem) -> AnalyticItem:
    stored = analytics.create(
        connection,
        item.house_id,
        item.name,
        item.formula,
        description=item.description,
        aggregated=item.aggregated,
        unit=item.unit,
    )
    _register(connection, stored)
    return stored


def _register(connection: sa.Connection, item: AnalyticItem) -> None:
    """Let the database keep aggregates of just the fields in the item's formula; of none without the flag."""
    references = parse(item.formula).references if item.aggregated else ()
    fields = {
        (one.identifier.device, one.identifier.field)
        for one in references
        if isinstance(one.identifier, DeviceIdentifier)
    }
    aggregates.register(connection, item.house_id, item.item_id, fields)
