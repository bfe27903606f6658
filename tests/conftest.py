"""Makes `tests/` importable, so that test files can share `tiny_models`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
