"""Exercise 4.8: What the projector costs (difficulty 2, 4 minutes)

Hint 1: A linear layer from m to n has m * n weights and n biases; a LayerNorm of width D has 2 D numbers.

Hint 2: joined = 4 * hidden_size of the vision config; matrices = joined * joined + joined * hidden_size of the text
config.

Why: 31 million parameters, a five-hundredth of the model; a token pays it once, before the first layer.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_04.e07_projector import small_config
from minikimi.model.config import KimiVLConfig

wrong = Wrongs()


def projector_cost(config: KimiVLConfig) -> tuple[int, int]:
    """The projector's parameters, and the multiplications of its two matrices for one image token."""
    patch, (kh, kw) = config.vision_config.hidden_size, config.vision_config.merge_kernel_size
    joined, out = patch * kh * kw, config.text_config.hidden_size
    matrices = joined * joined + joined * out
    return 2 * patch + matrices + joined + out, matrices


def projector_cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(KimiVLConfig(),), (small_config(seed),)]


@wrong("biases forgotten", "Both linear layers have a bias: joined + out more.")
def cost_without_biases(config: KimiVLConfig) -> tuple[int, int]:
    matrices = projector_cost(config)[1]
    return 2 * config.vision_config.hidden_size + matrices, matrices


@wrong(
    "a norm over the joined width",
    "The norm works on single patches: 2 * hidden_size numbers, not four times as many.",
)
def cost_of_wide_norm(config: KimiVLConfig) -> tuple[int, int]:
    parameters, matrices = projector_cost(config)
    return parameters + 6 * config.vision_config.hidden_size, matrices


@wrong("merging forgotten", "The matrices read four patches at once: their input is 4 * hidden_size wide.")
def cost_without_merging(config: KimiVLConfig) -> tuple[int, int]:
    patch, out = config.vision_config.hidden_size, config.text_config.hidden_size
    matrices = patch * patch + patch * out
    return 2 * patch + matrices + patch + out, matrices


EXERCISE = Exercise(**words(__doc__), solution=projector_cost, cases=projector_cost_cases, wrong=wrong)
