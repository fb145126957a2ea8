"""Making, changing and deleting the devices of a house."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.fleet import in_use
from sgmp_console.fleet.editing import editing
from sgmp_console.formula import users_of_device
from sgmp_console.store import Database, Device, devices
from sgmp_edge import contract

MASK = devices.MASK
"""Shown in place of a setting that is not shown; written back, it keeps what is stored."""


class DeviceError(UserError):
    """A device that can't be stored as it stands. `problems` says what is wrong with its config, by setting."""

    def __init__(self, sentence: str, problems: tuple[contract.ConfigProblem, ...] = ()) -> None:
        super().__init__(sentence)
        self.problems = problems


def create(
    database: Database,
    house_id: int,
    name: str,
    type: str,  # noqa: A002 - the playbook's word
    config: Mapping[str, Any],
    *,
    description: str = "",
    same_meter: bool = False,
) -> Device:
    """Make a device. `same_meter`: it continues the history of the deleted device that last had this name.

    Only then can settings be masked. Raises DeviceError (name, type or config), UserError (name taken in this house).
    """
    problem = contract.name_problem(name)
    if problem:
        raise DeviceError(f"Device {name[:80]!r} can't be stored: {problem}.")
    with editing(database, house_id) as connection:
        before = devices.deleted(connection, house_id, name) if same_meter else None
        check(name, type, config, before)
        if before is not None:
            wanted = replace(before, type=type, config=config, description=description.strip())
            return with_its_secrets(wanted, devices.restore(connection, wanted))
        return devices.create(connection, house_id, name, type, config, description=description.strip())


def update(database: Database, device: Device) -> Device:
    """Store type, config and description; masked settings stay as they are, unless the type changes.

    Raises DeviceError (also where a masked secret would go to another address that the account chose without seeing
    it), ChangedMeanwhile where `device` is stale.
    """
    with editing(database, device.house_id) as connection:
        present = {one.device_id: one for one in devices.list_all(connection, device.house_id)}
        check(device.name, device.type, device.config, present.get(device.device_id))
        return with_its_secrets(device, devices.update(connection, device))


def with_its_secrets(wanted: Device, stored: Device) -> Device:
    """`stored`, where it has all that is masked in `wanted`. Raises DeviceError: the database dropped a secret.

    It does so where an account without `view_secrets` changes a device's address: the secret would go there.
    """
    dropped = sorted(
        key for key, value in wanted.config.items() if value == MASK and key not in stored.config
    )
    if dropped:
        raise DeviceError(
            f"The address of device {wanted.name} changed, and its secrets would be sent there. Enter {', '.join(dropped)} "
            "again or remove the setting, or ask somebody who may see secrets to change the address.",
            tuple(
                contract.ConfigProblem(
                    key,
                    contract.ProblemCode.SECRET_NOT_STORED,
                    "must be entered again: what is stored does not go to another address",
                )
                for key in dropped
            ),
        )
    return stored


def reveal(database: Database, device_id: int) -> Mapping[str, Any]:
    """A device's config with its secrets, which the audit records. Raises Refused, UserError."""
    with database.begin() as connection:
        return devices.reveal(connection, device_id)


def delete(database: Database, house_id: int, device_ids: Collection[int]) -> None:
    """Delete devices of a house, all or none; what they measured stays.

    Raises UserError where an analytic item still uses one, naming both.
    """
    with editing(database, house_id) as connection:
        present = {device.device_id: device for device in devices.list_all(connection, house_id)}
        wanted = set(device_ids)
        if not wanted <= present.keys():
            raise UserError("A device is not in this house any more. It may have been deleted.")
        chosen = [present[number] for number in sorted(wanted)]
        if problem := in_use.refusal({device.name: users_of(connection, device) for device in chosen}):
            raise UserError(problem)
        for number in sorted(wanted):
            devices.delete(connection, number)


def users_of(connection: sa.Connection, device: Device) -> tuple[str, ...]:
    """The analytic items and rules whose formulas mention a device."""
    return users_of_device(device.name, in_use.formulas(connection, device.house_id))


def check(name: str, kind: str, config: Mapping[str, Any], before: Device | None = None) -> None:
    """Raises DeviceError where a device can't have this type and config.

    Masked settings count as what `before` has there, as long as it is of the same type.
    """
    stored = before.config if before is not None and before.type == kind else {}
    types = contract.device_types()
    if kind not in types:
        raise DeviceError(
            f"Device {name} can't be stored: there is no device type {kind[:40]!r}; choose one of "
            f"{', '.join(sorted(types))}."
        )
    problems = config_problems(types[kind], config, stored)
    if problems:
        raise DeviceError(
            f"The config of device {name} can't be used: {'; '.join(map(str, problems))}.", problems
        )


def config_problems(
    device_type: contract.DeviceType, config: Mapping[str, Any], stored: Mapping[str, Any]
) -> tuple[contract.ConfigProblem, ...]:
    """Everything wrong with a config in which masked settings stand for those in `stored`."""
    masked = {key for key, value in config.items() if value == MASK}
    unknown = contract.ProblemCode.UNKNOWN_SETTING
    return (
        *(
            contract.ConfigProblem(
                key,
                contract.ProblemCode.SECRET_NOT_STORED,
                f"is masked ({MASK}), but no secret is stored; enter it",
            )
            for key in sorted(masked - stored.keys())
        ),
        *(
            problem
            for problem in device_type.problems(config)
            if problem.key not in masked or problem.code is unknown
        ),
    )
