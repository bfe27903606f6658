"""The report card: complete, self-contained, safe to open, and honest about what is missing and what failed.

The run is made up, with a real nano model, and holds all that training and evaluation leave.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from minikimi.errors import UserError
from minikimi.evaluation.minis import BENCHMARKS
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report import report
from minikimi.report.report import write_report
from minikimi.report.runfiles import read_run
from minikimi.training.stages import STAGES

SCORES = (0.81, 0.64, 0.42, 0.93, 0.5, 0.37, 0.7)
EVIL = "<script>alert(1)</script> & \"'"
GAIN = {
    "problems": 192, "samples": 4,
    "before": {"pass@1": 0.41, "interval": [0.36, 0.46], "pass@k": 0.66, "tokens": 30.4},
    "after": {"pass@1": 0.484, "interval": [0.43, 0.54], "pass@k": 0.67, "tokens": 23.4},
    "gain": {"pass@1": 0.074, "interval": [0.027, 0.121], "tokens": 0.77},
    "before_length": {"pass@1": 0.47, "interval": [0.41, 0.52], "pass@k": 0.68, "tokens": 31.0},
    "by_length": {"pass@1": 0.014, "interval": [-0.01, 0.038], "tokens": 0.755},
}  # fmt: skip
RL_COLUMNS = ("reward", "success", "completions/mean_length", "frac_reward_zero_std", "entropy", "rewards/exact/mean")


def fake_run(run: Path, samples: int = 24) -> Path:
    """A run as training and evaluation leave it, with empty cells where a stage has no such value."""
    for number, stage in enumerate(STAGES):
        (run / stage).mkdir(parents=True)
        (run / stage / "metrics.csv").write_text(metrics(stage))
        if number > 2:
            (run / stage / "expert_load.csv").write_text(expert_loads())
        (run / stage / "scores.json").write_text(json.dumps(scores(0.1 * number)))
    rollouts = [rollout(i, j) for i in range(3) for j in range(4)]
    (run / "rl" / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rollouts))
    (run / "rl" / "gain.json").write_text(json.dumps(GAIN))
    (run / "samples").mkdir()
    for i in range(samples):
        for name in image_names(i):
            Image.effect_noise((260 + 8 * i, 200), 60 + i).save(run / name)
    (run / "evaluation.json").write_text(json.dumps(evaluation(samples)))
    torch.manual_seed(0)
    KimiVL.from_preset("nano").save_pretrained(run / "model")
    Processor.small().save_pretrained(run / "model")
    return run


def metrics(stage: str) -> str:
    parts = {"vit": ("loss_siglip", "loss_caption"), "rl": RL_COLUMNS}.get(stage, ())
    lines = [",".join(("step", "loss", "lr", "tokens_per_second", "seconds", "loss_text", *parts))]
    for step in range(1, 61):
        loss = 2 + 4 * math.exp(-step / 12) + 0.3 * math.sin(step * 12.9898)
        more = [f"{loss / (2 + i):.4f}" for i in range(len(parts))]
        lines.append(",".join((str(step), f"{loss:.4f}", f"{1e-3 * (1 - step / 61):.6g}", "500", "3", "", *more)))
    return "\n".join(lines) + "\n"


def expert_loads() -> str:
    lines = ["step,layer," + ",".join(f"expert_{e}" for e in range(16))]
    for step in range(10, 61, 10):
        for layer in range(2):
            loads = [1 + math.exp(-step / 30) * math.sin(2.4 * e + layer) for e in range(16)]
            lines.append(f"{step},{layer}," + ",".join(f"{load / sum(loads):.5f}" for load in loads))
    return "\n".join(lines) + "\n"


def row(score: float, n: int = 200) -> dict:
    return {
        "score": score,
        "interval": [score - 0.06, score + 0.06],
        "blind": score / 4,
        "chance": score / 6,
        "prior": score / 5,
        "n": n,
    }


def scores(shift: float = 0.0) -> dict:
    """What both kinds of evaluation write; `shift` makes later stages better."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    return {
        "form": "chat",
        "benchmarks": {n: row(s * (0.1 + shift)) | {"about": f"about {n}"} for n, s in zip(names, SCORES, strict=True)},
        "mean": row(0.05 + 0.06 * shift / 0.1, 1400),
        "tasks": {"chart": row(0.11), "sum": row(0.22)},
        "extras": {"arithmetic": row(0.33) | {"blind": None}},
        "needle_map": {
            "lengths": [128, 512, 2048], "depths": [0, 0.5, 1], "n": [[6] * 3] * 3,
            "recall": [[1.0, 0.96, 0.91], [0.5 + shift / 3, 0.31, 0.17], [None] * 3],
        },
    }  # fmt: skip


