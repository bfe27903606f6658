"""The tests mirror the modules: who changes minikimi/ROOM/MODULE.py finds its tests in tests/ROOM/test_MODULE.py."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Modules whose tests still stand under another name. The list only gets shorter.
PENDING = {
    "minikimi/bench/cases.py",
    "minikimi/bench/peers.py",
    "minikimi/benchmarks/item.py",
    "minikimi/data/stream.py",
    "minikimi/data/train_bpe.py",
    "minikimi/evaluation/overview.py",
    "minikimi/findings/balance.py",
    "minikimi/findings/cot.py",
    "minikimi/findings/decay.py",
    "minikimi/findings/finding.py",
    "minikimi/findings/length_penalty.py",
    "minikimi/findings/measure.py",
    "minikimi/findings/muon.py",
    "minikimi/findings/muon_sft.py",
    "minikimi/findings/needle.py",
    "minikimi/findings/plot.py",
    "minikimi/findings/registry.py",
    "minikimi/findings/resolution.py",
    "minikimi/findings/results.py",
    "minikimi/findings/rl.py",
    "minikimi/findings/svd_entropy.py",
    "minikimi/findings/test_time.py",
    "minikimi/findings/texts.py",
    "minikimi/findings/thinking.py",
    "minikimi/findings/toy_training.py",
    "minikimi/findings/trained.py",
    "minikimi/findings/update_rms.py",
    "minikimi/processor/text/base.py",
    "minikimi/report/figures.py",
    "minikimi/report/inside.py",
    "minikimi/report/page.py",
    "minikimi/report/runfiles.py",
    "minikimi/report/samples.py",
    "minikimi/report/score_table.py",
    "minikimi/report/scores.py",
    "minikimi/report/training.py",
    "minikimi/rl/average.py",
    "minikimi/rl/preferences.py",
    "minikimi/rl/prompts.py",
    "minikimi/rl/rejection.py",
    "minikimi/rl/response.py",
    "minikimi/rl/rollout_data.py",
    "minikimi/rl/rollout_log.py",
    "minikimi/rl/scoring.py",
    "kernels/bench/attention.py",
    "kernels/bench/elementwise.py",
    "kernels/bench/loss.py",
    "kernels/bench/moe.py",
    "kernels/bench/muon.py",
    "kernels/bench/vision.py",
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
