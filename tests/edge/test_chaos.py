"""Everything between a device and the database is hurt at once, for a minute: nothing is lost, doubled or reordered."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.edge.chaos.run import run

SEED = 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_poll_that_succeeded_is_in_the_database_exactly_once_whatever_happens() -> None:
    verdict = run(SEED)
    print(json.dumps(verdict.summary(), indent=2))
    assert verdict.wrong == [], f"what each part said is in {verdict.folder}"
    assert sum(verdict.faults.values()) >= 200
    assert any(place != "elsewhere" for place in verdict.died_at), "no edge was killed between watched lines"
    assert verdict.numbers["messages stored by the edges"] > 300
    shutil.rmtree(verdict.folder)
