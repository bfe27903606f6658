"""Pages of documents and frames of videos as lists of images (lesson 15).

Folders of images are read by themselves; PDFs and videos need a library each: `pip install 'minikimi[benchmarks]'`.
Of long documents and videos some pages or frames are taken, uniformly spaced: how Kimi-VL samples is not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from minikimi.benchmarks.rows import inside
from minikimi.errors import UserError
from minikimi.processor.images.open_image import open_image

IMAGE_FILES = (".png", ".jpg", ".jpeg", ".webp")
PAGE_SCALE = 144 / 72  # PDF points to pixels: 144 dots per inch, as MMLongBench-Doc's program renders them
MAX_PAGE_SIDE = 4000  # pixels; a PDF may declare a page of any size
REMEDY = "pip install 'minikimi[benchmarks]', or give a folder of images of that name"


def spread(total: int, count: int) -> list[int]:
    """At most `count` of `total` indices, in the middles of equal stretches; all of them if there are no more.

    Raises `ValueError` if `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"{count} of {total}: take at least one")
    if total <= count:
        return list(range(total))
    return [int((i + 0.5) * total / count) for i in range(count)]


def pages(folder: Path, document: str, count: int) -> list[Image.Image]:
    """At most `count` pages of `document` (a file name such as `report.pdf`): of the PDF itself, or of a folder of
    page images called `report`. Raises `UserError` if there is neither or the PDF cannot be read.
    """
    images = inside(folder, Path(document).stem)
    if images.is_dir():
        return folder_images(images, count)
    return pdf_pages(found(inside(folder, document)), count)


def frames(folder: Path, video: str, count: int) -> list[Image.Image]:
    """At most `count` frames of `video`: a folder of frames of that name, or a `.mp4` file. Raises as `pages`."""
    images = inside(folder, video)
    if images.is_dir():
        return folder_images(images, count)
    return video_frames(found(inside(folder, f"{video}.mp4")), count)


def found(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: not found, nor a folder {path.with_suffix('')} of images; put one of them there")
    return path


def folder_images(folder: Path, count: int) -> list[Image.Image]:
    """At most `count` images of a folder, in the order of the numbers in their names, then of the names."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_FILES]
    if not files:
        raise UserError(f"{folder}: no images; expected files such as 001.png")
    files.sort(key=lambda path: (int("".join(filter(str.isdigit, path.stem))[:18] or 0), path.name))
    return [open_image(path) for path in picked(files, count)]


def picked(items: Sequence[Any], count: int) -> list[Any]:
    return [items[i] for i in spread(len(items), count)]


def pdf_pages(path: Path, count: int) -> list[Image.Image]:
    """At most `count` pages of a PDF, rendered."""
    try:
        import pypdfium2
    except ImportError:
        raise UserError(f"{path}: reading PDFs needs pypdfium2; {REMEDY}") from None
    try:
        document = pypdfium2.PdfDocument(path)
        return [render(document[i]) for i in spread(len(document), count)]
    except pypdfium2.PdfiumError as error:
        raise UserError(f"{path}: not a readable PDF ({error}); replace the file") from None


def render(page: Any) -> Image.Image:
    """A page of a PDF as an image, at 144 dots per inch unless it is very large."""
    scale = min(PAGE_SCALE, MAX_PAGE_SIDE / max(page.get_size()))
    return page.render(scale=scale).to_pil().convert("RGB")


def video_frames(path: Path, count: int) -> list[Image.Image]:
    """At most `count` frames of a video. It is decoded once to count its frames, for headers may lie."""
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: reading videos needs av; {REMEDY}") from None
    try:
        with av.open(str(path)) as container:
            total = sum(1 for _ in container.decode(video=0))
        wanted = set(spread(total, count))
        with av.open(str(path)) as container:
            decoded = enumerate(container.decode(video=0))
            return [frame.to_image() for number, frame in decoded if number in wanted]
    except (av.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: not a readable video ({error}); replace the file") from None
