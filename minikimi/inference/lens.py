"""The lens: what a model looked at and which experts it used while it answered (lessons 05, 06 and 07).

Decoding is made to be fast and keeps none of this. The lens reads prompt and answer once more in a single pass, in the
training form, and takes from it for each answered token

* where it looked: the attention of the position that said it, on the tokens of each picture, for any layer and head or
  their mean;
* the experts that the position chose in each layer;
* the likeliest next tokens with their probabilities.

For pictures whose right box is known, `box_score` says how much of the attention falls inside it, against chance. The
weights are computed in plain torch, whatever kernel the model runs with. Attention shows where information was read
from, not why: Jain and Wallace (arXiv 1902.10186) and Wiegreffe and Pinter (arXiv 1908.04626) argue about how much it
explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from minikimi.model.attention import LatentAttention
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded

CANDIDATES = 5


@dataclass(frozen=True)
class Seen:
    """What one pass over a prompt and an answer of A tokens shows. T: tokens of both."""

    attention: Tensor  # (A, T) mean over the chosen layers and heads
    experts: Tensor  # (A, expert layers, K)
    candidates: Tensor  # (A, n) likeliest ids
    probabilities: Tensor  # (A, n) theirs
    said: Tensor  # (A,) the probability of what was said
    places: list[Tensor]  # for each picture, the positions of its tokens
    grids: list[tuple[int, int]]  # for each picture, rows and columns of its tokens

    def maps(self) -> list[Tensor]:
        """For each picture the attention of each answered token on it: (A, rows, columns)."""
        return [
            self.attention[:, places].reshape(-1, *grid) for places, grid in zip(self.places, self.grids, strict=True)
        ]

    def load(self, experts: int) -> Tensor:
        """(expert layers, E): the share of the answer's choices that each expert got; 1 / E each where it is even."""
        counts = torch.nn.functional.one_hot(self.experts, experts).sum(dim=(0, 2)).float()  # (layers, E)
        return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


@torch.inference_mode()
def look(
    model: KimiVL,
    prompt: Encoded,
    answer: Sequence[int],
    layer: int | None = None,
    head: int | None = None,
    candidates: int = CANDIDATES,
) -> Seen:
    """Read a prompt and its answer (A ids) once more, and note what each answered token looked at.

    `layer` and `head` choose whose attention; None takes the mean over all of them. Raises `ValueError` for an empty
    answer and for a layer or head that does not exist.
    """
    attentions = [m for m in model.language_model.modules() if isinstance(m, LatentAttention)]  # in order
    heads = model.config.text_config.num_attention_heads
    for name, number, there in (("layer", layer, len(attentions)), ("head", head, heads)):
        if number is not None and not 0 <= number < there:
            raise ValueError(f"{name} {number} does not exist; choose 0 to {there - 1}")
    if not len(answer):
        raise ValueError("the answer is empty; there is nothing to look at")
    chosen = attentions if layer is None else [attentions[layer]]
    row = prompt.followed_by(answer)
    total, device = len(row.input_ids), model.device
    asking = torch.arange(total - len(answer) - 1, total - 1, device=device)  # the positions that said the answer
    weights = torch.zeros(len(answer), total, device=device)

    def note(attention: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
        of_heads = attention_weights(attention, inputs[0], inputs[1], inputs[2], asking)
        weights.add_((of_heads.mean(dim=1) if head is None else of_heads[:, head]) / len(chosen))

    handles = [attention.register_forward_hook(note) for attention in chosen]
    try:
        out = model(
            row.input_ids.to(device),
            row.pixel_values.to(device),
            row.grid_hws.to(device),
            cu_seqlens=torch.tensor([0, total], dtype=torch.int32, device=device),
        )
    finally:
        for handle in handles:
            handle.remove()
    probabilities = out.head(out.hidden[asking]).float().softmax(dim=-1)
    best = probabilities.topk(candidates, dim=-1)
    said = probabilities.gather(1, torch.tensor(list(answer), device=device)[:, None])[:, 0]
    experts = [routing.indices[asking] for routing in out.routings]
    stacked = torch.stack(experts, dim=1) if experts else torch.zeros(len(answer), 0, 0, dtype=torch.int64)
    merge_h, merge_w = model.config.vision_config.merge_kernel_size
    grids = [(h // merge_h, w // merge_w) for h, w in prompt.grid_hws.tolist()]
    media = (row.input_ids == model.config.media_placeholder_token_id).nonzero()[:, 0]
    return Seen(
        weights.cpu(),
        stacked.cpu(),
        best.indices.cpu(),
        best.values.cpu(),
        said.cpu(),
        list(media.split([h * w for h, w in grids])) if grids else [],
        grids,
    )


def attention_weights(attention: LatentAttention, x: Tensor, cos: Tensor, sin: Tensor, asking: Tensor) -> Tensor:
    """The causal attention weights of positions `asking` (A,) in one sequence x (T, D): (A, H, T), float32."""
    q_nope, q_rope = attention.queries(x[asking], cos[asking], sin[asking])
    latent, k_rope = attention.latents(x, cos, sin)
    k_nope, _ = attention.expand(latent)
    scores = torch.einsum("ahd,thd->aht", q_nope.float(), k_nope.float())
    scores += torch.einsum("ahd,td->aht", q_rope.float(), k_rope.float())
    future = torch.arange(len(x), device=x.device) > rearrange(asking, "a -> a 1 1")
    return (scores * attention.scale).masked_fill(future, -torch.inf).softmax(dim=-1)


def box_score(
    attention: Tensor, boxes: Sequence[Sequence[float]], shown: tuple[float, float]
) -> tuple[list[float], float]:
    """How much of the attention (A, rows, columns) on a picture falls into boxes, and how much would by chance.

    A box is (left, top, right, bottom) in shares of the picture; `shown` (down, across) is the share of the grid that
    the picture covers, the rest being padding. A token that a box covers by half counts by half. Chance: the attention
    spread evenly over the grid. Returns a share for each answered token, and the chance.
    """
    rows, columns = attention.shape[1:]
    down, across = shown
    covered = torch.zeros(rows, columns)
    for left, top, right, bottom in boxes:
        vertical = overlap(top * down * rows, bottom * down * rows, rows)
        covered += vertical[:, None] * overlap(left * across * columns, right * across * columns, columns)
    covered.clamp_(max=1.0)  # where boxes lie over each other
    mass = attention.sum(dim=(1, 2)).clamp(min=1e-12)
    return ((attention * covered).sum(dim=(1, 2)) / mass).tolist(), float(covered.mean())


def overlap(begin: float, end: float, cells: int) -> Tensor:
    """(cells,) how much of each cell [i, i + 1] lies between `begin` and `end`."""
    edges = torch.arange(cells + 1).float().clamp(begin, max(begin, end))
    return edges.diff()
