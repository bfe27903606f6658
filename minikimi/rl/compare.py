"""What reinforcement learning changed: pass@1 before and after on the same held-out problems (lesson 14).

Both models answer by sampling, at the temperature they were trained with; a problem counts with its share of right
responses, and the interval of the gain is a bootstrap over problems.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from minikimi.config import UserError
from minikimi.data.world import PictureWorld
from minikimi.evaluation.facts import write_json
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor import Processor
from minikimi.rl.passk import PassRates, bootstrap_mean, gain, pass_rates
from minikimi.rl.settings import RolloutSettings

SEED = 99  # of the held-out problems, as in evaluation


def compare(stage: Path, problems: int = 96) -> dict[str, Any]:
    """Write `stage`/gain.json for an rl stage: before, after and gain of pass@1, pass@k, tokens of a response.

    The model before is the one that the stage's config.yaml names. Raises `UserError` if there was none, or it is gone.
    """
    config = yaml.safe_load((stage / "config.yaml").read_text())
    start = config["model"].get("init_from")
    if start is None or not Path(start).is_dir():
        raise UserError(f"{stage}: the model it started from ({start}) is not there; nothing to compare with")
    settings = RolloutSettings(**config["data"]["settings"])
    world = PictureWorld(SEED, "held_out", config["data"]["tasks"])
    samples = [world[i] for i in range(problems)]
    processor = Processor.from_pretrained(stage / "model")
    models = [KimiVL.from_pretrained(directory) for directory in (start, stage / "model")]
    before, after = (pass_rates(model, processor, samples, settings, (SEED, 0)) for model in models)
    mean, low, high = gain(before, after)
    result = {
        "problems": problems,
        "samples": settings.samples,
        "before": summary(before),
        "after": summary(after),
        "gain": {"pass@1": mean, "interval": [low, high]},
    }
    write_json(stage / "gain.json", result)
    return result


def summary(rates: PassRates) -> dict[str, Any]:
    """pass@1 with its interval, pass@k and the mean length of a response."""
    return {
        "pass@1": rates.pass_at(1),
        "interval": list(bootstrap_mean(rates.values(1))),
        "pass@k": rates.pass_at(rates.samples),
        "tokens": sum(rates.tokens) / len(rates.tokens),
    }
