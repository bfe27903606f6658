"""docs/extending.md works: its recipes for a task, a stage and a benchmark are followed in a scratch copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "extending.md").read_text()
BLOCK = re.compile(r'^```\w+ title="([^"]+)"(?: before="((?:[^"\\]|\\.)+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
BLOCKS = {name: (before.replace('\\"', '"'), body) for name, before, body in BLOCK.findall(TEXT)}
TASK, ROW, YAML = "minikimi/world/tasks/parity.py", "minikimi/training/stages.py", "minikimi/configs/stages/review.yaml"
MINIS = "minikimi/evaluation/minis.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, without what is large and not asked here."""
    shutil.copytree(ROOT / "minikimi", tmp_path / "minikimi", ignore=shutil.ignore_patterns("__pycache__", "lessons"))
    return tmp_path


def follow(copy: Path, *names: str) -> None:
    """Do what these blocks say: write the file, or insert the lines before the line that is named."""
    for name in names:
        before, body = BLOCKS[name]
        text = (copy / name).read_text() if before else ""
        assert text.count(f"\n{before}") == 1 or not before
        (copy / name).write_text(text.replace(f"\n{before}", f"\n{body}{before}") if before else body)


def run(copy: Path, code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout


def test_all_recipes_are_there() -> None:
    assert set(BLOCKS) == {TASK, ROW, YAML, MINIS}
    for kind in ("task", "stage", "benchmark", "reward", "kernel", "finding", "lesson"):
        assert re.search(rf"^## A {kind}", TEXT, re.MULTILINE)


@pytest.mark.slow
def test_a_task_is_one_file(copy: Path) -> None:
    """Drawn, mixed, judged, rewarded, guessed at and shown, without being named anywhere else."""
    follow(copy, TASK)
    out = run(
        copy,
        """
from pathlib import Path
from minikimi.data.contact_sheet import contact_sheet
from minikimi.evaluation.minis import EXTRAS
from minikimi.rl.rewards import REWARDS
from minikimi.world import TASKS, PictureWorld, judged, tasks_of
assert "parity" in TASKS and "parity" in EXTRAS and "parity" in tasks_of("pictures")
train, unseen = ([PictureWorld(0, split, {"parity": 1})[i] for i in range(40)] for split in ("train", "held_out"))
assert {s.facts["value"] for s in train}.isdisjoint(s.facts["value"] for s in unseen)
assert all(judged(s, s.answer).right and not judged(s, "even odd").right for s in train)
assert any(s.task == "parity" for s in (PictureWorld(0)[i] for i in range(200)))
columns = {"answer": [s.answer for s in train], "facts": [s.facts for s in train], "task": [s.task for s in train]}
print(sum(REWARDS["correct"]([s.answer for s in train], **columns)))
contact_sheet(train[:4], Path("sheet.png"))
""",
    )
    assert float(out) == 40 and (copy / "sheet.png").is_file()


@pytest.mark.slow
def test_a_stage_is_a_row_and_a_file(copy: Path) -> None:
    follow(copy, ROW, YAML)
    command = ["train", "--preset", "nano", "--stage", "review", "--run", "run", "--trainer.max_steps=2"]
    code = "import sys; from minikimi.cli import main; sys.exit(main(sys.argv[1:]))"
    run(copy, code.replace("sys.argv[1:]", repr(command)))
    assert (copy / "run" / "review" / "model" / "model.safetensors").is_file()
    assert (copy / "run" / "review" / "scores.json").is_file()
    assert "review" in run(copy, "from minikimi.training.stages import stage_help; print(stage_help())")


@pytest.mark.slow
def test_a_mini_benchmark_is_a_row(copy: Path) -> None:
    follow(copy, TASK, MINIS)
    path = copy / TASK
    path.write_text(path.read_text().replace("benchmark=EXTRA", 'benchmark="parity"').replace("EXTRA, ", ""))
    run(
        copy,
        """
from minikimi.evaluation.minis import BENCHMARKS, EXTRAS, MINI_TASKS, tables, held_out
from minikimi.evaluation.minis import Outcome
from minikimi.answers import Verdict
assert [b.name for b in BENCHMARKS][-2:] == ["parity", "video"] and "parity" in MINI_TASKS and "parity" not in EXTRAS
made = {t: [Outcome(sample=s, output="", verdict=Verdict("", True), blind=False, chance=0.0, prior=False, tokens=1)
            for s in held_out(t, 1, 2)] for t in (*MINI_TASKS, *EXTRAS)}
found = tables(made)
assert found["benchmarks"]["parity"]["score"] == 1.0 and found["mean"]["n"] == 2 * len(MINI_TASKS)
""",
    )
