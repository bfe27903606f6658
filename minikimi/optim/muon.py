"""Muon: momentum whose every matrix is orthogonalised before it is applied; AdamW for everything else.

Lesson 08 builds it. Source: Moonlight report (arXiv 2502.16982), equations 1-4 and section 2.2. One
`torch.optim.Optimizer` holds both rules, told apart by the group's `use_muon`, so that a trainer sees one optimizer.
Use it alone:

    optimizer = Muon(param_groups(model, lr=1e-3))
    loss.backward(); optimizer.step(); optimizer.zero_grad()
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from minikimi.optim.newton_schulz import orthogonalise

ADAMW_RMS = 0.2  # root mean square of an AdamW update is usually 0.2 to 0.4; Muon's is scaled to it
BATCH_NUMEL = 2**26  # entries orthogonalised in one call: bounds the workspace (at 16B one MoE layer holds 550M)


class Muon(Optimizer):
    """Muon and AdamW in one optimizer.

    Muon groups hold matrices: 2-D tensors (A, B), convolution kernels (A, in, kh, kw) read as (A, in kh kw), and
    stacks (E, A, B) of E separate matrices. `row_blocks = n` in a group says that each of its matrices is n matrices
    one below the other. A parameter whose gradient is None is skipped: neither momentum, nor decay, nor step count.

    Args:
        params: groups, each with a bool `use_muon`; `minikimi.optim.param_groups` makes them.
        lr: learning rate of groups that name none.
        weight_decay: decoupled decay; multiplies by 1 - lr * weight_decay with the unadjusted lr, for both rules.
        momentum: Muon's momentum coefficient (Nesterov form).
        betas: AdamW's averaging coefficients.
        eps: AdamW's denominator term, added after bias correction.
        ns_steps: Newton-Schulz iterations.
        ns_dtype: precision of the iteration; None lets `iteration_dtype` choose.
        momentum_dtype: dtype of Muon's buffer; None takes the parameter's.

    Raises:
        ValueError: impossible numbers, a group without `use_muon`, or a Muon group with a vector.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        ns_steps: int = 5,
        ns_dtype: torch.dtype | None = None,
        momentum_dtype: torch.dtype | None = None,
    ) -> None:
        if lr < 0 or weight_decay < 0 or eps < 0 or ns_steps < 1:
            raise ValueError(f"Muon: lr {lr}, weight_decay {weight_decay}, eps {eps} or ns_steps {ns_steps} too small")
        if not all(0.0 <= x < 1.0 for x in (momentum, *betas)):
            raise ValueError(f"Muon: momentum {momentum} and betas {betas} must lie in [0, 1)")
        both = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        muon = {"momentum": momentum, "momentum_dtype": momentum_dtype, "ns_steps": ns_steps, "ns_dtype": ns_dtype}
        super().__init__(params, both | muon | {"row_blocks": 1})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Check a group and create its state at once, so that checkpoints have the same keys at every step."""
        if not isinstance(param_group, dict) or "use_muon" not in param_group:
            raise ValueError("Muon: every group needs a 'use_muon' flag; minikimi.optim.param_groups sets it")
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:
            if group["use_muon"] and p.ndim not in (2, 3, 4):
                raise ValueError(f"Muon: shape {tuple(p.shape)} holds no matrices; put it in a group without use_muon")
            self.state[p] = new_state(p, group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Apply one update; returns the loss of `closure` when one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if group["use_muon"]:
                self._muon_step(params, group)
            else:
                self._adamw_step(params, group)
        return loss

    def _muon_step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        blocks = group["row_blocks"]
        for batch in same_shape_batches(params, blocks):
            directions = (nesterov(self.state[p]["momentum_buffer"], gradient(p), group["momentum"]) for p in batch)
            V = torch.cat([as_matrices(v, blocks) for v in directions])
            O = orthogonalise(V, group["ns_steps"], group["ns_dtype"])  # noqa: E741 (the report's letter)
            adjusted_lr = group["lr"] * ADAMW_RMS * math.sqrt(max(V.shape[-2:]))
            counts = [p.numel() // V[0].numel() for p in batch]
            for p, update in zip(batch, O.split(counts), strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.reshape(p.shape), alpha=-adjusted_lr)

    def _adamw_step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            p.mul_(1 - group["lr"] * group["weight_decay"])
            adamw_update(p, gradient(p), self.state[p], group["lr"], group["betas"], group["eps"])

    def reset_state(self) -> None:
        """Zero all state in place, as if no step had been taken (each RL iteration starts so; arXiv 2501.12599)."""
        for state in self.state.values():
            for value in state.values():
                value.zero_()

    def state_dict(self) -> dict[str, Any]:
        """As in torch, but a parameter's id is its position in `model.parameters()`, where the groups tell it.

        Tools that move a checkpoint between parallel strategies read ids as positions in the model; torch counts in
        group order, which is another one here. Sharded tensors (DTensor) keep torch's order, which those tools expect.
        """
        packed = super().state_dict()
        if any("positions" not in g for g in self.param_groups) or any(hasattr(p, "placements") for p in self.state):
            return packed
        position = dict(enumerate(chain.from_iterable(g["positions"] for g in self.param_groups)))
        packed["state"] = {position[i]: value for i, value in packed["state"].items()}
        for group in packed["param_groups"]:
            group["params"] = [position[i] for i in group["params"]]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy a saved state into the existing buffers, which keep their dtype and device.

        Raises:
            ValueError: the groups differ, or a parameter's state is missing or misshapen; nothing is changed then.
        """
        saved = self._matched_state(state_dict)
        own = dict(self.state)
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})  # hyper-parameters only
        for p, state in own.items():
            self.state[p] = state
            for key, buffer in state.items():
                buffer.copy_(saved[p][key])

    def _matched_state(self, state_dict: dict[str, Any]) -> dict[Tensor, dict[str, Tensor]]:
        """Saved state by parameter, every entry checked."""
        ids = [g["params"] for g in state_dict["param_groups"]]
        if [len(i) for i in ids] != [len(g["params"]) for g in self.param_groups]:
            raise ValueError("Muon: the checkpoint's groups differ from this optimizer's; build the same groups")
        params = chain.from_iterable(g["params"] for g in self.param_groups)
        matched = {}
        for i, p in zip(chain.from_iterable(ids), params, strict=True):
            shapes = {key: value.shape for key, value in state_dict["state"].get(i, {}).items()}
            expected = {key: value.shape for key, value in self.state[p].items()}
            if shapes != expected:
                raise ValueError(f"Muon: state {i} of the checkpoint is {shapes}, but {expected} is needed")
            matched[p] = state_dict["state"][i]
        return matched


