"""`make my`: learners get their own copies of the lessons, in a folder git ignores, so no update overwrites them."""

from __future__ import annotations

import sys
from pathlib import Path

from minikimi.files import NOTEBOOKS, write_bytes
from minikimi.lab.checking import FOLDER


def copy_lessons(notebooks: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Copy each exercise notebook that `folder` does not hold yet. Returns the names copied and the names kept."""
    folder.mkdir(exist_ok=True)
    copied, kept = [], []
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        mine = folder / path.name
        if mine.exists():
            kept.append(path.name)
            continue
        write_bytes(mine, path.read_bytes())
        copied.append(path.name)
    return copied, kept


def main() -> int:
    """Copy and say what was done."""
    copied, kept = copy_lessons(NOTEBOOKS, Path(FOLDER))
    print(f"{FOLDER}/: {len(copied)} lessons copied, {len(kept)} of yours left as they are")
    if kept:
        print("To start a lesson afresh, rename or delete your copy and copy the lessons again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
