"""The kernel as an artefact: how it is built, and what happens without it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import wasmtime

from bittrue.comparison import kernel, kernel_status, measure

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_kernels.py"


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The kernel is looked for anew, in the test and after it."""
    loaded = kernel.load
    loaded.cache_clear()
    yield
    loaded.cache_clear()


@pytest.fixture
def script() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("the sources are not here")
    spec = importlib.util.spec_from_file_location("build_kernels", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("forgotten")
def test_without_wasmtime_numpy_measures_and_the_metrics_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    metrics = measure(np.float32([1, 2]), np.float32([1, 3]))
    assert (metrics.method, metrics.max_ulp, metrics.different_values) == ("numpy", 2**22, 1)
    assert kernel_status().reason == "the package wasmtime is not installed"


@pytest.mark.usefixtures("forgotten")
def test_without_the_built_module_numpy_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel.resources, "files", lambda _: tmp_path)
    assert measure(np.float32([1]), np.float32([1])).method == "numpy"
    assert "build_kernels" in str(kernel_status().reason)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("code", [b"not a module", wasmtime.wat2wasm("(module)")])
def test_a_damaged_module_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: Any) -> None:
    (tmp_path / "_kernels").mkdir()
    (tmp_path / "_kernels" / "compare.wasm").write_bytes(bytes(code))
    monkeypatch.setattr(kernel.resources, "files", lambda _: tmp_path)
    assert measure(np.float32([1]), np.float32([1])).method == "numpy"
    assert "cannot be used" in str(kernel_status().reason)


@pytest.mark.parametrize(
    ("wat", "message"),
    [
        ('(module (import "host" "log" (func)))', "imports"),
        ("(module (func (param v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 0))))", "relaxed"),
        ("(module (memory 1 1 shared))", "not valid"),
    ],
)
def test_modules_that_must_not_be_shipped(script: ModuleType, wat: str, message: str) -> None:
    with pytest.raises(script.BuildError, match=message):
        script.inspect(bytes(wasmtime.wat2wasm(wat)))


def test_a_module_is_built_once_with_the_same_bytes(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.setattr(script, "OUTPUT", tmp_path)
    assert script.build("compare")
    first = (tmp_path / "compare.wasm").read_bytes()
    assert not script.build("compare")
    (tmp_path / "compare.wasm").write_bytes(first[:-1])
    assert script.build("compare")
    assert (tmp_path / "compare.wasm").read_bytes() == first
