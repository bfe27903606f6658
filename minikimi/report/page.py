"""The shell of an HTML page that needs nothing but itself: style and pictures inside, no script, no remote reference.

Used by the report card (lesson 15); readable on a phone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from minikimi.report.runfiles import number

STYLE = """
:root{--ink:#1d2733;--soft:#5d6b7a;--line:#e3e8ee;--good:#1f8a5b;--bad:#c2452d;--bar:#2a6fdb}
*{box-sizing:border-box}
body{margin:0;background:#f6f8fa;color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
section{background:#fff;border:1px solid var(--line);border-radius:12px;padding:1rem 1.2rem;margin:1rem 0}
h1{margin:.4rem 0 0;font-size:1.7rem;overflow-wrap:anywhere}
h2{margin:0 0 .6rem;font-size:1.15rem}
p{margin:.3rem 0}
code{overflow-wrap:anywhere}
.soft{color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
th{color:var(--soft);font-weight:600;font-size:.85rem}
tr.mean td{font-weight:700;border-bottom:0}
.bar{position:relative;display:inline-block;width:9rem;height:.75rem;background:#edf1f5;border-radius:6px;
  overflow:hidden}
.bar i{position:absolute;left:0;top:0;bottom:0;background:var(--bar)}
.bar b{position:absolute;top:0;bottom:0;width:2px;background:var(--ink)}
.panels{display:flex;flex-wrap:wrap;gap:.4rem;margin:.4rem 0}
figure{margin:0;flex:0 1 13.4rem;min-width:10rem}
figure img{display:block;width:100%;height:auto}
.wide figure{flex:1 1 20rem;max-width:28rem}
.small figure{flex:0 1 9.5rem;min-width:7rem}
figcaption{font-size:.8rem;color:var(--soft);text-align:center}
.path{display:flex;flex-wrap:wrap;gap:.8rem 1.6rem}
.path div{position:relative;flex:1 1 9rem;border-radius:10px;padding:.6rem .8rem;color:#fff}
.path div+div::before{content:"\\2192";position:absolute;left:-.8rem;top:50%;transform:translate(-50%,-50%);
  color:var(--soft);font-size:1.2rem}
.path small{display:block;line-height:1.35}
.path .absent{background:#7d8995!important}
.heat{width:auto}
.heat th,.heat td{padding:.25rem .45rem;text-align:center;border:1px solid #fff;font-size:.85rem}
.heat th:first-child,.heat td:first-child{text-align:left;position:sticky;left:0;background:#fff}
.heat caption{text-align:left;font-weight:600;font-size:.85rem;padding:.2rem 0}
.maps{display:flex;flex-wrap:wrap;gap:1.2rem}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--bar)}
td small{display:block;color:var(--soft);white-space:normal}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-left:5px solid var(--good);border-radius:8px;padding:.6rem;
  overflow-wrap:anywhere;min-width:0}
.card.wrong{border-left-color:var(--bad)}
.pictures{display:flex;flex-wrap:wrap;gap:.25rem}
.pictures img{flex:1 1 30%;min-width:0;max-height:12rem;object-fit:contain;background:#f0f3f6;border-radius:4px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.85rem/1.4 ui-monospace,monospace;background:#f0f3f6;
  margin:.3rem 0;padding:.4rem .5rem;border-radius:4px;max-height:16rem;overflow:auto}
.think{color:#7a4fa3}
.tag{font-weight:700;color:var(--good)}
.wrong .tag{color:var(--bad)}
@media(max-width:52rem){
  .bar{display:none}
  th,td{padding:.3rem .35rem;font-size:.88rem}
  figure{flex:1 1 13.4rem;max-width:24rem}
  .cards{grid-template-columns:1fr}
  .path{flex-direction:column;gap:1.2rem}
  .path div{flex:none}
  .path div+div::before{content:"\\2193";left:50%;top:-.65rem}
}
"""


def page(title: str, body: str) -> str:
    """The whole document; `body` is HTML, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A box with a heading; `body` is HTML, `title` is text."""
    return f"<section><h2>{escape(title)}</h2>\n{body}\n</section>"


def absent(what: str) -> str:
    """A quiet line that says what is not there."""
    return f'<p class="soft">{escape(what)}</p>'


def embed(data: bytes, kind: str, alt: str) -> str:
    """Picture bytes ("png" or "jpeg") as an <img> that carries them."""
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def panels(pictures: Mapping[str, bytes], kind: str = "", captions: bool = False) -> str:
    """PNG pictures by their description, side by side as the screen allows; nothing for none.

    kind: "wide", "small" or "" for the size between; `captions` writes the descriptions under them.
    """
    images = "".join(
        f"<figure>{embed(png, 'png', alt)}{f'<figcaption>{escape(alt)}</figcaption>' if captions else ''}</figure>"
        for alt, png in pictures.items()
    )
    return f'<div class="panels {kind}">{images}</div>' if images else ""


def percent(share: Any) -> str:
    """0.724 as 72%; empty for what is no number."""
    value = number(share)
    return "" if value is None else f"{100 * value:.0f}%"


def heat_table(
    heads: Sequence[str], lines: Mapping[str, Sequence[Any]], full: float = 1.0, show: Callable[[float], str] = percent,
    caption: str = "", notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:  # fmt: skip
    """A table whose cells are the darker the nearer their number is to `full`; a dash for None. heads[0] is the
    corner. notes: rows of plain text under the heads.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    head += "".join(f"</tr><tr>{cells([name, *texts], 'soft')}" for name, texts in notes.items())
    body = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(heat_cell(number(v), full, show) for v in values)}</tr>"
        for name, values in lines.items()
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table class="heat">{title}<tr>{head}</tr>{body}</table></div>'


def cells(texts: Sequence[str], kind: str = "") -> str:
    """Texts as cells of a row."""
    return "".join(f'<td class="{kind}">{escape(text)}</td>' for text in texts)


def heat_cell(value: float | None, full: float, show: Callable[[float], str]) -> str:
    if value is None:
        return '<td class="soft">–</td>'
    depth = min(max(value / full, 0.0), 1.0)
    ink = "#fff" if depth > 0.85 else "inherit"
    return f'<td style="background:rgba(42,111,219,{0.06 + 0.94 * depth:.2f});color:{ink}">{show(value)}</td>'


def count(value: float) -> str:
    """A number in words of one unit: 5,280,000 is 5.3 M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}"
