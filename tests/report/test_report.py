"""The report card: complete, self-contained, safe to open, and honest about what is missing and what failed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_run import EVIL, evaluation, part, row

from minikimi.errors import UserError
from minikimi.report import report
from minikimi.report.report import write_report
from minikimi.report.runfiles import read_run
from minikimi.training.stages import STAGES


class Balance(HTMLParser):
    """Collects the tags that are opened, attributes, and whether every one is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(html: str) -> None:
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert not {"script", "link", "iframe", "object", "base"} & set(parser.tags)
    assert parser.addresses and all(a.startswith("data:image/") for a in parser.addresses)
    assert "url(" not in html and "@import" not in html and "http" not in html
    assert 'name="viewport"' in html and len(html.encode()) < 2_000_000


def test_text_of_files_is_escaped(html: str) -> None:
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp;") >= 12  # answers, thinking and rollouts


def test_the_recipe_has_all_stages_with_their_numbers(html: str) -> None:
    recipe = part(html, "The recipe")
    # 60 steps of 3 seconds at 500 tokens a second.
    assert recipe.count("60 steps · 90.0 k tokens · 3.0 min") == 11
    assert "not in this run" not in recipe and "unfinished" not in recipe
    cost = part(html, "What it cost")
    assert "<td>all stages</td><td>33.0</td><td>660</td><td>990.0 k</td><td>500</td>" in cost
    assert "1.93 GiB" in cost and "2 CPUs" in cost


def test_a_model_elsewhere_is_looked_into(bare: Path, whole: Path) -> None:
    assert "This run has no finished model." in write_report(bare).read_text()
    text = write_report(bare, whole / "model").read_text()
    assert "This run has no finished model." not in text and "could not be read" not in text


MISSING = {  # what is taken away: the section that then says so, and how
    "evaluation.json": (report.results_section, "This run was not evaluated"),
    "sft/metrics.csv": (report.curves_section, "No metrics of: Fine-tuning."),
    "rl/metrics.csv": (report.rl_section, "No rewards were recorded"),
    "rl/gain.json": (report.rl_section, "The gain was not measured"),
    "rl/rollouts.jsonl": (report.rl_section, "No rollouts were kept"),
    "cooldown/scores.json": (report.needle_section, "No needle map: after cooldown."),
    "text/scores.json": (report.course_section, "Not evaluated: Text."),
    "*/scores.json": (report.course_section, "No stage was evaluated"),
    "*/expert_load.csv": (report.load_section, "No expert loads were recorded"),
    "*/metrics.csv": (report.cost_section, "No times were recorded"),
    "samples/*": (partial(report.samples_section, room=10**6), "picture not kept"),
    "model/config.json": (report.inside_section, "This run has no finished model."),
}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", MISSING)
def test_each_missing_part_is_named(html: str, whole: Path, tmp_path: Path, pattern: str) -> None:
    section, words = MISSING[pattern]
    assert words not in html
    shutil.copytree(whole, tmp_path / "run")
    for path in (tmp_path / "run").glob(pattern):
        path.unlink()
    assert words in section(read_run(tmp_path / "run"))


@pytest.mark.parametrize("key", [*evaluation(0), *(f"maths/{name}" for name in row(0.5))])
def test_an_entry_missing_from_the_evaluation_or_of_another_type_breaks_nothing(tmp_path: Path, key: str) -> None:
    for wrong in (None, [EVIL, {"a": EVIL}], {EVIL: EVIL}):
        values = evaluation(0)
        inner = values["benchmarks"]["maths"] if "/" in key else values
        del inner[key.rpartition("/")[2]]
        if wrong:
            inner[key.rpartition("/")[2]] = wrong
        (tmp_path / "evaluation.json").write_text(json.dumps(values))
        text = write_report(tmp_path).read_text()
        assert text.endswith("</html>\n") and "<script" not in text


def test_a_run_killed_in_its_fourth_stage(whole: Path, bare: Path) -> None:
    for stage in list(STAGES)[:4]:
        shutil.copytree(whole / stage, bare / stage)
    (bare / "evaluation.json").unlink()
    (bare / "joint" / "metrics.csv").write_text("step,loss,lr\n")  # killed before its first step
    (bare / "joint" / "last.ckpt").touch()
    text = write_report(bare).read_text()
    assert text.count("not in this run") == 7 and text.count(">unfinished<") == 1
    assert "No metrics of: Joint pre-training, Cooldown," in text and "This run has no finished model." in text


def test_an_empty_directory_gives_a_page_too(tmp_path: Path) -> None:
    assert write_report(tmp_path).read_text().count("not in this run") == 11
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_bad_input_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match=r"evaluation\.json: not valid JSON"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_broken_model_is_named(bare: Path) -> None:
    (bare / "model").mkdir()
    (bare / "model" / "config.json").write_text("{}")
    assert "The model could not be read" in write_report(bare).read_text()


@pytest.mark.slow
def test_matplotlib_is_imported_lazily_and_without_pyplot(bare: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from minikimi.report.report import write_report\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"write_report(Path({str(bare)!r}))\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
