"""`make notebooks`: from each lesson source an exercise and a solution notebook, executed, the same bytes every time.

    python -m minikimi.lab.authoring.build [02 05 ...] [--check]

`--check` builds aside and fails if the committed notebooks differ in a single byte.
"""

from __future__ import annotations

import argparse
import base64
import difflib
import io
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from minikimi.errors import UserError
from minikimi.files import NOTEBOOKS, write_text
from minikimi.lab.authoring.source import Source, cell_text, read_source, title_cell

WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}


def sources(numbers: list[str], folder: Path = NOTEBOOKS) -> list[Source]:
    """The lesson sources with these numbers, or all. Raises `UserError` for a number without a source."""
    paths = sorted((folder / "src").glob("[0-9][0-9]_*.py"))
    missing = set(numbers) - {path.name[:2] for path in paths}
    if missing:
        raise UserError(f"no lesson {', '.join(sorted(missing))} in {folder / 'src'}")
    return [read_source(path) for path in paths if not numbers or path.name[:2] in numbers]


def assemble(source: Source, solutions: bool) -> Any:
    """The notebook of a source, not yet executed: fixed ids and metadata."""
    from nbformat import v4

    cells = [v4.new_markdown_cell(title_cell(source, solutions), id="c00")]
    for i, cell in enumerate(source.cells, 1):
        text, id = cell_text(cell, solutions), f"c{i:02d}"
        if cell.kind == "markdown":
            cells.append(v4.new_markdown_cell(text, id=id))
        else:
            hidden = {"jupyter": {"source_hidden": True}} if cell.kind == "hidden" else {}
            cells.append(v4.new_code_cell(text, id=id, metadata=hidden))
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def execute(notebook: Any, folder: Path) -> None:
    """Run all cells in a fresh kernel whose working directory is `folder`; an error in any cell raises."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        record_timing=False,
        timeout=120,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    try:
        client.execute(env=os.environ | ENVIRONMENT)
    except CellExecutionError as error:
        raise UserError(f"a cell stops:\n{re.sub(chr(27) + r'.[0-9;]*m', '', str(error))}") from None
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}  # nbclient adds versions
    for i, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        _tidy(cell, i)


def _tidy(cell: Any, index: int) -> None:
    """Join the pieces of a stream, which depend on timing, and refuse what has no place in a committed notebook."""
    joined: list[Any] = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            raise UserError(f"code cell {index} writes to stderr: {output.text[:200]}")
        if joined and output.output_type == "stream" and joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
        data = output.get("data", {})
        if WIDGET in data:  # its true number is random and means nothing to the next kernel
            data[WIDGET]["model_id"] = f"widget-{index}"
        if "image/png" in data:
            data["image/png"] = shrink(data["image/png"])
    cell.outputs = joined


def shrink(png: str) -> str:
    """A base64 PNG with a palette of 256 colours: a third of the size, and no difference to the eye."""
    from PIL import Image

    small = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode() + "\n"


def build(source: Source, solutions: bool, folder: Path = NOTEBOOKS) -> str:
    """The text of the executed notebook."""
    import nbformat

    notebook = assemble(source, solutions)
    execute(notebook, folder / "solutions" if solutions else folder)
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1, ensure_ascii=False).rstrip() + "\n"


def target(source: Source, solutions: bool, folder: Path = NOTEBOOKS) -> Path:
    """Where a notebook belongs."""
    return (folder / "solutions" if solutions else folder) / f"{source.name}.ipynb"


def write(path: Path, text: str) -> bool:
    """Write all or nothing; leave an equal file alone. Returns whether the file changed."""
    if path.exists() and path.read_text() == text:
        return False
    write_text(path, text)
    return True


def compare(path: Path, text: str) -> bool:
    """Whether the committed notebook is `text`, byte for byte; prints the first lines that differ."""
    committed = path.read_text() if path.exists() else ""
    lines = list(difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "rebuilt", "", "", 1, ""))
    print("\n".join(re.sub(r"(.{160}).*", r"\1 ...", line) for line in lines[:20]), end="\n" if lines else "")
    return committed == text


def main(arguments: list[str] | None = None) -> int:
    """Build or check lessons; 0 when all is well."""
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m minikimi.lab.authoring.build", description=summary)
    parser.add_argument("lessons", nargs="*", help="numbers such as 02; all lessons when none is given")
    parser.add_argument("--check", action="store_true", help="build aside and compare; change nothing")
    options = parser.parse_args(arguments)
    stale = 0
    try:
        for source in sources(options.lessons):
            for solutions in (False, True):
                start, path = time.perf_counter(), target(source, solutions)
                text = build(source, solutions)
                if options.check:
                    word = "same" if compare(path, text) else "DIFFERS"
                else:
                    word = "written" if write(path, text) else "same"
                stale += word == "DIFFERS"
                name, seconds, kB = path.relative_to(NOTEBOOKS.parent), time.perf_counter() - start, len(text) / 1000
                print(f"{name}  {seconds:.1f} s  {kB:.0f} kB  {word}", flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    if stale:
        print(f"{stale} notebooks differ from their source: run make notebooks and commit them", file=sys.stderr)
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
