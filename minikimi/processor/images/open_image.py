"""One careful door for pictures: `open_image` gives an upright RGB image, or one line that says what is wrong.

* Refused before a single pixel is decoded: URLs, directories, files of a kind not on the list, and sizes beyond
  `MAX_SIDE` or `MAX_PIXELS`. A 20 kB file can hold 13,000 x 13,000 pixels; Pillow alone only warns about it, and then
  takes 507 MB.
* Turned upright by its EXIF orientation; of an animation the first frame; 16-bit greys scaled to 8 bits (a plain
  conversion would clip them to white).
* Transparency is dropped, not blended: the colours stored under it appear. That is what the official processor's
  `convert("RGB")` does, and a different choice would feed the model other pixels than it was trained on.

Lesson 01 opens its pictures with it, lesson 09 shows what it refuses.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from minikimi.errors import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_SIDE = 30_000
MAX_PIXELS = 50_000_000
_TOO_LARGE = f"too large; scale it down to at most {MAX_SIDE:,} pixels a side and {MAX_PIXELS:,} in all"

ImageSource = str | os.PathLike | bytes | Image.Image


def open_image(source: ImageSource) -> Image.Image:
    """Open a picture as upright 8-bit RGB.

    Args:
        source: a path, the bytes of a file, or a PIL image.

    Raises:
        UserError: the picture is missing, damaged, too large, of an unsupported kind, or is a URL.
    """
    name = _name(source)
    try:
        with warnings.catch_warnings():
            # Pillow's remarks on odd but readable files help nobody here; the one on size is an error.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if isinstance(source, Image.Image):
                return _to_rgb(source, name)
            with _open_file(source, name) as stream, Image.open(stream, formats=FORMATS) as image:
                return _to_rgb(image, name)
    except UserError:
        raise
    except Image.UnidentifiedImageError:
        raise UserError(f"{name}: not an image of a known kind; use {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{name}: {_TOO_LARGE}") from None
    except Exception as error:
        # Decoders of damaged files raise almost anything: OSError, SyntaxError, struct.error, ...
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{name}: cannot be decoded ({reason}); the file is damaged, save it again") from None


def _name(source: object) -> str:
    """How an error calls the picture."""
    if isinstance(source, bytes):
        return f"image of {len(source)} bytes"
    if isinstance(source, Image.Image):
        return f"image {getattr(source, 'filename', '') or 'object'}"
    if isinstance(source, str | os.PathLike):
        return " ".join(str(source).split())[:200]
    raise UserError(
        f"an image must be a path, bytes or a PIL image, not {type(source).__name__}; use Image.fromarray for arrays"
    )


def _open_file(source: str | os.PathLike | bytes, name: str) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", os.fspath(source)) and not Path(source).exists():
        raise UserError(f"{name}: URLs are not opened; download the picture and give its path")
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{name}: is a directory; give the path of one picture")
    # A regular file only: a device or a pipe would block or never end.
    if not path.is_file():
        raise UserError(f"{name}: no such file; check the path")
    return path.open("rb")


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if not width or not height:
        raise UserError(f"{name}: {width} x {height} has no pixels; give a picture of at least 1 x 1")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UserError(f"{name}: {width} x {height} is {_TOO_LARGE}")
    if image.mode == "F":
        raise UserError(f"{name}: floating-point pixels have no known range; save it with 8 bits a channel")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        upright = Image.fromarray((np.asarray(upright).clip(0, 65535) >> 8).astype(np.uint8))
    return upright.convert("RGB")
