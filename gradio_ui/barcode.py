"""The barcode of a receipt's number as an inline SVG."""

from __future__ import annotations

from markupsafe import Markup

from receipts.barcode import bars


def svg(digits: str) -> Markup:
    """Return the barcode as an SVG one module per unit wide, to be scaled by a whole number of pixels."""
    found, width = bars(digits)
    path = "".join(f"M{at} 0h{wide}v40h-{wide}z" for at, wide in found)
    return Markup(
        '<svg class="rl-barcode" viewBox="0 0 {width} 40" preserveAspectRatio="none" shape-rendering="crispEdges" '
        'role="img" aria-label="Barcode of the receipt number"><path d="{path}"/></svg>'
    ).format(width=width, path=path)
