"""How often a device is polled: as its config says, else as the house, but not more often than its type allows."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from sgmp_edge.contract import DeviceConfig, device_types
from sgmp_edge.devices import egauge
from sgmp_edge.polling.device import Device, interval_ms
from sgmp_edge.polling.drivers import Catalogue
from tests.edge.drivers_egauge import START, Meter, Register
from tests.edge.drivers_http import HttpDevice


@pytest.mark.parametrize(
    ("type_name", "own_s", "house_ms", "used_ms"),
    [
        ("egauge", None, 4_000, 4_000),
        ("egauge", 2.5, 4_000, 2_500),
        ("powerflex", None, 4_000, 15_000),
        ("powerflex", None, 60_000, 60_000),
        ("powerflex", 4, 60_000, 4_000),
    ],
)
def test_the_interval_of_a_device(type_name: str, own_s: float | None, house_ms: int, used_ms: int) -> None:
    config = {} if own_s is None else {"interval": own_s}
    device = DeviceConfig(1, "device", type_name, config)
    assert interval_ms(device, device_types()[type_name], house_ms) == used_ms


@pytest.mark.parametrize(
    "own", [{}, {"interval": 300}, {"interval": None}, {"interval": 0}, {"interval": 90_000}]
)
def test_means_are_over_the_interval_in_use_whoever_set_it(
    own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(egauge, "time", SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
    meter = Meter(
        [Register("Oven", "P", lambda second: 5_000 if second < START + 590 else 100)], ts=START + 300
    )
    server = HttpDevice(meter.answer)
    device = Device(
        DeviceConfig(1, "meter", "egauge", {"ip": server.host, **own}), Catalogue(), 300_000, None
    )
    try:
        poll(device)
        meter.ts += 300
        clock.now += 300
        assert poll(device) == {"Oven": pytest.approx(4.83667, abs=1e-5)}
    finally:
        device.close()
        device.join(5)
        server.close()


def poll(device: Device) -> Any:
    """The row of one poll."""
    ended = threading.Event()
    results: list[Any] = []

    def take(result: Any) -> None:
        results.append(result)
        ended.set()

    device.read(0, take)
    assert ended.wait(10)
    device.finished()
    return json.loads(results[0].messages[0].payload)
