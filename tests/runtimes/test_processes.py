"""Programs and folders that must not outlive us."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from leftovers import survivors

from bittrue.runtimes.processes import ProgramTree, Scratch

SLEEPER = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); {SLEEPER}"
# A child that leaves its parent's group and outlives it: only its mark tells whose it is.
RUNAWAY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)"


def start(code: str, scratch: Scratch) -> ProgramTree:
    return ProgramTree([sys.executable, "-c", code], scratch)


def await_processes(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(survivors(folder)) - 1 < count:  # the folder itself is one
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_whole_tree_ends_and_its_folder_goes(temporary: Path):
    scratch = Scratch()
    tree = start(PARENT, scratch)
    await_processes(temporary, 2)
    assert tree.ended is None
    tree.end()
    tree.end()
    scratch.remove()
    assert survivors(temporary) == []


def test_a_child_that_ran_away_before_its_parent_ended_is_found(temporary: Path):
    scratch = Scratch()
    tree = start(RUNAWAY, scratch)
    tree.process.wait(20)
    await_processes(temporary, 1)
    assert tree.ended == "its process ended with status 0"
    tree.end()
    scratch.remove()
    assert survivors(temporary) == []


def test_both_end_with_python(temporary: Path):
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from bittrue.runtimes.processes import ProgramTree, Scratch\n"
        f"scratch = Scratch(); ProgramTree([sys.executable, '-c', {SLEEPER!r}], scratch)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(temporary)], check=True, timeout=60)
    assert survivors(temporary) == []
