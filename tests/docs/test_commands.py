"""Every command and every block of Python in the documentation runs, in a folder with a small model and its inputs.

The pages on TensorFlow.js's errors have models of their own, and tests of their own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from tests.docs.pages import DOCS, ROOT, blocks, commands, fits, pages

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


def run(command: str, folder: Path) -> tuple[int, str]:
    """The exit code and what is printed, of a command or of two with a pipe between."""
    first, _, second = command.partition(" | ")
    said = b""
    for words in [shlex.split(part) for part in (first, second) if part]:
        start = [sys.executable, "-m", "bittrue"] if words[0] == "bittrue" else [sys.executable]
        assert words[0] in {"bittrue", "python"}, f"say above the block why the tests do not run it: {command}"
        done = subprocess.run(
            [*start, *words[1:]], cwd=folder, env=quiet(), input=said, capture_output=True, timeout=300
        )
        said = done.stdout
        if done.returncode:
            return done.returncode, (done.stdout + done.stderr).decode()
    return 0, said.decode()


def quiet() -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.mark.parametrize("page", map(needing_browsers, PAGES))
def test_what_a_page_tells_to_do_can_be_done(page: Path, folder: Path) -> None:
    for block in blocks(page, "sh", "console", "python"):
        if block.reason is not None:
            continue
        if block.language == "python":
            code, said = run("python -c " + shlex.quote(block.text), folder)
            assert code == 0, said[-2000:]
            continue
        for command, printed in commands(block):
            if command in ELSEWHERE:
                assert command in (ROOT / ELSEWHERE[command]).read_text(encoding="utf-8")
                continue
            code, said = run(command, folder)
            assert code == 0, f"{command}\n{said[-2000:]}"
            assert printed is None or not printed.strip() or fits(said, printed), f"{command}\n{said[-2000:]}"
