"""The rollout engine: an iterable of batches that are sampled when they are asked for (lesson 14).

An iteration: draw problems, sample k responses each, score the problems whose responses have all ended, drop those
that teach nothing, and hand out the rest once per inner step. With partial rollouts a problem may take several
iterations: the newest segment of each of its responses is learnt, against the log-probabilities with which it was
sampled. Random numbers are a function of (seed, iteration) and nothing is prefetched, so the state of a run is the
iteration, the unfinished responses and the success rates: a killed run goes on to the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from minikimi.data import forms
from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.rl.batch import RolloutBatch, join
from minikimi.rl.policy import Policy
from minikimi.rl.problems import ProblemPool
from minikimi.rl.response import Group, Response
from minikimi.rl.rollout import rollout
from minikimi.rl.rollout_log import RolloutTable
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import Scored, metrics, score


class RolloutEngine:
    """A sized iterable of `steps` batches sampled from `model` as it is at that moment.

    `validate(iteration)` may add numbers to the log of an iteration. Rollouts run inside `precision()`, so that they
    are computed as training computes.
    """

    def __init__(
        self,
        model: KimiVL,
        processor: Processor,
        pool: ProblemPool,
        settings: RolloutSettings,
        steps: int,
        table: RolloutTable | None = None,
        validate: Callable[[int], dict[str, float]] = lambda iteration: {},
        precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.model, self.processor, self.pool, self.settings = model, processor, pool, settings
        self.policy = Policy.of(model.config, settings.temperature)
        self.steps, self.table, self.validate, self.precision = steps, table, validate, precision
        self.iteration = self.step = 0
        self.buffer: list[Group] = []  # problems with unfinished responses
        self.ended = 0.0  # when the last rollouts did

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[RolloutBatch]:
        if self.table:
            self.table.keep_before(self.iteration)
        self.ended = time.perf_counter()
        while self.step < self.steps:
            batch = self.sample_batch()
            self.iteration += 1
            for inner in range(min(self.settings.inner_steps, self.steps - self.step)):
                self.step += 1  # before the yield: a state saved while this batch is in use counts it as done
                yield replace(batch, inner=inner)

    def state_dict(self) -> dict[str, Any]:
        """Plain values, between two iterations. Raises `UserError` within one."""
        if self.step % self.settings.inner_steps and self.step < self.steps:
            raise UserError(
                f"checkpoint at step {self.step}, within an iteration of {self.settings.inner_steps} gradient steps; "
                "set checkpoint_every to a multiple of inner_steps"
            )
        groups = [{"index": g.index, "responses": [r.state() for r in g.responses]} for g in self.buffer]
        return {"iteration": self.iteration, "step": self.step, "buffer": groups, **self.pool.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after a saved iteration. Problems are read again from their source."""
        self.iteration, self.step = int(state_dict["iteration"]), int(state_dict["step"])
        self.pool.load_state_dict(state_dict)
        self.buffer = [
            self.group(g["index"], [Response.from_state(r) for r in g["responses"]]) for g in state_dict["buffer"]
        ]

    def group(self, index: int, responses: list[Response]) -> Group:
        sample = self.pool.source[index]
        return Group(index, sample, forms.prompt(self.processor, sample), responses)

    def usable(self, index: int) -> bool:
        """Whether a problem's prompt is short enough. It is never cut: images would lose their tokens."""
        return len(forms.prompt(self.processor, self.pool.source[index]).input_ids) <= self.settings.max_prompt_tokens

    def sample_batch(self) -> RolloutBatch:
        """One iteration up to its gradient steps."""
        begin = time.perf_counter()
        scored: list[Scored] = []
        for attempt in range(self.settings.attempts):
            groups = self.sample_groups(attempt, {s.group.index for s in scored})
            complete = [score(g, self.processor, self.settings, self.iteration) for g in groups if g.complete]
            self.buffer = [g for g in groups if not g.complete]
            for s in complete:
                self.pool.record(s.group.index, s.correct)
            scored += complete
            if self.buffer or any(s.informative for s in scored):
                break
        if self.table:
            self.table.write(self.iteration, scored)
        now = time.perf_counter()
        numbers = metrics(scored, self.settings) | {"iteration": float(self.iteration)}
        numbers |= {"unfinished": float(sum(not r.end for g in self.buffer for r in g.responses))}
        numbers |= {"rollout_seconds": now - begin, "rollout_share": (now - begin) / (now - self.ended)}
        numbers |= self.validate(self.iteration)
        self.ended = time.perf_counter()
        return self.build(scored or [Scored(g, [0.0] * len(g.responses), [], False) for g in groups], numbers)

    def sample_groups(self, attempt: int, done: Collection[int]) -> list[Group]:
        """Go on with unfinished problems, and with as many new ones as there is room for, none of them `done`."""
        s = self.settings
        waiting = {g.index for g in self.buffer}
        indices = self.pool.draw((self.iteration, attempt), s.problems - len(waiting), {*waiting, *done}, self.usable)
        if not indices and not waiting and not done:
            raise UserError("no problem is left to draw; enlarge the pool or max_prompt_tokens")
        groups = list(self.buffer)
        for index in indices:
            keys = [(self.pool.seed, self.iteration, attempt, index, j) for j in range(s.samples)]
            groups.append(self.group(index, [Response(key) for key in keys]))
        prompts, responses = [g.prompt for g in groups], [g.responses for g in groups]
        with self.precision():
            rollout(self.model, self.policy, prompts, responses, s.max_new_tokens, s.segment, s.record_experts)
        return groups

    def build(self, scored: Sequence[Scored], numbers: dict[str, float]) -> RolloutBatch:
        """The batch of all problems that teach something. If none does, one of them with weight 0: no gradient."""
        useful = [s for s in scored if s.informative]
        chosen = useful or scored[:1]
        media = self.model.config.media_placeholder_token_id
        rows = [(i, r) for i, s in enumerate(chosen) for r in s.group.responses]
        prompts, owners = [s.group.prompt for s in chosen], [i for i, _ in rows]
        shared = join(prompts, owners, [r.ids for _, r in rows], [r.start for _, r in rows], media)
        reference = torch.zeros(shared.tokens)
        for (_, r), end in zip(rows, accumulate(shared.cu_seqlens.diff().tolist()), strict=True):
            reference[end - len(r.ids) : end] = torch.tensor(r.log_probs)
        weight = float(bool(useful)) / (self.settings.samples * len(chosen))
        return RolloutBatch(
            **vars(shared),
            reference=reference,
            advantages=torch.tensor([a for s in chosen for a in s.advantages]),
            weights=torch.full((len(rows),), weight),
            experts=self.experts([r for _, r in rows]),
            inner=0,
            metrics=numbers,
        )

    def experts(self, responses: Sequence[Response]) -> Tensor:
        """(expert layers, T, K) of the row, empty if not recorded."""
        recorded = [r.experts for r in responses if r.experts is not None]
        return torch.cat(recorded, dim=1).long() if recorded else torch.empty(0)
