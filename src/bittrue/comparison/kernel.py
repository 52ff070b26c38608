"""The fused pass over float32 pairs in WebAssembly (kernels/compare.c), driven through wasmtime.

The module is a build artefact (scripts/build_kernels.py). Where it or the package wasmtime is missing, `load`
says so, and the comparison takes its NumPy pass instead: the same figures, slower; sums may differ in their last
digits. Results do not depend on the number of threads: counts are integers, and sums are kept by fixed blocks that
are added without rounding.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .exact import ExactSum
from .totals import TABLE, Counts, Peak, Severity, Sums, Totals, UlpTotals

__all__ = ["Kernel", "KernelStatus", "load"]

Floats = NDArray[np.float32]
T = TypeVar("T")

_SPAN = 2**31  # elements a table of 32-bit counts takes at most
_PARALLEL = 2**22  # elements below which a second thread does not pay
_MAX_THREADS = 4

_ADDRESSES = (
    "reference_address",
    "candidate_address",
    "task_address",
    "state_address",
    "sums_address",
    "counts_address",
    "bins_address",
    "large_address",
)
_FUNCTIONS = (*_ADDRESSES, "task_size", "state_size", "block_size", "chunk_size", "feed", "refine")
_COUNTS = (
    "different_values",
    "different_bits",
    "finite",
    "nan_both",
    "nan_mismatched",
    "infinities_matched",
    "infinities_mismatched",
    "zero_signs_mismatched",
    "nan_payloads_different",
)
_TASK = np.dtype([("base", "<i8")] + [(name, "<u4") for name in ("size", "low", "shift", "first", "last", "padding")])
"""The struct Task of kernels/compare.c."""

_STATE = np.dtype(
    [(name, "<u8") for name in _COUNTS]
    + [("ulp_sum", "<u8")]
    + [(name, "<i8") for name in ("first_nan", "first_infinity", "first_zero_sign", "first_nan_payload")]
    + [("worst", "<i8"), ("worst_ulp", "<i8"), ("max_abs", "<f8"), ("max_rel", "<f8")]
    + [("scale", "<f4"), ("max_ulp", "<u4")]
)
"""The struct State of kernels/compare.c, field by field. ``scale`` is read as the float32 whose bits it holds."""


@dataclass(frozen=True)
class KernelStatus:
    """Whether the fused pass can be used here; ``reason`` is a sentence where it cannot."""

    available: bool
    reason: str | None = None


class _Instance:
    """One instance of the module with its own memory. Not to be shared between threads."""

    def __init__(self, engine: Any, module: Any) -> None:
        import wasmtime

        self._store = wasmtime.Store(engine)
        exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory: Any = exports["memory"]
        self._functions: dict[str, Any] = {name: exports[name] for name in _FUNCTIONS}
        self.block, self.chunk = int(self.call("block_size")), int(self.call("chunk_size"))
        if (self.call("task_size"), self.call("state_size")) != (_TASK.itemsize, _STATE.itemsize):
            raise RuntimeError("compare.wasm is of another version than this package: build the kernels again")
        self.reference = self._view("reference_address", np.dtype("<f4"), self.chunk)
        self.candidate = self._view("candidate_address", np.dtype("<f4"), self.chunk)
        self._task = self._view("task_address", _TASK, 1)
        self.state = self._view("state_address", _STATE, 1)
        self.sums = self._view("sums_address", np.dtype("<f8"), 6 * (self.chunk // self.block)).reshape(-1, 6)
        self.counts = self._view("counts_address", np.dtype("<u4"), TABLE)
        self.bins = self._view("bins_address", np.dtype("<u8"), 1 + 32)
        self.large = self._view("large_address", np.dtype("<u4"), TABLE)

    def close(self) -> None:
        """Free the memory; every view on it ends with it."""
        self._store.close()

    def call(self, name: str) -> Any:
        return self._functions[name](self._store)

    def _view(self, address: str, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        """A window on the module's memory, which never grows and so never moves."""
        buffer = self._memory.get_buffer_ptr(self._store, count * dtype.itemsize, int(self.call(address)))
        view: NDArray[Any] = np.ctypeslib.as_array(buffer).view(dtype)
        return view

    def passes(
        self, name: str, pair: tuple[Floats, Floats], span: tuple[int, int], low: int = 0, shift: int = 0
    ) -> Iterator[tuple[int, int]]:
        """Let ``feed`` or ``refine`` take the elements of ``span``, a chunk at a time; after each, where it lies."""
        for start in range(*span, self.chunk):
            stop = min(span[1], start + self.chunk)
            self.reference[: stop - start] = pair[0][start:stop]
            self.candidate[: stop - start] = pair[1][start:stop]
            self._task[0] = (start, stop - start, low, shift, start == span[0], stop == span[1], 0)
            self.call(name)
            yield start, stop


