"""`make site`: the course as web pages in site/ that open from disk: no server, no network, nothing loaded from afar.

nbconvert renders the lessons with their committed outputs, matplotlib's mathtext draws the formulas (what it does not
know stays readable as TeX), and the search runs in the page over an index of all cells.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import sys
from pathlib import Path

from minikimi.errors import UserError
from minikimi.lab.authoring.build import sources, target, write
from minikimi.lab.authoring.formula import draw_formulas
from minikimi.lab.authoring.source import Source, cell_text
from minikimi.lab.lessons import lesson

SITE = Path("site")
NAME = "minikimi: the course"
STYLE = """
body { font: 17px/1.55 system-ui, sans-serif; color: #1c1c1c; max-width: 800px; margin: 0 auto; padding: 0 1em 4em }
nav { position: sticky; top: 0; background: #fff; padding: .6em 0; border-bottom: 1px solid #ddd; z-index: 1 }
nav a { margin-right: 1em } a { color: #0550ae } h1, h2, h3 { line-height: 1.25; margin-top: 1.6em }
pre { overflow-x: auto; padding: .6em .8em; font: 14px/1.45 ui-monospace, monospace; margin: .4em 0 }
.highlight { background: #f6f8fa; border-radius: 4px } .output_area pre { border-left: 3px solid #bbb; color: #333 }
table { border-collapse: collapse } td, th { border: 1px solid #ddd; padding: .3em .6em; text-align: left }
img { max-width: 100% } img.formula { max-width: none } .prompt, .anchor-link { display: none }
.display { display: block; text-align: center; overflow-x: auto } details { margin: .8em 0 }
#found li { margin: .5em 0 } #query { font: inherit; width: 100%; padding: .4em }
@media (min-width: 1500px) { body { font-size: 21px; max-width: 1000px } pre { font-size: 18px } }
"""
SEARCH = """
const query = document.getElementById("query"), found = document.getElementById("found");
query.addEventListener("input", () => {
  const words = query.value.toLowerCase().split(/\\s+/).filter(word => word.length > 1);
  found.textContent = "";
  if (!words.length) return;
  const hits = INDEX.filter(entry => {
    const text = (entry.lesson + " " + entry.text).toLowerCase();
    return words.every(word => text.includes(word));
  });
  for (const hit of hits.slice(0, 30)) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = hit.page + "#" + hit.cell;
    link.textContent = hit.lesson;
    item.append(link, " " + hit.text.slice(0, 220));
    found.append(item);
  }
  if (!hits.length) found.textContent = "nothing found";
});
"""


def page(title: str, body: str) -> str:
    """A complete page around a body."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="stylesheet" href="style.css"></head>\n'
        f'<body><nav><a href="index.html">{NAME}</a></nav>\n{body}\n</body></html>\n'
    )


def lesson_page(source: Source, solutions: bool) -> str:
    """A lesson with its committed outputs."""
    import nbformat
    from nbconvert import HTMLExporter

    notebook = nbformat.read(target(source, solutions), as_version=4)
    for cell in notebook.cells:
        # Drawing code is folded in the notebook, and left out here; a slider needs a kernel, which a page has not.
        cell.metadata["transient"] = {"remove_source": "jupyter" in cell.metadata}
        if cell.get("outputs"):
            cell.outputs = [o for o in cell.outputs if not any("widget" in kind for kind in o.get("data", {}))]
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    body = draw_formulas(re.sub(r'id="cell-id=(c\d+)"', r'id="\1"', body))
    other = f"{source.name}.html" if solutions else f"{source.name}_solutions.html"
    link = f'<p><a href="{other}">{"the exercises" if solutions else "with solutions"}</a></p>'
    return page(f"{source.number} {source.header['title']}", link + body)


def index_page(all_sources: list[Source]) -> str:
    """The list of lessons and the search."""
    rows = [
        f'<tr><td><a href="{s.name}.html">{s.number} {html.escape(s.header["title"])}</a></td>'
        f"<td>{s.header['minutes']} min</td><td>{'●' * s.header['difficulty']}</td><td>{len(lesson(s.number))}</td>"
        f"<td>{html.escape(s.header['goal'])}</td></tr>"
        for s in all_sources
    ]
    titles = "<tr><th>lesson</th><th>time</th><th>difficulty</th><th>exercises</th><th>goal</th></tr>"
    table = "\n".join([titles, *rows])
    return page(
        NAME,
        "<h1>Kimi-VL, rebuilt from scratch</h1>\n"
        "<p>These pages are for reading. To solve the exercises, run <code>make lab</code>.</p>\n"
        '<p><input id="query" type="search" placeholder="search all lessons"></p><ul id="found"></ul>\n'
        f'<table>{table}</table>\n<script src="search.js"></script>',
    )


def search_index(all_sources: list[Source]) -> list[dict[str, str]]:
    """One entry per text cell and per code cell: its page, cell, lesson and words."""
    return [
        {
            "page": f"{s.name}.html",
            "cell": f"c{i:02d}",
            "lesson": f"{s.number} {s.header['title']}",
            "text": " ".join(re.sub(r"[#*`$|<>]|\bdetails\b|\bsummary\b", " ", cell_text(cell, False)).split()),
        }
        for s in all_sources
        for i, cell in enumerate(s.cells, 1)
    ]


def build_site(folder: Path, all_sources: list[Source]) -> list[Path]:
    """Write all pages into `folder`, which is made anew; returns them. Raises `UserError` for a folder of others."""
    from pygments.formatters import HtmlFormatter

    index = folder / "index.html"
    if folder.exists() and any(folder.iterdir()) and not (index.is_file() and NAME in index.read_text("utf-8")):
        raise UserError(f"{folder.resolve()} holds something else than these pages; move it, or go to another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = {
        "style.css": STYLE.lstrip() + HtmlFormatter(style="default").get_style_defs(".highlight") + "\n",
        "search.js": f"const INDEX = {json.dumps(search_index(all_sources), ensure_ascii=False)};\n{SEARCH.lstrip()}",
        "index.html": index_page(all_sources),
    }
    for source in all_sources:
        files[f"{source.name}.html"] = lesson_page(source, solutions=False)
        files[f"{source.name}_solutions.html"] = lesson_page(source, solutions=True)
    for name, text in files.items():
        write(folder / name, text)
    return [folder / name for name in files]


def main() -> int:
    """Build the site and say where it is."""
    files = build_site(SITE, sources([]))
    print(f"{len(files)} files in {SITE.name}/: open {SITE.name}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
