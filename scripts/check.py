"""The gates and the tests: ``python scripts/check.py [--all] [PYTEST ARGUMENT …]``, run by the Python of .venv.

Without ``--all``: the gates, and the tests that need neither a browser nor patience. With it: every test, which
opens the browsers found. The gates go on beside them, and all report, not only the first that fails.
Exits with 1 if a gate fails, else as pytest does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import setup

WORKERS = min(4, (os.cpu_count() or 1) + 1)
"""One more than there are cores: many tests wait for a browser that starts, or for one that must not answer."""


@dataclass(frozen=True)
class Gate:
    """A command that must succeed. ``needs``: a file without which there is nothing to check yet."""

    name: str
    command: tuple[str, ...]
    needs: str = "pyproject.toml"


@dataclass(frozen=True)
class Outcome:
    """How a gate went."""

    gate: Gate
    passed: bool
    seconds: float
    output: str


def gates() -> list[Gate]:
    """The slowest first, so that two cores are kept busy."""
    node = setup.tool("node") or "node"
    scripts = setup.BIN
    tests = _javascript_tests()
    found = [Gate("node --test", (node, "--test", *tests))] if tests else []  # without a name Node looks everywhere
    return [
        Gate("mypy", (str(setup.PYTHON), "-m", "mypy")),
        Gate("tsc", (node, "node_modules/typescript/bin/tsc", "-p", "tsconfig.json"), "tsconfig.json"),
        *found,
        Gate("lint-imports", (str(scripts / "lint-imports"), "--no-logo"), ".importlinter"),
        Gate("ruff check", (str(scripts / "ruff"), "check", "--quiet", "--output-format=concise")),
        Gate("ruff format", (str(scripts / "ruff"), "format", "--check", "--output-format=concise")),
    ]


def _javascript_tests() -> list[str]:
    # Named one by one: what `node --test FOLDER` means has changed between versions of Node.
    files = (setup.ROOT / "tests" / "js").glob("**/*.test.*js")
    return sorted(path.relative_to(setup.ROOT).as_posix() for path in files)


def check(gate: Gate) -> Outcome:
    """Run one gate."""
    started = time.monotonic()
    done = subprocess.run(
        gate.command, cwd=setup.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = done.stdout.decode("utf-8", "replace").rstrip()
    return Outcome(gate, done.returncode == 0, time.monotonic() - started, output)


def check_gates() -> list[Outcome]:
    """How all gates went."""
    present = [gate for gate in gates() if (setup.ROOT / gate.needs).exists()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(check, present))


def report(outcomes: list[Outcome]) -> bool:
    """Say how each gate went; whether all passed."""
    for outcome in outcomes:
        print(f"{'ok    ' if outcome.passed else 'FAILED'} {outcome.gate.name} ({outcome.seconds:.1f} s)", flush=True)
        if not outcome.passed:
            print(outcome.output, flush=True)
    return all(outcome.passed for outcome in outcomes)


def run_tests(everything: bool, arguments: list[str]) -> int:
    """pytest's exit code. The tests of one file stay in one worker, and share its browser and its models."""
    command = [str(setup.PYTHON), "-m", "pytest", "-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
    if not everything:
        command += ["-m", "not browser and not slow"]
    # The workers already fill the cores: threads of NumPy's products would wait for each other, spinning.
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
    # The tests start hundreds of Pythons, each of which would compile every module of ours anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run([*command, *arguments], cwd=setup.ROOT, env=environment, stdin=subprocess.DEVNULL).returncode


def main(arguments: list[str]) -> int:
    """The gates beside the tests, in the moments in which these wait; all report, whatever the others say."""
    rest = [word for word in arguments if word != "--all"]
    with ThreadPoolExecutor(max_workers=1) as pool:
        outcomes = pool.submit(check_gates)
        tested = run_tests("--all" in arguments, rest)
    clean = report(outcomes.result())
    if not clean:
        print("a gate has failed: see FAILED above", flush=True)
    return tested or (0 if clean else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
