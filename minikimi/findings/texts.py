"""The text that the findings train on: sums and differences with worked steps, from the picture world (lessons 09, 13).

Steps cannot be guessed and have structure, so a small model has something to learn for hundreds of steps; the captions
of the world without their pictures would be mostly dice.
"""

from __future__ import annotations

from functools import lru_cache, partial

from minikimi.data import PackedBatch, PackedLoader
from minikimi.data.forms import Encode, encode, encode_parts
from minikimi.processor.processor import Encoded, Processor
from minikimi.sample import Sample
from minikimi.world import PictureWorld

processor = lru_cache(maxsize=1)(Processor.small)


def world(seed: int, held_out: bool = False, task: str = "arithmetic") -> PictureWorld:
    """One text-only task of the picture world; the held-out split has pairs of numbers that training never draws."""
    return PictureWorld(seed, "held_out" if held_out else "train", {task: 1.0})


def as_text(sample: Sample) -> Encoded:
    """Question, worked steps and answer as running text; every word is learnt."""
    text = f"{sample.question} {sample.solution} {sample.answer}"
    return encode_parts(processor(), [("text", text)])


def as_chat(form: str) -> Encode:
    """Forms `chat` (the answer at once) and `think` (worked steps first) of `minikimi.data.forms`."""
    return partial(encode, processor(), form=form)


def batches(source: PictureWorld, encode: Encode, steps: int, tokens: int = 512) -> list[PackedBatch]:
    """`steps` packed batches of at most `tokens` tokens; equal arguments give equal batches."""
    return list(PackedLoader(source, encode, tokens, 1, steps, seed=source.seed))


def held_out_batches(seed: int, encode: Encode, quick: bool) -> list[PackedBatch]:
    """Batches of problems that training never draws, to measure a loss on."""
    return batches(world(seed, held_out=True), encode, 1 if quick else 8)
