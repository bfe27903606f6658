"""The library on its Triton kernels computes what it does in torch: each stage's loss and gradients, and generation.

On a GPU where there is one, else in Triton's interpreter.
"""

import pytest
import torch

from minikimi import KimiVL, Processor
from minikimi.data import PackedBatch, pack
from minikimi.data.forms import encode
from minikimi.model.attention import LatentCache
from minikimi.model.config import PRESETS
from minikimi.training.objectives import NextToken, Objective
from minikimi.training.vit import SiglipCaption
from minikimi.world import PictureWorld

pytest.importorskip("triton", reason="Triton has no wheel for this system")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PARTS = ["vision_tower", "multi_modal_projector", "language_model"]
STAGES = {
    "text": ("text", lambda: NextToken(["language_model"])),
    "vit": ("caption", lambda: SiglipCaption(width=32, layers=1)),
    "align": ("caption", lambda: NextToken(PARTS[:2])),
    "joint": ("document", lambda: NextToken(PARTS)),
    "sft": ("chat", lambda: NextToken(PARTS)),
}


def model_with_bias() -> KimiVL:
    torch.manual_seed(0)
    model = KimiVL(PRESETS["nano"])
    for buffer in model.buffers():
        buffer.normal_(std=0.1)
    return model.to(DEVICE)


def loss_and_gradients(
    kernels: str, model: KimiVL, objective: Objective, batch: PackedBatch, monkeypatch: pytest.MonkeyPatch
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    monkeypatch.setenv("MINIKIMI_KERNELS", kernels)
    both = torch.nn.ModuleDict({"model": model, "objective": objective})
    both.zero_grad()
    loss = objective.loss(model, batch).total
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in both.named_parameters() if p.grad is not None}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_kernels_give_the_same_loss_and_gradients(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    form, make = STAGES[stage]
    processor, world = Processor.small(), PictureWorld(3, "train", {"caption": 1, "count": 1, "order": 1})
    batch = pack([encode(processor, world[i], form) for i in range(3)]).to(DEVICE)
    model, objective = model_with_bias(), make()
    objective.setup(model)
    objective.to(DEVICE)
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith(objective.train_parts))
    torch_loss, torch_grads = loss_and_gradients("torch", model, objective, batch, monkeypatch)
    loss, grads = loss_and_gradients("triton", model, objective, batch, monkeypatch)
    torch.testing.assert_close(loss, torch_loss, rtol=1e-5, atol=1e-5)
    assert grads.keys() == torch_grads.keys() and grads
    for name, grad in grads.items():
        torch.testing.assert_close(grad, torch_grads[name], rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def questions() -> dict[str, torch.Tensor]:
    """Two held-out questions with their pictures, where the model is."""
    proc, world = Processor.small(), PictureWorld(3, "held_out")
    samples = [world[i] for i in range(2)]
    batch = proc([s.messages[:-1] for s in samples], [s.images for s in samples], add_generation_prompt=True)
    return {name: value.to(DEVICE) for name, value in batch.items()}


def test_generation_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefill, absorbed decoding over the cache and the experts' path without sorting."""
    model, batch, out = model_with_bias().eval(), questions(), {}
    for kernels in ("torch", "triton"):
        monkeypatch.setenv("MINIKIMI_KERNELS", kernels)
        out[kernels] = model.generate(**batch, max_new_tokens=4)
    assert torch.equal(out["torch"], out["triton"])


def test_decoding_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are bf16 there and the cache float32: logits of one step stay within bf16 of those without kernels."""
    model, batch, logits = model_with_bias().eval(), questions(), {}
    for kernels in ("torch", "triton"):
        monkeypatch.setenv("MINIKIMI_KERNELS", kernels)
        cache = LatentCache(model.config.text_config, 2, 512, torch.device(DEVICE), torch.float32)
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
            model(**batch, cache=cache)
            x = model.language_model.model.embed_tokens(batch["input_ids"][:, -1])
            logits[kernels] = model.language_model.lm_head(model.language_model.model.decode(x, cache)).float()
    difference = (logits["triton"] - logits["torch"]).norm() / logits["torch"].norm()
    assert difference < 0.05
