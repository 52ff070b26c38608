"""Models that Keras 2.15 itself writes, read by Bittrue: ``make keras2``.

Keras 2 gets an environment of its own, ``build/keras2/venv``, with what ``requirements/keras2.txt`` pins; it needs
Python 3.11, the newest that its TensorFlow runs on. Exits as pytest does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import setup

FOLDER = setup.ROOT / "build" / "keras2"
VENV = FOLDER / "venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = setup.ROOT / "requirements" / "keras2.txt"
STAMP = VENV / "installed.txt"


def install() -> None:
    """Make the environment, unless it holds what is pinned already."""
    pinned = REQUIREMENTS.read_text(encoding="utf-8")
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == pinned:
        return
    if sys.version_info[:2] != (3, 11):
        raise setup.SetupError("Keras 2.15 needs Python 3.11: make .venv with that one, or leave this out")
    venv.create(VENV, clear=True, with_pip=True)
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
    setup.run(command, "Keras 2.15 could not be installed: see what pip says above")
    STAMP.write_text(pinned, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the models with Keras 2, test them with what is in .venv."""
    install()
    models = FOLDER / "models"
    script = setup.ROOT / "tests" / "keras2" / "write_models.py"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    setup.run([str(PYTHON), str(script), str(models)], "Keras 2.15 did not write its models: see above", environment)
    command = [str(setup.PYTHON), "-m", "pytest", str(Path("tests") / "keras2"), *arguments]
    return subprocess.run(command, cwd=setup.ROOT, env={**os.environ, "BITTRUE_KERAS2": str(models)}).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except setup.SetupError as error:
        sys.exit(f"keras2: {error}")
