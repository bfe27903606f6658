"""Lesson 08: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Misfit
from minikimi.optim.muon import adamw_update, as_matrices, nesterov
from minikimi.optim.newton_schulz import QUINTIC, newton_schulz

Copies = list[list[Tensor]]  # [rank][matrix]
Owned = list[dict[int, Tensor]]  # [rank]: matrix to its momentum


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# 8.1 ------------------------------------------------------------------------------------------------------------------
def quintic_step(s: Tensor) -> Tensor:
    """One step of the quintic on each number."""
    a, b, c = QUINTIC
    return a * s + b * s**3 + c * s**5


def singular_value_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [
        ((torch.tensor([0.01, 0.3, 0.9, 1.0]) / (1 + seed)).to(dtype),),
        (numbers(seed, 3, 4, dtype=dtype).sigmoid(),),
    ]


def even_powers(s: Tensor) -> Tensor:
    a, b, c = QUINTIC
    return a * s + b * s**2 + c * s**4


def coefficients_reversed(s: Tensor) -> Tensor:
    a, b, c = QUINTIC
    return c * s + b * s**3 + a * s**5


def cubic(s: Tensor) -> Tensor:
    return 1.5 * s - 0.5 * s**3


# 8.2 ------------------------------------------------------------------------------------------------------------------
def matrix_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A stack of wide matrices of very different sizes, and a tall matrix: the scale must not matter, each is its own.
    # All are small: without the division the iteration stays finite, and so can be recognised.
    stack = numbers(seed, 2, 3, 6) * torch.tensor([1e-4, 0.2])[:, None, None]
    return [(stack, 5, torch.float32), (0.1 * numbers(seed + 1, 7, 3), 5, torch.float32)]


def not_normalised(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return _iterate(G, steps)


def normalised_together(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return _iterate(G / G.norm(), steps)


def one_step_only(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return newton_schulz(G, 1, dtype)


def entry_by_entry(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(steps):
        X = quintic_step(X)
    return X


def exactly_orthogonal(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    return U @ Vh


def _iterate(X: Tensor, steps: int) -> Tensor:
    a, b, c = QUINTIC
    for _ in range(steps):
        S = X @ X.mT
        X = a * X + (b * S + c * S @ S) @ X
    return X


def flat_spectrum(run, G: Tensor, steps: int, dtype: torch.dtype) -> None:
    O = run(G, steps, dtype)  # noqa: E741 (the report's letter)
    if O.shape != G.shape:
        raise Misfit(f"a matrix keeps its shape: {tuple(G.shape)} became {tuple(O.shape)}; transpose tall ones back")
    s = torch.linalg.svdvals(O.float())
    if not bool(torch.isfinite(O).all()) or float(s.max()) > 1.6 or float(s.min()) < 0.3:
        raise Misfit("after five steps all singular values should lie near 1; yours do not")


# 8.3 ------------------------------------------------------------------------------------------------------------------
def buffer_and_direction(answer, momentum_buffer: Tensor, grad: Tensor, mu: float) -> tuple[Tensor, Tensor]:
    direction = answer(momentum_buffer, grad, mu)
    return momentum_buffer, direction


def momentum_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [
        (numbers(seed, 3, 4, dtype=dtype), numbers(seed + 1, 3, 4, dtype=dtype), 0.95),
        (numbers(seed, 2, 2, dtype=dtype), numbers(seed + 2, 2, 2, dtype=dtype), 0.5),
    ]


def plain_momentum(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return momentum_buffer.mul_(mu).add_(grad).clone()


def averaged(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    momentum_buffer.lerp_(grad, 1 - mu)
    return grad.lerp(momentum_buffer, mu)


def forgetful(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return grad + mu * (mu * momentum_buffer + grad)


def mu_on_the_gradient(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return momentum_buffer.mul_(mu).add_(grad) + mu * grad


# 8.4 ------------------------------------------------------------------------------------------------------------------
def matched_lr(lr: float, rows: int, columns: int) -> float:
    """The factor of the orthogonal matrix in an update."""
    return lr * 0.2 * math.sqrt(max(rows, columns))


def shape_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(1e-3, 2048, 1408), (2e-4 * (1 + seed), 16, 64), (1.0, 8, 8)]


def smaller_side(lr: float, rows: int, columns: int) -> float:
    return lr * 0.2 * math.sqrt(min(rows, columns))


def original_scale(lr: float, rows: int, columns: int) -> float:
    return lr * math.sqrt(max(1, rows / columns))


def frobenius_scale(lr: float, rows: int, columns: int) -> float:
    return lr * 0.2 * math.sqrt(rows * columns)


def without_factor(lr: float, rows: int, columns: int) -> float:
    return lr * math.sqrt(max(rows, columns))


# 8.5 ------------------------------------------------------------------------------------------------------------------
def tensor_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A plain matrix, a stack whose matrices are gate over up, a fused query-key-value projection, a patch convolution.
    kinds = (((4, 3), 1), ((3, 4, 5), 2), ((6, 2), 3), ((4, 3, 2, 2), 1))
    return [(numbers(seed, *shape, dtype=dtype), row_blocks) for shape, row_blocks in kinds]


def experts_in_one(t: Tensor, row_blocks: int = 1) -> Tensor:
    return t.reshape(1, -1, t.size(-1)) if t.ndim == 3 else as_matrices(t, row_blocks)


def blocks_ignored(t: Tensor, row_blocks: int = 1) -> Tensor:
    return as_matrices(t, 1)


def kernel_pixels_as_matrices(t: Tensor, row_blocks: int = 1) -> Tensor:
    return t.reshape(-1, t.size(-2), t.size(-1)) if t.ndim == 4 else as_matrices(t, row_blocks)


def blocks_of_columns(t: Tensor, row_blocks: int = 1) -> Tensor:
    t = t.flatten(1) if t.ndim == 4 else t
    return t.reshape(-1, t.size(-2) // row_blocks, row_blocks, t.size(-1)).transpose(1, 2).flatten(0, 1)


# 8.6 ------------------------------------------------------------------------------------------------------------------
def muon_update(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    """One step of Muon on one matrix; returns the new matrix."""
    O = newton_schulz(nesterov(momentum_buffer, grad, 0.95))  # noqa: E741 (the report's letter)
    return p * (1 - lr * weight_decay) - matched_lr(lr, *p.shape) * O


def update_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A large rate and decay, so that the order and the size of the decay show.
    return [
        (3 * numbers(seed, 5, 3), numbers(seed + 1, 5, 3), numbers(seed + 2, 5, 3), 0.5, 0.4),
        (2 * numbers(seed, 3, 8), 0 * numbers(seed + 1, 3, 8), numbers(seed + 2, 3, 8), 0.3, 0.5),
    ]


def decay_with_adjusted_rate(
    p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float
) -> Tensor:
    step = muon_update(p, momentum_buffer, grad, lr, 0.0) - p
    return p * (1 - matched_lr(lr, *p.shape) * weight_decay) + step


def decay_in_gradient(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad + weight_decay * p, lr, 0.0)


def no_decay(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad, lr, 0.0)


def decay_without_rate(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad, lr, weight_decay / lr)


def gradient_orthogonalised_first(
    p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float
) -> Tensor:
    V = nesterov(momentum_buffer, newton_schulz(grad), 0.95)
    return p * (1 - lr * weight_decay) - matched_lr(lr, *p.shape) * V


# 8.7 ------------------------------------------------------------------------------------------------------------------
def adamw_result(answer, p: Tensor, grad: Tensor, state: dict, *how) -> tuple[Tensor, ...]:
    answer(p, grad, state, *how)
    return p, state["step"], state["exp_avg"], state["exp_avg_sq"]


def adamw_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Early steps, different betas and a large eps: every misplaced term shows.
    cases = []
    for step, eps in ((0.0, 0.1), (2.0, 0.5)):
        state = {"step": torch.tensor(step), "exp_avg": step * numbers(seed + 1, 4) / 4}
        state["exp_avg_sq"] = step * numbers(seed + 2, 4).square() / 4
        cases.append((numbers(seed, 4), numbers(seed + 3, 4), state, 0.3, (0.7, 0.95), eps))
    return cases


def _adamw(square_root, corrected=True, swapped=False):
    def answer(p: Tensor, grad: Tensor, state: dict, lr: float, betas: tuple[float, float], eps: float) -> None:
        beta1, beta2 = betas[::-1] if swapped else betas
        state["step"] += 1
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        step = state["step"].item() if corrected else math.inf
        one, two = 1 - beta1**step, 1 - beta2**step
        p.addcdiv_(state["exp_avg"] / one, square_root(state["exp_avg_sq"], two, eps), value=-lr)

    return answer


eps_before_correction = _adamw(lambda v, two, eps: (v.sqrt() + eps) / math.sqrt(two))
eps_inside_root = _adamw(lambda v, two, eps: (v / two + eps).sqrt())
uncorrected = _adamw(lambda v, two, eps: v.sqrt() + eps, corrected=False)
betas_swapped = _adamw(lambda v, two, eps: (v / two).sqrt() + eps, swapped=True)


def decays_too(p: Tensor, grad: Tensor, state: dict, lr: float, betas: tuple[float, float], eps: float) -> None:
    p.mul_(1 - lr * 0.1)
    adamw_update(p, grad, state, lr, betas, eps)


# 8.8 ------------------------------------------------------------------------------------------------------------------
NAMES = {
    "language_model.model.embed_tokens.weight": (1024, 64),
    "language_model.model.norm.weight": (64,),
    "language_model.model.layers.0.self_attn.q_proj.weight": (64, 64),
    "language_model.model.layers.1.mlp.gate.weight": (8, 64),
    "language_model.model.layers.1.mlp.experts.gate_up_proj": (8, 64, 64),
    "language_model.lm_head.weight": (1024, 64),
    "vision_tower.patch_embed.proj.weight": (64, 3, 14, 14),
    "vision_tower.patch_embed.proj.bias": (64,),
    "vision_tower.patch_embed.pos_emb.weight": (8, 8, 64),
}


def muon_names(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The names that go to Muon, in order."""
    tables = ("embed_tokens.weight", "lm_head.weight", "pos_emb.weight")
    return [name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(tables)]


