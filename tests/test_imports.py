"""Imports point one way, are declared, and `import minikimi` stays light."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent

# From the ground up: a module imports from its own floor and the floors below it.
FLOORS = [
    {"errors", "files", "sample", "configs", "provenance"},
    {"model"},
    {"processor"},
    {"loading", "inference", "answers"},
    {"world"},
    {"data"},
    {"optim"},
    {"parallel"},
    {"training"},
    {"evaluation"},
    {"rl"},
    {"benchmarks", "report"},
    {"recipe", "shipping", "findings", "bench"},
    {"lab"},
    {"cli", "__main__"},
]
# The one step upward that users expect: the method `KimiVL.generate` calls `inference.generate`.
STAIRS = {("model.kimi_vl", "inference.generate")}
# Run by hand to make a file that is shipped; nothing imports it.
TOOLS = {"data.train_bpe"}
TOP = len(FLOORS)
HEAVY = {"lightning", "datasets", "sklearn", "matplotlib", "triton", "transformers", "jupyterlab", "IPython"}
OWN_MODULES = 10  # that `import minikimi` may add to those of torch: everything else comes when it is asked for
# What a distribution is called when it is imported.
IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn", "pyyaml": "yaml"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    """minikimi/data/world/art.py -> data.world.art; the package itself is ''."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything the file imports, wherever in it; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def floor(name: str) -> int:
    part = name.split(".")[0]
    return next((i for i, parts in enumerate(FLOORS) if part in parts), TOP)


@pytest.mark.parametrize("path", modules("minikimi"), ids=dotted)
def test_imports_point_down(path: Path) -> None:
    own = dotted(path)
    if own == "":  # minikimi/__init__.py is the shop window, not a floor
        return
    for name in imported(path):
        assert not name.startswith("."), f"minikimi.{own}: a relative import hides where it leads"
        target = name.removeprefix("minikimi.")
        if target == name or (own, target.rpartition(".")[0]) in STAIRS:
            continue
        assert floor(target) <= floor(own) and target not in TOOLS, (
            f"minikimi.{own} imports {name}, which stands above it"
        )


@pytest.mark.parametrize("path", modules("kernels"), ids=lambda p: p.stem)
def test_kernels_know_nothing_of_minikimi(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] == "minikimi"]


PLANNED = {"parallel"}  # rooms that are drawn and not built yet


def test_every_room_has_its_floor() -> None:
    # A room that is new, misspelt or renamed would otherwise let everything through.
    built = {dotted(path).split(".")[0] for path in modules("minikimi")} - {""}
    drawn = {name for names in FLOORS for name in names}
    assert built | PLANNED == drawn and not built & PLANNED
    assert floor("errors") < floor("model.moe") < floor("optim.muon") < floor("rl.engine") < floor("cli")


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    names = [canonicalize_name(Requirement(line).name) for line in lines]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names} | {"minikimi", "minikimi_kernels"}
    for path in modules("minikimi") + modules("kernels"):
        used = {name.split(".")[0] for name in imported(path)} - sys.stdlib_module_names - {""}
        assert used <= declared, f"{path.relative_to(ROOT)} imports {used - declared}, not named in pyproject.toml"


def in_fresh_interpreter(code: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_import_is_light() -> None:
    output = in_fresh_interpreter("import minikimi, sys; print(*{name.split('.')[0] for name in sys.modules})")
    assert not HEAVY & set(output.split())


def test_import_adds_little_to_torch() -> None:
    code = "import sys, torch; before = len(sys.modules); import minikimi; print(len(sys.modules) - before)"
    assert 1 <= int(in_fresh_interpreter(code)) <= OWN_MODULES
