"""Charts over time: ticks, axes, lines with gaps, legend, crosshair."""