def name_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(NAMES,), ({name: NAMES[name] for name in list(NAMES)[seed : seed + 6]},)]


def everything_with_two_axes(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name, shape in shapes.items() if len(shape) >= 2]


def matrices_only(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name in muon_names(shapes) if len(shapes[name]) == 2]


def router_left_out(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name in muon_names(shapes) if not name.endswith("mlp.gate.weight")]


def head_included(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    tables = ("embed_tokens.weight", "pos_emb.weight")
    return [name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(tables)]


# 8.9 ------------------------------------------------------------------------------------------------------------------
def spectral_entropy(W: Tensor) -> Tensor:
    """How evenly a matrix uses its directions: 1 all alike, 0 one only. A scalar tensor."""
    energy = torch.linalg.svdvals(W).square()
    p = energy / energy.sum()
    return -(p * p.log()).sum() / math.log(len(p))


def spectrum_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 4, 6),), (numbers(seed, 8, 3) @ torch.diag(torch.tensor([3.0, 1.0, 0.3])),)]


def bare_singular_values(W: Tensor) -> Tensor:
    s = torch.linalg.svdvals(W)
    return -(s / s.sum() * (s / s.sum()).log()).sum() / math.log(len(s))


def in_nats(W: Tensor) -> Tensor:
    return spectral_entropy(W) * math.log(min(W.shape))


