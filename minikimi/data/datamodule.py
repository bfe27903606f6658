"""Packed batches for Lightning: a source, a form and the limits of a batch, all from YAML (lesson 09)."""

from __future__ import annotations

from functools import partial

import lightning

from minikimi.data.forms import check_form, encode
from minikimi.data.loader import PackedLoader, Phases, Source
from minikimi.data.mixture import Mixture
from minikimi.data.shares import Mixtures, Named
from minikimi.data.solutions import Solutions
from minikimi.errors import UserError
from minikimi.processor.processor import Processor
from minikimi.world import PictureWorld


class PackedData(lightning.LightningDataModule):
    """Training batches of at most `max_tokens` text positions and `max_patches` image patches.

    Args:
        form: how samples become tokens (see `minikimi.data.forms`).
        max_tokens: text positions of a batch.
        max_patches: image patches of a batch.
        steps: number of batches.
        tasks: what to read of the picture world, None for its own mixture: weights of tasks, the name of a mixture of
            `configs/mixtures.yaml`, or shares of the tokens by name; or a list of these, each for an equal part of the
            stage.
        dataset: a Hugging Face dataset in our schema (a saved directory, parquet or jsonl) instead of the picture
            world.
        split: its split.
        solutions: a file of verified worked solutions to mix in (see `minikimi.data.solutions`).
        solutions_share: their share of the samples.
        processor: a directory with tokenizer and image settings; None takes the shipped small ones.
        seed: the order of samples. Stages use different seeds, so they see different pictures.
        workers: processes that make batches ahead of a GPU; the batches are the same.
    """

    def __init__(
        self,
        form: str,
        max_tokens: int,
        max_patches: int,
        steps: int,
        tasks: Named = None,
        dataset: str | None = None,
        split: str = "train",
        solutions: str | None = None,
        solutions_share: float = 0.5,
        processor: str | None = None,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.processor = Processor.from_pretrained(processor) if processor else Processor.small()
        check_form(form)
        self.encode = partial(encode, self.processor, form=form)
        self.limits = (max_tokens, max_patches, steps)
        self.tasks = Mixtures.of().phases(tasks)
        self.dataset, self.split, self.seed = dataset, split, seed
        self.solutions, self.solutions_share, self.workers = solutions, solutions_share, workers

    def source(self) -> Source | Phases:
        """What the batches are made of. Raises UserError for solutions beside a data set or a list of mixtures."""
        if self.solutions is not None and (self.dataset is not None or isinstance(self.tasks, list)):
            raise UserError("solutions go with one mixture of tasks; leave out dataset, and give no list of tasks")
        if self.dataset is not None:
            from minikimi.data.hf import load_samples

            return load_samples(self.dataset, self.split)
        if isinstance(self.tasks, list):
            return Phases([PictureWorld(self.seed, "train", tasks) for tasks in self.tasks])
        world = PictureWorld(self.seed, "train", self.tasks)
        if self.solutions is None:
            return world
        share = self.solutions_share
        return Mixture([Solutions(self.solutions), world], [share, 1 - share], self.seed)

    def train_dataloader(self) -> PackedLoader:
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return PackedLoader(
            self.source(),
            self.encode,
            *self.limits,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            workers=self.workers,
        )
