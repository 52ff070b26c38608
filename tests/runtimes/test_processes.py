"""Programs and folders that must not outlive us."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from leftovers import survivors

from bittrue.runtimes import processes
from bittrue.runtimes.processes import ProgramTree, Scratch
from bittrue.runtimes.watchdog import _listen

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


def killed(code: str, temporary: Path) -> None:
    """Run ``code``, which prints when it is ready, in a Python that is then killed without a chance to clear up."""
    head = (
        "import subprocess, sys, tempfile, time; tempfile.tempdir = sys.argv[1]\n"
        "from bittrue.runtimes.processes import ProgramTree, Scratch\n"
    )
    command = [sys.executable, "-c", f"{head}{code}\nprint(flush=True); time.sleep(60)", str(temporary)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()


def await_end(left: Callable[[], Iterable[object]]) -> None:
    deadline = time.monotonic() + 20
    while found := list(left()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.parametrize("program", [PARENT, RUNAWAY])
def test_nothing_outlives_a_bittrue_that_is_killed(temporary: Path, program: str):
    killed(f"ProgramTree([sys.executable, '-c', {program!r}], Scratch()); time.sleep(0.5)", temporary)
    await_end(lambda: survivors(temporary))


def test_what_bittrue_did_not_start_lives_on_when_it_is_killed(temporary: Path):
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as other:
        killed(f"ProgramTree([sys.executable, '-c', {SLEEPER!r}], Scratch())", temporary)
        await_end(lambda: survivors(temporary))
        assert other.poll() is None
        other.kill()


def test_only_folders_of_ours_that_are_still_there_are_cleared_up():
    said = [b'[true, "/x/bittrue-a"]\n', b'[true, "/x/bittrue-b"]\n', b'[false, "/x/bittrue-a"]\n']
    assert _listen([*said, b'[true, "/x/home"]\n', b'[true, "/x/bittr']) == {Path("/x/bittrue-b")}


def test_the_watchdog_ends_with_a_bittrue_that_ends_in_order(temporary: Path):
    code = (
        "import sys, tempfile, psutil; tempfile.tempdir = sys.argv[1]\n"
        "from bittrue.runtimes.processes import Scratch\n"
        "scratch = Scratch(); print(*(child.pid for child in psutil.Process().children()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(temporary)], check=True, capture_output=True, timeout=60)
    (watchdog,) = map(int, done.stdout.split())
    assert not psutil.pid_exists(watchdog)


INTERRUPTED = """
import os, signal, subprocess, sys, tempfile
from bittrue.runtimes import processes, watchdog

def interrupting(function):
    def call(*args, **kwargs):
        done = function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # a handler of Python runs between two of these
            pass
        return done
    return call

tempfile.tempdir = sys.argv[1]
try:
    if sys.argv[2] == "folder":
        tempfile.mkdtemp = interrupting(tempfile.mkdtemp)
    elif sys.argv[2] == "watchdog":
        watchdog._start = interrupting(watchdog._start)
    scratch = processes.Scratch()
    processes.subprocess.Popen = interrupting(subprocess.Popen)
    processes.ProgramTree([sys.executable, "-c", "import time; time.sleep(60)"], scratch)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("when", ["folder", "watchdog", "program"])
def test_an_interruption_between_making_and_knowing_leaves_nothing(temporary: Path, when: str):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(temporary), when], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    deadline = time.monotonic() + 20
    while survivors(temporary) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert survivors(temporary) == []


def test_outside_the_main_thread_everything_is_as_it_was(temporary: Path):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: Scratch().remove()).result()
    assert survivors(temporary) == []


# A program whose first child is marked as belonging to a folder; it learns of the child's end only when it is told to.
NEGLIGENT = """
import os, subprocess, sys
folder = sys.stdin.readline().strip()
sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleeper, env={**os.environ, "BITTRUE_SCRATCH": folder})
print(child.pid, flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="zombies")
@pytest.mark.timeout(60)
def test_what_has_ended_is_not_waited_for_though_nobody_asks_how(temporary: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "_PATIENCE", 3600.0)
    scratch = Scratch()
    tree = start("pass", scratch)
    with subprocess.Popen(
        [sys.executable, "-c", NEGLIGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        print(scratch.path, file=parent.stdin, flush=True)
        child = psutil.Process(int(parent.stdout.readline()))
        tree.end()
        assert child.status() == psutil.STATUS_ZOMBIE
    scratch.remove()
    assert survivors(temporary) == []
