"""Threads that share one module's memory and the work of each prediction. Which of them computes what moves no bit."""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import threading
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from bittrue.errors import ModelError, TargetUnavailable, UsageError

__all__ = ["Crew", "compiled"]

_STACK = 131072  # bytes, as the build gives the first thread
_FIRST_PAGES, _MOST_PAGES = 32, 32768  # of memory, as the threaded build asks for
_MOST_THREADS = 64


@cache
def compiled(threaded: bool) -> tuple[Any, Any, str]:
    """Engine, module and the SHA-256 of the module. Raises TargetUnavailable where something is missing."""
    try:
        import wasmtime
    except ImportError as error:
        raise TargetUnavailable(
            "the package wasmtime is not installed: pip install wasmtime", remedy="pip install wasmtime"
        ) from error
    name = "exact-threads.wasm" if threaded else "exact.wasm"
    path = resources.files("bittrue") / "_kernels" / name
    if not path.is_file():
        raise TargetUnavailable(f"{name} is not built: run scripts/build_kernels.py", remedy="build the kernels")
    code = path.read_bytes()
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    if threaded:
        config.wasm_threads = True
        config.shared_memory = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module(engine, code)
    # Later, while the interpreter goes down, wasmtime could no longer do it.
    atexit.register(engine.close)
    atexit.register(module.close)
    return engine, module, hashlib.sha256(code).hexdigest()


def _shared_memory(engine: Any) -> Any:
    """A memory that several stores can import. wasmtime's own class gives a pointer too many when it is imported."""
    import wasmtime
    from wasmtime import _ffi as native

    class Importable(wasmtime.SharedMemory):
        def _as_extern(self) -> Any:
            union = native.wasmtime_extern_union(sharedmemory=self.ptr())
            return native.wasmtime_extern_t(native.WASMTIME_EXTERN_SHAREDMEMORY, union)

    limits = wasmtime.Limits(_FIRST_PAGES, _MOST_PAGES)
    return Importable(engine, wasmtime.MemoryType(limits, shared=True))


class _SharedMemory:
    """A shared memory with the methods of `wasmtime.Memory` that are used; never read outside of its bounds."""

    def __init__(self, memory: Any) -> None:
        self.shared = memory

    def read(self, _store: Any, start: int, stop: int) -> bytearray:
        return bytearray(ctypes.string_at(self._address(start, stop), stop - start))

    def write(self, _store: Any, data: Any, start: int) -> None:
        given = np.frombuffer(data, np.uint8)
        ctypes.memmove(self._address(start, start + given.size), given.ctypes.data, given.size)

    def _address(self, start: int, stop: int) -> int:
        if not 0 <= start <= stop <= self.shared.data_len():
            raise IndexError(f"{start} to {stop} is outside of the module's memory")
        base = ctypes.cast(self.shared.data_ptr(), ctypes.c_void_p).value
        assert base is not None
        return base + start


class Crew:
    """``count`` threads on one module. ``store``, ``exports`` and ``memory`` are those of the first, the caller's.

    Raises UsageError for an impossible number of threads, ModelError where memory cannot be shared.
    """

    def __init__(self, count: int) -> None:
        import wasmtime

        if not 1 <= count <= _MOST_THREADS:
            raise UsageError(f"threads is {count}: it must be a whole number from 1 to {_MOST_THREADS}")
        engine, self._module, _ = compiled(threaded=True)
        try:
            self.memory = _SharedMemory(_shared_memory(engine))
            self.store, self.exports = self._instance(engine)
        except (wasmtime.WasmtimeError, AttributeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"threads cannot share memory here ({reason}): use one, or another wasmtime") from error
        self.exports["threads"](self.store, count, 1)
        self._others = [self._joined(engine, thread) for thread in range(1, count)]
        atexit.register(self.close)

    def _instance(self, engine: Any) -> tuple[Any, Any]:
        import wasmtime

        store = wasmtime.Store(engine)
        return store, wasmtime.Instance(store, self._module, [self.memory.shared]).exports(store)

    def _joined(self, engine: Any, thread: int) -> tuple[threading.Thread, Any]:
        """One more thread: it waits inside the module for work."""
        import wasmtime

        stack = self.exports["reserve"](self.store, _STACK)
        if not stack:
            raise ModelError("there is no memory for another thread: ask for fewer")
        store, exports = self._instance(engine)
        exports["__stack_pointer"].set_value(store, wasmtime.Val.i32(stack + _STACK))
        worker = threading.Thread(
            target=exports["work"], args=(store, thread), name=f"bittrue-exact-{thread}", daemon=True
        )
        worker.start()
        return worker, store

    def close(self) -> None:
        """End the threads; may be called again."""
        atexit.unregister(self.close)
        if self._others:
            self.exports["dismiss"](self.store)
        for worker, store in self._others:
            worker.join()
            store.close()
        self._others = []
        self.store.close()
