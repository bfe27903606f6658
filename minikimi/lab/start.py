"""The first line of every lesson: a seed, a plot style, one printed line that is the same everywhere; real pictures."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minikimi.lab.checking import hint, solution
from minikimi.lab.lessons import lesson

STYLE: dict[Any, Any] = {
    "figure.dpi": 80,
    "savefig.dpi": 80,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so pictures are the same everywhere
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "image.cmap": "viridis",
    "image.interpolation": "nearest",
    "legend.frameon": False,
}


def setup(number: str, seed: int = 0) -> None:
    """Start lesson "02": seed, plot style, reproducible pictures. No network, no GPU. Versions: `minikimi doctor`.

    In a notebook, `hint` and `solution` become its names, for every exercise says `hint("2.1")` and none imports it.
    """
    exercises = lesson(number)
    os.environ["MINIKIMI_LESSON"] = number
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=110)
    shell = _notebook()
    _plot_style(shell)
    if shell is not None:
        shell.user_ns.update(hint=hint, solution=solution)
    print(f"Lesson {number} ready: {len(exercises)} exercises, {sum(e.minutes for e in exercises)} minutes of building")


def _notebook() -> Any:
    """The shell of the notebook that this runs in, or None elsewhere."""
    ipython = sys.modules.get("IPython")  # loaded already when this runs in a notebook, and not needed elsewhere
    return ipython.get_ipython() if ipython else None


def _plot_style(shell: Any) -> None:
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    if shell is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        shell.run_line_magic("matplotlib", "inline")
        # No version, no date: the same bytes everywhere.
        set_matplotlib_formats("png", metadata={"Software": None}, bbox_inches="tight")
        matplotlib.rcParams.update(STYLE)


def photo(name: str = "china", height: int = 224, width: int = 336) -> Tensor:
    """A real photograph, (3, height, width) in [0, 1]: "china" (a temple) or "flower", shipped with scikit-learn."""
    from PIL import Image

    spec = importlib.util.find_spec("sklearn")  # found, not imported: that takes a second
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "images" / f"{name}.jpg"
    image = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(height, width, 3)
    return pixels.permute(2, 0, 1).float() / 255
