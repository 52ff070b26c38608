"""How long ``bittrue --help`` takes: nothing heavy is imported until it is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time

from harness import median, verdict

RUNS = 10
TARGET = 0.3  # seconds


def main() -> None:
    """Print the section."""
    program = shutil.which("bittrue", path=sysconfig.get_path("scripts"))
    command = [program, "--help"] if program else [sys.executable, "-m", "bittrue", "--help"]
    times = [_seconds(command) for _ in range(RUNS)]
    took, bare = median(times), median([_seconds([sys.executable, "-c", ""]) for _ in range(RUNS)])
    print("## `bittrue --help`\n")
    print(f"Wall time of the command in a process of its own, {RUNS} times; an empty Python takes {bare:.3f} s.\n")
    print(verdict(f"under {TARGET} s", took < TARGET, f"{took:.3f} s (median; {min(times):.3f} to {max(times):.3f})"))


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
