"""Exercise 7.9: One official name per expert (difficulty 3, 4 minutes)

Hint 1: tensor.unbind(0) gives one matrix per expert. In gate_up_proj each has 2F rows: gate first, then up.

Hint 2: gate, up = matrix.chunk(2); yield f'{prefix}{e}.gate_proj.weight', gate; the same for up_proj; for the other
stack f'{prefix}{e}.down_proj.weight', matrix.

Why: unbind and chunk give views: whoever copies a file's tensor into one of them fills the stack. So one function
serves saving and loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from minikimi.lab.cases import filled
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_07.shared import NANO
from minikimi.model.checkpoint import official_tensors
from minikimi.model.kimi_vl import KimiVL

wrong = Wrongs()


def name_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(3 + seed,), (2,)]


@torch.no_grad()
def run_names(answer, experts: int) -> tuple[list[str], list[Tensor], float]:
    """Names in order, expert matrices, and the share of the stacked weights that changes when these are written to."""
    text = replace(NANO.text_config, n_routed_experts=experts, num_experts_per_tok=2, num_hidden_layers=2)
    model = filled(KimiVL, replace(NANO, text_config=text))
    found = dict(answer(model))
    names = sorted(found)
    matrices = [found[name].clone() for name in names if ".experts." in name]
    for name in names:
        found[name].fill_(7.0)
    stacks = [tensor for name, tensor in model.state_dict().items() if ".experts." in name]
    written = sum(float((stack == 7).sum()) for stack in stacks) / sum(stack.numel() for stack in stacks)
    return names, matrices, written


def names_and_views(run, experts: int) -> None:
    names, _, written = run(experts)
    right = run_names(official_tensors, experts)[0]
    wrong, missing = sorted(set(names) - set(right)), sorted(set(right) - set(names))
    if wrong or missing:
        what = f"{wrong[0]} is no official name" if wrong else f"{missing[0]} is missing"
        raise Misfit(f"{what} ({len(wrong)} names too many, {len(missing)} missing)")
    if written < 1:
        raise Misfit("filling your tensors does not fill the model: give views into the stack, not copies")


def _by_expert(split: Callable[[Tensor], tuple[Tensor, Tensor]], suffix: str = ".weight", copy: bool = False):
    def answer(model: KimiVL) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in model.state_dict().items():
            prefix, _, kind = name.rpartition("experts.")
            if kind not in ("gate_up_proj", "down_proj"):
                yield name, tensor
                continue
            for e, matrix in enumerate(tensor.clone() if copy else tensor):
                halves = split(matrix) if kind == "gate_up_proj" else (matrix,)
                labels = ("gate_proj", "up_proj") if kind == "gate_up_proj" else ("down_proj",)
                for label, part in zip(labels, halves, strict=True):
                    yield f"{prefix}experts.{e}.{label}{suffix}", part

    return answer


@wrong("left stacked", "The stacked names exist only here; the official file has three matrices for each expert.")
def left_stacked(model: KimiVL) -> Iterator[tuple[str, Tensor]]:
    yield from model.state_dict().items()


wrong.add(
    "up rows first",
    "The stack holds the gate rows first. Swapped, the file loads without an error into a broken model.",
    _by_expert(lambda matrix: (matrix.chunk(2)[1], matrix.chunk(2)[0])),
)
wrong.add(
    "rows take turns",
    "The halves lie in blocks: chunk(2), not every other row.",
    _by_expert(lambda matrix: (matrix[0::2], matrix[1::2])),
)
wrong.add(
    "names without .weight",
    "In the official model each matrix is the weight of a linear layer: ...gate_proj.weight.",
    _by_expert(lambda matrix: (matrix.chunk(2)[0], matrix.chunk(2)[1]), suffix=""),
)
wrong.add(
    "copies",
    "Loading writes into the tensors that you hand out. A clone would take the file's weights and be thrown away.",
    _by_expert(lambda matrix: (matrix.chunk(2)[0], matrix.chunk(2)[1]), copy=True),
)

properties = (names_and_views,)
EXERCISE = Exercise(
    **words(__doc__), solution=official_tensors, cases=name_cases, run=run_names, properties=properties, wrong=wrong
)
