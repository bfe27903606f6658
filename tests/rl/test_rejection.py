"""Rejection sampling: only verified thoughts become solutions."""

from pathlib import Path

from rl_toys import group

from minikimi.inference.request import STOP
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.rl.passk import sample_groups
from minikimi.rl.rejection import VERIFIED, solved, verified, verified_solutions
from minikimi.rl.response import Response
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.sample import Sample
from minikimi.world import PictureWorld


def test_solved_keeps_verified_thoughts_only(nano: Path) -> None:
    """Responses are forged: a right one, a shorter right one, and wrong ones in which the answer merely occurs."""
    model, processor = KimiVL.from_pretrained(nano), Processor.small()
    world = PictureWorld(3, "train", {"number": 1.0})
    settings = RolloutSettings(samples=2, max_new_tokens=4, rewards=VERIFIED)
    group = sample_groups(model, processor, [world[0]], settings, (0,), "◁think▷")[0]
    answer = world[0].answer

    def forged(text: str, right: float) -> Response:
        return Response((0,), processor.tokenizer.encode(text), end=STOP, parts={"exact": right, "format": right})

    group.responses = [
        forged(f"◁think▷not {answer}◁/think▷no", 0.0),
        forged(f"◁think▷it is long, so {answer}◁/think▷{answer}", 1.0),
        forged(f"◁think▷{answer}◁/think▷{answer}", 1.0),
    ]
    assert solved([group], processor, shortest=False)[0].solution == f"it is long, so {answer}"
    assert solved([group], processor, shortest=True)[0].solution == answer
    group.responses = group.responses[:1]
    assert solved([group], processor, shortest=True) == []


def test_responses_begin_with_the_opening_and_it_is_not_learnt(nano: Path) -> None:
    model, processor = KimiVL.from_pretrained(nano), Processor.small()
    world = PictureWorld(3, "train", {"number": 1.0})
    settings = RolloutSettings(samples=2, max_new_tokens=12, rewards=VERIFIED)
    opening = processor.tokenizer.encode("◁think▷")
    for r in sample_groups(model, processor, [world[0], world[1]], settings, (0,), "◁think▷")[1].responses:
        assert r.ids[: len(opening)] == opening and r.start == len(opening) and len(r.ids) <= 12
    found = verified_solutions(model, processor, world, problems=2, samples=2, max_new_tokens=12)
    assert all(isinstance(s, Sample) and s.solution for s in found)


def test_every_reward_function_must_agree() -> None:
    g = group("a", "b", "c")
    for r, (exact, form) in zip(g.responses, ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0)), strict=True):
        r.parts = {"exact": exact, "format": form}
    assert verified(g) == g.responses[:1]
