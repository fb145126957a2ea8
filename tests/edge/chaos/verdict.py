"""What arrived, against what the drivers returned and what the edges said they had stored."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg2

from sgmp_console.measurements import flatten
from tests.edge.chaos.house import COUNTERS, House

IN_FLIGHT_AT_MOST = 3
"""Polls of one device that a killed edge may not have brought to the disk yet: its last ones."""
SAME_POLL_S = 0.05
"""Readings returned within this time come from one poll."""

Row = tuple[int, int, str, int]
"""House, device, field, timestamp (UTC ms)."""


@dataclass
class Verdict:
    """`wrong`: a sentence for each thing lost, doubled, made up or out of order."""

    faults: Counter[str]
    numbers: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    folder: Path = Path()

    def summary(self) -> dict[str, Any]:
        return {
            "faults": sum(self.faults.values()),
            "by_kind": dict(sorted(self.faults.items())),
            "died_at": dict(sorted(self.died_at.items())),
            **self.numbers,
            "seconds": self.seconds,
        }

    def check(self, right: bool, sentence: str) -> None:
        if not right:
            self.wrong.append(sentence)


def judge(houses: Sequence[House], url: str, faults: Counter[str], patience_s: float) -> Verdict:
    """Wait up to `patience_s` for what was stored to arrive, then compare everything."""
    verdict = Verdict(faults)
    wanted: dict[Row, float] = {}
    healed: set[Row] = set()
    for house in houses:
        _expect(verdict, house, wanted, healed)
    arrived = _wait_for(url, wanted.keys() | healed, patience_s)
    verdict.numbers["readings stored by the edges"] = len(wanted.keys() | healed)
    verdict.numbers["readings in the database"] = len(arrived)
    for row in sorted((wanted.keys() | healed) - arrived.keys())[:10]:
        verdict.wrong.append(f"stored by the edge and never arrived: {row}")
    for row in sorted(wanted.keys() & arrived.keys()):
        verdict.check(arrived[row] == wanted[row], f"another value: {row} {arrived[row]} for {wanted[row]}")
    for house in houses:
        _check_journal(verdict, house, wanted, healed, arrived)
        _check_events(verdict, house, url)
        _check_calm(verdict, house)
        verdict.died_at += house.died_at
        verdict.numbers["edge processes"] += len(house.deaths)
        verdict.numbers["writes lost with the power"] += house.writes_lost
    quarantined = _query(url, "SELECT topic, reason FROM sgmp.quarantine LIMIT 5")
    verdict.check(not quarantined, f"quarantined: {quarantined}")
    return verdict


def _expect(verdict: Verdict, house: House, wanted: dict[Row, float], healed: set[Row]) -> None:
    """What the house's edge said it had stored. `healed` came from a meter's own history, beside which a reading of
    the same minute may stand."""
    for message in house.printed():
        if message["kind"] != "data":
            continue
        verdict.numbers["messages stored by the edges"] += 1
        for name, value in flatten(message["payload"]).values.items():
            row = (house.house_id, house.device_ids[message["device"]], name, message["timestamp_ms"])
            if "journal" not in message["payload"]:
                healed.add(row)
                continue
            verdict.check(row not in wanted, f"one timestamp for two readings: {row}")
            wanted[row] = value


def _wait_for(url: str, wanted: set[Row], patience_s: float) -> dict[Row, float]:
    deadline = time.monotonic() + patience_s
    while True:
        rows = _query(
            url,
            "SELECT s.house_id, s.device_id, s.field, round(extract(epoch FROM r.ts) * 1000)::bigint, r.value"
            " FROM sgmp.reading r JOIN sgmp.series s USING (series_id)",
        )
        arrived = {(house, device, name, at): value for house, device, name, at, value in rows}
        if wanted <= arrived.keys() or time.monotonic() > deadline:
            assert len(rows) == len(arrived), "a series has two rows of one timestamp"
            return arrived
        time.sleep(0.5)


def _check_journal(
    verdict: Verdict, house: House, wanted: dict[Row, float], healed: set[Row], arrived: dict[Row, float]
) -> None:
    for device, journal in house.journal().items():
        where = (house.house_id, house.device_ids[device])
        placed: dict[int, int] = {}  # number in the journal -> timestamp in the database
        for (house_id, device_id, name, at), number in arrived.items():
            if (house_id, device_id) == where and name == "journal":
                verdict.check(
                    int(number) not in placed, f"{house.name} {device}: reading {number} came twice"
                )
                placed[int(number)] = at
        _check_order(verdict, house, device, placed)
        verdict.numbers["readings returned by drivers"] += len(journal)
        verdict.check(
            placed.keys() <= set(range(1, len(journal) + 1)), f"{house.name} {device}: something was made up"
        )
        for number, at in placed.items():
            for name, value in flatten(journal[number - 1][2]).values.items():
                row = (*where, name, at)
                verdict.check(row in healed or arrived.get(row) == value, f"arrived changed: {row}")
        missing = [number for number in range(1, len(journal) + 1) if number not in placed]
        verdict.numbers["in flight when an edge was killed, never stored"] += len(missing)
        for number in missing:
            ending = house.deaths[journal[number - 1][0]]
            late = _polls_after(journal, number)
            verdict.check(
                ending != "ended" and late < IN_FLIGHT_AT_MOST,
                f"{house.name} {device}: reading {number} was returned and is nowhere; {late} polls of its process"
                f" came later, which was {ending}",
            )
        if device in COUNTERS:
            counted = [int(journal[number - 1][2]["count"]) for number in sorted(placed)]
            holes = [f"{a} then {b}" for a, b in zip([0, *counted], counted, strict=False) if b != a + 1]
            verdict.check(not holes, f"{house.name} {device}: its memory and its readings part: {holes[:5]}")


def _polls_after(journal: list[tuple[int, float, dict[str, Any]]], number: int) -> int:
    """Polls of the same process after that of a reading."""
    pid, last_s, _ = journal[number - 1]
    polls = 0
    for other, at_s, _ in journal[number:]:
        if other == pid and at_s - last_s > SAME_POLL_S:
            polls += 1
            last_s = at_s
    return polls


def _check_order(verdict: Verdict, house: House, device: str, placed: dict[int, int]) -> None:
    times = [placed[number] for number in sorted(placed)]
    back = sum(later <= earlier for earlier, later in pairwise(times))
    verdict.numbers["series out of the journal's order, the clock being far back"] += back
    verdict.check(back <= house.far_steps, f"{house.name} {device}: {back} readings out of order")


def _check_events(verdict: Verdict, house: House, url: str) -> None:
    stored = Counter(
        (device or 0, at, kind, json.dumps(data, sort_keys=True))
        for device, at, kind, data in _query(
            url,
            "SELECT device_id, round(extract(epoch FROM ts) * 1000)::bigint, type, data FROM sgmp.event"
            f" WHERE house_id = {house.house_id:d}",
        )
    )
    ids = {**house.device_ids, "_edge": 0}
    for message in house.printed():
        if message["kind"] == "event":
            verdict.numbers["events stored by the edges"] += 1
            body = message["payload"]
            key = (
                ids[message["device"]],
                message["timestamp_ms"],
                body["type"],
                json.dumps(body["data"], sort_keys=True),
            )
            verdict.check(stored[key] == 1, f"{house.name}: {stored[key]} times in the database: {key}")


def _check_calm(verdict: Verdict, house: House) -> None:
    """What must not happen however bad the day."""
    said = house.logged()
    for word in ("Traceback", "can't be read", "dropped the oldest"):
        lines = [line for line in said.splitlines() if word in line]
        verdict.check(not lines, f"{house.name} said: {lines[:3]}")
    verdict.check(not house.corrupt_files(), f"{house.name} set aside {house.corrupt_files()}")


def _query(url: str, statement: str) -> list[Any]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()