def over_entries(W: Tensor) -> Tensor:
    p = W.square().flatten() / W.square().sum()
    return -(p * p.log()).sum() / math.log(len(p))


def over_larger_side(W: Tensor) -> Tensor:
    return in_nats(W) / math.log(max(W.shape))


# 8.10 -----------------------------------------------------------------------------------------------------------------
def zero1_step(replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float):
    """One step of Muon on all ranks' copies, in place; matrix i is updated by rank owner[i] alone."""
    for i, rank in enumerate(owner):
        grad = torch.stack([mine[i] for mine in grads]).mean(0)  # reduce
        new = muon_update(replicas[rank][i], buffers[rank][i], grad, lr, weight_decay)
        for replica in replicas:  # all-gather
            replica[i].copy_(new)


def after_step(answer, replicas: Copies, buffers: Owned, *how) -> tuple[list, list]:
    answer(replicas, buffers, *how)
    return replicas, [list(mine.values()) for mine in buffers]


def rank_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Gradients differ between ranks, momentum is not zero, and no rank owns a matrix of its own number only.
    cases = []
    for shapes, owner in ((((4, 6), (5, 3), (2, 3)), [1, 0, 1]), (((4, 4), (2, 5)), [0, 1])):
        weights = [numbers(seed + i, *shape) for i, shape in enumerate(shapes)]
        buffers = [{i: numbers(seed + 9 + i, *s) for i, s in enumerate(shapes) if owner[i] == r} for r in range(2)]
        grads = [[numbers(seed + 20 * (r + 1) + i, *s) for i, s in enumerate(shapes)] for r in range(2)]
        cases.append(([[w.clone() for w in weights] for _ in range(2)], buffers, grads, owner, 0.3, 0.5))
    return cases


