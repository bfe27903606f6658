"""The report card's sections about training: losses and rates, expert load, reinforcement learning (lessons 11 and
14).
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from minikimi.report import figures
from minikimi.report.page import absent, cells, heat_table, panels, percent, section
from minikimi.report.runfiles import RunFiles, curve, interval_of, number, read_rollouts, table
from minikimi.training.stages import STAGES

# Columns of rl/metrics.csv and what they say.
RL_CURVES = {
    "reward": "mean reward of all responses",
    "success": "share of right answers",
    "completions/mean_length": "length of a response, tokens",
    "frac_reward_zero_std": "problems whose rewards are all equal: nothing to learn",
    "entropy": "entropy of the policy, nats a token",
    "pass@1": "held-out problems, one try",
    "pass@k": "held-out problems, the best of k tries",
}


def curves_section(run: RunFiles) -> str:
    """Loss and learning rate by stage, the parts of the loss, and which stages left no metrics."""
    there = {stage: c for stage, c in run.metrics.items() if curve(c, "loss")[0]}
    pictures = {f"{stage}: loss and learning rate": figures.loss_figure(c, stage) for stage, c in there.items()}
    parts = {}
    for stage, columns in there.items():
        names = sorted(name for name in columns if name.startswith("loss_") and curve(columns, name)[0])
        for name in names if len(names) > 1 else []:
            title = f"{stage}: {name}"
            parts[title] = figures.curve_figure(columns, name, STAGES[stage].colour, title)
    body = panels(pictures) + folded("parts of the loss", panels(parts))
    missing = [STAGES[stage].title for stage in STAGES if stage not in there]
    if missing:
        body += absent(f"No metrics of: {', '.join(missing)}.")
    return section("How it learnt: loss, and in grey the learning rate", body)


def folded(title: str, body: str) -> str:
    """HTML that opens at a tap; nothing for nothing."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>" if body else ""


def load_section(run: RunFiles) -> str:
    """Heat maps of the expert loads over the recipe, and how far from balance each stage ended."""
    body = panels(figures.load_figures(run.loads), "wide")
    ends = {stage: figures.violation(columns) for stage, columns in run.loads.items()}
    ends = {stage: by_layer for stage, by_layer in ends.items() if by_layer}
    if not ends:
        return section("Who did the work: expert load", absent("No expert loads were recorded."))
    note = "White: the even share of the tokens. Red: more, blue: less. Every stage is drawn equally wide."
    layers = sorted({layer for by_layer in ends.values() for layer in by_layer})
    lines = {f"layer {layer}": [by_layer.get(layer) for by_layer in ends.values()] for layer in layers}
    what = "Excess of the busiest expert over the even share when the stage ended; 0 is perfect balance:"
    body += absent(note) + absent(what) + heat_table(["", *ends], lines, 2.0, lambda v: f"{v:.2f}")
    return section("Who did the work: expert load", body)


def rl_section(run: RunFiles) -> str:
    """What it gained, then reward, length, zero-variance share and what else was measured, then rollouts to read."""
    columns, title, gained = run.metrics["rl"], "Reinforcement learning", gain_table(run.gain)
    if not curve(columns, "reward")[0]:
        nothing = absent("No rewards were recorded: there is no rl/metrics.csv with a column reward.")
        return section(title, gained + nothing)
    rewards = {n: "" for n in columns if n.startswith("rewards/") and n.endswith("/mean")}
    named = {name: what for name, what in {**RL_CURVES, **rewards}.items() if curve(columns, name)[0]}
    pictures = {name: figures.curve_figure(columns, name, STAGES["rl"].colour) for name in named}
    lacking = [name for name in RL_CURVES if name not in named]
    meaning = "; ".join(f"{name}: {what}" for name, what in named.items() if what)
    body = gained + panels(pictures) + absent(f"{meaning}.")
    body += absent(f"Not recorded: {', '.join(lacking)}.") if lacking else ""
    rollouts = shown_rollouts(read_rollouts(run.directory))
    cards = "".join(map(rollout_card, rollouts))
    body += folded("rollouts of the first and the last iteration", f'<div class="cards">{cards}</div>' if cards else "")
    return section(title, body + ("" if cards else absent("No rollouts were kept.")))


def gain_table(gain: Mapping[str, Any]) -> str:
    """pass@1 and length on held-out problems before and after, and what changed; a line if it was not measured."""
    names = {"before": "before", "before_length": "when the length reward began", "after": "after"}
    lines = "".join(
        f"<tr>{cells(gain_cells(what, table(gain, name)))}</tr>" for name, what in names.items() if name in gain
    )
    if not lines:
        return absent("The gain was not measured: there is no rl/gain.json.")
    heads = "".join(f"<th>{name}</th>" for name in ("", "pass@1", "95% interval", "pass@k", "tokens"))
    whats = {"gain": "Gain", "by_length": "Since the length reward began"}
    texts = [f"{what}: {change_text(table(gain, name))}." for name, what in whats.items() if name in gain]
    scope = f"{gain.get('problems', '?')} held-out problems, {gain.get('samples', '?')} responses to each."
    words = "".join(f"<p>{escape(text)}</p>" for text in texts)
    return f'<div class="scroll"><table><tr>{heads}</tr>{lines}</table></div>{words}{absent(scope)}'


def gain_cells(name: str, row: Mapping[str, Any]) -> list[str]:
    """One model: name, pass@1, its interval, pass@k, mean tokens of a response."""
    tokens, ends = number(row.get("tokens")), interval_of(row)
    interval = f"{percent(ends[0])} – {percent(ends[1])}" if ends else ""
    length = "" if tokens is None else f"{tokens:.0f}"
    return [name, percent(row.get("pass@1")), interval, percent(row.get("pass@k")), length]


def change_text(change: Mapping[str, Any]) -> str:
    """`pass@1 +7.4 points (+2.7 to +12.1), tokens -23 %`."""
    points, tokens, ends = number(change.get("pass@1")), number(change.get("tokens")), interval_of(change)
    texts = [] if points is None else [f"pass@1 {100 * points:+.1f} points"]
    if texts and ends:
        texts[0] += f" ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    return ", ".join(texts + ([] if tokens is None else [f"tokens {100 * tokens - 100:+.0f} %"])) or "not recorded"


def shown_rollouts(rollouts: list[dict[str, Any]], each: int = 4) -> list[dict[str, Any]]:
    """The first rows of the first and of the last iteration."""
    ordered = sorted({n for row in rollouts if (n := number(row.get("iteration"))) is not None})
    ends = ordered if len(ordered) < 2 else [ordered[0], ordered[-1]]
    return [row for end in ends for row in [r for r in rollouts if r.get("iteration") == end][:each]]


def rollout_card(row: dict[str, Any]) -> str:
    value = {name: escape(str(row.get(name, ""))) for name in ("iteration", "task", "reward", "tokens", "end")}
    reward = number(row.get("reward"))
    kind = " wrong" if reward is None or reward < 0.5 else ""
    return (
        f'<div class="card{kind}"><div class="soft">iteration {value["iteration"]} · {value["task"]}</div>'
        f"<div>{escape(str(row.get('question', '')))}</div><pre>{escape(str(row.get('completion', '')))}</pre>"
        f"<div>truth: <b>{escape(str(row.get('answer', '')))}</b></div><div class='soft'>reward "
        f"{value['reward']} · {value['tokens']} tokens · ended by {value['end']}</div></div>"
    )