def image_names(i: int) -> list[str]:
    """No picture, one, or several."""
    return [f"samples/{i:02d}-{k + 1}.png" for k in range(3)] if i % 4 == 1 else [f"samples/{i:02d}.png"] * (i % 5 != 2)


def evaluation(samples: int) -> dict:
    kept = [
        {
            "task": "sum", "question": f"What is the sum on tag {i}?", "truth": f"word {i}", "correct": bool(i % 3),
            "answer": f"word {i}" if i % 3 else EVIL, "raw": f"◁think▷carry {i} {EVIL}◁/think▷word {i}",
            "images": image_names(i), "image": (image_names(i) or [""])[0],
        }
        for i in range(samples)
    ]  # fmt: skip
    return {
        **scores(0.9), "mean": row(0.62, 1400), "samples": kept,
        "test_time_scaling": {"limits": [0, 8, 16], "mean": [0.2, 0.5, 0.61], "tasks": {"chart": [0.1, 0.4, 0.57]},
                              "interval": [[0.1, 0.3], [0.4, 0.6], [0.5, 0.7]], "used": [0, 7.5, 12], "n": 160},
        "stages": {}, "minutes": 30.0, "seconds": 90, "peak_memory_gib": 1.93, "machine": "2 CPUs",
        "command": "minikimi train --preset small", "date": "2026-01-31", "preset": "small",
        "parameters": 7_654_321, "active_parameters": 4_200_000,
    }  # fmt: skip


