"""Compile the C in kernels/ to WebAssembly, as build artefacts in src/bittrue/_kernels.

Needs the ``ziglang`` package (a C compiler in a wheel: no system toolchain) and ``wasmtime`` to inspect the result.
A module is rebuilt only when its source, the flags or the compiler's version have changed. The bytes depend on
nothing else. A module must import nothing and hold no relaxed SIMD, whose results differ between machines.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import wasmtime

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "kernels"
OUTPUT = ROOT / "src" / "bittrue" / "_kernels"
CACHE = ROOT / "build" / "zig-cache"
MODULES = {"compare": "compare.c", "exact": "exact/*.c", "exact-threads": "exact/*.c"}
"""The sources of each module; headers beside them belong to it."""

FLAGS = (
    "--target=wasm32-freestanding",
    "-std=c11",
    "-O3",
    "-msimd128",
    "-mno-relaxed-simd",
    "-ffp-contract=off",
    "-fno-sanitize=all",
    "-nostdlib",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
)

EXACT_FLAGS = (
    "-mbulk-memory",
    "-mllvm",
    "-disable-lsr",  # which takes the offsets out of loads, where they cost nothing
    "-Wl,-z,stack-size=131072",
)

THREADS_FLAGS = (
    "-matomics",
    "-Wl,--import-memory",
    "-Wl,--shared-memory",
    "-Wl,--initial-memory=2097152",
    "-Wl,--max-memory=2147483648",
    "-Wl,--export=__stack_pointer",  # every thread has a stack of its own
)
"""The same sources for several threads, which share the one memory that the module imports."""


class BuildError(Exception):
    """A module that cannot be built, or must not be shipped."""


def compiler() -> str:
    """Version of the compiler. Raises BuildError where it is not installed."""
    try:
        return version("ziglang")
    except PackageNotFoundError:
        raise BuildError(
            "the package ziglang is not installed: run make test, which brings it, or pip install ziglang"
        ) from None


def fingerprint(name: str) -> str:
    """What the module's bytes depend on, as a SHA-256."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*sources(name), *headers(name))}
    return hashlib.sha256(json.dumps([texts, flags(name), compiler()]).encode()).hexdigest()


def sources(name: str) -> list[Path]:
    """The C files of a module, in an order that does not depend on the machine."""
    return sorted(SOURCES.glob(MODULES[name]))


def headers(name: str) -> list[Path]:
    """The headers of a module."""
    return sorted((SOURCES / MODULES[name]).parent.glob("*.h"))


def flags(name: str) -> tuple[str, ...]:
    """What the compiler is told. The exact module copies whole stretches of memory, and has a stack of its own size."""
    own = {"exact": EXACT_FLAGS, "exact-threads": (*EXACT_FLAGS, *THREADS_FLAGS)}
    return (*FLAGS, *own.get(name, ()))


def is_current(name: str) -> bool:
    """Whether the module lies there, unharmed, built from just these sources by just this compiler."""
    module, stamp = OUTPUT / f"{name}.wasm", OUTPUT / f"{name}.json"
    if not module.is_file() or not stamp.is_file():
        return False
    found = json.loads(stamp.read_text(encoding="utf-8"))
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    return bool(found == {"built_from": fingerprint(name), "compiler": compiler(), "sha256": digest})


def inspect(code: bytes, *, threads: bool = False) -> None:
    """Raise BuildError if the module is not valid WebAssembly without imports, threads and relaxed SIMD.

    With ``threads`` it imports its memory, which is shared, and nothing else.
    """
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    config.wasm_threads = threads
    config.shared_memory = threads
    try:
        module = wasmtime.Module(wasmtime.Engine(config), code)
    except wasmtime.WasmtimeError as error:
        raise BuildError(f"the module is not valid without relaxed SIMD and threads: {error}") from error
    names = [found.name for found in module.imports]
    if not threads and names:
        raise BuildError(f"the module imports {names}; it must import nothing")
    if threads and (names != ["memory"] or not isinstance(module.imports[0].type, wasmtime.MemoryType)):
        raise BuildError(f"the module imports {names}; it must import its memory and nothing else")


def compile_module(name: str) -> bytes:
    """The module's bytes. Raises BuildError with the compiler's own words."""
    target = CACHE / f"{name}.wasm"
    CACHE.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(CACHE), "ZIG_LOCAL_CACHE_DIR": str(CACHE)}
    files = [str(path.relative_to(ROOT)) for path in sources(name)]  # relative: no path in the bytes
    command = [sys.executable, "-m", "ziglang", "cc", *flags(name), "-o", str(target.relative_to(ROOT)), *files]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"kernels/{MODULES[name]} does not compile:\n{done.stderr}")
    return target.read_bytes()


def build(name: str) -> bool:
    """Bring one module up to date; whether there was anything to do."""
    if is_current(name):
        return False
    code = compile_module(name)
    inspect(code, threads=name.endswith("-threads"))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    stamp = {"built_from": fingerprint(name), "compiler": compiler(), "sha256": hashlib.sha256(code).hexdigest()}
    (OUTPUT / f"{name}.wasm").write_bytes(code)
    (OUTPUT / f"{name}.json").write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    return True


def main() -> int:
    """Build all modules; 0 if all are there, 1 with a sentence if one is not."""
    try:
        for name in MODULES:
            print(f"{name}.wasm: {'built' if build(name) else 'up to date'}")
    except BuildError as error:
        print(f"build_kernels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
