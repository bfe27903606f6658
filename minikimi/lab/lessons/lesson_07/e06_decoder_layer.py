"""Exercise 7.6: The pre-norm decoder layer (difficulty 2, 4 minutes)

Hint 1: Twice the same figure: add to x what a part makes of the norm of x. First attention, then the MLP.

Hint 2: attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen); then
self.feed_forward(x + attended, pinned), which ends with x + y.

Why: The stream x is only ever added to, so a gradient has a straight way from the loss to the first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import filled, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_07.shared import NANO
from minikimi.model.decoder import DecoderLayer
from minikimi.model.rope import rotary_1d

wrong = Wrongs()


def layer_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Layer 0 has a dense MLP, layer 1 experts; two sequences, so that the bounds matter.
    bounds = torch.tensor([0, 4, 7], dtype=torch.int32)
    return [(0, numbers(seed, 7, 64), bounds), (1, numbers(seed + 5, 7, 64), bounds)]


@torch.no_grad()
def run_layer(cls, index: int, x: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """Output and cache entries of a layer with fixed weights."""
    text = NANO.text_config
    positions = torch.cat([torch.arange(n) for n in cu_seqlens.diff().tolist()])
    cos, sin = rotary_1d(positions, text.qk_rope_head_dim, text.rope_theta)
    y, entries, _ = filled(cls, text, index)(x, cos, sin, cu_seqlens, int(cu_seqlens.diff().max()))
    return y, entries


@wrong(
    "norm behind the sum",
    "That is the transformer of 2017. Here each part reads a normed copy of x, and x itself is never normed.",
)
class PostNorm(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(x, cos, sin, cu_seqlens, max_seqlen)
        x = self.input_layernorm(x + attended)
        y = self.mlp(x)
        return self.post_attention_layernorm(x + (y[0] if isinstance(y, tuple) else y)), entries, None


@wrong("a residual forgotten", "Both parts add to the stream: x + attended, and then x + y.")
class NoResidual(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        y, routing = self.feed_forward(attended, pinned)
        return y - attended, entries, routing


@wrong(
    "the stream itself normed",
    "You overwrite x with its norm and add to that. Norm a copy: "
    "self_attn(self.input_layernorm(x), ...), but x + attended.",
)
class ResidualOfTheNorm(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        return super().forward(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen, pinned)


@wrong("both parts in parallel", "The MLP must read the stream after attention has been added to it.")
class Parallel(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        y, routing = self.feed_forward(x, pinned)
        return y + attended, entries, routing


@wrong(
    "one norm for both",
    "The MLP has a norm of its own, post_attention_layernorm, which stands behind attention and before the MLP.",
)
class OneNorm(DecoderLayer):
    def feed_forward(self, x, pinned=None):
        self.post_attention_layernorm = self.input_layernorm
        return super().feed_forward(x, pinned)


EXERCISE = Exercise(**words(__doc__), solution=DecoderLayer, cases=layer_cases, run=run_layer, wrong=wrong)
