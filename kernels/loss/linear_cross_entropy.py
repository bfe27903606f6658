"""Output head and cross-entropy in one step, without the logits of all tokens in memory (lesson 16; loss of lesson 7).

8,192 tokens x 163,840 classes are 2.7 GB of bf16 logits, and as much again for their gradient. Here a chunk of 1,024
tokens at a time goes through cuBLAS, then one Triton pass turns its logits into the loss and, in place, into their
gradient, then two cuBLAS products add that chunk to the gradients of hidden and weight. The gradients are ready when
the forward pass ends; backward only scales them.

Cost for T tokens, width D, V classes: 6 T D V FLOP (logits once, two gradient products); memory beside the results: one
chunk of logits. The Triton pass reads the logits twice, the second time largely from L2, and writes them once.
"""

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

CHUNK = 1024  # tokens; 0.34 GB of bf16 logits at V = 163,840
BLOCK_V = 8192
NUM_WARPS = 16


@triton.jit
def _loss_and_gradient_kernel(
    logits_ptr, labels_ptr, loss_ptr, inverse_count_ptr, V, ignore_index, GRADIENT: tl.constexpr, BLOCK_V: tl.constexpr
):  # fmt: skip
    """One row: loss = (log sum exp - logit of the label) / count, and logits <- (softmax - one-hot) / count."""
    row = tl.program_id(0)
    logits_ptr += row.to(tl.int64) * V
    label = tl.load(labels_ptr + row)
    columns = tl.arange(0, BLOCK_V)
    if label == ignore_index:
        tl.store(loss_ptr + row, 0.0)
        for start in tl.range(0, V, BLOCK_V):
            zero = tl.zeros((BLOCK_V,), dtype=logits_ptr.dtype.element_ty)
            tl.store(logits_ptr + start + columns, zero, mask=start + columns < V)
        return
    inverse_count = tl.load(inverse_count_ptr)
    label_logit = tl.load(logits_ptr + label).to(tl.float32)
    largest = tl.full((BLOCK_V,), float("-inf"), dtype=tl.float32)  # one running maximum and sum per lane:
    total = tl.zeros((BLOCK_V,), dtype=tl.float32)  # the lanes meet once, after the loop
    for start in tl.range(0, V, BLOCK_V):
        inside = start + columns < V
        logits = tl.load(logits_ptr + start + columns, mask=inside, other=float("-inf"), eviction_policy="evict_last")
        logits = logits.to(tl.float32)
        larger = tl.maximum(largest, logits)
        shift = tl.where(larger == float("-inf"), 0.0, larger)  # a lane that has seen no class yet
        total = total * tl.exp(largest - shift) + tl.exp(logits - shift)
        largest = larger
    maximum = tl.max(largest, axis=0)
    log_sum = maximum + tl.log(tl.sum(total * tl.exp(largest - maximum), axis=0))
    tl.store(loss_ptr + row, (log_sum - label_logit) * inverse_count)
    if GRADIENT:
        for start in tl.range(0, V, BLOCK_V):
            at = logits_ptr + start + columns
            inside = start + columns < V
            logits = tl.load(at, mask=inside, other=float("-inf"), eviction_policy="evict_first").to(tl.float32)
            gradient = tl.exp(logits - log_sum) - tl.where(start + columns == label, 1.0, 0.0)
            tl.store(at, (gradient * inverse_count).to(logits_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _scale_kernel(x_ptr, factor_ptr, size, BLOCK: tl.constexpr):
    """x <- factor x, and nothing at all for the usual factor of exactly 1: the host need not wait to learn it."""
    factor = tl.load(factor_ptr).to(tl.float32)
    if factor == 1.0:
        return
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets, mask=offsets < size, other=0.0).to(tl.float32)
    tl.store(x_ptr + offsets, (x * factor).to(x_ptr.dtype.element_ty), mask=offsets < size)


def _scale_(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    block = 8192
    _scale_kernel[(triton.cdiv(x.numel(), block),)](x, factor, x.numel(), BLOCK=block, num_warps=8)
    return x


def _loss_and_gradient_(
    logits: torch.Tensor,
    labels: torch.Tensor,
    loss: torch.Tensor,
    inverse_count: torch.Tensor,
    ignore_index: int,
    gradient: bool,
) -> None:
    """Write the (T,) losses and, with `gradient`, replace logits (T, V) by their gradient."""
    tokens, classes = logits.shape
    block = min(BLOCK_V, max(16, triton.next_power_of_2(classes)))
    warps = max(1, min(NUM_WARPS, block // 256))
    _loss_and_gradient_kernel[(tokens,)](
        logits, labels, loss, inverse_count, classes, ignore_index, GRADIENT=gradient, BLOCK_V=block, num_warps=warps
    )


def _gradient_buffer(like: torch.Tensor, tokens: int, wanted: bool) -> torch.Tensor | None:
    """Uninitialised, as the first chunk overwrites it; zero when there is no chunk."""
    if not wanted:
        return None
    return like.new_empty(like.shape) if tokens else like.new_zeros(like.shape)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, labels, ignore_index, chunk):
        tokens = hidden.shape[0]
        losses = torch.zeros(tokens, dtype=torch.float32, device=hidden.device)
        inverse_count = 1.0 / (labels != ignore_index).sum().clamp(min=1).float()
        grad_hidden = _gradient_buffer(hidden, tokens, ctx.needs_input_grad[0])
        grad_weight = _gradient_buffer(weight, tokens, ctx.needs_input_grad[1])
        gradient = grad_hidden is not None or grad_weight is not None
        buffer = hidden.new_empty(min(chunk, tokens), weight.shape[0])
        for start in range(0, tokens, chunk):
            part = slice(start, min(start + chunk, tokens))
            logits = torch.mm(hidden[part], weight.T, out=buffer[: part.stop - start])
            _loss_and_gradient_(logits, labels[part], losses[part], inverse_count, ignore_index, gradient)
            if grad_hidden is not None:
                torch.mm(logits, weight, out=grad_hidden[part])
            if grad_weight is not None:
                grad_weight.addmm_(logits.T, hidden[part], beta=0 if start == 0 else 1)
        ctx.grads = (grad_hidden, grad_weight)
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss):
        if ctx.grads is None:
            raise RuntimeError("linear_cross_entropy: second backward; its gradients were handed out by the first one")
        grad_hidden, grad_weight = (g if g is None else _scale_(g, grad_loss) for g in ctx.grads)
        ctx.grads = None
        return grad_hidden, grad_weight, None, None, None


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
    ignore_index: int = -100,
    chunk: int = CHUNK,
) -> torch.Tensor:
    """Mean cross-entropy of hidden @ weight.T over the tokens whose label is not `ignore_index`; a float32 scalar.

    Args:
        hidden: (T, D).
        weight: (V, D), same dtype and device.
        labels: (T,) int64, already shifted, each in 0..V-1 or `ignore_index`.
        ignore_index: label of tokens without loss. When every label is ignored, loss and gradients are zero.
        chunk: tokens whose logits exist at the same time.

    Raises:
        ValueError: the shapes do not fit together, or a label names no class. On a GPU the latter is checked where the
            labels lie, without waiting for them: as in torch's own loss the program stops at its next wait, by a
            RuntimeError about a device-side assertion.
    """
    if hidden.dim() != 2 or hidden.shape[0] != labels.numel() or hidden.shape[1] != weight.shape[1]:
        shapes = f"hidden {tuple(hidden.shape)}, weight {tuple(weight.shape)}, labels {tuple(labels.shape)}"
        raise ValueError(f"linear_cross_entropy: {shapes} do not fit; expected (T, D), (V, D), (T,)")
    _check_labels(labels, weight.shape[0], ignore_index)
    if not torch.is_grad_enabled():
        hidden, weight = hidden.detach(), weight.detach()  # evaluation: no gradient pass, no gradient buffers
    return _LinearCrossEntropy.apply(hidden, weight, labels.contiguous(), ignore_index, chunk)


def _check_labels(labels: torch.Tensor, classes: int, ignore_index: int) -> None:
    known = (labels == ignore_index) | ((labels >= 0) & (labels < classes))
    if labels.is_cuda:
        torch._assert_async(known.all(), f"linear_cross_entropy: a label is outside 0..{classes - 1}")
    elif labels.device.type == "cpu" and not known.all():
        wrong = labels[~known][0].item()
        raise ValueError(f"linear_cross_entropy: label {wrong} is outside 0..{classes - 1} and not {ignore_index}")


def linear_cross_entropy_reference(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, ignore_index: int = -100
) -> torch.Tensor:
    """The same with all logits at once: softmax in at least float32, mean over the labels that count, or 0."""
    logits = hidden @ weight.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    total = torch.nn.functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)
