"""Making, changing and deleting houses."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sgmp_console.errors import UserError
from sgmp_console.fleet.editing import editing
from sgmp_console.store import Database, House, devices, houses


def create(database: Database, name: str, *, description: str = "", time_zone: str) -> House:
    """Make a house. Raises UserError: the name is taken (it is unique in the deployment), no such time zone."""
    _check_name(name)
    _check_zone(time_zone)
    with database.begin() as connection:
        return houses.create(connection, name.strip(), description=description.strip(), time_zone=time_zone)


def update(database: Database, house: House) -> House:
    """Store description and time zone. Raises UserError, ChangedMeanwhile where `house` is stale."""
    _check_zone(house.time_zone)
    with editing(database, house.house_id) as connection:
        return houses.update(connection, house)


def delete(database: Database, house_id: int) -> None:
    """Delete a house without devices. Raises UserError naming the devices that it still has."""
    with editing(database, house_id) as connection:
        house = houses.get(connection, house_id)
        names = [device.name for device in devices.list_all(connection, house_id)]
        if names:
            raise UserError(
                f"House {house.name} still has devices: {', '.join(names)}. Delete these first; what they measured "
                "stays in the database."
            )
        houses.delete(connection, house_id)


def _check_name(name: str) -> None:
    if not name.strip():
        raise UserError("A house needs a name.")
    if not name.strip().isprintable():
        raise UserError("A house's name can't hold invisible characters.")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            f"There is no time zone {name[:64]!r}. Choose one by its IANA name, such as America/Los_Angeles."
        ) from None
