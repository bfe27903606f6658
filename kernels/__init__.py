"""Triton kernels of minikimi, each beside its plain torch reference (lesson 16). Imports nothing of `minikimi`.

Importing the package is cheap: a submodule, and with it triton, is loaded when it is first asked for, as in
`minikimi_kernels.rotary` or `from minikimi_kernels.rotary import rotary`.
"""

import importlib
from types import ModuleType

__all__ = [
    "linear_cross_entropy",
    "mla_attention",
    "mla_decode",
    "moe",
    "moe_decode",
    "moe_routing",
    "newton_schulz",
    "norms",
    "rotary",
    "stochastic_rounding",
    "swiglu",
    "vision_attention",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
