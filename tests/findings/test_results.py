"""The results on disk: table and page say what the rows say, and need nothing else."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from minikimi.errors import UserError
from minikimi.findings.registry import NAMES
from minikimi.findings.results import html, markdown, read_rows, sheet

ROW = {
    "name": "cot",
    "title": "<i>Worked</i> steps",
    "claim": "it helps",
    "source": "a report",
    "rule": "by 5 points",
    "reproduced": False,
    "sentence": "40 % and 41 %",
    "quick": False,
    "seconds": 2.0,
    "measurements": [{}, {}],
}


@pytest.mark.slow
def test_the_page_needs_nothing_else(quick: Any) -> None:
    assert Image.open(quick[0] / "findings.png").size == (3 * 520, 4 * 320)
    text = (quick[0] / "findings.html").read_text()
    assert text.count("data:image/png;base64,") == len(NAMES)
    assert not re.search(r"""(src|href)=["']?(http|//|[a-z_]+\.png)""", text) and "<script" not in text


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (52, 32), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_no_is_said_as_plainly_as_a_yes() -> None:
    assert "| cot | it helps (a report) | 40 % and 41 %; 2 seeds | no |\n" in markdown([ROW])
    assert "; 2 seeds | yes |" in markdown([{**ROW, "reproduced": True}])
    assert "1 seed (quick: too short to show anything) | no |" in markdown(
        [{**ROW, "quick": True, "measurements": [{}]}]
    )
    page = html([ROW, {**ROW, "reproduced": True}], {"cot": png("red")})
    assert "<b>1 of 2</b> reproduced" in page
    assert page.count("reproduced: no") == page.count("reproduced: yes") == page.count('class="card wrong"') == 1
    assert "&lt;i&gt;Worked" in page and "<i>Worked" not in page


def test_the_sheet_has_three_plots_in_a_row() -> None:
    picture = Image.open(io.BytesIO(sheet([png("red")] * 3 + [png("blue")]))).convert("RGB")
    assert picture.size == (3 * 520, 2 * 320)
    assert [picture.getpixel(place) for place in ((1300, 160), (260, 480), (1300, 480))] == [
        (255, 0, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]


def test_broken_results_are_refused_and_unknown_names_left_out(tmp_path: Path) -> None:
    assert read_rows(tmp_path) == {}
    path = tmp_path / "findings.json"
    path.write_text('{"findings": [{"name": "cot"}, {"name": "of an older version"}]}')
    assert read_rows(tmp_path) == {"cot": {"name": "cot"}}
    for text in ("{", "[1, 2]", '{"rows": []}', '{"findings": [3]}'):
        path.write_text(text)
        with pytest.raises(UserError, match="not a file of findings; delete it"):
            read_rows(tmp_path)
