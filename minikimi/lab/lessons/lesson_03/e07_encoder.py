"""Exercise 3.7: The encoder (difficulty 2, 5 minutes)

Hint 1: Everything that all blocks share is made once: rotary tables, bounds, longest image. Then the loop.

Hint 2: rotary_2d(grid_hws, self.head_dim), image_cu_seqlens(grid_hws), int(cu_seqlens.diff().max()); final norm last.

Why: Angles and bounds are the same in all layers. The final norm puts every patch on one scale for the projector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minikimi.lab.cases import BOTH, filled
from minikimi.lab.exercise import Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_03.e06_vision_block import block_cases
from minikimi.lab.lessons.lesson_03.shared import SMALL
from minikimi.model.moonvit import Encoder
from minikimi.model.rope import rotary_2d

wrong = Wrongs()


def run_encoder(cls, x: Tensor, grid_hws: Tensor) -> Tensor:
    return filled(cls, SMALL, dtype=x.dtype)(x, grid_hws)


@wrong("no final norm", "In a pre-norm network nothing norms the last block's output: final_layernorm does.")
class EncoderWithoutFinalNorm(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        norm, self.final_layernorm = self.final_layernorm, nn.Identity()
        out = super().forward(x, grid_hws)
        self.final_layernorm = norm
        return out


@wrong(
    "the pack as one image",
    "The bounds must come from the grids: image_cu_seqlens(grid_hws). Else images see each other.",
)
class EncoderOneImage(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        tables, bounds = rotary_2d(grid_hws, self.head_dim), torch.tensor([0, len(x)], dtype=torch.int32)
        for block in self.blocks:
            x = block(x, *tables, bounds, len(x))
        return self.final_layernorm(x)


@wrong("positions in one row", "Bounds are right, angles are not: rotary_2d needs the grids (h, w), not (1, h * w).")
class EncoderOneRow(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        lengths = grid_hws.prod(dim=1)
        return super().forward(x, torch.stack([torch.ones_like(lengths), lengths], dim=1))


@wrong("the first block again and again", "Every layer has weights of its own: loop over self.blocks.")
class EncoderSameBlock(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        blocks, self.blocks = self.blocks, nn.ModuleList([self.blocks[0]] * len(self.blocks))
        out = super().forward(x, grid_hws)
        self.blocks = blocks
        return out


EXERCISE = Exercise(**words(__doc__), solution=Encoder, cases=block_cases, run=run_encoder, dtypes=BOTH, wrong=wrong)
