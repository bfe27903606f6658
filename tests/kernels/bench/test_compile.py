"""Every kernel compiles for cards that are not here, at the official model's sizes: compiled, not run.

In a process of its own, since this one may have Triton in its interpreter.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton has no wheel for this system")


def compiled(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "minikimi_kernels.bench.compile", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module", autouse=True)
def _ptxas() -> None:
    import triton

    try:
        assert triton.knobs.nvidia.ptxas.path
    except Exception as error:
        pytest.skip(f"this Triton brings no ptxas: {error}")


@pytest.mark.slow
@pytest.mark.parametrize("room", ["attention", "vision", "moe", "muon", "loss", "elementwise"])
@pytest.mark.parametrize("capability", [80, 100])
def test_kernels_compile_and_fit_the_shared_memory(capability, room):
    """Ampere, Ada and data-center Blackwell; 99 KiB of shared memory on Ada is what a tile for Hopper exceeds."""
    found = compiled("--capability", str(capability), "--only", room)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"sm_{capability}  {room}" in found.stdout and found.stdout.endswith("compiled, not run\n")


def test_a_kernel_too_large_for_its_card_fails(monkeypatch, capsys):
    from minikimi_kernels.bench import compile as module

    kernel = module.Compiled("k", registers=32, spilled=0, shared=100 * 1024, ptx="")
    monkeypatch.setattr(module, "compile_room", lambda *arguments: [kernel])
    assert module.main(["--capability", "90", "--only", "loss"]) == 0
    assert module.main(["--capability", "89", "--only", "loss"]) == 1
    assert "TOO LARGE" in capsys.readouterr().out
