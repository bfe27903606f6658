"""Lessons keep their form: header, exercises, words, size, the library's own code, notebooks made from their source."""

import ast
import base64
import inspect
import json
import re
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import nbformat
import pytest

from minikimi.files import NOTEBOOKS
from minikimi.lab.authoring.build import assemble, sources, target
from minikimi.lab.authoring.source import Source, cell_text, definitions, plain_tree
from minikimi.lab.lessons import lesson, lesson_numbers

SOURCES = sources([])
LIBRARY = NOTEBOOKS.parent / "minikimi"
each = pytest.mark.parametrize("source", [pytest.param(s, id=s.name) for s in SOURCES])
both = pytest.mark.parametrize("solutions", [False, True], ids=["exercises", "solutions"])


def trees(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Every top-level function and class of some files as comparable text."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.setdefault(node.name, set()).add(plain_tree(node))
    return found


@cache
def library() -> dict[str, set[str]]:
    """What minikimi defines; lab, findings and commands aside."""
    aside = ("lab", "findings", "cli.py", "bench")
    return trees(path for path in LIBRARY.rglob("*.py") if path.relative_to(LIBRARY).parts[0] not in aside)


@cache
def answers(number: str) -> dict[str, set[str]]:
    """What the exercises of a lesson define: the solutions that the library lacks, among others."""
    return trees((LIBRARY / "lab" / "lessons" / f"lesson_{number}").glob("*.py"))


def drifted(source: Source) -> list[str]:
    """Definitions whose name the library or the lesson's exercises know, that are no toys, and are other code there."""
    known = {**answers(source.number), **library()}
    return [
        name
        for name, (node, toy) in definitions(source).items()
        if name in known and not toy and plain_tree(node) not in known[name]
    ]


@each
def test_lesson_is_library(source: Source) -> None:
    assert not drifted(source)


@each
def test_what_the_lesson_builds_is_the_solution(source: Source) -> None:
    """What a learner writes in the notebook is what `solution` prints: in the library, or where it lacks it, in lab."""
    code = "\n".join(c.text for c in source.cells if c.kind != "markdown")
    asked = dict(re.findall(r'^\w+ = check\("([\d.]+)", (\w+)\)$', code, re.M))
    built = definitions(source)
    for e in lesson(source.number):
        node, toy = built[asked[e.id]]
        solution = ast.parse(textwrap.dedent(inspect.getsource(e.solution))).body[0]
        assert e.solution.__name__ == asked[e.id]
        assert toy or plain_tree(node) == plain_tree(solution), e.id


def test_a_flipped_sign_is_drift() -> None:
    source = next(s for s in SOURCES if s.number == "02")
    text = "\n".join(cell.text for cell in source.cells)
    assert "a * cos - b * sin" in text and "def apply_rotary" in text
    cells = tuple(type(c)(c.kind, c.text.replace("a * cos - b * sin", "a * cos + b * sin")) for c in source.cells)
    assert drifted(Source(source.path, source.header, cells)) == ["apply_rotary"]
    toys = tuple(type(c)(c.kind, re.sub(r"^def apply_rotary", "# toy\ndef apply_rotary", c.text)) for c in cells)
    assert not drifted(Source(source.path, source.header, toys))


@each
def test_header_and_length(source: Source) -> None:
    header = source.header
    assert 25 <= header["minutes"] <= 45 and 1 <= header["difficulty"] <= 5
    assert header["goal"].endswith(".") and len(header["title"]) <= 60
    assert source.words() <= 2500
    builds = [name for name in re.findall(r"[\w/]+\.py", header["builds"])]
    assert all((NOTEBOOKS.parent / name).exists() for name in builds)


@each
def test_every_exercise_is_asked_blanked_and_checked(source: Source) -> None:
    ids = [e.id for e in lesson(source.number)]
    assert source.exercises() == ids
    code = "\n".join(c.text for c in source.cells if c.kind != "markdown")
    assert list(dict.fromkeys(re.findall(r"# BEGIN SOLUTION (\S+)", code))) == ids
    assert re.findall(r'^\w+ = check\("([\d.]+)", \w+\)$', code, re.M) == ids
    assert code.count("# BEGIN SOLUTION") == code.count("# END SOLUTION")
    assert 'setup("' + source.number + '")' in code and "progress()" in code


@each
def test_rhythm(source: Source) -> None:
    text = "\n".join(c.text for c in source.cells if c.kind == "markdown")
    code = "\n".join(c.text for c in source.cells if c.kind != "markdown")
    for part in ("**Predict", "## Same as the library", "## Takeaways", "## Stretch", "16B"):
        assert part in text, part
    assert "assert " in code and "plt.show()" in code


@each
@both
def test_notebook_belongs_to_its_source(source: Source, solutions: bool) -> None:
    """The fast half of `make notebooks-check`, which also executes: the same cells, all run, in order, no errors."""
    path = target(source, solutions)
    notebook = nbformat.read(path, as_version=4)
    fresh = assemble(source, solutions)
    assert [(c.id, c.cell_type, c.source) for c in notebook.cells] == [
        (c.id, c.cell_type, c.source) for c in fresh.cells
    ]
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    outputs = [o for c in code for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 3
    assert all(set(c.metadata) <= {"jupyter"} for c in notebook.cells), "no timestamps"
    assert path.stat().st_size <= 300_000


@each
def test_solutions_do_not_leak(source: Source) -> None:
    text = target(source, False).read_text()
    assert "END SOLUTION" not in text and "BEGIN SOLUTION" not in text and "@exercise" not in text
    for cell in source.cells:
        if "# BEGIN SOLUTION" in cell.text:
            assert "write this part" in cell_text(cell, solutions=False)
            ast.parse(cell_text(cell, solutions=False))


@each
@both
def test_unsolved_is_reported_and_solved_is_right(source: Source, solutions: bool) -> None:
    text = target(source, solutions).read_text()
    for e in lesson(source.number):
        said = (
            f"{e.id} right: {e.title}"
            if solutions
            else f"{e.id} not attempted yet; going on with the library's version"
        )
        assert said in text


@each
@both
def test_nothing_remote(source: Source, solutions: bool) -> None:
    notebook = json.loads(target(source, solutions).read_text())
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        assert not re.search(r"!\[[^]]*\]\(\s*http|<(img|script|iframe|link)\b|pip install|requests\.|urlopen", text)
    for image in re.findall(r'"image/png": "([^"]+)', json.dumps(notebook)):
        assert b"Software" not in base64.b64decode(image.replace("\\n", ""))


def test_lessons_and_sources_belong_together() -> None:
    assert [s.number for s in SOURCES] == lesson_numbers()
    built = {target(s, solutions) for s in SOURCES for solutions in (False, True)}
    assert built == set(NOTEBOOKS.rglob("*.ipynb")) - set(NOTEBOOKS.rglob(".ipynb_checkpoints/*"))
