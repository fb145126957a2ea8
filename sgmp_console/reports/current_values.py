"""What the analytic items of a house stand at now: for their list."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sgmp_console.formula import evaluate_items
from sgmp_console.reports.item_reader import ItemReader

LOOKBACK_MS = 15 * 60_000
"""What is older is not current, whatever the interval of a device."""


def current_values(connection: sa.Connection, house_id: int, now_ms: int) -> Mapping[str, tuple[int, float]]:
    """The newest value of each item (UTC ms, value) that has one in the last LOOKBACK_MS and can be evaluated."""
    reader = ItemReader(connection, house_id)
    formulas = {name: item.formula for name, item in reader.items.items()}
    found = evaluate_items(list(formulas), formulas, now_ms - LOOKBACK_MS, now_ms + 1, reader.load)
    return {
        name: (int(series.timestamps[-1]), float(series.values[-1]))
        for name, series in found.series.items()
        if len(series)
    }
