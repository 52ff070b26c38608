"""The campaign over keras.applications: see tests/applications/campaign.py, whose arguments these are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str]) -> int:
    """Run it; how many architectures failed."""
    from tests.applications.campaign import main as campaign

    return campaign(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
