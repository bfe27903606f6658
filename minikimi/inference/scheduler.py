"""Who runs when: a queue, slots that are refilled while others run, and beginnings that are read once (lesson 17).

* A request waits until a slot is free; the lowest free slot comes first, so that a step spans few of them.
* What a slot has read stays there until it is overwritten. A request whose prompt begins like something that was read,
  in a running slot or a finished one, starts behind it: a second turn reads only what is new, and k answers to one
  prompt read it once.
* A step reads at most a chunk of prompts, and then gives every running slot one token. All of a prompt but its last
  token is read in chunks; the last one is the first that decoding reads.
* Two loops, side by side: `plain` waits for its tokens; `overlapped` launches the next step before it looks at the
  tokens of this one, so that the device never waits for the host. It notices an end one step late, and drops one token.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from minikimi.inference.request import CANCELLED, Request
from minikimi.inference.runner import Outcome, Piece, Runner

REUSE = 16  # a shared beginning of fewer tokens is quicker read than copied
GAPS = 0.75  # a CPU closes the gaps when fewer of the slots it steps through are running

Said = list[tuple[Request, int]]


@dataclass(eq=False)
class Slot:
    """A row of the cache. It holds `length` entries, of which the first `read` are known and may be used again."""

    row: int
    request: Request | None = None
    length: int = 0
    read: int = 0
    goal: int = 0  # entries it must hold before it can decode: all of the prompt but its last token
    freed: int = 0  # when, in steps

    @property
    def decoding(self) -> bool:
        """Whether the next step gives it a token."""
        r = self.request
        return r is not None and self.goal <= self.length < self.goal + r.max_new_tokens


class Scheduler:
    """The host side of the engine; `runner` is the device side."""

    def __init__(self, runner: Runner, slots: int, capacity: int, chunk: int, overlap: bool) -> None:
        self.runner, self.chunk, self.overlap = runner, chunk, overlap
        self.slots = [Slot(row) for row in range(slots)]
        self.waiting: deque[Request] = deque()
        self.table = np.zeros((slots, capacity), dtype=np.int64)  # what each entry stands for; see `request.keys`
        self.flying: tuple[Outcome, list[tuple[Slot, int, Request]]] | None = None
        self.steps = 0

    @property
    def idle(self) -> bool:
        """Whether no request runs or waits."""
        return not self.waiting and not any(s.request for s in self.slots)

    def step(self) -> Said:
        """Admit, read a chunk of prompts, decode: the tokens that came, each with its request."""
        self.admit()
        self.read_chunk()
        self.steps += 1
        said = self.overlapped() if self.overlap else self.plain()
        if self.idle:
            self.flying = None  # what it would say was not asked for
            self.self_check()
        return said

    def plain(self) -> Said:
        """Launch a step and wait for its tokens."""
        return self.collect(self.launch())

    def overlapped(self) -> Said:
        """Launch a step, then look at the tokens of the one before, which the device has had time to finish."""
        before, self.flying = self.flying, self.launch()
        return self.collect(before)

    def admit(self) -> None:
        """Give free slots to waiting requests, in order, the lowest slot first."""
        for request in list(self.waiting):
            free = [s for s in self.slots if s.request is None]
            if not free:
                return
            source, shared = self.find_prefix(request.keys)
            if source is None:  # its beginning is just being read: next time
                continue
            self.waiting.remove(request)
            slot = free[0]
            if shared and source is not slot:
                self.park(slot, [s for s in free[1:] if s is not source])
                self.runner.copy(source.row, slot.row, shared)
                source.freed = source.freed if source.request else 0  # the copy is the newer one
            elif not shared:
                self.park(slot, free[1:])
            self.table[slot.row, : len(request.keys)] = request.keys
            slot.request, slot.length, slot.read, slot.goal = request, shared, shared, len(request.keys) - 1
            request.reused = shared
            self.runner.begin(slot.row, shared, request.tokens[-1], request.sampling)

    def find_prefix(self, keys: np.ndarray) -> tuple[Slot | None, int]:
        """The slot that has read the longest beginning of a prompt, and how much; None: one will soon have read more.

        Its last token does not count: it must be decoded to say something.
        """
        goal = len(keys) - 1
        differ = np.ones((len(self.slots), goal + 1), dtype=bool)
        np.not_equal(self.table[:, :goal], keys[:goal], out=differ[:, :goal])
        agree = differ.argmax(axis=1)
        read = np.minimum(agree, [s.read for s in self.slots])
        soon = np.minimum(agree, [s.goal if s.request and s.length < s.goal else 0 for s in self.slots])
        best, most = int(read.argmax()), int(soon.max())
        if most > read[best] and (most >= REUSE or most == goal):
            return None, 0
        shared = int(read[best])
        return self.slots[best], shared if shared >= REUSE or shared == goal else 0

    def park(self, slot: Slot, others: list[Slot]) -> None:
        """Before a free slot is overwritten, move what it holds to the one of the `others` that was free longest."""
        if slot.read >= REUSE and others:
            place = min(others, key=lambda s: (s.read >= REUSE, s.freed))
            self.runner.copy(slot.row, place.row, slot.read)
            self.table[place.row] = self.table[slot.row]
            place.length = place.read = slot.read
            place.freed = slot.freed

    def read_chunk(self) -> None:
        """Read at most a chunk of the prompts, packed, lowest slot first."""
        room, pieces = self.chunk, []
        for slot in self.slots:
            if slot.request and room and slot.length < slot.goal:
                ids = slot.request.tokens[slot.length : min(slot.goal, slot.length + room)]
                pieces.append(Piece(slot.row, slot.length, ids, slot.request.pictures))
                slot.length = slot.read = slot.length + len(ids)
                room -= len(ids)
        if pieces:
            self.runner.prefill(pieces)

    def launch(self) -> tuple[Outcome, list[tuple[Slot, int, Request]]] | None:
        """Start a decoding step of all slots up to the highest that is ready; None if none is."""
        if self.runner.device.type == "cpu":
            self.close_gaps()
        ready = [(s, s.row, s.request) for s in self.slots if s.request and s.decoding]
        if not ready:
            return None
        span = ready[-1][1] + 1
        growing, uniform = [False] * span, np.zeros(span)
        for slot, row, request in ready:
            growing[row] = True
            if len(request.noise):
                uniform[row] = request.noise[slot.length - slot.goal]
        samplings = [request.sampling for _, _, request in ready]
        outcome = self.runner.launch(
            growing,
            uniform,
            longest=max(s.length for s in self.slots[:span]),
            greedy=all(s.temperature == 0 for s in samplings),
            nucleus=any(s.top_p < 1 for s in samplings),
            best=max(request.candidates_wanted for _, _, request in ready),
        )
        for slot, _, _ in ready:
            slot.length += 1
        return outcome, ready

    def collect(self, launched: tuple[Outcome, list[tuple[Slot, int, Request]]] | None) -> Said:
        """Read the tokens of a step; free the slots whose requests have ended."""
        if launched is None:
            return []
        outcome, ready = launched[0].wait(), launched[1]
        tokens, log_probs = outcome.tokens.tolist(), outcome.log_probs.tolist()
        best = [t.tolist() for t in outcome.best] if outcome.best else None
        said = []
        for slot, row, request in ready:
            if request.finish:  # noticed one step late, or cancelled
                continue
            wanted = request.candidates_wanted
            candidates = list(zip(best[0][row][:wanted], best[1][row][:wanted], strict=True)) if best else []
            request.add(tokens[row], log_probs[row], candidates)
            slot.read = slot.goal + len(request.ids)
            self.table[slot.row, slot.read] = tokens[row]
            said.append((request, tokens[row]))
            if request.finish:
                self.release(slot)
        return said

    def release(self, slot: Slot) -> None:
        """A slot whose request has ended is free; what it has read stays."""
        assert slot.request is not None
        if slot.request.record_experts:
            slot.request.experts = self.runner.chosen_experts(slot.row, slot.read)
        slot.request, slot.freed = None, self.steps

    def cancel(self, request: Request) -> None:
        """End a request now, wherever it is; one that has ended stays as it is."""
        if request.finish:
            return
        request.finish = CANCELLED
        if request in self.waiting:
            self.waiting.remove(request)
        for slot in self.slots:
            if slot.request is request:
                self.release(slot)

    def close_gaps(self) -> None:
        """Where many slots below the highest are empty, move the highest ones down: few need not pay for many."""
        busy = [s for s in self.slots if s.request]
        if not busy or len(busy) > GAPS * (busy[-1].row + 1):
            return
        holes = [s for s in self.slots[: len(busy)] if not s.request]
        for hole, slot in zip(holes, reversed(busy), strict=False):
            self.runner.move(slot.row, hole.row, slot.length)
            self.table[hole.row] = self.table[slot.row]
            slot.row, hole.row = hole.row, slot.row
            self.slots[slot.row], self.slots[hole.row] = slot, hole
            hole.length = hole.read = 0

    def self_check(self) -> None:
        """Raise `RuntimeError` where books and device disagree. Waits for the device: for when it is idle."""
        running = [s.request for s in self.slots if s.request]
        lengths = self.runner.cache.lengths.tolist()
        checks = {
            "a slot stands in another's row": [s.row for s in self.slots] == list(range(len(self.slots))),
            "a request has two slots": len(set(map(id, running))) == len(running),
            "a finished request keeps its slot": not any(r.finish for r in running),
            "a request waits and runs": not any(r in running for r in self.waiting),
            "lengths differ from the device's": lengths == [s.length for s in self.slots],
            "a length is impossible": all(0 <= s.read <= s.length < self.table.shape[1] for s in self.slots),
        }
        wrong = [what for what, right in checks.items() if not right]
        if wrong:
            raise RuntimeError(f"the engine's books are wrong: {'; '.join(wrong)}")