def rollout(iteration: int, j: int) -> dict:
    return {"iteration": iteration, "task": "sum", "question": "2 + 3?", "answer": "5", "completion": f"it {EVIL} {j}",
            "end": "stop", "tokens": 9, "reward": float(j % 2)}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def html(whole: Path) -> str:
    return write_report(whole).read_text()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The made-up run with neither model nor stages nor samples: quick to draw."""
    (tmp_path / "bare" / "samples").mkdir(parents=True)
    (tmp_path / "bare" / "evaluation.json").write_text(json.dumps(evaluation(0)))
    return tmp_path / "bare"


def part(html: str, title: str) -> str:
    """The section whose heading begins with `title`."""
    found = [s for s in re.findall(r"<section>.*?</section>", html, re.S) if f"<h2>{title}" in s]
    assert len(found) == 1, f"{len(found)} sections {title}"
    return found[0]


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


def test_the_score_table_holds_the_numbers(html: str) -> None:
    table = part(html, "What it learnt")
    maths = re.search(r'<tr class=""><td>maths<small>about maths</small></td>.*?</tr>', table, re.S)
    assert maths and all(
        cell in maths[0]
        for cell in ("42%", "36% – 48%", "10%", "<td>7%</td><td>8%</td>", "200", "width:42.0%", "left:8.4%")
    )
    assert '<tr class="mean"><td>mean</td><td>62%' in table
    arithmetic = re.search(r"<tr class=\"\"><td>arithmetic</td>.*?</tr>", table, re.S)
    assert arithmetic and "33%" in arithmetic[0] and "<td></td>" in arithmetic[0]  # nothing to be blind to
    for text in ("62%</strong> (56% – 68%)", "7.7 M parameters", "4.2 M active"):
        assert text in html, text


def test_scores_after_each_stage(html: str) -> None:
    course = part(html, "What each stage gave")
    assert re.findall(r"<th>(.*?)</th>", course) == ["after", *STAGES]
    agent = re.search(r"<td>agent</td>(.*?)</tr>", course)
    expected = [f"{50 * (0.1 + 0.1 * i):.0f}" for i in range(len(STAGES))]
    assert agent and re.findall(r">(\d+)%<", agent[1]) == expected
    assert "vit +6, align +6" in course and "text +" not in course


def test_needle_maps_before_and_after(html: str) -> None:
    needles = part(html, "A needle in a haystack")
    captions = re.findall(r"<caption>(.*?)</caption>", needles)
    assert captions == ["after cooldown", "after long1", "after long2", "the finished model"]
    at_512 = re.findall(r"<td>512</td><td[^>]*>(\d+)%", needles)
    assert at_512 == ["63", "67", "70", "80"]
    assert needles.count('<td class="soft">–</td>') == 3 * 4  # 2,048 tokens are beyond the context


def test_figures_are_there(html: str) -> None:
    alts = re.findall(r'alt="([^"]+)" src="data:image/png', html)
    assert [alt for alt in alts if alt.endswith("loss and learning rate")] == [
        f"{stage}: loss and learning rate" for stage in STAGES
    ]
    assert "vit: loss_siglip" in alts and "joint: loss_text" not in alts  # its cells are empty
    assert [alt for alt in alts if "expert layer" in alt] == [
        f"load of expert layer {i} over the stages" for i in (0, 1)
    ]
    assert set(RL_COLUMNS) <= set(alts) and "pass@1" not in alts
    assert "Not recorded: pass@1, pass@k." in html
    assert "accuracy by thinking tokens" in alts
    inside = [alt for alt in alts if "seen from" in alt or "from the middle" in alt or "framed" in alt]
    assert len(inside) == 6
    assert "No metrics of" not in html and "could not be read" not in html


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


def test_rollouts_of_the_first_and_last_iteration(html: str) -> None:
    rl = part(html, "Reinforcement learning")
    assert [rl.count(f"iteration {i} ·") for i in range(3)] == [4, 0, 4]


def test_what_reinforcement_learning_gained(html: str, tmp_path: Path) -> None:
    rl = part(html, "Reinforcement learning")
    names = ["before", "when the length reward began", "after"]
    assert re.findall(r"<tr><td class=\"\">(.*?)</td>", rl) == names
    cells = [f'<td class="">{text}</td>' for text in ("after", "48%", "43% – 54%", "67%", "23")]
    assert "".join(cells) in rl
    assert "Gain: pass@1 +7.4 points (+2.7 to +12.1), tokens -23 %." in rl
    assert "Since the length reward began: pass@1 +1.4 points (-1.0 to +3.8), tokens -24 %." in rl
    assert "192 held-out problems, 4 responses to each." in rl
    (tmp_path / "rl").mkdir()
    for values in ({"before": 3, "gain": [EVIL], EVIL: EVIL}, {"before": {}, "gain": {}, "problems": EVIL}):
        (tmp_path / "rl" / "gain.json").write_text(json.dumps(values))
        text = report.rl_section(read_run(tmp_path))
        assert "Gain: not recorded." in text and "No rewards were recorded" in text and "<script" not in text
        assert "length reward" not in text


def test_scores_in_different_forms_say_so(tmp_path: Path) -> None:
    forms = {"text": "told", "align": "document", "joint": "document", "sft": "chat", "rl": None}
    for number, (stage, form) in enumerate(forms.items()):
        values = scores(0.1 * number) | {"form": form}
        if form is None:
            del values["form"]
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "scores.json").write_text(json.dumps(values))
    course = report.course_section(read_run(tmp_path))
    assert re.findall(r'<td class="soft">(.*?)</td>', course) == [
        "asked in",
        "told",
        "document",
        "document",
        "chat",
        "?",
    ]
    changes = (
        "align +6 (asked in document after told), joint +6, sft +6 (asked in chat after document), rl +6 (asked in ?"
    )
    assert changes in course


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


def test_matplotlib_is_imported_lazily_and_without_pyplot(bare: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from minikimi.report.report import write_report\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"write_report(Path({str(bare)!r}))\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
