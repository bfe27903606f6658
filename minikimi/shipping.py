"""Put a trained run among the models that come with the package: weights and card into `minikimi/shipped/NAME`.

`make small` and `make small-text` train the two and call this; `minikimi/shipped/README.md` says what they are.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from minikimi.errors import UserError
from minikimi.files import SHIPPED, model_directory, replace_directory
from minikimi.model.checkpoint import LANGUAGE_MODEL, SINGLE
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report.card import write_card


def ship(run: Path, name: str, where: Path = SHIPPED) -> Path:
    """Write model, processor and card of a run to `where`/`name`; returns that directory.

    Of a name that ends in `-text`, which a whole run of the preset before it begins with, only the language model is
    kept. Raises `UserError` if the run is not finished.
    """
    source = model_directory(run)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / name
        KimiVL.from_pretrained(source).save_pretrained(made)
        if name.endswith("-text"):
            weights = load_file(made / SINGLE)
            kept = {key: tensor for key, tensor in weights.items() if key.startswith(LANGUAGE_MODEL)}
            save_file(kept, made / SINGLE, metadata={"format": "pt"})
        else:
            Processor.from_pretrained(source).save_pretrained(made)
        write_card(run, made)
        if not (made / "card.json").is_file():
            raise UserError(f"{run}: a model, but no run of training; give the folder that holds its stages")
        where.mkdir(parents=True, exist_ok=True)
        replace_directory(made, where / name)
    return where / name


if __name__ == "__main__":
    try:
        print(f"written: {ship(Path(sys.argv[1]), sys.argv[2])}")
    except UserError as error:
        sys.exit(f"minikimi: {error}")
