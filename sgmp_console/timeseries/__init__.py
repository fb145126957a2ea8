"""Time series and what their numbers mean: slots, gaps, means, energy, coverage. Pure NumPy."""

from sgmp_console.timeseries.series import Series

__all__ = ["Series"]
