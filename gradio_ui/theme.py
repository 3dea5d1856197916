"""Gradio's own parts in our colours and our bundled font; everything else is in static/app.css."""

from __future__ import annotations

from gradio.themes import Base
from gradio.themes.utils import colors
from gradio.themes.utils.fonts import Font

_INK, _GROUND, _GROUND_DARK = "#16202e", "#f3f5f8", "#0e141b"


def portal_theme() -> Base:
    """Return the theme: teal on cool grey, without any font that would have to be fetched."""
    theme = Base(
        primary_hue=colors.teal,
        neutral_hue=colors.slate,
        # The first must be a Font: Gradio compares it with its own.
        font=[Font("Inter Variable"), "ui-sans-serif", "sans-serif"],
        font_mono=[Font("Plex Mono"), "ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill=_GROUND,
        body_background_fill_dark=_GROUND_DARK,
        body_text_color=_INK,
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0",
        block_shadow="none",
        layout_gap="0",
    )
