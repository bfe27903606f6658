"""From pictures of any size to one packed row of patches: native resolution, no square crop.

    shrink if there are more than `in_token_limit` patches  ->  pad right and bottom with black to multiples of 28
    ->  scale to [-1, 1]  ->  cut into 14 x 14 patches in reading order  ->  append to the patches of the other pictures

Each picture keeps its grid (h, w) in patches; the projector merges 2 x 2 patches, so it becomes h * w / 4 tokens.
Pictures are never enlarged. The limit counts whole patches *before* padding, so a padded grid may exceed it a little
(1920 x 1080: 4,128 of 4,096).

The last two steps are `minikimi.model.patches.pack_images`, which lesson 01 builds. Source: Kimi-VL report (arXiv
2504.07491), section 2.1, and the released image processor and `preprocessor_config.json` (whose values are the defaults
here; the class defaults of the released code differ). NaViT: Dehghani et al. 2023 (arXiv 2307.06304).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from PIL import Image

from minikimi.errors import UserError
from minikimi.files import read_json, write_json
from minikimi.model.patches import pack_images
from minikimi.processor.images.open_image import ImageSource, open_image

CONFIG_FILE = "preprocessor_config.json"
# MoonViT's rotary table holds 512 positions in each direction.
MAX_GRID = 512
INERT_KEYS = {"auto_map", "processor_class", "image_processor_type", "num_pooled_tokens"}
# The released code has other defaults than the released file for these, so a file must say them.
REQUIRED_KEYS = ("image_mean", "image_std", "pad_input")


@dataclass(frozen=True)
class ImageProcessor:
    """Pictures to packed patches. The fields are those of `preprocessor_config.json`."""

    in_token_limit: int = 4096  # most patches of a picture before padding (patches, not tokens)
    patch_size: int = 14  # pixels on the side of a patch
    merge_kernel_size: tuple[int, int] = (2, 2)  # patches (down, across) that the projector merges into one token
    pad_input: bool = True  # pad right and bottom; if False, crop the centre to whole patches
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # per channel, of pixels in [0, 1]
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __call__(self, images: ImageSource | Sequence[ImageSource]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pack pictures.

        Args:
            images: one picture or a sequence: paths, bytes of a file, or PIL images.

        Returns:
            pixel_values (P, 3, patch_size, patch_size) float32, the patches of all pictures one after the other, and
            grid_hws (N, 2) int64, the rows and columns of patches of each.

        Raises:
            UserError: a picture cannot be opened, or its grid is too long for MoonViT.
        """
        sources = list(images) if isinstance(images, list | tuple) else [cast(ImageSource, images)]
        if not sources:
            return torch.empty(0, 3, self.patch_size, self.patch_size), torch.empty(0, 2, dtype=torch.int64)
        return pack_images((self._pixels(open_image(source)) for source in sources), self.patch_size)

    def fitted_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels after shrinking to the limit and before padding."""
        patches = (width // self.patch_size) * (height // self.patch_size)
        if patches <= self.in_token_limit:
            return width, height
        scale = math.sqrt(self.in_token_limit / patches)
        return max(1, int(width * scale)), max(1, int(height * scale))

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of patches of a picture of this size, without touching a pixel.

        Raises `UserError` if too long.
        """
        width, height = self.fitted_size(width, height)
        step_h, step_w = (self.patch_size * k if self.pad_input else self.patch_size for k in self.merge_kernel_size)
        rounded = math.ceil if self.pad_input else math.floor
        h, w = rounded(height / step_h) * step_h // self.patch_size, rounded(width / step_w) * step_w // self.patch_size
        if max(h, w) >= MAX_GRID:
            raise UserError(
                f"image: {w} x {h} patches, but each side must stay below {MAX_GRID}; crop it or cut it into parts"
            )
        if h % self.merge_kernel_size[0] or w % self.merge_kernel_size[1] or not h * w:
            raise UserError(f"image: cropping leaves {w} x {h} patches, which cannot be merged; use pad_input=True")
        return h, w

    def tokens(self, grid_hws: torch.Tensor) -> list[int]:
        """How many language-model tokens each picture takes, h * w / 4. grid_hws: (N, 2)."""
        return (grid_hws.prod(dim=1) // math.prod(self.merge_kernel_size)).tolist()

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        """What is cut into patches: (3, H, W) float32, shrunk, padded or cropped, and scaled."""
        h, w = self.grid(*image.size)
        size = self.fitted_size(*image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        pixels = _fit(np.asarray(image), h * self.patch_size, w * self.patch_size, self.pad_input)
        scaled = rearrange(torch.from_numpy(pixels), "h w c -> c h w").float() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.image_mean, self.image_std))
        return (scaled - mean) / std

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = CONFIG_FILE) -> ImageProcessor:
        """Build from the content of a `preprocessor_config.json`.

        Raises `UserError` for unknown, missing or wrong entries.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(values.keys() - known - INERT_KEYS):
            raise UserError(f"{source}: unknown key {', '.join(unknown)}; remove it or correct its spelling")
        if missing := [key for key in REQUIRED_KEYS if key not in values]:
            raise UserError(f"{source}: no {', '.join(missing)}; add what the model was trained with")
        chosen: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in values.items() if key in known
        }
        processor = cls(**chosen)
        processor._check(source)
        return processor

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike) -> ImageProcessor:
        """Read `directory/preprocessor_config.json`. Raises `UserError`."""
        path = Path(directory) / CONFIG_FILE
        if not path.is_file():
            raise UserError(f"{path}: not found; give a model directory")
        return cls.from_dict(read_json(path), str(path))

    def to_dict(self) -> dict[str, Any]:
        """The entries of `preprocessor_config.json`."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write `directory/preprocessor_config.json`."""
        write_json(Path(directory) / CONFIG_FILE, self.to_dict())

    def _check(self, source: str) -> None:
        numbers = {key: getattr(self, key) for key in ("image_mean", "image_std", "merge_kernel_size")}
        for key, length in (("image_mean", 3), ("image_std", 3), ("merge_kernel_size", 2)):
            value = numbers[key]
            if (
                not isinstance(value, tuple)
                or len(value) != length
                or not all(isinstance(v, int | float) for v in value)
            ):
                raise UserError(f"{source}: {key} must be {length} numbers, not {value!r}; correct it")
        counts = {
            "in_token_limit": (self.in_token_limit,),
            "patch_size": (self.patch_size,),
            "merge_kernel_size": self.merge_kernel_size,
        }
        for key, values in counts.items():
            if not all(type(v) is int and v >= 1 for v in values):
                raise UserError(f"{source}: {key} must be positive and whole, not {getattr(self, key)!r}; correct it")
        if not isinstance(self.pad_input, bool) or 0 in self.image_std:
            raise UserError(f"{source}: pad_input must be true or false, and image_std not zero; correct it")


def _fit(pixels: np.ndarray, height: int, width: int, pad: bool) -> np.ndarray:
    """Pad (H, W, 3) with black right and bottom, or crop its centre, to exactly `height` x `width`.

    A copy, so torch may own it.
    """
    if pad:
        return np.pad(pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)))
    top, left = round((pixels.shape[0] - height) / 2), round((pixels.shape[1] - width) / 2)
    return pixels[top : top + height, left : left + width].copy()
