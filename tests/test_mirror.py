"""The tests mirror the modules: who changes minikimi/ROOM/MODULE.py finds its tests in tests/ROOM/test_MODULE.py."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Modules whose tests still stand under another name. The list only gets shorter.
PENDING = {
    "kernels/bench/attention.py",
    "kernels/bench/elementwise.py",
    "kernels/bench/loss.py",
    "kernels/bench/moe.py",
    "kernels/bench/muon.py",
    "kernels/bench/vision.py",
    "minikimi/inference/completion.py",
    "minikimi/inference/experts.py",
    "minikimi/inference/images.py",
    "minikimi/inference/lens_request.py",
    "minikimi/inference/runner.py",
    "minikimi/inference/scheduler.py",
    "minikimi/inference/worker.py",
}


def mirrored() -> Iterator[tuple[str, Path]]:
    """Every module, and where its tests belong. The lessons' exercises are all tested by one file, in lab/lessons/."""
    for folder, room in (("minikimi", ()), ("kernels", ("kernels",))):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).parts[:-1]
            if not path.name.startswith("__") and "lessons" not in parts:
                yield str(path.relative_to(ROOT)), ROOT.joinpath("tests", *room, *parts, f"test_{path.stem}.py")


def test_every_module_has_tests_of_its_name() -> None:
    missing = {module: str(test.relative_to(ROOT)) for module, test in mirrored() if not test.is_file()}
    assert {module: test for module, test in missing.items() if module not in PENDING} == {}


def test_what_is_pending_exists() -> None:
    assert PENDING - {module for module, _ in mirrored()} == set()