@dataclass(frozen=True, eq=False)
class Kernel:
    """The compiled module and its idle instances. May be used from several threads at once."""

    engine: Any
    module: Any
    idle: list[_Instance] = field(default_factory=list)

    @contextmanager
    def _instance(self) -> Iterator[_Instance]:
        try:
            instance = self.idle.pop()
        except IndexError:
            instance = _Instance(self.engine, self.module)
        yield instance
        self.idle.append(instance)

    def close(self) -> None:
        """Free everything; no pass may be going on or follow."""
        while self.idle:
            self.idle.pop().close()
        self.module.close()
        self.engine.close()

    @property
    def block(self) -> int:
        """Number of elements that sums are kept by."""
        with self._instance() as instance:
            return instance.block

    def totals(self, reference: Floats, candidate: Floats, threads: int | None = None) -> Totals:
        """Totals of two flat float32 arrays of one size. ``threads`` defaults to what the machine and size call for."""

        def part(start: int, stop: int) -> Totals:
            with self._instance() as instance:
                return _totals(instance, reference, candidate, start, stop)

        parts = self._parts(part, reference.size, threads)
        return parts[0] if len(parts) == 1 else sum(parts, Totals())

    def scan(
        self, reference: Floats, candidate: Floats, low: int, shift: int, threads: int | None = None
    ) -> NDArray[np.uint64]:
        """Counts of (d - low) >> shift over the ULP distances d of finite pairs; see `median.Scan`."""

        def part(start: int, stop: int) -> NDArray[np.uint64]:
            with self._instance() as instance:
                return _scan(instance, reference, candidate, (start, stop), low, shift)

        return sum(self._parts(part, reference.size, threads), np.zeros(TABLE, np.uint64))

    def _parts(self, part: Callable[[int, int], T], size: int, threads: int | None) -> list[T]:
        workers = (threads or _threads(size)) if size else 1
        with self._instance() as instance:
            step = min(_SPAN, -(-size // workers // instance.chunk) * instance.chunk or instance.chunk)
        ranges = [(start, min(size, start + step)) for start in range(0, size, step)]
        if workers == 1:
            return [part(start, stop) for start, stop in ranges]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda span: part(*span), ranges))


def _threads(size: int) -> int:
    return 1 if size < _PARALLEL else max(1, min(_MAX_THREADS, os.cpu_count() or 1))


def _totals(instance: _Instance, reference: Floats, candidate: Floats, start: int, stop: int) -> Totals:
    passes = instance.passes("feed", (reference, candidate), (start, stop))
    rows = [instance.sums[: -(-(high - low) // instance.block)].copy() for low, high in passes]
    state = dict(zip(_STATE.names or (), instance.state[0].item(), strict=True))
    sums = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return Totals(
        Counts(size=stop - start, **{name: state[name] for name in _COUNTS}),
        Sums(*(ExactSum.total(column) for column in sums.T.tolist())),
        state["max_rel"],
        state["scale"],
        state["max_abs"],
        _worst(state),
        _ulp_totals(state, instance),
    )


def _worst(state: dict[str, Any]) -> Peak:
    firsts = {
        Severity.NAN: "first_nan",
        Severity.INFINITY: "first_infinity",
        Severity.VALUE: "worst",
        Severity.ZERO_SIGN: "first_zero_sign",
        Severity.NAN_PAYLOAD: "first_nan_payload",
    }
    for severity, name in firsts.items():
        if state[name] >= 0:
            magnitude = state["max_abs"] if severity is Severity.VALUE else 0.0
            return Peak(severity, magnitude, state[name])
    return Peak()


def _ulp_totals(state: dict[str, Any], instance: _Instance) -> UlpTotals:
    largest, total = state["max_ulp"], state["ulp_sum"]
    whole = ExactSum.of(float(total >> 32), 32) + ExactSum.of(float(total & 0xFFFFFFFF))
    bins = tuple(instance.bins[: 1 + largest.bit_length()].tolist())
    small, beyond = instance.counts[: min(largest + 1, TABLE)].copy(), instance.large[: largest // TABLE + 1].copy()
    return UlpTotals(bins, whole, largest, state["worst_ulp"], small, beyond)


def _scan(
    instance: _Instance, reference: Floats, candidate: Floats, span: tuple[int, int], low: int, shift: int
) -> NDArray[np.uint64]:
    for _ in instance.passes("refine", (reference, candidate), span, low, shift):
        pass
    return instance.counts.astype(np.uint64)


@cache
def load() -> tuple[Kernel | None, KernelStatus]:
    """The kernel, compiled once a process, or None and why."""
    try:
        import wasmtime
    except ImportError:
        return None, KernelStatus(False, "the package wasmtime is not installed")
    path = resources.files("bittrue") / "_kernels" / "compare.wasm"
    if not path.is_file():
        return None, KernelStatus(False, "compare.wasm is not built: run scripts/build_kernels.py")
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    engine = wasmtime.Engine(config)
    try:
        kernel = Kernel(engine, wasmtime.Module(engine, path.read_bytes()))
        kernel.block  # noqa: B018 - instantiates once: a module of another version is found here, not later
    except (wasmtime.WasmtimeError, RuntimeError, KeyError) as error:
        return None, KernelStatus(False, f"compare.wasm cannot be used: {error}")
    atexit.register(kernel.close)  # later, while the interpreter goes down, wasmtime could no longer do it
    return kernel, KernelStatus(True)