def new_state(p: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
    """Zero state of one parameter under the group's rule; one buffer for Muon, two and a step count for AdamW."""
    if group["use_muon"]:
        return {"momentum_buffer": torch.zeros_like(p, dtype=group["momentum_dtype"] or p.dtype)}
    step = torch.zeros((), dtype=torch.float32)  # on the CPU: reading it never waits for a GPU
    return {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}


def gradient(p: Tensor) -> Tensor:
    """The gradient of a parameter that has one."""
    assert p.grad is not None
    return p.grad


def nesterov(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    """M <- mu M + G in place; returns V = G + mu M, the look-ahead that is orthogonalised."""
    momentum_buffer.mul_(mu).add_(grad)
    return grad.add(momentum_buffer, alpha=mu)


def as_matrices(t: Tensor, row_blocks: int = 1) -> Tensor:
    """View (A, B), (E, A, B) or a kernel (A, in, kh, kw) as a batch (N, A / row_blocks, B) of separate matrices."""
    if t.ndim == 4:
        t = t.flatten(1)
    return t.reshape(-1, t.size(-2) // row_blocks, t.size(-1))


def same_shape_batches(params: Iterable[Tensor], row_blocks: int) -> Iterator[list[Tensor]]:
    """Split parameters into lists whose matrices have one shape, none over BATCH_NUMEL unless it is a single tensor.

    Fewer, larger calls save launches on GPUs and 10-30 % of a step at `nano` size; at `small` size a CPU is as fast
    one by one.
    """
    buckets: dict[tuple, list[Tensor]] = {}
    for p in params:
        key = (as_matrices(p, row_blocks).shape[1:], p.dtype, p.device)
        bucket = buckets.setdefault(key, [])
        if bucket and sum(q.numel() for q in bucket) + p.numel() > BATCH_NUMEL:
            yield buckets.pop(key)
            bucket = buckets.setdefault(key, [])
        bucket.append(p)
    yield from buckets.values()


def adamw_update(
    p: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float, betas: tuple[float, float], eps: float
) -> None:
    """One AdamW step on p, in place, without the decay; `state` holds step (), exp_avg and exp_avg_sq (shape of p)."""
    beta1, beta2 = betas
    state["step"] += 1
    state["exp_avg"].lerp_(grad, 1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    step = state["step"].item()
    # eps joins the corrected root: added before the correction it would be up to 1 / sqrt(1 - beta2) times larger
    denominator = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - beta2**step)).add_(eps)
    p.addcdiv_(state["exp_avg"], denominator, value=-lr / (1 - beta1**step))
