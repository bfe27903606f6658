"""Training in the report: curves, expert loads, what reinforcement learning gained."""

from __future__ import annotations

import json
import re
from pathlib import Path

from made_up_run import EVIL, RL_COLUMNS, part

from minikimi.report import report, training
from minikimi.report.runfiles import read_run
from minikimi.training.stages import STAGES


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


def test_rollouts_shown_are_of_both_ends() -> None:
    rollouts = [{"iteration": i, "n": n} for i in (3, 1, 2) for n in range(3)]
    shown = training.shown_rollouts([*rollouts, {"iteration": None}], each=2)
    assert [(row["iteration"], row["n"]) for row in shown] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert training.shown_rollouts([]) == []


def test_a_change_says_what_was_measured_and_no_more() -> None:
    assert training.change_text({"pass@1": -0.02, "tokens": 1.1}) == "pass@1 -2.0 points, tokens +10 %"
    assert training.change_text({"tokens": 0.5, "interval": [0, 1]}) == "tokens -50 %"
    assert training.change_text({"pass@1": "0.3"}) == "not recorded"
