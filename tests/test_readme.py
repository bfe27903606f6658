"""Every command and program of the README runs, on the nano model instead of the small one, to take seconds."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minikimi.files import SHIPPED, read_json

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(language, body) for language, body in FENCE.findall(README)]
COMMANDS = [line for language, body in BLOCKS if language == "sh" for line in body.splitlines() if line.strip()]
SMALLER = {"--preset small": "--preset nano", "--trainer.max_steps=600": "--trainer.max_steps=2"}
HERE = {"minikimi/shipped": str(SHIPPED)}  # the README speaks from within the repository, the tests run elsewhere


@pytest.fixture(scope="module")
def desk(nano_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which runs/small is a finished run (of the nano model)."""
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(nano_run, desk / "runs" / "small")
    return desk


def test_the_readme_names_its_commands() -> None:
    assert "make train-small" in COMMANDS and "make test" in COMMANDS
    assert sum("minikimi" in command for command in COMMANDS) >= 5
    assert {language for language, _ in BLOCKS} <= {"sh", "python", "text"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command: str) -> None:
    """They take minutes, so make only says what it would do; `make test` is what runs this."""
    subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(".venv/bin/minikimi")])
def test_command_runs(command: str, desk: Path) -> None:
    for told, meant in {**SMALLER, **HERE}.items():
        command = command.replace(told, meant)
    arguments = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "minikimi", *arguments], cwd=desk, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-800:]


@pytest.mark.parametrize("program", [body for language, body in BLOCKS if language == "python"])
def test_program_runs(program: str, desk: Path) -> None:
    for told, meant in HERE.items():
        program = program.replace(told, meant)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=desk, capture_output=True, text=True, timeout=200, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr[-800:]
    if "kimi-vl-a3b" in program:
        assert "16,407,656,048 parameters" in done.stdout


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
        *(
            str(p.relative_to(ROOT))
            for room in ("notebooks", "tests", "kernels", "minikimi")
            for p in (ROOT / room).rglob("README.md")
        ),
    ],
)
def test_linked_files_exist(page: str) -> None:
    """Everything that a page points to inside the repository; relative links of the Markdown kind."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_its_numbers_are_those_of_the_card() -> None:
    card = read_json(SHIPPED / "small" / "card.json")
    mean, gain = card["mean"], card["gain"]["gain"]
    low, high = (f"{100 * bound:.0f}" for bound in mean["interval"])
    assert f"**{100 * mean['score']:.0f} %** of held-out questions" in README and f"({low}–{high} %)" in README
    assert f"**{100 * mean['blind']:.0f} %** without the picture" in README
    low, high = (f"{100 * bound:+.1f}" for bound in gain["interval"])
    assert f"**{100 * gain['pass@1']:+.1f} points**" in README and f"({low} to {high})" in README


def test_it_is_short() -> None:
    assert len(README.split()) <= 1000
