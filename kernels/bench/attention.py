"""Multi-head latent attention at the shapes of Kimi-VL-A3B: training and decoding (lesson 16).

Training: 16 heads, keys 128 + 64 wide, values 128, 16,384 tokens as 4 x 4096 and 2 x 8192. Decoding: 128 sequences with
4096 cached tokens of 576. FLOPs count causal attention at half and every product of the backward once, so recomputation
does not raise a number.
"""

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..attention.mla import mla_attention, mla_attention_reference
from ..attention.mla_decode import mla_decode, mla_decode_reference
from ..common import relative_error
from .harness import Bench


def offsets(count: int, length: int, device: torch.device) -> torch.Tensor:
    """cu_seqlens of `count` segments of `length`."""
    return torch.arange(0, (count + 1) * length, length, dtype=torch.int32, device=device)


def random(*shape: int, device: torch.device) -> torch.Tensor:
    return torch.randn(shape, device=device).bfloat16()


def mla_inputs(tokens: int, heads: int, nope: int, rope: int, value: int, device: torch.device) -> list[torch.Tensor]:
    shapes = [
        (tokens, heads, nope),
        (tokens, heads, rope),
        (tokens, heads, nope),
        (tokens, rope),
        (tokens, heads, value),
    ]
    return [random(*shape, device=device).requires_grad_() for shape in shapes]


def gradient_error(fn, reference, inputs: list[torch.Tensor]) -> tuple[float, float]:
    """Relative errors (output, worst gradient) of fn(*inputs) against reference(*inputs) in float64."""
    exact = [x.detach().double().requires_grad_() for x in inputs]
    expected, found = reference(*exact), fn(*inputs)
    upstream = torch.randn_like(found)
    wanted = torch.autograd.grad(expected, exact, upstream.double())
    grads = torch.autograd.grad(found, inputs, upstream)
    return relative_error(found, expected), max(map(relative_error, grads, wanted))


def sdpa_peers(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, upstream: torch.Tensor | None = None):
    """torch's fused attentions on (B, H, T, d) inputs; with `upstream`, forward and backward."""

    def peer(backend):
        def call():
            with sdpa_kernel(backend):
                out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            if upstream is not None:
                torch.autograd.grad(out, (q, k, v), upstream)

        return call

    return {"SDPA flash": peer(SDPBackend.FLASH_ATTENTION), "SDPA cuDNN": peer(SDPBackend.CUDNN_ATTENTION)}


def mla_peers(sequences: int, length: int, heads: int, key: int, device: torch.device, backward: bool):
    """The library form of MLA attention: rope key copied to every head and values padded to the width of the keys."""
    q, k, v = (random(sequences, heads, length, key, device=device).requires_grad_() for _ in range(3))
    peers = sdpa_peers(q, k, v, True, random(sequences, heads, length, key, device=device) if backward else None)
    peers["torch varlen_attn"] = "one width for keys and values and no shared key: the same padding as SDPA flash"
    return peers


def run_mla(bench: Bench, sequences: int, length: int) -> None:
    """Forward, and forward with backward, of packed causal MLA attention."""
    heads, nope, rope, value = (2, 16, 16, 16) if bench.interpret else (16, 128, 64, 128)
    scale = (nope + rope) ** -0.5
    check = mla_inputs(2 * 300, 2, nope, rope, value, bench.device)
    cu_check = torch.tensor([0, 37, 300, 600], dtype=torch.int32, device=bench.device)
    forward_error, backward_error = gradient_error(
        lambda *x: mla_attention(*x, cu_check, 300, scale),
        lambda *x: mla_attention_reference(*x, cu_check, scale),
        check,
    )
    inputs = mla_inputs(sequences * length, heads, nope, rope, value, bench.device)
    cu_seqlens = offsets(sequences, length, bench.device)
    pairs = sequences * heads * length**2  # twice the causal pairs: with 2 FLOPs a multiply-add the factors cancel
    shape = f"{sequences}x{length} h{heads} {nope}+{rope}/{value}"

    def forward():
        with torch.no_grad():
            return mla_attention(*inputs, cu_seqlens, length, scale)

    bench.row(
        "MLA forward", shape, forward, error=forward_error, tolerance=1e-2, flops=pairs * (nope + rope + value),
        items=sequences * length, item_unit="tokens",
        peers=mla_peers(sequences, length, heads, nope + rope, bench.device, False) if not bench.interpret else None,
    )  # fmt: skip
    upstream = random(sequences * length, heads, value, device=bench.device)
    out = mla_attention(*inputs, cu_seqlens, length, scale)
    backward_flops = pairs * (3 * (nope + rope) + 2 * value)
    bench.row(
        "MLA backward", shape, lambda: torch.autograd.grad(out, inputs, upstream, retain_graph=True),
        error=backward_error, tolerance=2e-2, flops=backward_flops, items=sequences * length, item_unit="tokens",
    )  # fmt: skip
    bench.row(
        "MLA forward + backward", shape,
        lambda: torch.autograd.grad(mla_attention(*inputs, cu_seqlens, length, scale), inputs, upstream),
        error=backward_error, tolerance=2e-2, flops=backward_flops + pairs * (nope + rope + value),
        items=sequences * length, item_unit="tokens",
        peers=mla_peers(sequences, length, heads, nope + rope, bench.device, True) if not bench.interpret else None,
    )  # fmt: skip


def expanded_decode(q_latent, q_rope, cache, scale):
    """What torch can do without a kernel: latents as shared keys and values of one SDPA call."""
    rank = q_latent.shape[-1]
    q = torch.cat([q_latent, q_rope], -1)[:, None]
    scores = q @ cache[:, None].transpose(-1, -2)
    return ((scores * scale).softmax(-1) @ cache[:, None, :, :rank])[:, 0]


def run_decode(bench: Bench, batch: int, length: int) -> None:
    """One absorbed decoding step over a full latent cache."""
    heads, rank, rope = (4, 32, 16) if bench.interpret else (16, 512, 64)
    scale = 192**-0.5
    q_latent, q_rope = (random(batch, heads, width, device=bench.device) for width in (rank, rope))
    cache = random(batch, length, rank + rope, device=bench.device)
    lengths = torch.full((batch,), length, dtype=torch.int32, device=bench.device)
    some = slice(0, 4)
    exact = [x[some].double() for x in (q_latent, q_rope, cache)]
    short = torch.tensor([length, 1, length // 2 + 3, 70][: len(exact[0])], dtype=torch.int32, device=bench.device)
    found = mla_decode(q_latent[some], q_rope[some], cache[some], short, scale)
    bench.row(
        "MLA decode", f"b{batch} h{heads} s{length}", lambda: mla_decode(q_latent, q_rope, cache, lengths, scale),
        error=relative_error(found, mla_decode_reference(*exact, short, scale)), tolerance=1e-2,
        flops=2 * batch * length * heads * (2 * rank + rope),
        bytes=2 * (cache.numel() + 2 * q_latent.numel() + q_rope.numel()), items=batch, item_unit="tokens",
        peers={"torch matmuls": lambda: expanded_decode(q_latent, q_rope, cache, scale)},
    )  # fmt: skip


def run(bench: Bench) -> None:
    """All rows; tiny shapes without a GPU."""
    if bench.interpret:
        run_mla(bench, 2, 70)
        run_decode(bench, 3, 100)
        return
    run_mla(bench, 4, 4096)
    run_mla(bench, 2, 8192)
    run_decode(bench, 128, 4096)
    run_decode(bench, 1, 32768)
