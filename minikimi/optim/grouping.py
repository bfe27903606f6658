"""Which parameter goes to Muon and which to AdamW, and which rows of a fused tensor are one matrix.

Lesson 08. Sources: Moonlight report (arXiv 2502.16982), section 2.2: matrices on Muon, the router among them;
embedding, head and norms on AdamW, everything with decay. Kimi-VL report (arXiv 2504.07491), section 2.2: one optimizer
for encoder, projector and language model. Our own choices where nothing is published: the patch convolution is a
flattened matrix, the position table goes to AdamW, and a fused query-key-value projection counts as three matrices.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

Group = dict[str, Any]

# Tables of vectors: their rows are looked up one by one, or (the head) compared with one by one, never mixed.
TABLES = ("embed_tokens.weight", "lm_head.weight", "pos_emb.weight")
# Parameters that hold several matrices, one below the other.
ROW_BLOCKS = {"mlp.experts.gate_up_proj": 2, "wqkv.weight": 3}
HEADED = ("self_attn.q_proj.weight", "self_attn.kv_b_proj.weight")


def param_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.1,
    vision_on_adamw: bool = False,
    per_head: int | None = None,
) -> list[Group]:
    """Groups of all trainable parameters for `Muon`, by name; frozen ones are left out.

    Args:
        model: any module; parameter names as in the official checkpoints decide.
        lr: peak learning rate of every group; the 0.2 sqrt(max(A, B)) factor lets Muon share AdamW's.
        weight_decay: decoupled decay of every group, norms and biases included (report, appendix D).
        vision_on_adamw: put the whole vision tower on AdamW, as some public recipes do.
        per_head: number of attention heads, to orthogonalise each head's rows of the language model's query and
            key-value expansions alone; None keeps them whole.

    Returns:
        Groups with the keys `params`, `param_names`, `positions` (index in `model.parameters()`), `use_muon`,
        `row_blocks`, `name`, `lr` and `weight_decay`; none is empty.

    Raises:
        ValueError: nothing to train, or rows that do not divide into the declared blocks.
    """
    tables = _embedding_names(model)
    groups: dict[str, Group] = {}
    for position, (name, p) in enumerate(model.named_parameters()):
        if not p.requires_grad:
            continue
        use_muon = p.ndim >= 2 and name not in tables and not _ends_with(name, TABLES)
        use_muon = use_muon and not (vision_on_adamw and "vision_tower" in name.split("."))
        blocks = _row_blocks(name, p.shape, per_head) if use_muon else 1
        key = ("muon" if blocks == 1 else f"muon_{blocks}_blocks") if use_muon else "adamw"
        empty = {"params": [], "param_names": [], "positions": [], "use_muon": use_muon, "row_blocks": blocks}
        group = groups.setdefault(key, {**empty, "name": key, "lr": lr, "weight_decay": weight_decay})
        for field, value in (("params", p), ("param_names", name), ("positions", position)):
            group[field].append(value)
    if not groups:
        raise ValueError("param_groups: the model has no trainable parameter; unfreeze a part before training")
    _assert_each_once(model, groups.values())
    return list(groups.values())


def group_table(groups: Iterable[Mapping[str, Any]]) -> str:
    """A printable table: one line a group with its tensor and parameter counts, and one example name."""
    lines = [f"{'group':<16} {'tensors':>7} {'parameters':>14} {'lr':>9} {'decay':>6}  first"]
    for g in groups:
        count = sum(p.numel() for p in g["params"])
        head = f"{g['name']:<16} {len(g['params']):>7,} {count:>14,} {g['lr']:>9.2e} {g['weight_decay']:>6.2f}"
        lines.append(f"{head}  {g['param_names'][0]}")
    return "\n".join(lines)


def _row_blocks(name: str, shape: Sequence[int], per_head: int | None) -> int:
    """Number of equal row blocks of this parameter that are matrices of their own."""
    if per_head is not None and _ends_with(name, HEADED):
        blocks = per_head
    else:
        blocks = next((n for suffix, n in ROW_BLOCKS.items() if _ends_with(name, (suffix,))), 1)
    rows = shape[-2] if len(shape) < 4 else shape[0]
    if blocks < 1 or rows % blocks:
        raise ValueError(f"param_groups: {name} has {rows} rows, which do not divide into {blocks} blocks")
    return blocks


def _embedding_names(model: nn.Module) -> set[str]:
    """Names of the tables of every nn.Embedding, whatever it is called."""
    modules = model.named_modules()
    return {f"{path}.weight".lstrip(".") for path, module in modules if isinstance(module, nn.Embedding)}


def _ends_with(name: str, suffixes: Iterable[str]) -> bool:
    """Suffix match at a dot, so that `my_lm_head.weight` is not taken for `lm_head.weight`."""
    return any(f".{name}".endswith(f".{suffix}") for suffix in suffixes)


def _assert_each_once(model: nn.Module, groups: Iterable[Group]) -> None:
    """Every trainable parameter sits in exactly one group, or a part of the model would silently stand still."""
    grouped = sorted(id(p) for g in groups for p in g["params"])
    assert grouped == sorted(id(p) for p in model.parameters() if p.requires_grad)
