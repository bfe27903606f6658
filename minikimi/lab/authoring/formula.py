"""Formulas in web pages without a script from elsewhere: TeX between dollars becomes a picture inside the page."""

from __future__ import annotations

import base64
import functools
import html
import io
import re

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^\s$](?:[^$\n]*?[^\s$])?)\$", re.S)
SHIELD = re.compile(r"(<pre\b.*?</pre>|<code\b.*?</code>|<script\b.*?</script>|<style\b.*?</style>)", re.S)
FONT_SIZE = 10.0  # points of the drawing; sizes in the page are relative to its text


def draw_formulas(page: str) -> str:
    """Replace every formula of an HTML text, but not in code."""
    parts = SHIELD.split(page)
    return "".join(part if i % 2 else FORMULA.sub(_replace, part) for i, part in enumerate(parts))


def _replace(match: re.Match) -> str:
    display = match[1] is not None
    drawn = picture(html.unescape(match[1] or match[2]))
    return f'<span class="display">{drawn}</span>' if display else drawn


@functools.cache
def picture(tex: str) -> str:
    """An `<img>` of a formula, or its TeX as `<code>` where mathtext does not know a command."""
    from matplotlib import rc_context
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    drawing = io.BytesIO()
    text = re.sub(r"\s+", " ", re.sub(r"\\text\b|\\operatorname\b", r"\\mathrm", tex)).strip()
    try:
        with rc_context({"mathtext.fontset": "stix", "svg.hashsalt": "minikimi"}):
            depth = math_to_image(f"${text}$", drawing, prop=FontProperties(size=FONT_SIZE), dpi=72, format="svg")
    except ValueError:
        return f"<code>{html.escape(tex)}</code>"
    svg = re.sub(r"<metadata>.*?</metadata>", "", drawing.getvalue().decode(), flags=re.S)
    height = re.search(r'<svg\b[^>]*?height="([\d.]+)pt"', svg)
    assert height is not None
    data = base64.b64encode(svg.encode()).decode()
    size = f"height:{float(height[1]) / FONT_SIZE * 1.1:.3f}em;vertical-align:{-depth / FONT_SIZE * 1.1:.3f}em"
    return f'<img class="formula" alt="{html.escape(tex)}" style="{size}" src="data:image/svg+xml;base64,{data}">'
