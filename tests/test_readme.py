"""Every command and every Python block of the README runs, in a folder that holds a small model and its inputs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    for block in blocks("sh"):
        for line in block.splitlines():
            command = line.split("#")[0].strip()
            if command.startswith("bittrue "):
                yield command


def transcript(title: str) -> Iterator[tuple[str, str]]:
    """The commands in the console blocks of a section, each with what it is said to print."""
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for block in re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def fits(printed: str, said: str) -> bool:
    """Whether ``printed`` is what the README says, where "…" stands for anything."""
    pattern = ".*".join(re.escape(piece) for piece in said.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


OWN = """
import keras


@keras.saving.register_keras_serializable("own")
class Gate(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], name="scale")

    def call(self, x):
        return x * keras.ops.sigmoid(self.scale * x)
"""
MAKE = """
import keras
import own

layers = keras.layers
words = keras.Input((12,), dtype="int32", name="words")
read = layers.GRU(8, name="gru")(layers.Embedding(50, 4, name="vectors")(words))
keras.Model(words, layers.Dense(2, name="mood")(read), name="reviews").save("reviews.keras")
entry = keras.Input((6,), name="features")
keras.Model(entry, own.Gate(name="gate")(entry), name="gated").save("gated.keras")
"""


@pytest.fixture(scope="module")
def converting(folder: Path) -> Path:
    """The same folder with ``reviews.keras``, ``gated.keras`` and the module ``own`` that the latter's layer is in."""
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    subprocess.run([sys.executable, "-c", MAKE], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_the_conversion_section_is_what_is_printed(converting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from bittrue.cli.app import main

    monkeypatch.chdir(converting)
    found = list(transcript("Converting"))
    assert len(found) >= 7
    for command, said in found:
        done = CliRunner().invoke(main, shlex.split(command)[1:])
        assert fits(done.output, said), f"{command}\n{done.output[-3000:]}"
        assert (done.exit_code == 0) is not said.startswith("bittrue: ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model.keras`` and ``inputs.npz``, as the README supposes them."""
    import keras

    here = tmp_path_factory.mktemp("readme")
    keras.utils.set_random_seed(3)
    entry = keras.Input((6,), name="features")
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(entry)
    keras.Model(entry, keras.layers.Dense(3, activation="softmax", name="label")(hidden)).save(here / "model.keras")
    np.savez(here / "inputs.npz", features=np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6))
    return here


@pytest.mark.browser
@pytest.mark.needs("chrome", "node", "tensorflow")
def test_the_commands_run_in_the_order_they_stand_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from bittrue.cli.app import main
    from bittrue.runtimes import discovery

    monkeypatch.chdir(folder)
    # What is found here is one browser: others have tests of their own, and here it is the commands that count.
    monkeypatch.setitem(discovery._LINUX, "firefox", ())
    found = list(commands())
    assert len(found) >= 7
    for command in found:  # in one process, which imports Keras once
        done = CliRunner().invoke(main, shlex.split(command)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output[-4000:]}"


@pytest.mark.browser
@pytest.mark.needs("node", "tensorflow")
def test_the_python_blocks_run(folder: Path) -> None:
    for block in blocks("python"):
        command = [sys.executable, "-c", block]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "label" in done.stdout


@pytest.mark.slow
def test_the_make_targets_and_links_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert f"\n{name}:" in makefile
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_target_named_in_the_readme_is_one() -> None:
    from bittrue.runtimes.target import BACKENDS, Target

    engines = "|".join(BACKENDS)
    named = re.findall(rf"`((?:{engines}):[a-z]+[^`]*)`", README)
    assert len(named) >= 8
    for spec in named:
        Target.parse(spec)
