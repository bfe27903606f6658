"""Rollouts for Lightning: to the Trainer, sampling is just a loader whose batches take long (lesson 14)."""

from __future__ import annotations

import json
from pathlib import Path

import lightning

from minikimi.data.shares import Mixtures
from minikimi.errors import UserError
from minikimi.files import write_json
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.rl.compare import BEFORE_LENGTH
from minikimi.rl.engine import RolloutEngine
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.passk import pass_rates
from minikimi.rl.problems import ProblemPool
from minikimi.rl.prompts import filter_prompts
from minikimi.rl.rollout_log import RolloutTable
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import metric_names
from minikimi.training.module import Training
from minikimi.training.objectives import Objective
from minikimi.world import PictureWorld


def check_agreement(objective: Objective, settings: RolloutSettings) -> None:
    """Raise `UserError` if the objective asks for another policy, or for more, than the rollouts give."""
    if not isinstance(objective, MirrorDescent):
        return
    if objective.temperature != settings.temperature:
        raise UserError(
            f"temperature {objective.temperature} of the objective, {settings.temperature} of the rollouts: set "
            "model.objective.init_args.temperature and data.settings.temperature to the same"
        )
    if objective.replay_routing and not settings.record_experts:
        raise UserError("replay_routing needs the experts of the rollouts: set data.settings.record_experts to true")


class RolloutData(lightning.LightningDataModule):
    """Batches of scored rollouts on tasks of the picture world.

    Args:
        steps: gradient steps of the stage.
        settings: how an iteration samples and scores.
        tasks: weights of tasks of the picture world, or the name of a mixture; all equal if None.
        pool: number of problems to draw from.
        curriculum: from which iteration on which levels of difficulty (1 to 4) are drawn; all if None.
        prioritised: draw problems in proportion to 1 - success rate.
        filter_prompts: before the first iteration, drop the problems that the model always or never solves or can
            guess (18 responses to each; see `minikimi.rl.prompts`). What is kept is written to prompts.json.
        validate_every: iterations between two measurements of pass@1 and pass@k on held-out problems; 0 for none.
        validate_problems: number of these problems.
        processor: a directory with tokenizer and image settings; None takes the shipped small ones.
        seed: the problems, their order and all samples.
        checkpoint_every: gradient steps between checkpoints, which cannot stand within an iteration.
    """

    def __init__(
        self,
        steps: int,
        settings: RolloutSettings,
        tasks: str | dict[str, float] | None = None,
        pool: int = 1024,
        curriculum: dict[int, list[int]] | None = None,
        prioritised: bool = True,
        filter_prompts: bool = False,
        validate_every: int = 0,
        validate_problems: int = 32,
        processor: str | None = None,
        seed: int = 0,
        checkpoint_every: int = 0,
    ) -> None:
        super().__init__()
        if checkpoint_every % settings.inner_steps:
            raise UserError(
                f"checkpoint_every {checkpoint_every} must be a multiple of inner_steps {settings.inner_steps}"
            )
        self.processor = Processor.from_pretrained(processor) if processor else Processor.small()
        self.steps, self.settings, self.seed = steps, settings, seed
        self.tasks = None if tasks is None else Mixtures.of().weights(tasks)
        self.pool_size, self.curriculum, self.prioritised = pool, curriculum, prioritised
        self.filter_prompts = filter_prompts
        self.validate_every, self.validate_problems = validate_every, validate_problems
        self.columns = metric_names(settings)

    def source(self) -> PictureWorld:
        """Where the problems come from."""
        return PictureWorld(self.seed, "train", self.tasks)

    def train_dataloader(self) -> RolloutEngine:
        trainer = self.trainer
        assert trainer is not None and isinstance(trainer.lightning_module, Training)
        if trainer.world_size > 1:
            raise UserError(
                f"{trainer.world_size} processes: reinforcement learning runs in one; set trainer.devices to 1"
            )
        check_agreement(trainer.lightning_module.objective, self.settings)
        world = self.source()
        directory = Path(trainer.default_root_dir)
        kept = self.kept(trainer.lightning_module.model, world, directory) if self.filter_prompts else None
        pool = ProblemPool(world, self.pool_size, self.curriculum, self.prioritised, self.seed, kept)
        table = RolloutTable(directory / "rollouts.jsonl", self.processor, self.settings.shown)
        return RolloutEngine(
            trainer.lightning_module.model,
            self.processor,
            pool,
            self.settings,
            self.steps,
            table,
            self.validate,
            trainer.precision_plugin.forward_context,
        )

    def kept(self, model: KimiVL, world: PictureWorld, directory: Path) -> list[int]:
        """Indices of the problems worth training on; found once, so that a resumed run draws from the same. Raises
        `UserError` if there is none.
        """
        path = directory / "prompts.json"
        if not path.is_file():
            samples = [world[i] for i in range(self.pool_size)]
            keep = filter_prompts(model, self.processor, samples, self.settings, seed=self.seed)
            write_json(path, {"pool": self.pool_size, "kept": [i for i, kept in enumerate(keep) if kept]})
        found = json.loads(path.read_text())["kept"]
        if not found:
            raise UserError(f"{path}: none of {self.pool_size} problems is sometimes solved and never guessed; turn "
                            "filter_prompts off, or choose other tasks")  # fmt: skip
        return found

    def validate(self, iteration: int) -> dict[str, float]:
        """pass@1 and pass@k on held-out problems, every `validate_every` iterations; and, where the length reward
        begins, a copy of the model, so that what this reward changes can be measured."""
        self.keep_before_length(iteration)
        if not self.validate_every or iteration % self.validate_every:
            return {}
        assert self.trainer is not None and isinstance(self.trainer.lightning_module, Training)
        world = PictureWorld(self.seed, "held_out", self.tasks)
        samples = [world[i] for i in range(self.validate_problems)]
        k = self.settings.samples
        rates = pass_rates(self.trainer.lightning_module.model, self.processor, samples, self.settings, (self.seed, 0))
        return {"pass@1": rates.pass_at(1), "pass@k": rates.pass_at(k)}

    def keep_before_length(self, iteration: int) -> None:
        if self.settings.length_weight and iteration == self.settings.length_from > 0:
            assert self.trainer is not None and isinstance(self.trainer.lightning_module, Training)
            self.trainer.lightning_module.model.save_pretrained(Path(self.trainer.default_root_dir) / BEFORE_LENGTH)
