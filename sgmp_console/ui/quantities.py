"""How each quantity looks, everywhere the same: words, colour, dash, icon."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor

from sgmp_console.ui import theme
from sgmp_console.ui.theme import Tokens


@dataclass(frozen=True)
class Quantity:
    """`short` names it where the context says the rest (a legend in the power chart). What flows the other way of a
    pair (charging, export) and the second of two equals (L2) is dashed, so that colour is never the only sign."""

    item: str
    title: str
    short: str
    token: str
    icon: str = ""
    dashed: bool = False

    @property
    def colour(self) -> QColor:
        """In the theme in use."""
        return self.colour_in(theme.tokens())

    def colour_in(self, tokens: Tokens) -> QColor:
        colour: QColor = getattr(tokens, f"quantity_{self.token}")
        return colour


QUANTITIES = {
    quantity.item: quantity
    for quantity in (
        Quantity("solar", "Solar power", "Solar", "solar", "solar"),
        Quantity("load", "Load", "Load", "load", "load"),
        Quantity(
            "battery_charging", "Battery charging", "Charging", "battery_charging", "battery", dashed=True
        ),
        Quantity("battery_discharging", "Battery discharging", "Discharging", "battery", "battery"),
        Quantity("ev", "EV charging", "EV", "ev", "ev"),
        Quantity("grid_import", "Grid import", "Import", "grid", "grid"),
        Quantity("grid_export", "Grid export", "Export", "grid_export", "grid", dashed=True),
        Quantity("soc", "State of charge", "State of charge", "soc", "battery"),
        Quantity("l1_frequency", "Grid frequency", "Frequency", "line_1", "wave"),
        Quantity("l1_voltage", "L1 voltage", "L1", "line_1", "wave"),
        Quantity("l2_voltage", "L2 voltage", "L2", "line_2", "wave", dashed=True),
    )
}
