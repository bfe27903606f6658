"""The ViT stage: MoonViT learns to see from image-text pairs, L = L_siglip + 2 * L_caption (lesson 10).

* Contrastive: every image and every caption of the batch become unit vectors; a sigmoid tells for each pair whether
  they belong together.
* Caption: a tiny decoder reads the image's features and predicts the caption, token by token.

Text encoder and caption decoder exist only in this stage; of what is learnt, the vision tower is kept. Sizes are our
choice (none is published). Sources: Kimi-VL report (arXiv 2504.07491), section 2.3; SigLIP (arXiv 2303.15343); CoCa
(arXiv 2205.01917) for the factor 2.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minikimi.data.packing import PackedBatch
from minikimi.errors import UserError
from minikimi.model import ops
from minikimi.model.decoder import LanguageModel
from minikimi.model.kimi_vl import KimiVL, next_token_targets, place_features
from minikimi.model.patches import segment_positions
from minikimi.model.projector import Projector, merge_patches
from minikimi.training.objectives import Loss, Objective


def siglip_loss(image: Tensor, text: Tensor, log_scale: Tensor, bias: Tensor, same: Tensor | None = None) -> Tensor:
    """Sigmoid contrastive loss of unit vectors image, text (B, D): sum over each row, mean over rows.

    z_ij = exp(log_scale) * image_i . text_j + bias; L = -1/B sum_ij log sigmoid(m_ij z_ij), m = +1 on the diagonal,
    else -1. Pairs off the diagonal marked in `same` (B, B) are left out: a small world repeats captions, and equal
    captions are no negatives.
    """
    logits = text @ image.T * log_scale.exp() + bias
    sign = 2 * torch.eye(len(logits), device=logits.device) - 1
    terms = F.logsigmoid(sign * logits)
    if same is not None:
        terms = terms.masked_fill(same & (sign < 0), 0.0)
    return -terms.sum() / len(logits)


def segment_mean(x: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Mean over each segment of packed (T, D): (S, D)."""
    lengths = cu_seqlens.diff().long()
    segment = torch.repeat_interleave(torch.arange(len(lengths), device=x.device), lengths)
    return x.new_zeros(len(lengths), x.shape[1]).index_add(0, segment, x) / lengths[:, None]


class SiglipCaption(Objective):
    """SigLIP + 2 * caption loss on batches of the form `caption`, at least one image per sample.

    Args:
        width: width of caption decoder, text encoder and the shared space of images and texts.
        layers: layers of the caption decoder.
        caption_weight: the factor of the caption loss (2 in the report).
    """

    columns = ("loss_siglip", "loss_caption")

    def __init__(self, width: int = 128, layers: int = 2, caption_weight: float = 2.0) -> None:
        super().__init__(["vision_tower"])
        self.width, self.layers, self.caption_weight = width, layers, caption_weight

    def setup(self, model: KimiVL) -> None:
        self.media_id = model.config.media_placeholder_token_id
        heads = max(1, self.width // 32)
        layers, hidden = self.layers, 3 * self.width
        dense: dict[str, Any] = dict(first_k_dense_replace=layers, num_hidden_layers=layers, intermediate_size=hidden)
        text = replace(
            model.config.text_config,
            hidden_size=self.width,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            **dense,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.captioner = KimiVL(replace(model.config, text_config=text))
            del self.captioner.vision_tower  # the model's own tower is used
            self.text_encoder = LanguageModel(replace(text, num_hidden_layers=1)).model
            nn.init.normal_(self.text_encoder.embed_tokens.weight, std=0.1)
            self.image_head = nn.Linear(model.config.vision_config.hidden_size, self.width, bias=False)
            self.text_head = nn.Linear(self.width, self.width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        patches = model.vision_tower.patches(batch.pixel_values, batch.grid_hws)
        contrast = self.contrastive(patches, batch)
        caption = self.caption(model, patches, batch)
        parts = {"loss_siglip": contrast, "loss_caption": caption}
        return Loss(contrast + self.caption_weight * caption, parts, [])

    def contrastive(self, patches: Tensor, batch: PackedBatch) -> Tensor:
        """A sample's images (mean over patches) against its caption (mean over the tokens that carry a label).

        Raises `UserError` for a sample without an image: it has no side to compare.
        """
        merged = F.pad((batch.input_ids == self.media_id).cumsum(0), (1, 0))[batch.cu_seqlens.long()]
        blind = [name for name, n in zip(batch.sample_ids, merged.diff().tolist(), strict=True) if n == 0]
        if blind:
            raise UserError(f"sample {blind[0]} has no image; ViT training needs one, so leave text out of data.tasks")
        image = self.image_head(segment_mean(patches, merged * (len(patches) // int(merged[-1]))))
        learnt = batch.labels != -100
        cumulative = F.pad(learnt.cumsum(0), (1, 0))
        cu_seqlens = cumulative[batch.cu_seqlens.long()].to(torch.int32)  # bounds of the captions alone
        lengths = cu_seqlens.diff()
        ids = batch.input_ids[learnt]
        positions = segment_positions(cu_seqlens)
        hidden, _ = self.text_encoder(self.text_encoder.embed_tokens(ids), positions, cu_seqlens, int(lengths.max()))
        text = self.text_head(segment_mean(hidden, cu_seqlens))
        padded = nn.utils.rnn.pad_sequence(list(ids.split(lengths.tolist())), batch_first=True, padding_value=-1)
        same = (padded[:, None] == padded).all(dim=-1)
        return siglip_loss(
            F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1), self.log_scale, self.bias, same
        )

    def caption(self, model: KimiVL, patches: Tensor, batch: PackedBatch) -> Tensor:
        """Next-token loss of the caption decoder, whose prefix is the image."""
        blocks = merge_patches(patches, batch.grid_hws, model.config.vision_config.merge_kernel_size)
        projector: Projector = self.captioner.multi_modal_projector
        language: LanguageModel = self.captioner.language_model
        x = language.model.embed_tokens(batch.input_ids)
        x = place_features(x, batch.input_ids, projector(blocks), self.media_id)
        longest = int(batch.cu_seqlens.diff().max())
        hidden, _ = language.model(x, segment_positions(batch.cu_seqlens), batch.cu_seqlens, longest)
        targets = next_token_targets(batch.labels, batch.cu_seqlens)
        return ops.linear_cross_entropy(hidden, language.lm_head.weight, targets)
