"""Light and dark from one set of named tokens.

The colours are data (`resources/themes/*.toml`), the stylesheet is one text with the tokens' names in it. A widget
that paints itself asks `tokens()` while painting; one that keeps pens renews them in `changeEvent` on PaletteChange.
"""

from __future__ import annotations

import string
import tomllib
from dataclasses import dataclass, fields
from functools import cache

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from sgmp_console.resources import resource
from sgmp_console.settings import ThemeChoice
from sgmp_console.ui import fonts


@dataclass(frozen=True)
class Tokens:
    """The colours of a theme. Quantities colour marks (lines, swatches, icons), never text; syntax colours formulas."""

    name: str
    surface_window: QColor
    surface_card: QColor
    surface_rail: QColor
    surface_sunken: QColor
    surface_hover: QColor
    surface_selected: QColor
    surface_overlay: QColor
    ink_primary: QColor
    ink_secondary: QColor
    ink_muted: QColor
    ink_disabled: QColor
    ink_on_accent: QColor
    line_hairline: QColor
    line_control: QColor
    line_grid: QColor
    line_zero: QColor
    line_crosshair: QColor
    line_hatch: QColor
    accent_fill: QColor
    accent_hover: QColor
    accent_focus: QColor
    state_ok: QColor
    state_warning: QColor
    state_warning_surface: QColor
    state_warning_line: QColor
    state_fault: QColor
    state_fault_surface: QColor
    state_fault_line: QColor
    quantity_solar: QColor
    quantity_battery: QColor
    quantity_battery_charging: QColor
    quantity_grid: QColor
    quantity_grid_export: QColor
    quantity_ev: QColor
    quantity_load: QColor
    quantity_soc: QColor
    quantity_line_1: QColor
    quantity_line_2: QColor
    quantity_other: QColor
    quantity_below_zero: QColor
    syntax_device: QColor
    syntax_item: QColor
    syntax_event: QColor
    syntax_function: QColor
    syntax_number: QColor

    @property
    def dark(self) -> bool:
        return self.surface_window.lightness() < self.ink_primary.lightness()


@cache
def load(name: str) -> Tokens:
    """The tokens of `light` or `dark`. Raises ValueError where the file and `Tokens` name different colours."""
    document = tomllib.loads(resource(f"themes/{name}.toml").read_text("utf-8"))
    colours = {f"{group}_{key}": value for group, table in document.items() for key, value in table.items()}
    wanted = {field.name for field in fields(Tokens)} - {"name"}
    if wanted != colours.keys():
        raise ValueError(
            f"theme {name}: {sorted(wanted ^ colours.keys())} are not in both the file and Tokens"
        )
    return Tokens(name=name, **{key: QColor(value) for key, value in colours.items()})


_tokens: Tokens | None = None


def tokens() -> Tokens:
    """The colours of the theme in use."""
    return _tokens or load("light")


def stylesheet(of: Tokens) -> str:
    template = string.Template(resource("themes/style.qss").read_text("utf-8"))
    return template.substitute(
        {field.name: _css(getattr(of, field.name)) for field in fields(of) if field.name != "name"}
    )


def palette(of: Tokens) -> QPalette:
    """What the stylesheet leaves to the style: selections, placeholders, disabled text."""
    made = QPalette(of.surface_window)
    role = QPalette.ColorRole
    for where, colour in (
        (role.Window, of.surface_window),
        (role.WindowText, of.ink_primary),
        (role.Base, of.surface_card),
        (role.AlternateBase, of.surface_card),
        (role.Text, of.ink_primary),
        (role.PlaceholderText, of.ink_muted),
        (role.Button, of.surface_card),
        (role.ButtonText, of.ink_primary),
        (role.ToolTipBase, of.surface_overlay),
        (role.ToolTipText, of.ink_primary),
        (role.Highlight, of.accent_focus),
        (role.HighlightedText, of.surface_card),
        (role.Link, of.accent_focus),
    ):
        made.setColor(where, colour)
    for where in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, where, of.ink_disabled)
    return made


class Appearance(QObject):
    """Which theme the application wears: the one chosen, or the system's, followed when it changes."""

    def __init__(self, application: QApplication, choice: ThemeChoice) -> None:
        super().__init__(application)
        self._application = application
        self._choice: ThemeChoice = choice
        application.setStyle("Fusion")
        application.setFont(fonts.font("body"))
        self._system = QGuiApplication.styleHints().colorScheme()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)
        self._apply()

    @property
    def choice(self) -> ThemeChoice:
        return self._choice

    def choose(self, choice: ThemeChoice) -> None:
        self._choice = choice
        self._apply()

    def _follow_system(self, scheme: Qt.ColorScheme) -> None:
        self._system = scheme
        if self._choice == "system":
            self._apply()

    def _apply(self) -> None:
        global _tokens
        name = self._choice
        if name == "system":
            name = "dark" if self._system == Qt.ColorScheme.Dark else "light"
        tokens = load(name)
        if tokens == _tokens:
            return
        _tokens = tokens
        self._application.setPalette(palette(tokens))
        self._application.setStyleSheet(stylesheet(tokens))


def _css(colour: QColor) -> str:
    return colour.name()
