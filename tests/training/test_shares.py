"""What the stages of `small` read, by tokens, as the papers say it (Kimi-VL report, arXiv 2504.07491, section 2.3)."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from minikimi.data.datamodule import PackedData
from minikimi.data.loader import Phases
from minikimi.training.run import stage_config

TEXT = ("story", "arithmetic", "needle", "needle_512", "needle_2048")
LONG = ("needle_512", "needle_2048", "pages_long")


def tokens_by_task(stage: str, shares: list[float]) -> Counter[str]:
    """Tokens of each task in the batches at these shares of a stage."""
    config = yaml.safe_load(stage_config("small", stage).read_text())
    steps = config["trainer"]["max_steps"]
    data = PackedData(steps=steps, **config["data"])
    source, loader, found = data.source(), data.train_dataloader(), Counter[str]()
    for share in shares:
        batch, n = loader.batch(int(share * steps)), int(share * steps)
        world = source.at(n / steps) if isinstance(source, Phases) else source
        for sample_id, length in zip(batch.sample_ids, batch.cu_seqlens.diff().tolist(), strict=True):
            found[world[int(sample_id.rsplit("-", 1)[1])].task] += length
    return found


def share(found: Counter[str], tasks: tuple[str, ...]) -> float:
    return sum(found[task] for task in tasks) / found.total()


def test_joint_training_begins_with_words_and_ends_with_four_tokens_in_ten_about_pictures() -> None:
    quarters = [[(quarter + i / 12) / 4 for i in range(12)] for quarter in range(4)]
    multimodal = [1 - share(tokens_by_task("joint", quarter), TEXT) for quarter in quarters]
    assert multimodal[0] == 0 and 0.1 < multimodal[1] < 0.35
    assert multimodal[3] == pytest.approx(0.4, abs=0.07)


@pytest.mark.parametrize("stage", ["long1", "long2"])
def test_a_quarter_of_the_long_stages_is_long(stage: str) -> None:
    found = tokens_by_task(stage, [i / 40 for i in range(40)])
    assert share(found, LONG) == pytest.approx(0.25, abs=0.06)
