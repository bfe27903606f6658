"""Every kind of bad or odd picture: either the right pixels, or one clear line."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minikimi.errors import UserError
from minikimi.processor.images import ImageProcessor, open_image


def stored(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refused(source, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        open_image(source)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_path_bytes_and_object_agree(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    path = tmp_path / "a.png"
    path.write_bytes(stored(image))
    for source in (str(path), path, path.read_bytes(), image):
        assert np.array_equal(np.asarray(open_image(source)), np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_allowed_kinds(kind):
    assert open_image(stored(Image.new("RGB", (3, 2), "red"), kind)).size == (3, 2)


def test_one_pixel():
    pixel_values, grid_hws = ImageProcessor()(stored(Image.new("L", (1, 1), 255)))
    assert grid_hws.tolist() == [[2, 2]] and pixel_values.sum() == 3 - (pixel_values.numel() - 3)


# colour stored -> colour expected
MODES = [
    (Image.new("L", (2, 2), 90), (90, 90, 90)),
    (Image.new("1", (2, 2), 1), (255, 255, 255)),
    # Transparency is dropped and not blended with white or black, as in the released processor.
    (Image.new("RGBA", (2, 2), (10, 200, 30, 0)), (10, 200, 30)),
    (Image.new("LA", (2, 2), (77, 3)), (77, 77, 77)),
    (Image.new("RGB", (2, 2), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE), (1, 2, 3)),
    # 16 bits: half of 65,535. A plain conversion would clip everything above 255 to white.
    (Image.fromarray(np.full((2, 2), 32768, dtype=np.uint16)), (128, 128, 128)),
    (Image.fromarray(np.full((2, 2), 65535, dtype=np.int32)), (255, 255, 255)),
]


@pytest.mark.parametrize(("image", "colour"), MODES, ids=[image.mode for image, _ in MODES])
def test_modes(image, colour):
    opened = open_image(stored(image) if image.mode != "I" else image)
    assert opened.mode == "RGB" and opened.getpixel((1, 1)) == colour


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind):
    # Full cyan ink and nothing else: no red. An inverted reading would give red.
    red, green, blue = open_image(stored(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), kind)).getpixel((4, 4))
    assert red < 30 and green > 200 and blue > 200


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("transparency", [1, b"\x00\x80"])
def test_palette_with_transparency(transparency):
    image = Image.new("P", (2, 2), 1)
    image.putpalette([9, 9, 9, 50, 60, 70])
    assert open_image(stored(image, transparency=transparency)).getpixel((0, 0)) == (50, 60, 70)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = stored(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(("orientation", "size"), [(1, (4, 2)), (6, (2, 4)), (8, (2, 4)), (3, (4, 2))])
def test_exif_orientation(orientation, size):
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(stored(image, "PNG", exif=exif))
    # Where the marked corner must end up: 6 turns it clockwise to the top right, 8 to the bottom left, 3 upside down.
    corner = {1: (0, 0), 6: (1, 0), 8: (0, 3), 3: (3, 1)}[orientation]
    assert opened.size == size and opened.getpixel(corner) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_truncated(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = stored(noise, kind)
    refused(data[: len(data) // 2], "cannot be decoded|not an image")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"),
    [(13_000, 13_000), (20_000, 20_000), (8_000, 7_000), (30_001, 1), (1, 30_001), (2**31 - 1, 2**31 - 1)],
)
def test_bombs_are_refused_by_their_size(width, height):
    # 13,000 squared only warns in Pillow, 8,000 x 7,000 not even that: ours must refuse before decoding.
    refused(png_header(width, height), "too large; scale it down")


def test_a_large_object_is_refused_too():
    refused(Image.new("1", (30_001, 1)), "30001 x 1 is too large")


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "not an image"), (b"hello world", "not an image"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
     (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image")],
)  # fmt: skip
def test_other_files(data, message):
    # EPS would start Ghostscript: only the kinds on the list are tried.
    refused(data, message)


@pytest.mark.parametrize("kind", ["EPS", "PCX", "ICO", "TGA"])
def test_kinds_off_the_list(kind):
    # Pillow can open all of these; fewer decoders are fewer doors.
    refused(stored(Image.new("RGB", (16, 16)), kind), "not an image of a known kind")


def test_paths(tmp_path):
    refused(tmp_path, "is a directory")
    refused(tmp_path / "none.png", "no such file")
    refused("a\nb.png", "a b.png: no such file")
    refused("", "is a directory|no such file")
    refused("a\0b.png", "cannot be decoded|no such file")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "no such file")
    (tmp_path / "locked.png").write_bytes(b"GIF89a")
    refused(tmp_path / "locked.png", r"locked.png: cannot be decoded|locked.png: not an image")


@pytest.mark.parametrize(
    "url", ["https://example.org/cat.png", "file:///etc/hosts", "data:image/png;base64,AAAA", "ftp://x/y"]
)
def test_urls(url):
    refused(url, "URLs are not opened; download")


@pytest.mark.parametrize("thing", [None, 3, np.zeros((2, 2, 3)), ["x"]])
def test_other_types(thing):
    refused(thing, "must be a path, bytes or a PIL image")


def test_floating_point_pixels():
    refused(Image.new("F", (2, 2)), "floating-point")


SEEDS = [stored(Image.new("RGB", (20, 20), "red"), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")]


@settings(max_examples=300, deadline=None, database=None)
@given(seed=st.sampled_from(SEEDS), place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=6))
def test_corrupted_files_never_escape(seed, place, junk):
    at = int(place * len(seed))
    data = seed[:at] + junk + seed[at + len(junk) :]
    try:
        assert open_image(data).mode == "RGB"
    except UserError as error:
        assert "\n" not in str(error)
