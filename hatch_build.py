"""Puts the build artefacts into the wheel and the source distribution: TensorFlow.js's files and the kernels.

Both are made by scripts/ where they are not there yet. An editable installation is left alone: there the set-up
(scripts/setup.py) makes them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildError(Exception):
    """An artefact cannot be made; the message says what to do."""


class BundleHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes what is missing before the files are collected."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What compiling the kernels needs, in the versions of requirements/dev.txt; nothing where they are there."""
        if _has_kernels(Path(self.root)):
            return []
        pinned = (Path(self.root) / "requirements" / "dev.txt").read_text(encoding="utf-8")
        return [match[0] for match in re.finditer(r"^(?:ziglang|wasmtime)==\S+", pinned, re.MULTILINE)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """``version`` is "editable" or "standard"."""
        if version == "editable":
            return
        root = Path(self.root)
        if not _has_tfjs(root):
            _fetch_tfjs(root)
        if find_spec("ziglang") or not _has_kernels(root):  # with a compiler at hand a stale kernel is made anew
            _script(root, "build_kernels.py", "the kernels could not be compiled")


def _has_tfjs(root: Path) -> bool:
    vendor = root / "src" / "bittrue" / "_vendor"
    return any((vendor / "tfjs").glob("*/tf.min.js")) and (vendor / "uplot" / "uPlot.iife.min.js").is_file()


def _has_kernels(root: Path) -> bool:
    return any((root / "src" / "bittrue" / "_kernels").glob("*.wasm"))


def _fetch_tfjs(root: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("TensorFlow.js is bundled from npm, and npm is missing: install Node.js 18 or newer with npm")
    if not (root / "node_modules" / "@tensorflow").is_dir():
        done = subprocess.run([npm, "ci", "--loglevel=error"], cwd=root, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise BuildError("TensorFlow.js could not be installed from npm: see what npm says above")
    _script(root, "vendor_tfjs.py", "the TensorFlow.js files could not be copied")


def _script(root: Path, name: str, failure: str) -> None:
    command = [sys.executable, os.fspath(root / "scripts" / name)]
    if subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL).returncode != 0:
        raise BuildError(f"{failure}: see above")
