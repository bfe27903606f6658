"""The stages of training, in order: what each is called, does, is asked as, and needs around it (lessons 10 to 14).

A stage is a row here and `configs/stages/NAME.yaml`. The pipeline, the recipe, the report and `minikimi train --help`
read this table. Source: Kimi-VL report (arXiv 2504.07491), sections 2.3 and 2.4, and figure 4.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from pathlib import Path

from minikimi.errors import unknown
from minikimi.files import SHIPPED


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    name: its word on the command line, its folder in a run and its file in `configs/stages/`.
    title, about: what the report calls it, and what it does in half a line.
    colour: of its curves.
    asked_as: how its model is asked the examination's questions; None if there is nothing to ask. A language model
        without eyes is told in words, base models continue documents, fine-tuned ones chat, the last ones think first;
        after `vit` the language model has not met the new tower yet.
    long: one of the two steps of `--stage long`.
    before, after: names in `minikimi.recipe.HOOKS` of what is done before the stage and, in this order, after it.
    """

    name: str
    title: str
    about: str
    colour: str
    asked_as: str | None
    _: KW_ONLY
    long: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ("scores",)


ROWS = (
    Stage("text", "Text", "the language model alone, on words", "#8a6d3b", "told"),
    Stage("vit", "ViT training", "image-text pairs: contrastive and caption loss", "#2a6fdb", None, after=()),
    Stage("align", "Alignment", "MoonViT and projector meet the language model", "#c06a12", "document"),
    Stage("joint", "Joint pre-training", "text first, then more and more pictures", "#2b8a5c", "document"),
    Stage("cooldown", "Cooldown", "the best data, a re-warmed rate", "#16798a", "document"),
    Stage("long1", "Long context 1", "four times the length, a new rotary base", "#6a5acd", "document", long=True),
    Stage("long2", "Long context 2", "four times again", "#4b3fa0", "document", long=True),
    Stage("sft", "Fine-tuning", "conversations, loss on answers only", "#a8408f", "chat"),
    Stage("sft2", "Fine-tuning 2", "the same with longer contexts", "#c2699f", "chat"),
    Stage("longcot", "Long-CoT", "worked solutions, verified", "#b03a5b", "think", before=("warm_up",)),
    Stage("rl", "RL", "sampled, rewarded, policy mirror descent", "#b23a2a", "think", after=("scores", "gain")),
)
STAGES = {stage.name: stage for stage in ROWS}  # by name, in order
LONG = tuple(stage.name for stage in ROWS if stage.long)
BEFORE_LONG = next(earlier.name for earlier, later in pairwise(ROWS) if later.long)


def chosen(name: str | None, preset: str, start: str | None) -> tuple[str, ...]:
    """The stages that `--stage NAME` means: one, the two of `long`, or without a name all of a whole run.

    Kimi-VL began with Moonlight, a language model that had read 5.2 trillion tokens (report, section 2.3). So does a
    whole run that has a `start`, or a preset whose text pre-training is shipped (`small-text`): it leaves out the
    first stage. Raises `UserError` for an unknown name.
    """
    if name == "long":
        return LONG
    if name:
        if name not in STAGES:
            raise unknown("stage", name, [*STAGES, "long"])
        return (name,)
    begun = start or (SHIPPED / f"{preset}-text").is_dir()
    return tuple(STAGES)[1:] if begun else tuple(STAGES)


def start_directory(start: str | None) -> str | None:
    """Where `--from` points: `runs/small/long` is the last of the two long stages there."""
    path = Path(start or "")
    return str(path.with_name(LONG[-1])) if start and path.name == "long" and not path.exists() else start


def stage_help() -> str:
    """A line for each stage, for the help of the command line."""
    return "\n".join(f"  {stage.name:<9} {stage.about}" for stage in ROWS)
