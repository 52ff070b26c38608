"""The built wheel is complete: installed alone into an empty environment, away from the repository, it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import setup

from bittrue.runtimes.discovery import find_browser
from bittrue.runtimes.tfjs import BUNDLED

pytestmark = pytest.mark.slow

CARRIED = {
    "_kernels/compare.wasm",
    "_kernels/exact-threads.wasm",
    "_kernels/exact.wasm",
    f"_vendor/tfjs/{BUNDLED}/licenses/core-js-LICENSE.txt",
    f"_vendor/tfjs/{BUNDLED}/licenses/tfjs-LICENSE.txt",
    f"_vendor/tfjs/{BUNDLED}/tf-backend-wasm.min.js",
    f"_vendor/tfjs/{BUNDLED}/tf-backend-webgpu.min.js",
    f"_vendor/tfjs/{BUNDLED}/tf.min.js",
    f"_vendor/tfjs/{BUNDLED}/tfjs-backend-wasm-simd.wasm",
    f"_vendor/tfjs/{BUNDLED}/tfjs-backend-wasm-threaded-simd.wasm",
    f"_vendor/tfjs/{BUNDLED}/tfjs-backend-wasm.wasm",
    "comparison/published_table.json",
    "exact/operations.json",
    "exact/spec.md",
    "py.typed",
    "report/result-1.schema.json",
    "web/exact/index.js",
    "web/door.html",
    "web/index.html",
    "web/lost.html",
    "web/node-agent.mjs",
}
"""Files without which an installation would miss something, beside the Python modules."""


def run(*command: str | Path, cwd: Path, more: dict[str, str] | None = None) -> str:
    """What a command prints, in an environment that knows nothing of this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env.update(more or {})
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def distributions(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def installation(repository: Path, distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an empty environment into which only the wheel and its requirements were installed."""
    environment = tmp_path_factory.mktemp("empty") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=distributions)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    requirements = repository / "requirements" / "run.txt"
    _install(programs, "--require-hashes", "-r", requirements)
    _install(programs, "--no-deps", next(distributions.glob("*.whl")))
    return programs


def _install(programs: Path, *arguments: str | Path) -> None:
    """With uv, out of its cache where the set-up has filled it, from where pip is configured to look."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    assert uv, "uv belongs to the development set"
    settings = run(sys.executable, "-m", "pip", "config", "list", cwd=programs)
    more = setup.uv_environment(settings) or {}
    run(uv, "pip", "install", "--quiet", "--python", programs / "python", *arguments, cwd=programs, more=more)


def test_the_wheel_carries_all_that_it_needs(distributions: Path) -> None:
    names = set(zipfile.ZipFile(next(distributions.glob("*.whl"))).namelist())
    assert {f"bittrue/{name}" for name in CARRIED} - names == set()
    assert not [name for name in names if not name.startswith(("bittrue/", "bittrue-"))]


def test_the_wheel_runs_everywhere_and_says_under_which_licences(distributions: Path) -> None:
    wheel = next(distributions.glob("*.whl"))
    assert wheel.name.endswith("-py3-none-any.whl")
    archive = zipfile.ZipFile(wheel)
    licenses = {Path(name).name: name for name in archive.namelist() if ".dist-info/licenses/" in name}
    assert "Apache License" in archive.read(licenses["LICENSE"]).decode()
    assert f"TensorFlow.js {BUNDLED}" in archive.read(licenses["NOTICE"]).decode()


def test_the_source_distribution_builds_without_npm(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    bundled = {f"src/bittrue/{name}" for name in CARRIED}
    assert bundled | {"hatch_build.py", "kernels/compare.c", "requirements/run.txt", "NOTICE"} <= names


def test_an_installation_starts_away_from_the_repository(installation: Path, tmp_path: Path) -> None:
    assert "Usage: bittrue" in run(installation / "bittrue", "--help", cwd=tmp_path)
    where = run(installation / "python", "-c", "import bittrue; print(bittrue.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installation.parent)


@pytest.fixture(scope="session")
def experiment(installation: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The targets of a run of the installation, by their names: one run, because it imports TensorFlow uncompiled."""
    targets = ["node:cpu", "node:wasm", *(["chrome:wasm"] if find_browser("chrome") else [])]
    command = ["demo", "--in", ",".join(targets), "--depth", "2", "--quiet", "--json", "-"]
    result = json.loads(run(installation / "bittrue", *command, cwd=tmp_path_factory.mktemp("experiment")))
    return {target["target"]: target for target in result["targets"]}


@pytest.mark.browser
@pytest.mark.needs("node")
def test_an_installation_runs_the_experiment(experiment: dict[str, Any]) -> None:
    assert experiment.keys() >= {"node:cpu", "node:wasm"}
    assert all(target["layers"] for target in experiment.values())


@pytest.mark.browser
@pytest.mark.needs("chrome", "node")
def test_an_installation_finds_its_page(experiment: dict[str, Any]) -> None:
    assert experiment["chrome:wasm"]["layers"]
