"""The report card: complete, self-contained, safe to open, and honest about what is missing and what failed."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from minikimi.config import UserError
from minikimi.evaluation import figures
from minikimi.evaluation.page import count
from minikimi.evaluation.report import STAGES, choose_samples, results_table, write_report

TASKS = {"caption": 0.81, "ocr": 0.64, "charts": 0.42, "agent": 0.93, "knowledge": 0.55, "video": 0.37}


def fake_run(run: Path, samples: int = 24) -> Path:
    """A run as training and evaluation leave it, with empty cells where a stage has no such value."""
    for number, stage in enumerate(("text", "vit", "align", "joint", "sft")):
        (run / stage).mkdir(parents=True)
        lines = ["step,loss,loss_siglip,loss_caption,lr,grad_norm,max_violation,tokens_per_second"]
        for step in range(1, 301):
            loss = 2 + 4 * math.exp(-step / 60) + 0.3 * math.sin(step * 12.9898)
            parts = f"{loss / 3:.4f},{loss / 2:.4f}" if stage == "vit" else ","
            lines.append(f"{step},{loss:.4f},{parts},{1e-3 * (1 - step / 301):.6g},1.1,{2 / (1 + step / 40):.4f},5000")
        (run / stage / "metrics.csv").write_text("\n".join(lines) + "\n")
        if number > 2:
            (run / stage / "expert_load.csv").write_text(expert_loads())
    (run / "samples").mkdir()
    for i in range(samples):
        Image.effect_noise((260 + 8 * i, 200), 60 + i).save(run / f"samples/{i:02d}.png")
    (run / "evaluation.json").write_text(json.dumps(evaluation(samples)))
    return run


def expert_loads() -> str:
    lines = ["step,layer," + ",".join(f"expert_{e}" for e in range(16))]
    for step in range(10, 301, 10):
        for layer in range(3):
            loads = [1 + math.exp(-step / 90) * math.sin(2.4 * e + layer) for e in range(16)]
            lines.append(f"{step},{layer}," + ",".join(f"{load / sum(loads):.5f}" for load in loads))
    return "\n".join(lines) + "\n"


def evaluation(samples: int) -> dict:
    tasks = {
        task: {"n": 200, "exact": e, "blind": e / 4, "prior": e / 5, "interval": [e - 0.06, e + 0.06]}
        for task, e in TASKS.items()
    }
    kept = [
        {"task": "ocr", "question": f"What does tag {i} say?", "answer": f"word {i}" if i % 3 else "<b>wrong</b> & odd",
         "truth": f"word {i}", "correct": bool(i % 3), "image": f"samples/{i:02d}.png"}
        for i in range(samples)
    ]  # fmt: skip
    return {
        "tasks": tasks, "mean": {"exact": 0.62, "blind": 0.155, "prior": 0.124}, "samples": kept,
        "stages": {s: {"minutes": 3.2, "steps": 300, "tokens": 812_345} for s in STAGES},
        "minutes": 14.1, "peak_memory_gib": 1.93, "machine": "2 CPUs", "command": "minikimi train --preset small",
        "date": "2026-01-31", "preset": "small", "parameters": 7_654_321, "active_parameters": 4_200_000,
    }  # fmt: skip


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(fake_run(tmp_path_factory.mktemp("runs") / "small")).read_text()


class Balance(HTMLParser):
    """Collects the tags that are opened, attributes, and whether every one is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(html: str) -> None:
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert not {"script", "link", "iframe"} & set(parser.tags)
    assert parser.addresses and all(a.startswith("data:image/") for a in parser.addresses)
    assert "url(" not in html and "@import" not in html and "http" not in html
    assert 'name="viewport"' in html and len(html.encode()) < 2_000_000


def test_the_page_holds_the_numbers(html: str) -> None:
    row = re.search(r"<tr class=\"\"><td>charts</td>.*?</tr>", html, re.S)
    assert row and all(cell in row[0] for cell in ("42%", "36% – 48%", "10%", "8%", "200", "width:42.0%", "left:8.4%"))
    for text in ("62%", "7.7 M parameters", "4.2 M active", "14.1 min", "1.93 GiB", "300 steps", "812.3 k tokens"):
        assert text in html, text
    for credit in ("OpenMoji", "CC BY-SA 4.0", "scikit-learn"):
        assert credit in html


def test_failures_are_shown_and_marked_and_text_is_escaped(html: str) -> None:
    assert html.count('class="card wrong"') == 8 and html.count('class="card"') == 8
    assert html.count("✗ wrong") == 8
    assert "&lt;b&gt;wrong&lt;/b&gt; &amp; odd" in html and "<b>wrong</b>" not in html


