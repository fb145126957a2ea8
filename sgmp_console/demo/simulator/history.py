"""What an edge would have recorded of a simulated house, for loading history in bulk.

Field names and units are those the drivers in `devices/` publish with the playbook's configs; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sgmp_console.demo.simulator.egauge import REGISTERS
from sgmp_console.demo.simulator.house import House
from sgmp_console.demo.simulator.powerflex import charging_voltage, pilot_a
from sgmp_console.demo.simulator.sonnen import automatic_mode, battery_measurements, status_measurements
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING


class Row(NamedTuple):
    """One poll of all devices: fields by device type, nested as they are published. `time_ms`: UTC."""

    time_ms: int
    egauge: dict[str, Any]
    sonnen: dict[str, Any]
    powerflex: dict[str, Any]


class Event(NamedTuple):
    """An event of a device type at `time_ms` (UTC)."""

    time_ms: int
    device_type: str
    type: str
    data: dict[str, Any]


def rows(
    house: House,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    *,
    everything: bool = True,
    operating_mode: str | None = None,
) -> Iterator[Row]:
    """A row at each multiple of the step in [start_ms, end_ms).

    Powers of meter and battery are the means of the step that ends at the row's time, so that every row balances:
    grid import - grid export = load + EV - solar - battery. The rest is as measured at that time. Without
    `everything` there are only the fields that the playbook's required analytic items use, and the station's.
    """
    mode = operating_mode or automatic_mode(house)
    installed = {
        "BackupBuffer": 0,
        "IsSystemInstalled": 1,
        "OperatingMode": int(mode),
        "SystemStatus": "OnGrid",
    }
    seconds = step_ms / 1000
    first = -(-start_ms // step_ms) * step_ms
    registers = [
        (register.name, register.type == "P", register.integral)
        for register in REGISTERS
        if not register.total
    ]
    for state, energy in house.walk_with_energy(first, end_ms, step_ms):
        time_ms = state.time_ms
        means = state._replace(
            load_w=energy.load / seconds,
            ev_w=energy.ev / seconds,
            solar_w=energy.solar / seconds,
            battery_w=energy.battery / seconds,
        )
        meter: dict[str, Any] = {
            name: integral(energy) / (seconds * 1000) if is_power else integral(energy) / seconds
            for name, is_power, integral in registers
        }
        station = house.charger.at(time_ms)
        volts = charging_voltage(house, state)
        charger = {
            "charging_state": station.charging_state,
            "energy_delivered": round(station.energy_wh * 1000),
            "mamps_actual": round(station.power_w / volts * 1000),
            "voltage": round(volts * 1000),
            "power": round(station.power_w / 1000, 6),
            "pilot_actual": pilot_a(station),
        }
        if everything:
            meter["ts"] = time_ms // 1000
            battery = {
                "status": {**status_measurements(house, means), **installed},
                "battery": {"battery_status": battery_measurements(house, means)},
            }
        else:
            battery = {
                "status": {"Pac_total_W": round(means.battery_w)},
                "battery": {"battery_status": {"relativestateofcharge": round(state.charge * 100, 1)}},
            }
        yield Row(time_ms, meter, battery, charger)


def events(house: House, start_ms: int, end_ms: int) -> Iterator[Event]:
    """The charging events in [start_ms, end_ms), in order: a session begins with the plug and ends with the unplug."""
    found = []
    for session in house.sessions(start_ms, end_ms + 1):
        found.append(Event(session.plugged_ms, "powerflex", EV_START_CHARGING, {}))
        data = {
            "duration": session.unplugged_ms - session.plugged_ms,
            "energy": round(session.energy_wh * 1000),
        }
        found.append(Event(session.unplugged_ms, "powerflex", EV_END_CHARGING, data))
    yield from sorted(
        (event for event in found if start_ms <= event.time_ms < end_ms), key=lambda event: event.time_ms
    )
