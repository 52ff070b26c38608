"""The same bits in all engines: see tests/exact/bits_campaign.py, whose arguments these are."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "exact"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str]) -> int:
    """Run it; 1 if anything differs."""
    warnings.filterwarnings("ignore")
    return int(import_module("bits_campaign").main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
