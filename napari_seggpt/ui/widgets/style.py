"""Colours of napari's theme and of the statuses, and a style sheet for the dock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

from napari_seggpt.session import FrameStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

# A person's own frames are blue, violet and green; the model's are yellow and orange.
ON_DARK = {
    FrameStatus.EMPTY: "#4b515b",
    FrameStatus.REFERENCE: "#4f9df0",
    FrameStatus.PREDICTED: "#e3c64a",
    FrameStatus.STALE: "#e8803a",
    FrameStatus.CORRECTED: "#b78cf2",
    FrameStatus.APPROVED: "#45bd86",
}
ON_LIGHT = {
    FrameStatus.EMPTY: "#c3bfbc",
    FrameStatus.REFERENCE: "#1f6fd0",
    FrameStatus.PREDICTED: "#dcae00",
    FrameStatus.STALE: "#d95f0e",
    FrameStatus.CORRECTED: "#8444d6",
    FrameStatus.APPROVED: "#128a54",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """The colours that the dock is painted in.

    Attributes
    ----------
    background, foreground, primary, text, accent
        Those of napari's theme.
    muted
        Of text that says something by the way.
    warning, error
        Of what needs attention; legible on the background.
    statuses
        Of the cells of frames.
    font_size
        As in a style sheet.
    """

    background: QColor
    foreground: QColor
    primary: QColor
    text: QColor
    muted: QColor
    accent: QColor
    warning: QColor
    error: QColor
    statuses: Mapping[FrameStatus, QColor]
    font_size: str


def tones(theme_name: str) -> Tones:
    """Return the colours for one of napari's themes."""
    theme = get_theme(theme_name)
    background, text = _color(theme.background), _color(theme.text)
    is_dark = background.lightness() < 128
    statuses = ON_DARK if is_dark else ON_LIGHT
    return Tones(
        background=background,
        foreground=_color(theme.foreground),
        primary=_color(theme.primary),
        text=text,
        muted=mix(text, background, 0.35),
        accent=QColor("#5b8def" if is_dark else "#2f62c9"),
        warning=QColor("#e8a33a" if is_dark else "#a85b00"),
        error=QColor("#ff7a70" if is_dark else "#c0182b"),
        statuses={status: QColor(name) for status, name in statuses.items()},
        font_size=str(theme.font_size),
    )


def _color(color: object) -> QColor:
    return QColor(color.as_hex("long"))  # type: ignore[attr-defined]


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour between two, `share` of the way to the other."""
    parts = zip(one.getRgbF(), other.getRgbF(), strict=True)
    return QColor.fromRgbF(*(a * (1 - share) + b * share for a, b in parts))


def with_links(text: str, colors: Tones) -> str:
    """Return rich text with legible links; no style sheet sets their colour."""
    return text.replace("<a ", f'<a style="color: {colors.accent.name()}" ')


def style_sheet(colors: Tones) -> str:
    """Return what the dock adds to napari's style sheet."""
    muted, accent = colors.muted.name(), colors.accent.name()
    return f"""
    QLabel, QPushButton, QToolButton, QComboBox, QCheckBox, QAbstractSpinBox {{
        font-size: {colors.font_size};
    }}
    QLabel[role="muted"] {{ color: {muted}; }}
    QToolButton[role="header"] {{
        background: transparent; border: none; padding: 0px;
        font-weight: bold; text-align: left;
    }}
    QFrame[role="rule"] {{ background: {colors.primary.name()}; }}
    QPushButton[role="main"] {{
        background-color: {accent}; color: white; font-weight: bold; padding: 3px;
        border: none;
    }}
    QPushButton[role="main"]:hover {{
        background-color: {colors.accent.lighter(115).name()};
    }}
    QPushButton[role="main"]:disabled {{
        background-color: {colors.primary.name()}; color: {muted}; border: none;
    }}
    QToolButton[role="flat"] {{
        background-color: {colors.primary.name()}; border: none; border-radius: 2px;
        padding: 3px 8px; text-align: left;
    }}
    QToolButton[role="flat"]:hover {{ background-color: {colors.foreground.name()}; }}
    QToolButton::menu-indicator {{ image: none; width: 0px; }}
    QAbstractSpinBox {{ min-width: 60px; min-height: 16px; padding: 1px 2px; }}
    QComboBox {{ padding: 1px 8px 1px 8px; }}
    QPushButton {{ padding: 2px; min-height: 1.3em; max-height: 1.3em; }}
    QHeaderView::up-arrow, QHeaderView::down-arrow {{
        subcontrol-position: top center; width: 7px; height: 5px;
    }}
    QProgressBar {{ font-size: {colors.font_size}; max-height: 16px; }}
    """
