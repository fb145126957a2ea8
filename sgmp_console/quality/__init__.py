"""What is wrong with readings: checks of a few lines of NumPy each, and the bits that say what they found. Pure.

docs/quality.md has what each bit means. A bit keeps its meaning for ever; what checks find may change with `VERSION`.
"""

from sgmp_console.quality.bits import VERSION, Quality
from sgmp_console.quality.day import SeriesQuality, check_balance, check_fields, check_series, counts
from sgmp_console.quality.expectations import EXPECTATIONS, Expectation, Meaning

__all__ = [
    "EXPECTATIONS",
    "VERSION",
    "Expectation",
    "Meaning",
    "Quality",
    "SeriesQuality",
    "check_balance",
    "check_fields",
    "check_series",
    "counts",
]
