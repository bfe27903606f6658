"""Finding: a larger rotary base and training on longer texts bring recall to lengths that failed before (lesson 12).

Kimi-VL report (arXiv 2504.07491), section 2.3 and table 2: the base goes from 50,000 to 800,000, each step lengthens
the context four times and mixes 25 % long with 75 % short data, and recall is then 100 % up to 64K tokens. Here one
such step: texts of up to 128 tokens first, then of up to 512. Recall is the share of held-out needles of which every
token is the likeliest one. All needles of a text are asked for, so that a tiny model has more to learn from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from minikimi.data import PackedLoader
from minikimi.data.mixture import Mixture
from minikimi.data.packing import pack
from minikimi.findings.finding import Measurement, Prepared, Verdict, average
from minikimi.findings.plot import COLOURS, bars
from minikimi.findings.texts import processor, world
from minikimi.findings.toy_training import text_model, train
from minikimi.model.kimi_vl import KimiVL, next_token_targets
from minikimi.processor.processor import IGNORE_INDEX, Encoded
from minikimi.sample import Sample

TASKS = {"128": "needle", "512": "needle_512"}
BASES = (50_000.0, 800_000.0)
LONG_SHARE = 0.25  # of the tokens
LR = 1e-2
TOKENS = 1024  # of a batch
STAGES = (1600, 800)  # steps: short, then mixed


TITLE = "Needles at four times the length"
CLAIM = "after the base goes from 50,000 to 800,000 and training on 25 % long data, needles are found at new lengths"
SOURCE = "Kimi-VL, arXiv 2504.07491, section 2.3, table 2"
RULE = "in every seed recall at four times the length under 50 % before and over 90 % after"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    (first, second), count = ((4, 3), 4) if quick else (STAGES, 100)
    short, long = (world(seed, task=task) for task in TASKS.values())
    # A long text is four times as long, so one sample in thirteen makes a quarter of the tokens.
    mixed = Mixture([long, short], [LONG_SHARE / 4, 1 - LONG_SHARE], seed)
    model = text_model(seed, rope_theta=BASES[0])
    train(model, list(PackedLoader(short, all_asked, TOKENS, 1, first, seed=seed)), LR)
    before = [recall(model, seed, task, count) for task in TASKS.values()]
    model.set_rope_theta(BASES[1])
    train(model, list(PackedLoader(mixed, all_asked, TOKENS, 1, second, seed=seed + 1)), LR)
    return {"before": before, "after": [recall(model, seed, task, count) for task in TASKS.values()]}


def all_asked(sample: Sample) -> Encoded:
    """The haystack, then each needle's key and value; the values are learnt. The one that is held out comes last."""
    tokenizer, facts = processor().tokenizer, sample.facts
    haystack = sample.question.removesuffix(facts["question"]).strip()
    ids = [tokenizer.special_id("[BOS]"), *tokenizer.encode(haystack)]
    labels = [IGNORE_INDEX] * len(ids)
    for key, value in reversed(facts["needles"].items()):
        asked, told = tokenizer.encode(f" The {key}:"), tokenizer.encode(f" {value}")
        ids += asked + told
        labels += [IGNORE_INDEX] * len(asked) + told
    none, no_grids = processor().image_processor([])
    return Encoded(torch.tensor(ids), torch.tensor(labels), none, no_grids)


@torch.inference_mode()
def recall(model: KimiVL, seed: int, task: str, count: int) -> float:
    """Percent of held-out needles that the model names."""
    model.eval()
    held_out = world(seed, held_out=True, task=task)
    return 100 * sum(named(model, held_out[i]) for i in range(count)) / count


def named(model: KimiVL, sample: Sample) -> bool:
    """Whether each token of the held-out value is the likeliest one after those before it."""
    batch = pack([all_asked(sample)])
    value = len(processor().tokenizer.encode(f" {sample.answer}"))
    logits = model(batch.input_ids, cu_seqlens=batch.cu_seqlens).logits[-value - 1 : -1]
    targets = next_token_targets(batch.labels, batch.cu_seqlens)[-value - 1 : -1]
    return bool((logits.argmax(dim=-1) == targets).all())


def judge(measurements: Sequence[Measurement]) -> Verdict:
    before, after = average(measurements, "before"), average(measurements, "after")
    return Verdict(
        all(m["before"][1] < 50 and m["after"][1] > 90 for m in measurements),
        f"recall at 128 and 512 tokens: {before[0]:.0f} and {before[1]:.0f} % before, {after[0]:.0f} and "
        f"{after[1]:.0f} % after",
        {"before": before[1], "after": after[1]},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    labels = [f"{length} tokens\n{when}" for length in TASKS for when in ("before", "after")]
    rows = [[m[when][i] for i in range(len(TASKS)) for when in ("before", "after")] for m in measurements]
    bars(ax, labels, rows, [COLOURS["without"], COLOURS["with"]] * len(TASKS))
    ax.set_ylim(0, 105)
    ax.set_ylabel("percent recalled", fontsize=9)
