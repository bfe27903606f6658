"""Lesson sources: notebooks/src/NN_name.py in percent format, to the cells of an exercise and of a solution notebook.

* A header of `# key: value` lines between two `# ---` lines describes the lesson.
* `# %%` starts a code cell, `# %% [markdown]` a text cell, `# %% [hidden]` a code cell whose code is
  folded away (drawing code).
* `# BEGIN SOLUTION 2.1` ... `# END SOLUTION` inside a function body is what the learner writes.
* A line `@exercise 2.1` in a text cell becomes the exercise's heading, difficulty and minutes; in the
  solution notebook also its why.
* `# toy` above a function or class says that it is deliberately not the library's.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from minikimi.errors import UserError
from minikimi.lab.lessons import exercise

REGION = re.compile(r"^( *)# BEGIN SOLUTION (\S+)\n(.*?)^ *# END SOLUTION\n?", re.M | re.S)
EXERCISE = re.compile(r"^@exercise (\S+)$", re.M)
FIELDS = {"title": str, "goal": str, "minutes": int, "prerequisites": list, "difficulty": int, "builds": str}


@dataclass(frozen=True)
class Cell:
    """`kind` is "code", "hidden" or "markdown"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Source:
    """A lesson source: its number "02", name "02_rope_2d", header and cells."""

    path: Path
    header: dict
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.path.stem[:2]

    def exercises(self) -> list[str]:
        """Ids in the order in which the lesson asks them."""
        return [id for cell in self.cells if cell.kind == "markdown" for id in EXERCISE.findall(cell.text)]

    def words(self) -> int:
        """Words of the text cells, formulas and code fences left out."""
        text = "\n".join(cell.text for cell in self.cells if cell.kind == "markdown")
        return len(re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|<[^>]+>", " ", text, flags=re.S).split())


def read_source(path: Path) -> Source:
    """Parse a lesson source. Raises `UserError` naming the file and what is wrong in it."""
    text = path.read_text()
    match = re.match(r"# ---\n((?:#.*\n)+?)# ---\n", text)
    if not match:
        raise UserError(f"{path}: starts without a header; put '# key: value' lines between two '# ---' lines")
    try:
        header = yaml.safe_load(re.sub(r"^# ?", "", match[1], flags=re.M))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: the header is not YAML: {getattr(error, 'problem', error)}") from None
    problems = [key for key, kind in FIELDS.items() if not isinstance(header.get(key), kind)]
    problems = problems or sorted(set(header) - set(FIELDS))
    if problems:
        raise UserError(f"{path}: header fields missing, of a wrong type or unknown: {', '.join(problems)}")
    parts = re.split(r"^# %%(.*)\n", text[match.end() :], flags=re.M)
    cells = [_cell(path, kind.strip(), body.strip("\n")) for kind, body in zip(parts[1::2], parts[2::2], strict=True)]
    return Source(path, header, tuple(cells))


def _cell(path: Path, kind: str, body: str) -> Cell:
    if kind == "[markdown]":
        return Cell("markdown", re.sub(r"^# ?", "", body, flags=re.M))
    if kind in ("", "[hidden]"):
        return Cell("hidden" if kind else "code", body)
    raise UserError(f"{path}: cell mark '# %% {kind}' is unknown; use '# %%', '# %% [markdown]' or '# %% [hidden]'")


def cell_text(cell: Cell, solutions: bool) -> str:
    """A cell as it stands in the exercise or the solution notebook."""
    if cell.kind == "markdown":
        return EXERCISE.sub(lambda match: _heading(match[1], solutions), cell.text)
    if solutions:
        return re.sub(r"^ *# (BEGIN|END) SOLUTION.*\n?", "", cell.text, flags=re.M).rstrip()
    return REGION.sub(_blank, cell.text + "\n").rstrip()


def _blank(match: re.Match) -> str:
    """The learner's part of a solution region, left out on purpose: a line that says so and that `check` recognises."""
    indent, id = match[1], match[2]
    if not indent:
        raise UserError(f"solution region {id} is not inside a function: a bare raise would stop Run All")
    return f'{indent}raise NotImplementedError("exercise {id}: write this part")\n'


def _heading(id: str, solutions: bool) -> str:
    e = exercise(id)
    stars = "●" * e.difficulty + "○" * (5 - e.difficulty)
    lines = [f"### Exercise {id}: {e.title}", "", f'*{stars} · {e.minutes} minutes · stuck: `hint("{id}")`*']
    if solutions:
        lines += ["", f"*Why so:* {e.why}"]
    return "\n".join(lines)


def title_cell(source: Source, solutions: bool) -> str:
    """The first cell, made of the header."""
    h = source.header
    before = ", ".join(str(p) for p in h["prerequisites"]) or "none"
    line = f"{h['minutes']} minutes · difficulty {h['difficulty']} of 5 · before it: {before} · builds: {h['builds']}"
    heading = f"# {source.number} · {h['title']}{' · solutions' if solutions else ''}"
    return f"{heading}\n\n**Goal.** {h['goal']}\n\n*{line}*"


def definitions(source: Source) -> dict[str, tuple[ast.AST, bool]]:
    """Functions and classes that the solution notebook defines at the top level, each with whether it is a toy."""
    found: dict[str, tuple[ast.AST, bool]] = {}
    for cell in source.cells:
        if cell.kind == "markdown":
            continue
        lines = cell.text.splitlines()
        for node in ast.parse(re.sub(r"^%.*$", "", cell.text, flags=re.M)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                found[node.name] = node, first > 1 and lines[first - 2].strip().startswith("# toy")
    return found


def plain_tree(node: ast.AST) -> str:
    """A definition as text without docstrings, annotations and positions: two of them are equal if they do the same."""
    return ast.unparse(_Plain().visit(ast.parse(ast.unparse(node)).body[0]))


class _Plain(ast.NodeTransformer):
    """Takes away docstrings and annotations."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return node
        return ast.Assign([node.target], node.value, lineno=node.lineno)
