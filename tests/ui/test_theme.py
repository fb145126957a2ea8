"""One set of tokens, two themes: complete, legible, followed by every widget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPixmap
from PySide6.QtWidgets import QApplication

from sgmp_console.resources import resource
from sgmp_console.ui import fonts, icons, theme
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.quantities import QUANTITIES
from sgmp_console.ui.theme import Appearance, Tokens

SURFACES = ("window", "card", "rail", "hover", "selected", "overlay", "sunken")
UI = Path(theme.__file__).parent


def luminance(colour: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF())


def contrast(one: QColor, other: QColor) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["light", "dark"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    return theme.load(request.param)


@pytest.mark.parametrize("ink", ["primary", "secondary", "muted"])
@pytest.mark.parametrize("surface", SURFACES)
def test_text_stands_out_from_every_surface(tokens: Tokens, ink: str, surface: str) -> None:
    assert contrast(getattr(tokens, f"ink_{ink}"), getattr(tokens, f"surface_{surface}")) >= 4.5


def test_text_on_coloured_surfaces_stands_out(tokens: Tokens) -> None:
    assert contrast(tokens.ink_primary, tokens.state_warning_surface) >= 4.5
    assert contrast(tokens.ink_primary, tokens.state_fault_surface) >= 4.5
    assert contrast(tokens.state_fault, tokens.surface_card) >= 4.5
    assert contrast(tokens.ink_on_accent, tokens.accent_fill) >= 4.5
    assert contrast(tokens.ink_on_accent, tokens.accent_hover) >= 4.5


def test_what_can_be_operated_can_be_seen(tokens: Tokens) -> None:
    for colour in (tokens.line_control, tokens.accent_focus):
        for surface in (tokens.surface_window, tokens.surface_card):
            assert contrast(colour, surface) >= 3.0


def test_the_power_lines_differ_from_each_other_and_from_the_card(tokens: Tokens) -> None:
    colours = {
        (quantity.colour_in(tokens).name(), quantity.dashed)
        for quantity in QUANTITIES.values()
        if quantity.item != "soc"
    }
    assert (
        len(colours) >= len(QUANTITIES) - 2
    )  # frequency and L1 are the same grey-blue, in panes of their own
    for quantity in QUANTITIES.values():
        assert contrast(quantity.colour_in(tokens), tokens.surface_card) >= 1.9


def test_the_stylesheet_uses_only_tokens_that_exist(tokens: Tokens) -> None:
    text = theme.stylesheet(tokens)
    assert "$" not in text
    assert not re.search(r"#[0-9A-Fa-f]{6}", resource("themes/style.qss").read_text("utf-8"))


def test_no_colour_is_written_into_the_code() -> None:
    found = [
        f"{file.relative_to(UI)}: {match.group()}"
        for file in UI.rglob("*.py")
        for match in re.finditer(r"[\"']#[0-9A-Fa-f]{3,8}[\"']|QColor\(\d", file.read_text("utf-8"))
    ]
    assert not found, "colours belong into resources/themes"


def test_every_token_is_used() -> None:
    code = "\n".join(file.read_text("utf-8") for file in UI.rglob("*.py") if file.name != "theme.py")
    code += resource("themes/style.qss").read_text("utf-8")
    code += theme.palette.__code__.co_names.__repr__()
    quantities = {f"quantity_{quantity.token}" for quantity in QUANTITIES.values()}
    unused = [
        f.name for f in fields(Tokens) if f.name not in code and f.name not in quantities and f.name != "name"
    ]
    assert not unused


def used_icons() -> Iterator[str]:
    names = {file.stem for file in resource("icons").glob("*.svg")}
    code = "\n".join(file.read_text("utf-8") for file in UI.rglob("*.py"))
    yield from (name for name in names if f'"{name}"' in code or f"{name}.svg" in code)


def test_every_icon_is_used_and_drawn_in_the_colour_asked_for(appearance: Appearance) -> None:
    files = {file.stem: file for file in resource("icons").glob("*.svg")}
    assert set(used_icons()) == set(files)
    for name, file in files.items():
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
        if name == "sgmp":
            continue
        canvas = QPixmap(24, 24)
        canvas.fill(QColor("white"))
        painter = QPainter(canvas)
        icons.paint(painter, QRectF(0, 0, 24, 24), name, QColor("red"))
        painter.end()
        image = canvas.toImage()
        drawn = {image.pixelColor(x, y).name() for x in range(24) for y in range(24)}
        assert any(QColor(colour).red() > 200 > QColor(colour).green() + 100 for colour in drawn), name


def test_figures_are_all_of_one_width(appearance: Appearance) -> None:
    for role in ("caption", "body", "strong", "value"):
        metrics = QFontMetricsF(fonts.font(role))
        widths = [metrics.horizontalAdvance(digit) for digit in "0123456789"]
        assert max(widths) - min(widths) < 0.2


def test_widgets_follow_a_change_of_theme(appearance: Appearance, shown: object) -> None:
    button = IconButton("panel", "Collapse")
    shown(button, 40, 40)  # type: ignore[operator]
    before = button.icon().pixmap(20, 20).toImage()
    appearance.choose("dark")
    assert theme.tokens().name == "dark"
    assert button.icon().pixmap(20, 20).toImage() != before


def test_the_system_decides_unless_somebody_did(appearance: Appearance, qapp: QApplication) -> None:
    # Offscreen there is no system to change its mind, but its signal can be given.
    system = qapp.styleHints().colorSchemeChanged
    appearance.choose("system")
    system.emit(Qt.ColorScheme.Dark)
    assert theme.tokens().name == "dark"
    system.emit(Qt.ColorScheme.Light)
    assert theme.tokens().name == "light"
    appearance.choose("dark")
    system.emit(Qt.ColorScheme.Unknown)
    assert theme.tokens().name == "dark"