def test_figures_are_there_for_every_stage(html: str) -> None:
    alts = re.findall(r'alt="([^"]+)" src="data:image/png', html)
    for name in ("loss", "lr", "max_violation"):
        assert [alt for alt in alts if alt.endswith(f": {name}")] == [f"{s}: {name}" for s in STAGES]
    assert "vit: loss_siglip" in alts and "joint: loss_siglip" not in alts  # its cells are empty there
    loads = [alt for alt in alts if "expert layer" in alt]  # ViT training and alignment keep no expert loads
    assert loads == [f"{s}: load of expert layer {layer}" for s in ("joint", "sft") for layer in range(3)]
    assert "not in this run" not in html and "No metrics of" not in html


def test_an_unfinished_run_says_what_is_missing(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "half", samples=2)
    for path in (run / "evaluation.json", run / "sft" / "metrics.csv", run / "joint" / "expert_load.csv"):
        path.unlink()
    (run / "joint" / "metrics.csv").write_text("step,loss,lr\n")  # killed before its first step
    text = write_report(run).read_text()
    assert text.count("not in this run") == 2
    assert "No metrics of: Joint training, Fine-tuning." in text and "not evaluated" in text


def test_an_empty_directory_gives_a_page_too(tmp_path: Path) -> None:
    assert "not evaluated" in write_report(tmp_path).read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_bad_input_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match=r"evaluation\.json: not valid JSON"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_picture_outside_the_run_is_not_read(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", samples=1)
    Image.new("RGB", (40, 40)).save(tmp_path / "private.png")
    values = json.loads((run / "evaluation.json").read_text())
    values["samples"] = [values["samples"][0] | {"image": name} for name in ("../private.png", "samples/99.png", "")]
    (run / "evaluation.json").write_text(json.dumps(values))
    text = write_report(run).read_text()
    assert "data:image/jpeg" not in text and text.count("picture not kept") == 2


def test_the_page_stays_small_with_many_large_pictures(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", samples=16)
    for path in (run / "samples").iterdir():
        Image.effect_noise((3000, 2400), 200).save(path.with_suffix(".png"))
    assert write_report(run).stat().st_size < 2_000_000


@pytest.mark.parametrize(("right", "wrong", "failures"), [(20, 20, 8), (20, 3, 3), (2, 20, 14), (0, 5, 5), (4, 0, 0)])
def test_half_of_the_samples_are_failures_where_there_are_enough(right: int, wrong: int, failures: int) -> None:
    samples = [{"id": i, "correct": i < right} for i in range(right + wrong)]
    chosen = choose_samples(samples)
    assert len(chosen) == min(16, right + wrong)
    assert sum(not s["correct"] for s in chosen) == failures
    assert len({s["id"] for s in chosen}) == len(chosen)


def test_empty_cells_are_left_out_of_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,lr\n1,3.5,\n1,,0.1\n2,2.5,\n2,,0.2\n3,nan,\n")
    columns = figures.read_columns(path)
    assert figures.curve(columns, "loss") == ([1.0, 2.0], [3.5, 2.5])
    assert figures.curve(columns, "lr") == ([1.0, 2.0], [0.1, 0.2])
    assert figures.curve(columns, "absent") == ([], [])


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert figures.smooth([4.0, 4.0, 4.0]) == pytest.approx([4.0, 4.0, 4.0])
    assert figures.smooth([1.0, 2.0], weight=0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 2) / 0.75])


def test_violation_is_the_busiest_expert_over_the_even_share() -> None:
    columns = {"step": [1, 1, 9, 9], "layer": [0, 1, 0, 1], "a": [0.9, 0.9, 0.5, 0.75], "b": [0.1, 0.1, 0.5, 0.25]}
    assert figures.violation(columns) == pytest.approx({0: 0.0, 1: 0.5})


def test_terminal_table_shows_the_same_numbers() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(results_table(evaluation(0)))
    text = console.export_text()
    assert all(part in text for part in ("charts", "42%", "36% – 48%", "mean", "62%", "200"))
    assert results_table({}).row_count == 0


def test_numbers_in_words() -> None:
    assert [count(n) for n in (7, 1500, 5_280_000, 16_407_656_048)] == ["7", "1.5 k", "5.3 M", "16.4 B"]


def test_matplotlib_is_imported_lazily_and_without_pyplot(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", samples=0)
    code = (
        "import sys; from pathlib import Path; from minikimi.evaluation.report import write_report\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"write_report(Path({str(run)!r}))\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
