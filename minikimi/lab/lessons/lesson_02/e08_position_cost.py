"""Exercise 2.8: What positions cost in the 16B model (difficulty 2, 5 minutes)

Hint 1: The table is height x width x hidden_size numbers of 2 bytes. RoPE has no parameters, only arithmetic.

Hint 2: A pair needs 4 multiplications; hidden_size/2 pairs over all heads; queries and keys; every layer.

Why: 4.7 million parameters and about 125 thousand multiplications a patch: nothing beside the 0.8 billion of the
layers.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.config import VisionConfig

wrong = Wrongs()


def position_cost(vision: VisionConfig) -> tuple[int, int, int]:
    """The learned table's parameters and its bytes in bfloat16; multiplications of RoPE for one patch, all layers."""
    parameters = vision.init_pos_emb_height * vision.init_pos_emb_width * vision.hidden_size
    rotary = 4 * vision.hidden_size // 2 * 2 * vision.num_hidden_layers  # 4 per pair, queries and keys
    return parameters, 2 * parameters, rotary


def cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(VisionConfig(),), (VisionConfig(num_hidden_layers=3 + seed, init_pos_emb_height=7, hidden_size=64 * 16),)]


def _cost(table: int = 1, size: int = 1, rotary: float = 1.0):
    def answer(vision: VisionConfig) -> tuple[int, int, int]:
        p, b, r = position_cost(vision)
        return p * table, b * size * table, int(r * rotary)

    return answer


@wrong("one layer", "RoPE works in the attention of every layer, not once at the entrance.")
def one_layer(vision: VisionConfig) -> tuple[int, int, int]:
    p, b, r = position_cost(vision)
    return p, b, r // vision.num_hidden_layers


wrong.add("float32 bytes", "The released weights are bfloat16: 2 bytes a number.", _cost(size=2))
wrong.add(
    "half of it: queries only, or two products a pair",
    "Keys are turned too, and a pair takes four products: a cos, b sin, a sin, b cos.",
    _cost(rotary=0.5),
)

EXERCISE = Exercise(**words(__doc__), solution=position_cost, cases=cost_cases, wrong=wrong)
