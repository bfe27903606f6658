"""Compile every kernel for cards that are not at hand: `python -m minikimi_kernels.bench.compile` (lesson 16).

Triton needs no GPU to compile, only to run. Here the public functions run on tensors without memory (device "meta"),
Triton is told that another card is there, and each launch compiles instead. Reported are what decides speed before any
clock does: registers a thread, bytes that did not fit in them (spills), and shared memory, which must not exceed what
the card has. Compiled, not run: nothing here says that a kernel is right on that card.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from .. import common

SHARED_KIB = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""What one program may use of a multiprocessor's shared memory, by compute capability (CUDA programming guide)."""
META = torch.device("meta")


class Sizes(NamedTuple):
    """The widths of a model that its kernels see."""

    width: int
    heads: int
    nope: int
    rope: int
    value: int
    rank: int
    experts: int
    top_k: int
    expert_width: int
    vision_heads: int
    vision_head: int
    classes: int


OFFICIAL = Sizes(2048, 16, 128, 64, 128, 512, 64, 6, 1408, 16, 72, 163_840)


class Compiled(NamedTuple):
    """One compiled kernel; `spilled` is bytes of local memory a thread, `shared` bytes a program."""

    kernel: str
    registers: int
    spilled: int
    shared: int
    ptx: str


def tensor(*shape: int, dtype: torch.dtype, grad: bool = False) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=META, requires_grad=grad)


