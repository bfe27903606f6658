"""What the report is made of: reading curves, choosing conversations, looking into the eye."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from minikimi.model.kimi_vl import KimiVL
from minikimi.model.patches import image_cu_seqlens
from minikimi.model.rope import rotary_2d
from minikimi.processor.images.processing import ImageProcessor
from minikimi.report import figures, inside, runfiles
from minikimi.report.page import count, heat_cell, percent
from minikimi.report.samples import raw_output


def test_empty_cells_are_left_out_of_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,lr\n1,3.5,\n1,,0.1\n2,2.5,\n2,,0.2\n3,nan,\n4,2")  # the last line is cut
    columns = runfiles.read_columns(path)
    assert runfiles.curve(columns, "loss") == ([1.0, 2.0, 4.0], [3.5, 2.5, 2.0])
    assert runfiles.curve(columns, "lr") == ([1.0, 2.0], [0.1, 0.2])
    assert runfiles.curve(columns, "absent") == ([], [])


def test_cut_rollouts_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "rl").mkdir()
    (tmp_path / "rl" / "rollouts.jsonl").write_text('{"iteration": 0}\n[1]\n{"iteration": 1, "tas')
    assert runfiles.read_rollouts(tmp_path) == [{"iteration": 0}]


@pytest.mark.parametrize("value", ["0.5", None, True, float("nan"), [0.5], {}])
def test_only_finite_numbers_are_numbers(value: object) -> None:
    assert runfiles.number(value) is None and percent(value) == ""
    assert runfiles.number(0) == 0 and percent(0.724) == "72%"


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert figures.smooth([4.0, 4.0, 4.0]) == pytest.approx([4.0, 4.0, 4.0])
    assert figures.smooth([1.0, 2.0], weight=0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 2) / 0.75])


def test_violation_is_the_busiest_expert_over_the_even_share() -> None:
    # Layer 1 ends at 3 : 1 for two experts; counts and shares give the same.
    columns = {"step": [1, 1, 9, 9], "layer": [0, 1, 0, 1], "a": [0.9, 0.9, 0.5, 3.0], "b": [0.1, 0.1, 0.5, 1.0]}
    assert figures.violation(columns) == pytest.approx({0: 0.0, 1: 0.5})


def test_titles_are_no_mathematics() -> None:
    columns = {"step": [1.0, 2.0], "loss_$x": [1.0, 2.0]}
    assert figures.curve_figure(columns, "loss_$x", "#000000").startswith(b"\x89PNG")


def test_numbers_in_words() -> None:
    assert [count(n) for n in (7, 1500, 5_280_000, 16_407_656_048)] == ["7", "1.5 k", "5.3 M", "16.4 B"]


def test_a_dark_cell_has_white_ink() -> None:
    assert "color:#fff" in heat_cell(0.9, 1.0, percent) and "color:inherit" in heat_cell(0.2, 1.0, percent)
    assert "rgba(42,111,219,1.00)" in heat_cell(7.0, 2.0, percent) and "0.06" in heat_cell(-1.0, 1.0, percent)


@pytest.mark.parametrize(
    ("raw", "html"),
    [
        ("42", ""),  # nothing that the answer does not say
        ("so 42", "<pre>so 42</pre>"),
        ("◁think▷6 x 7◁/think▷42", '<pre><span class="think">◁think▷6 x 7◁/think▷</span>42</pre>'),
        ("◁think▷6 x", '<pre><span class="think">◁think▷6 x</span></pre>'),  # cut by the limit
    ],
)
def test_thinking_is_set_off(raw: str, html: str) -> None:
    assert raw_output({"raw": raw, "answer": "42"}) == html


@pytest.fixture(scope="module")
def model() -> KimiVL:
    torch.manual_seed(3)
    return KimiVL.from_preset("nano").eval()


@pytest.fixture
def picture() -> Image.Image:
    """White but for a noisy square: the patch in row 1, column 4 of a 4 x 6 grid."""
    image = Image.new("RGB", (84, 56), "white")
    image.paste(Image.effect_noise((14, 14), 120), (56, 14))
    return image


def test_attention_is_the_block_s_own(model: KimiVL, picture: Image.Image) -> None:
    # Weights times values, output matrix and MLP must give what the block itself gives, so angles, scale and order of
    # heads are right. The last layer: the ones before must be passed through, too.
    tower = model.vision_tower
    pixels, grid = ImageProcessor()(picture)
    layer = len(tower.encoder.blocks) - 1
    weights = inside.attention_weights(tower, pixels, grid, layer)
    cos, sin = rotary_2d(grid, tower.encoder.head_dim)
    with torch.no_grad():
        x = tower.patch_embed(pixels, grid)
        for block in tower.encoder.blocks[:layer]:
            x = block(x, cos, sin, image_cu_seqlens(grid), len(x))
        last = tower.encoder.blocks[layer]
        values = last.wqkv(last.norm0(x)).chunk(3, dim=-1)[2].unflatten(-1, (last.num_heads, -1))
        mid = x + last.wo(torch.einsum("hpq,qhd->phd", weights, values).flatten(1))
        expected = last(x, cos, sin, image_cu_seqlens(grid), len(x))
    torch.testing.assert_close(mid + last.mlp(last.norm1(mid)), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_the_most_focused_head_is_found() -> None:
    even, sharp = torch.full((4, 4), 0.25), torch.eye(4)
    assert inside.most_focused(torch.stack([even, sharp, even])) == 1


def test_patches_to_look_from(picture: Image.Image) -> None:
    # The noise, something far from it, something calm; in a picture that fills only 3 of 4 rows, none from the padding,
    # whose edge has the greatest contrast of all.
    picture.paste("black", (0, 50, 84, 56))
    pixels, grid = ImageProcessor()(picture)
    assert int(pixels.flatten(1).std(dim=1).argmax()) >= 18
    first, second, calm = inside.query_patches(pixels, int(grid[0, 1]), (3, 6))
    assert first == 1 * 6 + 4 and max(abs(second // 6 - 1), abs(second % 6 - 4)) >= 2
    assert calm != first and max(first, second, calm) < 18


def test_rotary_similarity_is_one_in_the_middle_and_depends_on_distance_alone(model: KimiVL) -> None:
    rotary, learned = inside.position_similarity(model.vision_tower, (9, 9))
    assert float(rotary[4, 4]) == pytest.approx(1) == pytest.approx(float(learned[4, 4]))
    assert float(rotary.max()) == pytest.approx(1) and int(rotary.argmax()) == 40
    torch.testing.assert_close(rotary, rotary.flip(0))
    torch.testing.assert_close(rotary, rotary.flip(1))
    torch.testing.assert_close(rotary, rotary.T)  # rows and columns turn at the same frequencies
    # By hand: head width 32 has 8 frequencies a direction; one step to the side turns the column pairs, half of all.
    angles = 10000.0 ** (-torch.arange(8) / 8)
    assert float(rotary[4, 5]) == pytest.approx(float((angles.cos().mean() + 1) / 2), abs=1e-6)
    # The table is asked at the grid's own size: no interpolation at 8 x 8.
    _, learned = inside.position_similarity(model.vision_tower, (8, 8))
    table = model.vision_tower.patch_embed.pos_emb.weight.detach()
    expected = torch.cosine_similarity(table[4, 4], table[2, 7], dim=0)
    assert float(learned[2, 7]) == pytest.approx(float(expected), abs=1e-6)
