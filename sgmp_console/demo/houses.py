"""The houses of the demo: where they are, and what their devices are set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console.demo.folder import LOOPBACK

DEVICE_TYPES = ("egauge", "sonnen", "powerflex")
"""One device of each, named like its type, as the formulas of the playbook expect."""

SIMULATED_SONNEN_TOKEN = "demo-token"  # noqa: S105 - of a simulator on loopback
SIMULATED_POWERFLEX_USER = "demo@example.com"
SIMULATED_POWERFLEX_PASSWORD = "demo-password"  # noqa: S105 - of a simulator on loopback


@dataclass(frozen=True)
class DemoHouse:
    """`key` names its files; `latitude` and `longitude` in degrees, north and east positive."""

    key: str
    name: str
    description: str
    zone: str
    seed: int
    latitude: float
    longitude: float

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of its simulators' ports in the demo's state."""
        return tuple(self.port(device) for device in DEVICE_TYPES)

    def port(self, device: str) -> str:
        return f"{self.key}.{device}"

    def device_configs(self, ports: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """The config of each of its devices, by type."""
        address = {device: f"{LOOPBACK}:{ports[self.port(device)]}" for device in DEVICE_TYPES}
        return {
            "egauge": {
                "ip": address["egauge"],
                "keys": [
                    "A.Battery",
                    "A.SubPanel",
                    "A.GridPower",
                    "A.Solar",
                    "A.EV",
                    "A.L1_Voltage",
                    "A.L2_Voltage",
                    "A.L1_Frequency",
                    "A.L2_Frequency",
                    "A.Load",
                    "ts",
                ],
            },
            "sonnen": {"ip": address["sonnen"], "serial": str(self.seed), "token": SIMULATED_SONNEN_TOKEN},
            "powerflex": {
                "acc_id": "03",
                "acs_id": "02",
                "url": f"http://{address['powerflex']}",
                "username": SIMULATED_POWERFLEX_USER,
                "password": SIMULATED_POWERFLEX_PASSWORD,
                # Ours to ask as often as we like: a car that comes is shown at once.
                "interval": 4,
            },
        }


DEMO_HOUSES = (
    DemoHouse(
        "maple",
        "Maple House",
        "A family house in California with solar panels, a battery and one car",
        "America/Los_Angeles",
        seed=1,
        latitude=37.42,
        longitude=-122.20,
    ),
    DemoHouse(
        "harbor",
        "Harbor House",
        "A family house in Hamburg with solar panels, a battery and one car",
        "Europe/Berlin",
        seed=2,
        latitude=53.55,
        longitude=9.99,
    ),
)
