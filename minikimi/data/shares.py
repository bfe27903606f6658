"""What a stage reads, by name: groups of tasks and their shares of the tokens become weights of tasks (lesson 09).

The picture world draws samples by weight, but what a model learns from is tokens, and a page of text has thirty times
those of a glyph. So a share of the tokens is divided by the tokens that a sample of the group has on average, which
`configs/mixtures.yaml` lists for each task; `python -m minikimi.data.shares` measures them again.
The papers speak in tokens too: Kimi-VL report (arXiv 2504.07491), section 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean

from minikimi.configs import changes, read_yaml
from minikimi.data.forms import encode
from minikimi.errors import UserError, unknown
from minikimi.files import CONFIGS
from minikimi.processor.processor import Processor
from minikimi.world import TASKS, PictureWorld, group_of

Weights = dict[str, float]
Named = str | Weights | list[str | Weights] | None  # what a stage's `data.tasks` may be


@dataclass(frozen=True)
class Mixtures:
    """The groups that `tasks` may name, and the tokens of a sample of each task.

    groups: weights of the tasks of each group, or of other groups. A group that tasks of the picture world call theirs
        holds every such task, with weight 1 where nothing else is said.
    tokens: of a sample of a task, on average; what is not listed is measured when it is needed.
    """

    groups: Mapping[str, Mapping[str, float]]
    tokens: Mapping[str, float]

    @classmethod
    def of(cls, preset: str | None = None) -> Mixtures:
        """`configs/mixtures.yaml`, with the groups that a preset defines otherwise. Raises `UserError`."""
        shared = read_yaml(CONFIGS / "mixtures.yaml")
        own = changes(preset, "mixtures") if preset else {}
        return cls({**shared["groups"], **own}, shared["tokens"])

    def weights(self, tasks: str | Weights) -> Weights:
        """Weights of tasks from the name of a group, weights of tasks, or shares of groups.

        Raises `UserError` for names that do not exist and shares that cannot be.
        """
        if isinstance(tasks, str):
            return self.group(tasks)
        return dict(tasks) if all(name in TASKS for name in tasks) else self.shared(tasks)

    def phases(self, tasks: Named) -> Weights | list[Weights] | None:
        """The same for all that `data.tasks` may be: also a list of these, or nothing."""
        if isinstance(tasks, list):
            return [self.weights(part) for part in tasks]
        return None if tasks is None else self.weights(tasks)

    def group(self, name: str) -> Weights:
        """Weights of the tasks of a group; a task is a group of its own."""
        if name in TASKS:
            return {name: 1.0}
        listed = self.groups.get(name, {})
        unlisted = {task: 1.0 for task in TASKS if group_of(task) == name and task not in listed}
        members = {**listed, **unlisted}
        if not members:
            raise unknown("mixture or task", name, dict.fromkeys([*self.groups, *map(group_of, TASKS), *TASKS]))
        others = Mixtures({n: members for n, members in self.groups.items() if n != name}, self.tokens)
        found: Weights = {}
        for member, weight in members.items():
            if member in TASKS:
                found[member] = weight
            else:
                found |= {task: weight * inner for task, inner in others.group(member).items()}
        return {task: weight for task, weight in found.items() if weight}

    def shared(self, shares: Mapping[str, float]) -> Weights:
        """Weights at which groups have these shares of the tokens.

        If the weights of the groups, as they are written, come within one percent of the shares, they stay so.
        Otherwise they become shares of the samples in percent, to two digits for a group, two decimals for a task.
        """
        if min(shares.values()) < 0 or not 0 < sum(shares.values()) < float("inf"):
            raise UserError(f"shares {dict(shares)} cannot be a mixture; each must be at least 0, one above 0")
        groups = {name: self.group(name) for name, share in shares.items() if share}
        wanted = {name: 100 * shares[name] / sum(shares.values()) for name in groups}
        tokens = {name: sum(w * self.tokens_of(task) for task, w in group.items()) for name, group in groups.items()}
        written = {name: 100 * n / sum(tokens.values()) for name, n in tokens.items()}
        if any(abs(written[name] - wanted[name]) > 1 for name in groups):
            samples = {name: wanted[name] * sum(group.values()) / tokens[name] for name, group in groups.items()}
            groups = {
                name: scaled(group, 100 * samples[name] / sum(samples.values())) for name, group in groups.items()
            }
        found: Weights = {}
        for group in groups.values():
            found |= {task: found.get(task, 0) + weight for task, weight in group.items()}
        return found

    def tokens_of(self, task: str) -> float:
        return self.tokens[task] if task in self.tokens else tokens_per_sample(task, 100)


def scaled(group: Weights, percent: float) -> Weights:
    """The weights of a group in proportion, together about `percent`."""
    factor = float(f"{percent:.2g}") / sum(group.values())
    return {task: round(weight * factor, 2) or weight * factor for task, weight in group.items()}


def tokens_per_sample(task: str, count: int) -> float:
    """Mean tokens of `count` training samples of a task, written as documents with the small tokenizer."""
    processor, world = Processor.small(), PictureWorld(0, "train", {task: 1.0})
    return mean(len(encode(processor, world[i], "document").input_ids) for i in range(count))


if __name__ == "__main__":
    print("\n".join(f"  {task}: {tokens_per_sample(task, 1000):.0f}" for task in TASKS))
