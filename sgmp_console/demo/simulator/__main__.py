"""`python -m sgmp_console.demo.simulator`: the devices of one simulated house."""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.egauge import EgaugeMeter
from sgmp_console.demo.simulator.house import House
from sgmp_console.demo.simulator.powerflex import PowerflexService
from sgmp_console.demo.simulator.server import DeviceServer, SimulatedDevice
from sgmp_console.demo.simulator.sonnen import SonnenBattery

_PLACES = {
    "America/Los_Angeles": (37.42, -122.20),
    "America/New_York": (40.71, -74.01),
    "Europe/Berlin": (53.55, 9.99),
    "Australia/Sydney": (-33.87, 151.21),
}
"""Latitude and longitude where they are not given; elsewhere 40 degrees north and the middle of the zone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or, if asked for, the end of standard input. Returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, stream=sys.stderr)
    servers: dict[str, DeviceServer] = {}
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        _build(options, servers)
        for server in servers.values():
            server.start()
        _announce({name: server.address for name, server in servers.items()}, options.ready_file)
        if options.until_stdin_closes:
            threading.Thread(target=_wait_for_end_of_input, args=(over.set,), daemon=True).start()
        over.wait()
    except (KeyError, ValueError) as error:
        return _fail(f"This house can't be simulated: {error}", 2)
    except OSError as error:
        return _fail(f"A port or file can't be used: {error}", 1)
    finally:
        for server in servers.values():
            server.stop()
    return 0


def _build(options: argparse.Namespace, servers: dict[str, DeviceServer]) -> None:
    """Make the house and a server for each device that has a port. Raises KeyError or ValueError."""
    latitude, longitude = place_of(options.zone)
    house = House(
        options.house_seed,
        options.zone,
        latitude if options.latitude is None else options.latitude,
        longitude if options.longitude is None else options.longitude,
    )
    clock = SimulatedClock(options.epoch, options.speed)
    devices: list[tuple[SimulatedDevice, int | None]] = [
        (EgaugeMeter(house, clock, options.egauge_username, options.egauge_password), options.egauge_port),
        (
            SonnenBattery(
                house,
                clock,
                options.sonnen_token,
                options.sonnen_serial,
                options.sonnen_mode,
                frozenset(options.sonnen_interfaces.split(",")),
            ),
            options.sonnen_port,
        ),
        (
            PowerflexService(
                house,
                clock,
                options.powerflex_username,
                options.powerflex_password,
                options.powerflex_acc_id,
                options.powerflex_acs_id,
                power_in_mw=options.powerflex_power == "mW",
            ),
            options.powerflex_port,
        ),
    ]
    for device, port in devices:
        if port is not None:
            DeviceServer(device, servers, options.host, port)
    if not servers:
        raise ValueError("give at least one of --egauge-port, --sonnen-port and --powerflex-port")


def place_of(zone: str) -> tuple[float, float]:
    """A latitude and longitude for a zone. Raises KeyError for a zone that does not exist."""
    if zone in _PLACES:
        return _PLACES[zone]
    offset = datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset() or datetime.timedelta()
    return 40.0, offset.total_seconds() / 240


def _announce(addresses: dict[str, str], ready_file: Path | None) -> None:
    """Say where the devices are: one JSON line on standard output, and the same in a file that appears whole."""
    line = json.dumps({"ready": addresses, "pid": os.getpid()})
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(line + "\n", "utf-8")
        partial.replace(ready_file)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _wait_for_end_of_input(then: Callable[[], None]) -> None:
    # Not through sys.stdin: a thread that sits in its buffer disturbs the interpreter's end.
    while os.read(0, 4096):
        pass
    then()


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sgmp_console.demo.simulator",
        description="The devices of one simulated house, speaking their real HTTP protocols. "
        "Prints one JSON line with their addresses. See README.md beside this program.",
    )
    house = parser.add_argument_group("house")
    house.add_argument("--house-seed", type=int, default=1, help="another seed is another house (1)")
    house.add_argument("--zone", default="America/Los_Angeles", help="IANA time zone (America/Los_Angeles)")
    house.add_argument("--latitude", type=float, help="degrees north; without it a place in the zone")
    house.add_argument("--longitude", type=float, help="degrees east")
    time = parser.add_argument_group("time")
    time.add_argument(
        "--speed", type=float, default=1.0, help="seconds in the house per second on its devices' clocks (1)"
    )
    time.add_argument(
        "--epoch", type=int, metavar="MS", help="the time in the house at the start, UTC ms; without it now"
    )
    egauge = parser.add_argument_group("eGauge")
    egauge.add_argument(
        "--egauge-port", type=int, metavar="PORT", help="0: any free one; without it no meter"
    )
    egauge.add_argument("--egauge-username", default="", help="asks for a password where it is given")
    egauge.add_argument("--egauge-password", default="")
    sonnen = parser.add_argument_group("sonnen")
    sonnen.add_argument(
        "--sonnen-port", type=int, metavar="PORT", help="0: any free one; without it no battery"
    )
    sonnen.add_argument("--sonnen-token", default="", help="v2 and cloud ask for it where it is given")
    sonnen.add_argument("--sonnen-serial", default="12345", help="the serial in the path of cloud (12345)")
    sonnen.add_argument(
        "--sonnen-interfaces", default="v1,v2,cloud", help="which of v1,v2,cloud it answers (all)"
    )
    sonnen.add_argument("--sonnen-mode", help="operating mode at the start (8 in the US, 2 elsewhere)")
    powerflex = parser.add_argument_group("PowerFlex")
    powerflex.add_argument(
        "--powerflex-port", type=int, metavar="PORT", help="0: any free one; without it no service"
    )
    powerflex.add_argument("--powerflex-username", default="user@domain.name")
    powerflex.add_argument("--powerflex-password", default="mysuperstrongpassword")
    powerflex.add_argument("--powerflex-acc-id", default="03", help="garage of the house's own station (03)")
    powerflex.add_argument("--powerflex-acs-id", default="02", help="number of the house's own station (02)")
    powerflex.add_argument(
        "--powerflex-power", choices=("mW", "kW"), default="mW", help="unit of `power` (mW)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="write the JSON line there, too")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    parser.add_argument("--verbose", action="store_true", help="log every request")
    return parser


if __name__ == "__main__":
    sys.exit(main())
