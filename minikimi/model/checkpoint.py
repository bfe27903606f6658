"""Checkpoints in the official layout: config.json and safetensors, one file or shards with an index (lesson 07).

Our parameter names are the official ones but for the experts, which we keep stacked: three matrices per expert in the
file are rows of two tensors here. Loading is strict and frugal: all headers are checked first, then tensors go one by
one into a model that was built without memory, so the peak is the model plus one tensor. Only safetensors are read: a
pickle can run code. Which class the model has is no matter here; users call `KimiVL.from_pretrained` and
`KimiVL.save_pretrained`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from minikimi.errors import UserError
from minikimi.files import model_directory, write_json, written_aside
from minikimi.model.config import KimiVLConfig

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LANGUAGE_MODEL = "language_model."
MAX_SHARD_BYTES = 4 * 2**30
# Stored in the released checkpoint (one per layer) although it follows from the config: accepted and not used.
DERIVED = re.compile(r"language_model\.model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")


def official_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Pairs of official name and tensor, in the model's order.

    Expert matrices are views into the stacked tensors, so writing to them writes to the model.
    """
    for name, tensor in model.state_dict().items():
        if name.endswith("experts.gate_up_proj"):
            prefix = name.removesuffix("gate_up_proj")
            for e, matrix in enumerate(tensor.unbind(0)):
                gate, up = matrix.chunk(2)
                yield f"{prefix}{e}.gate_proj.weight", gate
                yield f"{prefix}{e}.up_proj.weight", up
        elif name.endswith("experts.down_proj"):
            prefix = name.removesuffix("down_proj")
            for e, matrix in enumerate(tensor.unbind(0)):
                yield f"{prefix}{e}.down_proj.weight", matrix
        else:
            yield name, tensor


def load_weights(model: nn.Module, directory: Path, device: torch.device | str = "cpu") -> None:
    """Move a model that was built on `meta` to `device` and fill it from the safetensors of `directory`.

    Raises `UserError` for a missing or truncated file, and, before any weight is read, for missing, unexpected or
    misshapen tensors.
    """
    places = match(directory, dict(official_tensors(model)), weight_files(directory))
    model.to_empty(device=device)
    _read(places, dict(official_tensors(model)))


def load_language_model(model: nn.Module, directory: str | os.PathLike) -> None:
    """Take the language model, and nothing else, from a checkpoint, as Kimi-VL began with Moonlight's.

    The checkpoint may hold a vision tower or not. Raises `UserError` if its language model is of another shape.
    """
    directory = model_directory(directory)
    targets = {name: tensor for name, tensor in official_tensors(model) if name.startswith(LANGUAGE_MODEL)}
    _read(match(directory, targets, weight_files(directory), LANGUAGE_MODEL), targets)


def _read(places: dict[Path, list[str]], targets: dict[str, Tensor]) -> None:
    """Copy the tensors of each file into their targets, one by one."""
    for path, names in places.items():
        with _open(path) as reader, torch.no_grad():
            for name in names:
                targets[name].copy_(reader.get_tensor(name))


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a directory, as its index names them. Raises `UserError` if one is missing."""
    index = directory / INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_text())["weight_map"].values())
            files = sorted(directory / Path(name).name for name in names)  # a name cannot lead out of the directory
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise UserError(f"{index}: not a valid index ({error!r}); copy the file again") from None
    else:
        files = [directory / SINGLE]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise UserError(
            f"{directory}: {', '.join(missing)} not found; copy the whole checkpoint (safetensors, no .bin or .pt)"
        )
    return files


def match(directory: Path, expected: dict[str, Tensor], files: list[Path], prefix: str = "") -> dict[Path, list[str]]:
    """Which tensors to read from which file; those whose names do not begin with `prefix` are left alone.

    Raises `UserError` with a report unless names and shapes agree exactly.
    """
    found: dict[str, tuple[Path, list[int]]] = {}
    for path in files:
        with _open(path) as reader:
            found.update({name: (path, reader.get_slice(name).get_shape()) for name in reader.keys()})  # noqa: SIM118
    found = {name: place for name, place in found.items() if name.startswith(prefix) and not DERIVED.fullmatch(name)}
    problems = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "misshapen": [
            f"{name} {found[name][1]} instead of {list(tensor.shape)}"
            for name, tensor in expected.items()
            if name in found and found[name][1] != list(tensor.shape)
        ],
    }
    if any(problems.values()):
        report = "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in problems.items() if names)
        raise UserError(
            f"{directory}: {len(found)} tensors do not fit this config.json's {len(expected)}: {report}. "
            "Use the config.json that belongs to the weights"
        )
    places: dict[Path, list[str]] = {path: [] for path in files}
    for name, (path, _) in found.items():
        places[path].append(name)
    return places


def save_checkpoint(
    model: nn.Module, config: KimiVLConfig, directory: str | os.PathLike, max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Write config.json and safetensors under official names; shards and an index beyond `max_shard_bytes`.

    Each file is written aside and renamed, config.json last, so a half-written directory is never taken for a model.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for stale in (directory / "config.json", directory / INDEX, *directory.glob("model*.safetensors")):
        stale.unlink(missing_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in official_tensors(model):
        if size + tensor.nbytes > max_shard_bytes and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    total = len(shards)
    names = [SINGLE] if total == 1 else [f"model-{i + 1:05d}-of-{total:05d}.safetensors" for i in range(total)]
    for file, shard in zip(names, shards, strict=True):
        contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in shard.items()}
        with written_aside(directory / file) as aside:
            save_file(contiguous, aside, metadata={"format": "pt"})
    if total > 1:
        weight_map = {name: file for file, shard in zip(names, shards, strict=True) for name in shard}
        bytes_total = sum(tensor.nbytes for shard in shards for tensor in shard.values())
        write_json(directory / INDEX, {"metadata": {"total_size": bytes_total}, "weight_map": weight_map}, indent=2)
    config.save_pretrained(directory)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: truncated or no safetensors file ({error}); copy it again") from None


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
