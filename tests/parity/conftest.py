"""Makes `convert` importable from the parity tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
