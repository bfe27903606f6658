"""Conversations in the report: pictures of the run alone, thinking set off, no more than there is room for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_up_run import EVIL, evaluation, image_names, part
from PIL import Image

from minikimi.report.report import write_report
from minikimi.report.samples import raw_output


def test_twelve_conversations_with_pictures_and_thinking(html: str) -> None:
    talk = part(html, "Conversations")
    wrong, right = talk.count('class="card wrong"'), talk.count('class="card"')
    assert wrong == talk.count("✗ wrong") > 0 and right == talk.count("✓ right") > 0 and wrong + right == 12
    assert f"{right} right and {wrong} wrong" in talk
    # The thinking is set off from the answer, marks and all.
    assert talk.count('<pre><span class="think">◁think▷carry ') == 12 and "◁/think▷</span>word 0</pre>" in talk
    shown = [int(i) for i in re.findall(r"on tag (\d+)\?", talk)]
    assert talk.count("data:image/jpeg") == sum(len(image_names(i)) for i in shown)
    assert 3 in {len(image_names(i)) for i in shown} and talk.count("(no picture)") > 0


def test_a_picture_outside_the_run_is_not_read(bare: Path) -> None:
    Image.new("RGB", (40, 40)).save(bare.parent / "private.png")
    (bare / "samples" / "link.png").symlink_to(bare.parent / "private.png")
    (bare / "samples" / "broken.png").write_text("no picture")
    names = [
        "../private.png",
        "samples/99.png",
        "samples/link.png",
        str(bare.parent / "private.png"),
        "samples/broken.png",
    ]
    values = evaluation(0) | {"samples": [{"question": "?", "images": names}]}
    (bare / "evaluation.json").write_text(json.dumps(values))
    text = write_report(bare).read_text()
    assert "data:image/jpeg" not in text
    assert text.count("picture not kept") == 4 and text.count("picture unreadable") == 1


def test_the_page_stays_small_with_large_pictures_and_long_outputs(bare: Path) -> None:
    Image.effect_noise((900, 800), 200).save(bare / "samples" / "a.png")
    sample = {"question": "?", "images": ["samples/a.png"] * 60, "raw": EVIL * 10, "answer": "a"}
    values = evaluation(0) | {"samples": [sample] * 11 + [sample | {"raw": "long" * 500_000}]}
    (bare / "evaluation.json").write_text(json.dumps(values))
    text = write_report(bare).read_text()
    assert len(text.encode()) < 2_000_000
    assert "and 54 more pictures" in text and "too large to show." in text


@pytest.mark.parametrize(
    ("raw", "html"),
    [
        ("42", ""),  # nothing that the answer does not say
        ("so 42", "<pre>so 42</pre>"),
        ("◁think▷6 x 7◁/think▷42", '<pre><span class="think">◁think▷6 x 7◁/think▷</span>42</pre>'),
        ("◁think▷6 x", '<pre><span class="think">◁think▷6 x</span></pre>'),  # cut by the limit
    ],
)
def test_thinking_is_set_off(raw: str, html: str) -> None:
    assert raw_output({"raw": raw, "answer": "42"}) == html
