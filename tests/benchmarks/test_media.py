"""Pages of documents and frames of videos: spread, in order, and named where they cannot be read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmark_rows import drawing
from PIL import Image

from minikimi.benchmarks import media
from minikimi.errors import UserError


def test_pages_and_frames_are_spread() -> None:
    assert media.spread(3, 5) == [0, 1, 2] and media.spread(100, 4) == [12, 37, 62, 87] and media.spread(5, 1) == [2]
    with pytest.raises(ValueError, match="at least one"):
        media.spread(5, 0)


def test_pdfs_are_rendered_and_broken_ones_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `benchmarks` is not installed: make setup")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(UserError, match=r"report\.pdf: not a readable PDF"):
        media.pages(tmp_path, "report.pdf", 3)
    drawing(1, (50, 30)).save(tmp_path / "book.pdf", resolution=72)
    assert media.pages(tmp_path, "book.pdf", 3)[0].size == (100, 60)  # 144 dots per inch
    for name in ("none.pdf", "../book.pdf"):
        with pytest.raises(UserError, match=r"not found|lies outside"):
            media.pages(tmp_path / "sub" if name.startswith("..") else tmp_path, name, 3)


def test_videos_are_decoded(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="the extra `benchmarks` is not installed: make setup")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(10):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (25 * k, 0, 0)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    shown = media.frames(tmp_path, "clip", 5)
    reds = [image.getpixel((30, 20))[0] for image in shown]
    assert len(reds) == 5 and reds == sorted(reds) and abs(reds[0] - 25) < 20 and abs(reds[4] - 225) < 20
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"bad\.mp4: not a readable video"):
        media.frames(tmp_path, "bad", 5)


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "book.pdf").touch()
    (tmp_path / "clip.mp4").touch()
    for name, read in (("pypdfium2", lambda: media.pages(tmp_path, "book.pdf", 3)),
                       ("av", lambda: media.frames(tmp_path, "clip", 3))):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match=rf"needs {name}; pip install 'minikimi\[benchmarks\]'"):
            read()
