"""The wheel is the whole project: installed in an empty place, without the checkout, everything runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import datasets
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NOT_SOURCES = (".git", ".venv", "runs", "my", "site", "build", "dist", "tests", "__pycache__", "*.egg-info", ".*_cache")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel. It is built from a copy, for building leaves folders behind."""
    place = tmp_path_factory.mktemp("wheel")
    copytree(ROOT, place / "source", ignore=ignore_patterns(*NOT_SOURCES))
    build = ["wheel", ".", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(place)]
    subprocess.run([*PIP, *build], cwd=place / "source", check=True, timeout=200)
    (wheel,) = place.glob("minikimi-*.whl")
    target = place / "packages"
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    return target


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("desk")


def python(packages: Path, desk: Path, *arguments: str) -> str:
    """What a Python prints that finds minikimi in `packages`, before any checkout, and nothing where it runs."""
    environment = os.environ | {"PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-800:]
    return done.stdout


def minikimi(packages: Path, desk: Path, *arguments: str) -> str:
    return python(packages, desk, "-m", "minikimi", *arguments)


def test_the_installed_package_is_the_one_that_runs(packages: Path, desk: Path) -> None:
    code = "import minikimi, minikimi_kernels; print(minikimi.__file__, minikimi_kernels.__file__)"
    assert all(Path(file).is_relative_to(packages) for file in python(packages, desk, "-c", code).split())


def test_chat(packages: Path, desk: Path) -> None:
    Image.new("RGB", (84, 84), "red").save(desk / "red.png")
    assert minikimi(packages, desk, "chat", "red.png", "What is in the picture?", "--max-new-tokens", "4").strip()


def test_train_every_stage(packages: Path, desk: Path) -> None:
    """With the evaluation and the report that end a run."""
    few = ["--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
    assert "report: runs/nano/report.html" in minikimi(packages, desk, "train", "--preset", "nano", *few)
    assert (desk / "runs" / "nano" / "model" / "config.json").is_file()
    assert (desk / "runs" / "nano" / "rl" / "gain.json").is_file()


def test_evaluate_the_shipped_model(packages: Path, desk: Path) -> None:
    minikimi(packages, desk, "evaluate", "small", "--preset", "nano")  # nano's settings ask the fewest questions
    assert json.loads((desk / "runs" / "evaluate-small" / "evaluation.json").read_text())["mean"]["n"] > 0


def test_evaluate_on_a_real_benchmark(packages: Path, desk: Path) -> None:
    row = {"id": "validation_Art_1", "question": "What is <image 1>?", "options": "['a cat', 'a dog']", "answer": "B"}
    row |= {"question_type": "multiple-choice", "explanation": "", "img_type": "[]", "topic_difficulty": "Easy"}
    row |= {"subfield": "Art", "image_1": Image.new("RGB", (56, 56), "blue")}
    features = datasets.Features({key: datasets.Value("string") for key in row} | {"image_1": datasets.Image()})
    (desk / "mmmu").mkdir()
    datasets.Dataset.from_list([row], features=features).to_parquet(str(desk / "mmmu" / "rows.parquet"))
    assert "mmmu" in minikimi(packages, desk, "evaluate", "small", "--benchmark", "mmmu", "--data", "mmmu")


def test_the_lessons_are_copied(packages: Path, desk: Path) -> None:
    minikimi(packages, desk, "lab", "my")
    committed = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in (desk / "my").iterdir()} == committed and committed


def test_the_site_is_built(packages: Path, desk: Path) -> None:
    minikimi(packages, desk, "lab", "site")
    lessons = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    pages = {path.stem for path in (desk / "site").glob("*.html")}
    assert pages == {"index", *lessons, *(f"{lesson}_solutions" for lesson in lessons)}


def test_nothing_is_written_into_the_package(packages: Path, desk: Path) -> None:
    """Last: what the commands above made lies where they were called."""
    assert {path.name for path in packages.iterdir()} >= {"minikimi", "minikimi_kernels"}
    assert not {"my", "site", "runs"} & {path.name for path in packages.rglob("*") if path.is_dir()}
