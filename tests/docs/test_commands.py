"""Every command and every block of Python in the documentation runs, in a folder with a small model and its inputs.

The pages on TensorFlow.js's errors have models of their own, and tests of their own.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from click.testing import CliRunner
from tests.docs.pages import DOCS, ROOT, blocks, commands, fits, pages

from bittrue.cli.app import main

PAGES = [
    page
    for page in pages()
    if any(block.reason is None for block in blocks(page, "sh", "console", "python"))
    and (page.parent.name != "errors" or page.name == "index.md")
]
ELSEWHERE = {"bittrue doctor": "README.md"}
"""Commands that take long and need no file, and the document whose own tests run them."""
pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


def needing_browsers(page: Path) -> ParameterSet:
    """A page as a parameter of a test, which needs the browsers that its commands name."""
    run = [block.text for block in blocks(page, "sh", "console", "python") if block.reason is None]
    named = sorted(set(re.findall(r"\b(chrome|firefox|edge):", "\n".join(run))))
    name = page.relative_to(DOCS).as_posix()
    return pytest.param(page, marks=pytest.mark.needs(*named) if named else (), id=name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``model.keras`` that the pages suppose."""
    import keras

    keras.utils.set_random_seed(3)
    entry = keras.Input((6,), name="features")
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(entry)
    path = tmp_path_factory.mktemp("docs") / "model.keras"
    keras.Model(entry, keras.layers.Dense(3, activation="softmax", name="label")(hidden)).save(path)
    return path


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """A folder with it and with ``inputs.npz``."""
    (tmp_path / "model.keras").write_bytes(model.read_bytes())
    np.savez(tmp_path / "inputs.npz", features=np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6))
    return tmp_path


def run(command: str, folder: Path) -> str:
    """What is printed by a command, or by two with a pipe between; Bittrue's run in this process."""
    first, _, second = command.partition(" | ")
    words = shlex.split(first)
    assert words[0] == "bittrue", f"say above the block why the tests do not run it: {command}"
    with contextlib.chdir(folder):
        done = CliRunner().invoke(main, words[1:])
    assert done.exit_code == 0, f"{command}\n{done.output[-2000:]}"
    return piped(done.stdout, shlex.split(second)) if second else done.output


def piped(said: str, words: list[str]) -> str:
    """What Python makes of ``said`` on its standard input."""
    assert words[0] == "python"
    return subprocess.run(
        [sys.executable, *words[1:]], input=said, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("page", [needing_browsers(page) for page in PAGES])
def test_what_a_page_tells_to_do_can_be_done(page: Path, folder: Path) -> None:
    for block in blocks(page, "sh", "console", "python"):
        if block.reason is None and block.language == "python":
            with contextlib.chdir(folder):
                exec(block.text, {})
        elif block.reason is None:
            for command, said in commands(block):
                if command in ELSEWHERE:
                    assert command in (ROOT / ELSEWHERE[command]).read_text(encoding="utf-8")
                else:
                    printed = run(command, folder)
                    assert not said or fits(printed, said), f"{command}\n{printed[-2000:]}"
