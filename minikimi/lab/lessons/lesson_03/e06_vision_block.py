"""Exercise 3.6: The block (difficulty 3, 6 minutes)

Hint 1: x = x + wo(attention(norm0(x))), then x = x + mlp(norm1(x)): the stream x itself is never normed.

Hint 2: rearrange(self.wqkv(self.norm0(x)), "p (three h d) -> p three h d", three=3, h=self.num_heads) goes into
ops.vision_attention, and its result as "p h d -> p (h d)" into wo.

Why: Pre-norm keeps a straight road for gradients: x passes all 27 blocks with additions only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, filled, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_03.shared import SMALL
from minikimi.model import ops
from minikimi.model.moonvit import VisionBlock
from minikimi.model.patches import image_cu_seqlens
from minikimi.model.rope import rotary_2d

wrong = Wrongs()


def block_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    grids = [torch.tensor([[2, 4], [4, 2]]), torch.tensor([[2, 2 + 2 * seed], [2, 6]])]
    return [(numbers(seed, int(g.prod(dim=1).sum()), 16, dtype=dtype), g) for g in grids]


def run_block(cls, x: Tensor, grid_hws: Tensor) -> Tensor:
    cu_seqlens = image_cu_seqlens(grid_hws)
    tables = rotary_2d(grid_hws, SMALL.head_dim)
    return filled(cls, SMALL, dtype=x.dtype)(x, *tables, cu_seqlens, int(cu_seqlens.diff().max()))


def _attention_part(block: VisionBlock, normed: Tensor, *where) -> Tensor:
    qkv = block.wqkv(normed).unflatten(-1, (3, block.num_heads, -1))
    return block.wo(ops.vision_attention(qkv, *where).flatten(1))


@wrong(
    "norm after the sum",
    "This is post-norm, as in the first transformer of 2017. Norm the *input* of each part: pre-norm.",
)
class BlockPostNorm(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = self.norm0(x + _attention_part(self, x, *where))
        return self.norm1(x + self.mlp(x))


@wrong("no residual", "Each part adds to x. Without x + ... a block replaces what it was given.")
class BlockWithoutResidual(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = _attention_part(self, self.norm0(x), *where)
        return self.mlp(self.norm1(x))


@wrong(
    "both parts side by side",
    "The MLP must read what attention has added: norm1 of the new x, one part after the other.",
)
class BlockParallel(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        return x + _attention_part(self, self.norm0(x), *where) + self.mlp(self.norm1(x))


@wrong(
    "residual taken after the norm",
    "Add to x as it came in, not to the normed x: the norm is only for what goes into the part.",
)
class BlockResidualOfTheNorm(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = self.norm0(x)
        x = x + _attention_part(self, x, *where)
        x = self.norm1(x)
        return x + self.mlp(x)


EXERCISE = Exercise(**words(__doc__), solution=VisionBlock, cases=block_cases, run=run_block, dtypes=BOTH, wrong=wrong)
