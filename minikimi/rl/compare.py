"""What reinforcement learning changed: pass@1 before and after on the same held-out problems (lesson 14).

Both models answer by sampling, at the temperature they were trained with; a problem counts with its share of right
responses, and the interval of the gain is a bootstrap over problems.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from minikimi.errors import UserError
from minikimi.files import write_json
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.rl.passk import PassRates, gain, interval, pass_rates
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.world import PictureWorld

SEED = 8128  # of the held-out problems; no setting was chosen by them
BEFORE_LENGTH = "before_length"  # folder of the model as it was when the length reward began


def compare(stage: Path, problems: int = 192) -> dict[str, Any]:
    """Write `stage`/gain.json for an rl stage: before, after and gain of pass@1, pass@k, tokens of a response. If a
    length reward began on the way, also what it changed: the model when it began, and from there to the end.

    The model before is the one that the stage's config.yaml names. Raises `UserError` if there was none, or it is gone.
    """
    config = yaml.safe_load((stage / "config.yaml").read_text())
    start = config["model"]["start"].get("init_from")
    if start is None or not Path(start).is_dir():
        raise UserError(f"{stage}: the model it started from ({start}) is not there; nothing to compare with")
    settings = RolloutSettings(**config["data"]["settings"])
    world = PictureWorld(SEED, "held_out", config["data"]["tasks"])
    samples = [world[i] for i in range(problems)]
    processor = Processor.from_pretrained(stage / "model")

    def rates_of(directory: str | Path) -> PassRates:
        return pass_rates(KimiVL.from_pretrained(directory), processor, samples, settings, (SEED, 0))

    before, after = rates_of(start), rates_of(stage / "model")
    result = {
        "problems": problems,
        "samples": settings.samples,
        "before": summary(before),
        "after": summary(after),
        "gain": change(before, after),
    }
    if (stage / BEFORE_LENGTH).is_dir():
        middle = rates_of(stage / BEFORE_LENGTH)
        result |= {BEFORE_LENGTH: summary(middle), "by_length": change(middle, after)}
    write_json(stage / "gain.json", result)
    return result


def change(before: PassRates, after: PassRates) -> dict[str, Any]:
    """pass@1 after minus before, paired by problem, with its interval; tokens after as a share of those before."""
    mean, low, high = gain(before, after)
    return {"pass@1": mean, "interval": [low, high], "tokens": sum(after.tokens) / sum(before.tokens)}


def summary(rates: PassRates) -> dict[str, Any]:
    """pass@1 with its interval, pass@k and the mean length of a response."""
    return {
        "pass@1": rates.pass_at(1),
        "interval": list(interval(rates.values(1))),
        "pass@k": rates.pass_at(rates.samples),
        "tokens": sum(rates.tokens) / len(rates.tokens),
    }
