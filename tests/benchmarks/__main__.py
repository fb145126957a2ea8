"""The budgets of the design, measured: `./run bench`.

Ours and the design it replaces (`ancestor.py`) on the same server, with the same readings, in one run. The server is
the embedded PostgreSQL, or the one of SGMP_TEST_DATABASE_URL (a superuser's address), in a database made for it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import (
    charts,
    exports,
    fleet,
    ingest,
    pages,
    parsing,
    quality,
    raw_formulas,
    reports,
    rules,
    storage,
)
from tests.benchmarks.result import Result, table
from tests.benchmarks.world import SERIES, World, database_server, furnished

SUBJECTS: Mapping[str, Callable[[World], list[Result]]] = {
    "storage": storage.measure,
    "formulas": raw_formulas.measure,
    "pages": pages.measure,
    "reports": reports.measure,
    "charts": charts.measure,
    "parsing": parsing.measure,
    "ingest": ingest.measure,
    "exports": exports.measure,
    "quality": quality.measure,
    "rules": rules.measure,
    "fleet": fleet.measure,  # last: a thousand houses are in the way of the others
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, and each subject's when it is measured; a subject that fails does not cost the others. Returns 1
    where a budget is not met or a subject failed."""
    given = _arguments(arguments)
    results: list[Result] = []
    failed: list[str] = []
    with database_server() as server, furnished(server, given.readings, given.days, _say) as world:
        about = {
            "server": world.server,
            "readings": world.readings,
            "series": SERIES,
            "interval_s": world.step_ms / 1000,
            "processors": os.cpu_count(),
        }
        for name in given.subjects or SUBJECTS:
            _say(f"Measuring {name}")
            began = time.monotonic()
            try:
                measured = SUBJECTS[name](world)
            except Exception:  # noqa: BLE001 - shown whole
                failed.append(name)
                _say(traceback.format_exc())
                continue
            _say(f"{name}, {time.monotonic() - began:.0f} s:\n{table(measured)}")
            results += measured
            if given.json:
                rows = [{**asdict(one), "met": one.met} for one in results]
                given.json.write_text(json.dumps({**about, "results": rows}, indent=2), "utf-8")
    print(
        f"{about['server']}, {about['readings']:,} readings of {SERIES} series,"
        f" one each {about['interval_s']:g} s, {about['processors']} processors\n"
    )
    print(table(results))
    if failed:
        _say(f"Not measured: {', '.join(failed)}")
    return 1 if failed or any(one.met is False for one in results) else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure the budgets of the design.")
    parser.add_argument(
        "--readings", type=int, default=1_339_200, metavar="N", help="about so many (default: one a minute)"
    )
    parser.add_argument("--days", type=int, default=30, help="over so many days (default: 30)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}")
    given = parser.parse_args(arguments)
    if unknown := set(given.subjects) - SUBJECTS.keys():
        parser.error(f"there is no subject {', '.join(sorted(unknown))}")
    return given


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
