"""The npm package: packed, put beside a program of somebody's, imported by its name, it predicts."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import npm_package
import numpy as np
import pytest

from bittrue.exact.file import write
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan
from bittrue.runtimes.discovery import find_node

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "npm")]

PROGRAM = """
import { SEMANTICS, load, loadInWorker } from "bittrue";
const model = await load("model.safetensors");
const worker = await loadInWorker(new URL("model.safetensors", import.meta.url));
const there = await worker.predict([3, 4]);
worker.terminate();
console.log(JSON.stringify([SEMANTICS, [...model.predict(Float32Array.of(3, 4)).data], [...there.data]]));
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, and the package as npm packs it in its node_modules."""
    monkeypatch.setattr(npm_package, "ROOT", tmp_path)
    npm_package.assemble()
    npm_package.pack()
    modules = tmp_path / "node_modules"
    with tarfile.open(next((tmp_path / "dist").glob("bittrue-*.tgz"))) as archive:
        archive.extractall(modules, filter="data")
    (modules / "package").rename(modules / "bittrue")
    step = Operation("matmul", (0, 1))
    plan = Plan(
        "m", (Input("x", (None, 2), "float32"),), (Constant("k", (2, 2), "float32"),), (step,), (Named("y", 2),)
    )
    write(tmp_path / "model.safetensors", plan, {"k": np.float32([[1, 2], [10, 20]])})
    (tmp_path / "program.mjs").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def test_it_predicts_by_its_name(program: Path) -> None:
    node = find_node()
    assert node is not None
    done = subprocess.run([str(node.path), "program.mjs"], cwd=program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["bittrue-exact-1", [43, 86], [43, 86]]


def test_it_carries_its_types_and_nothing_that_it_does_not_need(program: Path) -> None:
    package = program / "node_modules" / "bittrue"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {"index.d.ts", "recorder.js", "recorder.d.ts"} <= files
    assert {f"dist/exact/{name}" for name in ("exact.wasm", "exact-threads.wasm", "worker.js", "thread.js")} <= files
    assert not {"declared.js", "dist/exact-model.js"} & files
    assert "dependencies" not in json.loads((package / "package.json").read_text(encoding="utf-8"))
