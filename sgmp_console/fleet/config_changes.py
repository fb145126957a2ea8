"""What two configurations of a house's devices differ in, for the operator to look at before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sgmp_edge.contract import DeviceConfig


class Kind(Enum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class SettingChange:
    """`before` and `after` are JSON values, masked where they are secret; None: not set. Both masked: it changed."""

    setting: str
    before: Any
    after: Any


@dataclass(frozen=True)
class DeviceChange:
    """`settings` in order of name; of an added device all that it has, of a removed one none. A type that changed is
    among them as `type`."""

    kind: Kind
    device_id: int
    name: str
    type: str
    settings: tuple[SettingChange, ...] = ()


TYPE = "type"
"""Stands among the settings where a device's type changed; no device type has a setting of this name."""


def between(
    before: Sequence[DeviceConfig], after: Sequence[DeviceConfig], secrets: Set[tuple[int, str]] = frozenset()
) -> tuple[DeviceChange, ...]:
    """The devices that are not the same, in order of name.

    `secrets`: (device id, setting) of what differs though it is masked in both.
    """
    old = {device.device_id: device for device in before}
    new = {device.device_id: device for device in after}
    changes = [
        DeviceChange(Kind.REMOVED, one.device_id, one.name, one.type)
        for one in before
        if one.device_id not in new
    ]
    for device in after:
        known = old.get(device.device_id)
        if known is None:
            settings = tuple(SettingChange(key, None, value) for key, value in sorted(device.config.items()))
            changes.append(DeviceChange(Kind.ADDED, device.device_id, device.name, device.type, settings))
        elif settings := _settings(known, device, secrets):
            changes.append(DeviceChange(Kind.CHANGED, device.device_id, device.name, device.type, settings))
    return tuple(sorted(changes, key=lambda change: (change.name, change.device_id)))


def _settings(
    old: DeviceConfig, new: DeviceConfig, secrets: Set[tuple[int, str]]
) -> tuple[SettingChange, ...]:
    changes = [SettingChange(TYPE, old.type, new.type)] if old.type != new.type else []
    for key in sorted(old.config.keys() | new.config.keys()):
        before, after = old.config.get(key), new.config.get(key)
        if before != after or (new.device_id, key) in secrets:
            changes.append(SettingChange(key, before, after))
    return tuple(changes)