def own_gradient_only(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    mine = [grads[rank][i] for i, rank in enumerate(owner)]
    zero1_step(replicas, buffers, [mine, mine], owner, lr, weight_decay)


def not_sent_round(replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float):
    before = [[p.clone() for p in mine] for mine in replicas]
    zero1_step(replicas, buffers, grads, owner, lr, weight_decay)
    for rank, mine in enumerate(replicas):
        for i, p in enumerate(mine):
            if owner[i] != rank:
                p.copy_(before[rank][i])


def orthogonalised_by_rank(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    zero1_step(replicas, buffers, [[newton_schulz(g) for g in mine] for mine in grads], owner, lr, weight_decay)


def momentum_left_alone(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    zero1_step(replicas, copy.deepcopy(buffers), grads, owner, lr, weight_decay)


def copies_agree(run, *case) -> None:
    replicas, _ = run(*case)
    for i, (p, q) in enumerate(zip(*replicas, strict=True)):
        if not torch.equal(p, q):
            raise Misfit(f"after the step the ranks' copies of matrix {i} differ; send the owner's result to all")


# 8.11 -----------------------------------------------------------------------------------------------------------------
def orthogonalising_cost(rows: int, columns: int, steps: int) -> int:
    """Multiplications of Newton-Schulz on one matrix."""
    n, m = min(rows, columns), max(rows, columns)
    return steps * (n * n * m + n**3 + n * n * m)


def size_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(2048, 1408, 5), (64 + seed, 512, 3), (16, 16, 1)]


def sides_taken_as_given(rows: int, columns: int, steps: int) -> int:
    return steps * (2 * rows * rows * columns + rows**3)


def two_products(rows: int, columns: int, steps: int) -> int:
    n, m = min(rows, columns), max(rows, columns)
    return steps * 2 * n * n * m


def one_step_cost(rows: int, columns: int, steps: int) -> int:
    return orthogonalising_cost(rows, columns, 1)


def additions_too(rows: int, columns: int, steps: int) -> int:
    return 2 * orthogonalising_cost(rows, columns, steps)
