"""Exercise 3.9: Count the parameters (difficulty 2, 5 minutes)

Hint 1: Linear A to B: A * B + B. LayerNorm: 2 D. A block: wqkv, wo, fc0, fc1 and two norms.

Hint 2: Entrance: 3 p p D + D, and the table H0 * W0 * D. Total: entrance + layers * block + 2 D for the final norm.

Why: Nearly all sits in the blocks. MoonViT is about a fortieth of the whole model, and works on every patch.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_03.shared import SMALL
from minikimi.model.config import VisionConfig

wrong = Wrongs()


def vision_parameters(vision: VisionConfig) -> tuple[int, int, int]:
    """Parameters of the entrance (patch embedding and table), of one block, and of all MoonViT."""
    d, m, p = vision.hidden_size, vision.intermediate_size, vision.patch_size
    entrance = 3 * p * p * d + d + vision.init_pos_emb_height * vision.init_pos_emb_width * d
    block = (3 * d * d + 3 * d) + (d * d + d) + (d * m + m) + (m * d + d) + 2 * 2 * d
    return entrance, block, entrance + vision.num_hidden_layers * block + 2 * d


def parameter_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(VisionConfig(),), (replace(SMALL, num_hidden_layers=3 + seed),)]


@wrong("biases forgotten", "All Linears of MoonViT have biases (the language model's do not).")
def without_biases(vision: VisionConfig) -> tuple[int, int, int]:
    d, m = vision.hidden_size, vision.intermediate_size
    entrance, block = vision_parameters(vision)[0] - d, 4 * d * d + 2 * d * m + 4 * d
    return entrance, block, entrance + vision.num_hidden_layers * block + 2 * d


@wrong("table forgotten", "The position table is learned too: init_pos_emb_height * init_pos_emb_width * hidden_size.")
def without_table(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    table = vision.init_pos_emb_height * vision.init_pos_emb_width * vision.hidden_size
    return entrance - table, block, total - table


@wrong(
    "three matrices in the MLP",
    "A gated MLP has three matrices; that is the language model's. MoonViT's MLP has two.",
)
def gated_mlp(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    gate = vision.hidden_size * vision.intermediate_size + vision.intermediate_size
    return entrance, block + gate, total + vision.num_hidden_layers * gate


@wrong("final norm forgotten", "After the last block there is one more LayerNorm.")
def without_final_norm(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    return entrance, block, total - 2 * vision.hidden_size


EXERCISE = Exercise(**words(__doc__), solution=vision_parameters, cases=parameter_cases, wrong=wrong)