def backward(out: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
    outs = out if isinstance(out, tuple) else (out,)
    torch.autograd.backward(outs, [torch.empty_like(x) for x in outs])


def attention(s: Sizes, dtype: torch.dtype) -> None:
    from ..attention.mla import mla_attention
    from ..attention.mla_decode import mla_decode

    shapes = [(256, s.heads, s.nope), (256, s.heads, s.rope), (256, s.heads, s.nope), (256, s.rope)]
    inputs = [tensor(*shape, dtype=dtype, grad=True) for shape in (*shapes, (256, s.heads, s.value))]
    backward(mla_attention(*inputs, tensor(3, dtype=torch.int32), 128, 0.1))
    # without and with splits, and as under autocast
    for batch, length, stored in ((256, 4096, dtype), (1, 32768, dtype), (1, 32768, torch.float32)):
        q_latent, q_rope = (tensor(batch, s.heads, width, dtype=dtype) for width in (s.rank, s.rope))
        cache = tensor(batch, length, s.rank + s.rope, dtype=stored)
        mla_decode(q_latent, q_rope, cache, tensor(batch, dtype=torch.int32), 0.1)


def vision(s: Sizes, dtype: torch.dtype) -> None:
    from ..vision.attention import vision_attention

    qkv = tensor(256, 3, s.vision_heads, s.vision_head, dtype=dtype, grad=True)
    angles = tensor(256, s.vision_head // 2, dtype=torch.float32)
    backward(vision_attention(qkv, angles, angles, tensor(3, dtype=torch.int32), 128))


def moe(s: Sizes, dtype: torch.dtype) -> None:
    from ..moe.decode import moe_decode
    from ..moe.experts import moe_experts
    from ..moe.router import route_tokens

    experts = (
        tensor(s.experts, 2 * s.expert_width, s.width, dtype=dtype, grad=True),
        tensor(s.experts, s.width, s.expert_width, dtype=dtype, grad=True),
    )
    for tokens in (128, 16_384):  # few rows an expert, and full tiles
        x, weight = (tensor(tokens, n, dtype=t, grad=True) for n, t in ((s.width, dtype), (s.top_k, torch.float32)))
        indices = tensor(tokens, s.top_k, dtype=torch.int64)
        backward(moe_experts(x, indices, weight, *experts))
        router, bias = tensor(s.experts, s.width, dtype=dtype, grad=True), tensor(s.experts, dtype=torch.float32)
        scores, _, weights = route_tokens(x, router, bias, s.top_k, 2.5)
        backward((scores, weights))
        with torch.no_grad():
            moe_experts(x, indices, weight, *experts)
    with torch.no_grad():
        moe_decode(x[:1], indices[:1], weight[:1], *experts)


def muon(s: Sizes, dtype: torch.dtype) -> None:
    from ..muon.newton_schulz import newton_schulz
    from ..muon.stochastic_rounding import stochastic_add_

    for form in ("gram", "symmetric"):
        newton_schulz(tensor(s.experts, s.expert_width, s.width, dtype=dtype), form=form)
    weight = tensor(s.width, s.width, dtype=torch.bfloat16)
    stochastic_add_(weight, tensor(s.width, s.width, dtype=dtype), 1, lr=0.1)


def loss(s: Sizes, dtype: torch.dtype) -> None:
    from ..loss.linear_cross_entropy import linear_cross_entropy

    hidden, weight = (tensor(n, s.width, dtype=dtype, grad=True) for n in (64, s.classes))
    linear_cross_entropy(hidden, weight, tensor(64, dtype=torch.int64)).backward()


def elementwise(s: Sizes, dtype: torch.dtype) -> None:
    from ..elementwise.rms_norm import rms_norm
    from ..elementwise.rotary import rotary
    from ..elementwise.swiglu import swiglu

    backward(rms_norm(tensor(256, s.width, dtype=dtype, grad=True), tensor(s.width, dtype=dtype, grad=True)))
    angles = tensor(256, s.rope // 2, dtype=torch.float32)
    backward(rotary(tensor(256, s.heads, s.rope, dtype=dtype, grad=True), angles, angles))
    backward(swiglu(*(tensor(256, s.expert_width, dtype=dtype, grad=True) for _ in range(2))))


ROOMS: dict[str, Callable[[Sizes, torch.dtype], None]] = {
    room.__name__: room for room in (attention, vision, moe, muon, loss, elementwise)
}


@contextmanager
def pretended_card(capability: int) -> Iterator[list]:
    """Triton and the kernels see a card of this compute capability (90: Hopper); launches compile into the list."""
    target = GPUTarget("cuda", capability, 32)
    pretended = SimpleNamespace(
        get_current_device=lambda: capability,  # Triton keeps one cache of kernels for each device number
        get_current_stream=lambda device: 0,
        get_current_target=lambda: target,
        get_active_torch_device=lambda: META,
    )
    major, minor = divmod(capability, 10)
    properties = SimpleNamespace(multi_processor_count=132, major=major, minor=minor)
    found: list = []
    run = JITFunction.run

    def compile_only(self, *args, grid, warmup, **options):
        found.append(run(self, *args, grid=grid, warmup=True, **options))

    common.card.cache_clear()
    try:
        with (
            mock.patch.object(driver, "_active", pretended),
            mock.patch.object(JITFunction, "run", compile_only),
            mock.patch("torch.cuda.get_device_properties", lambda device=None: properties),
        ):
            yield found
    finally:
        common.card.cache_clear()


def resources(cubin: bytes) -> tuple[int, int]:
    """(registers a thread, spilled bytes a thread) of a compiled kernel, by the cuobjdump that Triton ships."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    facts = dict(pair.split(":", 1) for pair in text.split() if ":" in pair and pair[0].isupper())
    return int(facts["REG"]), int(facts["STACK"])


def compile_room(room: str, capability: int, sizes: Sizes, dtype: torch.dtype) -> list[Compiled]:
    """All kernels of one room, each variant once, in the order of their launches."""
    with pretended_card(capability) as found:
        ROOMS[room](sizes, dtype)
    distinct = {kernel.hash: kernel for kernel in found}.values()
    return [
        Compiled(k.metadata.name, *resources(k.asm["cubin"]), k.metadata.shared, k.asm["ptx"]) for k in distinct
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each kernel; 1 when one asks for more shared memory than its card has."""
    parser = argparse.ArgumentParser(
        prog="python -m minikimi_kernels.bench.compile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--capability", default="80,89,90,100", help="comma-separated compute capabilities")
    parser.add_argument("--only", default=",".join(ROOMS), help=f"comma-separated subset of {','.join(ROOMS)}")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    options = parser.parse_args(arguments)
    too_large = False
    for capability in map(int, options.capability.split(",")):
        for room in options.only.split(","):
            for kernel in compile_room(room, capability, OFFICIAL, getattr(torch, options.dtype)):
                fits = kernel.shared <= 1024 * SHARED_KIB[capability]
                too_large |= not fits
                print(
                    f"sm_{capability}  {room:<12} {kernel.kernel:<28} {kernel.registers:>3} registers  "
                    f"{kernel.spilled:>5} spilled  {kernel.shared / 1024:>6.1f} KiB{'' if fits else '  TOO LARGE'}",
                    flush=True,
                )
    print("compiled, not run")
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
