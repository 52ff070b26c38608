"""The module that is shipped: built from the sources to the byte, imports nothing, holds no relaxed SIMD."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import wasmtime

from bittrue.exact.engine import module_sha256

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "src" / "bittrue" / "_kernels" / "exact.wasm"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_it_imports_nothing_and_exports_one_memory() -> None:
    module = wasmtime.Module(wasmtime.Engine(), MODULE.read_bytes())
    assert module.imports == []
    assert [item.name for item in module.exports if isinstance(item.type, wasmtime.MemoryType)] == ["memory"]


def test_the_threaded_build_imports_its_memory_and_nothing_else() -> None:
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    module = wasmtime.Module(wasmtime.Engine(config), MODULE.with_name("exact-threads.wasm").read_bytes())
    assert [(item.module, item.name) for item in module.imports] == [("env", "memory")]
    script("build_kernels").inspect(MODULE.with_name("exact-threads.wasm").read_bytes(), threads=True)


def test_the_inspection_of_the_build_accepts_it_and_refuses_relaxed_simd() -> None:
    build = script("build_kernels")
    build.inspect(MODULE.read_bytes())
    relaxed = wasmtime.wat2wasm(
        "(module (func (param v128 v128 v128) (result v128) "
        "(f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))"
    )
    with pytest.raises(build.BuildError, match="relaxed SIMD"):
        build.inspect(bytes(relaxed))


def test_the_inspection_refuses_an_import() -> None:
    build = script("build_kernels")
    code = wasmtime.wat2wasm('(module (import "math" "exp" (func (param f64) (result f64))))')
    with pytest.raises(build.BuildError, match="must import nothing"):
        build.inspect(bytes(code))
    with pytest.raises(build.BuildError, match="its memory and nothing else"):
        build.inspect(bytes(code), threads=True)


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes() -> None:
    import hashlib

    pytest.importorskip("ziglang")
    build = script("build_kernels")
    if not build.is_current("exact"):
        pytest.skip("the sources have changed since the module was built")
    assert hashlib.sha256(build.compile_module("exact")).hexdigest() == module_sha256()
    threaded = MODULE.with_name("exact-threads.wasm").read_bytes()
    assert build.compile_module("exact-threads") == threaded or not build.is_current("exact-threads")


def test_the_constants_are_those_that_the_script_writes() -> None:
    tables = script("exact_tables")
    assert tables.HEADER.read_text(encoding="utf-8") == "\n".join(tables.lines()) + "\n"


def test_the_operations_have_the_numbers_of_the_c_source() -> None:
    import re

    from bittrue.exact.plan import codes

    header = (ROOT / "kernels" / "exact" / "exact.h").read_text(encoding="utf-8")
    listed = re.search(r"typedef enum \{\s*(UNARY.*?), CODES\s*\} Code;", header, re.S)
    assert listed is not None
    names = [name.strip().lower() for name in listed[1].split(",")]
    families = {"unary", "binary", "compare", "logical", "cast", "pool", "reduce", "resize"}
    for number, name in enumerate(names):
        if name not in families:
            assert codes()[name] == (number, 0)
    functions = re.search(r"enum \{ (ABS.*?), FUNCTIONS \}", header, re.S)
    assert functions is not None
    for number, name in enumerate(functions[1].split(",")):
        assert codes()[name.strip().lower()] == (0, number)
