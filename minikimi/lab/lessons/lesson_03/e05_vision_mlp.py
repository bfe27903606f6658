"""Exercise 3.5: The MLP (difficulty 1, 2 minutes)

Hint 1: fc0 widens, fc1 narrows, one activation between. There are two forms of GELU; look for `approximate`.

Hint 2: self.fc1(F.gelu(self.fc0(x), approximate="tanh")).

Why: The two GELUs differ by at most 0.0005, so nothing looks broken; over 27 layers it is another model. The projector
uses the other one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import filled, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.moonvit import VisionMLP

wrong = Wrongs()


def mlp_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Large inputs: the two forms of GELU differ most (by 0.0005) at about 2, and are tried in float64 for that reason.
    return [(3 * numbers(seed, 7, 16, dtype=dtype),), (3 * numbers(seed + 9, 2, 16, dtype=dtype),)]


def run_mlp(cls, x: Tensor) -> Tensor:
    return filled(cls, 16, 24, dtype=x.dtype)(x)


def mlp_with(activation):
    class Answer(VisionMLP):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc1(activation(self.fc0(x)))

    return Answer


@wrong("residual inside", "The residual x + ... belongs to the block, not to the MLP: otherwise x is added twice.")
class MLPWithResidual(VisionMLP):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


wrong.add(
    "exact GELU",
    'This is the erf form. MoonViT has the tanh form: approximate="tanh" (the projector has erf).',
    mlp_with(F.gelu),
)
wrong.add("SiLU", "SiLU is the language model's activation. MoonViT has GELU, tanh form.", mlp_with(F.silu))
wrong.add(
    "no activation",
    "Two linear maps in a row are one linear map. An activation must stand between them.",
    mlp_with(lambda x: x),
)

EXERCISE = Exercise(
    **words(__doc__), solution=VisionMLP, cases=mlp_cases, run=run_mlp, dtypes=(torch.float64,), wrong=wrong
)
