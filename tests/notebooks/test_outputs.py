"""Every committed notebook, exercises and solutions, is run again and its outputs compared strictly (nbval).

Pictures and stderr are not compared by nbval; lessons assert on the data behind their pictures, and `test_lessons.py`
refuses stderr. One process per notebook: a kernel that dies takes no other lesson with it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minikimi.files import NOTEBOOKS
from minikimi.lab.authoring.build import ENVIRONMENT

HERE = Path(__file__).parent
PATHS = sorted(NOTEBOOKS.glob("*.ipynb")) + sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))


def compare(path: Path) -> subprocess.CompletedProcess:
    options = ["--nbval", "--nbval-current-env", "-p", "nbval_hooks", "-p", "no:cacheprovider", "-c", os.devnull]
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(HERE)}
    environment.pop("MPLBACKEND", None)
    command = [sys.executable, "-m", "pytest", "-q", "-x", *options, f"--rootdir={path.parent}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(NOTEBOOKS))) for p in PATHS])
def test_outputs_are_reproduced(path: Path) -> None:
    done = compare(path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_a_changed_output_fails(tmp_path: Path) -> None:
    """The gate itself: one digit of one output altered must be found."""
    import nbformat
    from nbformat import v4

    cell = v4.new_code_cell("print(1 + 1)", id="c00", execution_count=1)
    for printed, good in [("2\n", True), ("3\n", False)]:
        cell.outputs = [v4.new_output("stream", name="stdout", text=printed)]
        path = tmp_path / f"{good}.ipynb"
        nbformat.write(
            v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "x"}}), path
        )
        assert (compare(path).returncode == 0) is good
