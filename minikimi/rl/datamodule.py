"""Rollouts for Lightning: to the Trainer, sampling is just a loader whose batches take long (lesson 14)."""

from __future__ import annotations

from pathlib import Path

import lightning

from minikimi.config import UserError
from minikimi.data.world import PictureWorld
from minikimi.processor import Processor
from minikimi.rl.compare import BEFORE_LENGTH
from minikimi.rl.engine import RolloutEngine
from minikimi.rl.passk import pass_rates
from minikimi.rl.sampling import ProblemPool
from minikimi.rl.scoring import metric_names
from minikimi.rl.settings import RolloutSettings
from minikimi.rl.table import RolloutTable
from minikimi.training.module import Training


class RolloutData(lightning.LightningDataModule):
    """Batches of scored rollouts on tasks of the picture world.

    Args:
        steps: gradient steps of the stage.
        settings: how an iteration samples and scores.
        tasks: weight of each task of the picture world; all equal if None.
        pool: number of problems to draw from.
        curriculum: from which iteration on which levels of difficulty (1 to 4) are drawn; all if None.
        prioritised: draw problems in proportion to 1 - success rate.
        validate_every: iterations between two measurements of pass@1 and pass@k on held-out problems; 0 for none.
        validate_problems: number of these problems.
        processor: a directory with tokenizer and image settings; None takes the shipped small ones.
        seed: the problems, their order and all samples.
    """

    def __init__(
        self,
        steps: int,
        settings: RolloutSettings,
        tasks: dict[str, float] | None = None,
        pool: int = 1024,
        curriculum: dict[int, list[int]] | None = None,
        prioritised: bool = True,
        validate_every: int = 0,
        validate_problems: int = 32,
        processor: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.processor = Processor.from_pretrained(processor) if processor else Processor.small()
        self.steps, self.settings, self.tasks, self.seed = steps, settings, tasks, seed
        self.pool_size, self.curriculum, self.prioritised = pool, curriculum, prioritised
        self.validate_every, self.validate_problems = validate_every, validate_problems
        self.columns = metric_names(settings)

    def train_dataloader(self) -> RolloutEngine:
        trainer = self.trainer
        assert trainer is not None and isinstance(trainer.lightning_module, Training)
        if trainer.world_size > 1:
            raise UserError(
                f"{trainer.world_size} processes: reinforcement learning runs in one; set trainer.devices to 1"
            )
        for callback in trainer.checkpoint_callbacks:
            every = getattr(callback, "_every_n_train_steps", 0)
            if every % self.settings.inner_steps:
                raise UserError(
                    f"checkpoint_every {every} must be a multiple of inner_steps {self.settings.inner_steps}"
                )
        world = PictureWorld(self.seed, "train", self.tasks)
        pool = ProblemPool(world, self.pool_size, self.curriculum, self.prioritised, self.seed)
        table = RolloutTable(Path(trainer.default_root_dir) / "rollouts.jsonl", self.processor, self.settings.shown)
        model = trainer.lightning_module.model
        return RolloutEngine(model, self.processor, pool, self.settings, self.steps, table, self.validate)

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
