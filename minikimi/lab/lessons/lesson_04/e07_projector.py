"""Exercise 4.7: The projector (difficulty 2, 5 minutes)

Hint 1: The norm takes single patches, linear_1 and linear_2 take joined ones; between the two stands F.gelu.

Hint 2: joined = rearrange(self.pre_norm(blocks), "m k d -> m (k d)"), then linear_1, F.gelu, linear_2.

Why: F.gelu is the exact form by default. Width 4 D is kept in the middle and only the last matrix narrows it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_04.e05_norm_and_join import norm_after_joining
from minikimi.lab.lessons.lesson_04.e06_exact_gelu import tanh_gelu
from minikimi.model.config import KimiVLConfig, TextConfig, VisionConfig
from minikimi.model.projector import Projector

wrong = Wrongs()


def small_config(seed: int) -> KimiVLConfig:
    """A projector from 4 x 8 numbers to 5 + seed."""
    text = TextConfig(hidden_size=5 + seed)
    return KimiVLConfig(vision_config=VisionConfig(hidden_size=8, num_attention_heads=2), text_config=text)


def projector_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(small_config(seed), 2 * numbers(seed, m, 4, 8) + 0.5) for m in (3, 5)]


def run_projector(cls, config: KimiVLConfig, blocks: Tensor) -> Tensor:
    """Build it, load fixed weights, call it. The hidden layer is held near -2.2, where the two GELUs differ by 1 %."""
    model, generator = cls(config), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(0.06 * torch.randn(parameter.shape, generator=generator))
            if name == "linear_1.bias":
                parameter.sub_(2.2)
            if name == "pre_norm.weight":
                parameter.add_(1)
        return model(blocks)


@wrong("norm after joining", "pre_norm is D wide: call it on the blocks, then flatten.")
class NormAfterJoining(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        joined = norm_after_joining.answer(blocks, self.pre_norm.weight, self.pre_norm.bias)
        return self.linear_2(F.gelu(self.linear_1(joined)))


@wrong("tanh GELU", 'Plain F.gelu(x), without approximate="tanh".')
class TanhProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(tanh_gelu.answer(self.linear_1(self.pre_norm(blocks).flatten(1))))


@wrong("no activation", "Two matrices in a row are one matrix. Put the GELU between them.")
class LinearProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(self.linear_1(self.pre_norm(blocks).flatten(1)))


@wrong(
    "pixel_unshuffle's order",
    "The joined vector is patch after patch, not channel after channel: flatten without a transpose.",
)
class UnshuffledProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(self.pre_norm(blocks).transpose(1, 2).flatten(1))))


@wrong("norm forgotten", "The blocks pass through self.pre_norm first.")
class WithoutNorm(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(blocks.flatten(1))))


def one_vector_per_block(run, config: KimiVLConfig, blocks: Tensor) -> None:
    shape, wanted = tuple(run(config, blocks).shape), (len(blocks), config.text_config.hidden_size)
    if shape != wanted:
        raise Misfit(f"{len(blocks)} blocks become vectors of the language model's width: {wanted}, yours are {shape}")


properties = (one_vector_per_block,)
EXERCISE = Exercise(
    **words(__doc__), solution=Projector, cases=projector_cases, run=run_projector, properties=properties, wrong=wrong
)
