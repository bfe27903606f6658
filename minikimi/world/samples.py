"""Pictures of the world to be asked about, with what is known of them: for the page of `minikimi serve` (lesson 09).

    python -m minikimi.world.samples      # draws minikimi/shipped/samples again: a dozen held-out pictures

A picture comes with its question, the true answer, and the boxes in which the answer lies where the world knows them,
so that one can see whether a model looks there. Pictures: OpenMoji (https://openmoji.org), CC BY-SA 4.0.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from minikimi.files import SHIPPED, write_bytes, write_json
from minikimi.sample import Sample
from minikimi.world.picture_world import PictureWorld

CREDIT = "Pictures drawn with OpenMoji (openmoji.org), CC BY-SA 4.0; handwritten digits: UCI, CC BY 4.0"
SEED = 16
TASKS_SHOWN = (
    *("where", "count", "caption", "click", "chart", "table"),
    *("receipt", "number", "word", "sum", "flag", "group"),
)  # of one picture each
Box = tuple[float, float, float, float]


def answer_boxes(sample: Sample) -> list[Box]:
    """The boxes of what is asked for: left, top, right, bottom as shares of the picture, 0 to 1.

    Empty where the world does not say where the answer lies, and for samples of more or less than one picture.
    """
    facts = sample.facts
    if len(sample.images) != 1:
        return []
    if sample.task == "click":
        return [tuple(facts["box"])]
    if sample.task == "where":
        names = [facts["things"][facts["place"]]]
    elif sample.task == "count":
        names = [facts["target"]]
    elif sample.task == "chart":
        names = [facts["asked"]] if isinstance(facts["asked"], str) else list(facts["asked"])
    elif sample.task in ("flag", "group"):
        names = [facts["name"]]
    else:
        return []
    width, height = sample.images[0].size
    boxes = [placed["box"] for placed in facts["placements"] if placed["name"] in names]
    return [(left / width, top / height, right / width, bottom / height) for left, top, right, bottom in boxes]


def png(sample: Sample) -> bytes:
    """The one picture of a sample as a PNG file."""
    file = BytesIO()
    sample.images[0].save(file, "PNG", optimize=True)
    return file.getvalue()


def known(sample: Sample) -> dict[str, Any]:
    """What the page is told about a sample's picture: task, question, answer and the boxes of `answer_boxes`."""
    boxes = [[round(side, 4) for side in box] for box in answer_boxes(sample)]
    return {"task": sample.task, "question": sample.question, "answer": sample.answer, "boxes": boxes}


def draw_sample(seed: int, index: int, tasks: tuple[str, ...] = TASKS_SHOWN) -> Sample:
    """A held-out sample in English, from `index` on."""
    world = PictureWorld(seed, "held_out", dict.fromkeys(tasks, 1.0))
    while (sample := world[index]).facts.get("language") == "zh":
        index += 1
    return sample


def write_samples(where: Path = SHIPPED / "samples") -> int:
    """Write a picture of each of `TASKS_SHOWN` and `samples.json`; returns how many."""
    rows = []
    for task in TASKS_SHOWN:
        sample = draw_sample(SEED, 0, (task,))
        write_bytes(where / f"{task}.png", png(sample))
        rows.append({"file": f"{task}.png"} | known(sample))
    write_json(where / "samples.json", {"licence": CREDIT, "samples": rows})
    return len(rows)


if __name__ == "__main__":
    print(f"written: {write_samples()} pictures")
