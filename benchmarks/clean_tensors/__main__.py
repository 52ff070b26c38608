"""``python -m benchmarks.clean_tensors [--millions N] [--shard I/N] [--seeds development|final] [--report]``.

Draws clean float32 tensors of many kinds, judges each as `bittrue check` would, and counts those it accuses: called
suspicious, or outside of the rigorous bound. What was found is appended as dated JSON lines to ``build/clean_tensors``;
what is there already of the seed is not computed again. ``--report`` writes ``docs/calibration.md`` from it. The exit
code is 1 where a clean tensor is accused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = {"development": 1, "final": 20261124}
"""The final seed was not used while the expectation was made; whoever changes the expectation takes another one."""


def main() -> int:
    """Run what is asked for; the exit code."""
    from benchmarks.real_clean_runs import read

    from .counting import accused, counted, run, write

    asked = _parser().parse_args()
    folder = ROOT / "build" / "clean_tensors" / asked.seeds
    if not asked.report:
        number, count = map(int, asked.shard.split("/"))
        run(folder, SEEDS[asked.seeds], asked.millions * 1e6 / count, (number, count))
    counts = counted(folder, SEEDS[asked.seeds])
    if asked.report or asked.write:
        write(counts, ROOT / "docs" / "calibration.md", read(ROOT / "build" / "bounds" / "real.jsonl"))
    found = accused(counts)
    print("\n".join(found) or "no clean tensor is accused")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--millions", type=float, default=4.0, help="tensors in all shards together")
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th part, from the I-th")
    parser.add_argument("--seeds", default="development", choices=sorted(SEEDS))
    parser.add_argument("--report", action="store_true", help="run nothing; write docs/calibration.md")
    parser.add_argument("--write", action="store_true", help="write docs/calibration.md after running")
    return parser


if __name__ == "__main__":
    sys.exit(main())
