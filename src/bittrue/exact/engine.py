"""Exact models in Python: the WebAssembly module through wasmtime, in process.

Everything that a model can ask for happens inside the module's own memory, which it cannot leave. A plan has no
loops but those over the steps of its sequences, so what it costs is known before it runs.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import ArtifactError, InputError, ModelError
from bittrue.traces import Array

from .crew import Crew, compiled
from .file import ExactFile, read
from .plan import DTYPES, Input, Plan, program

__all__ = ["ExactModel", "load", "module_sha256"]

_FINE, _MALFORMED, _NO_MEMORY, _MISFIT, _NO_ROW, _OTHER_VERSION = range(6)
_FUNCTIONS = (
    "version",
    "reserve",
    "load",
    "prepare",
    "run",
    "cost",
    "failed_op",
    "input_address",
    "output_address",
    "output_dtype",
    "output_rank",
    "output_size",
)


def module_sha256() -> str:
    """SHA-256 (hexadecimal) of the module that computes, in one thread."""
    return compiled(threaded=False)[2]


def _alone(owner: object) -> tuple[Any, Any, Any]:
    """Store, exports and memory of the module for one thread; they go with ``owner``."""
    import wasmtime

    engine, module, _ = compiled(threaded=False)
    store = wasmtime.Store(engine)
    weakref.finalize(owner, store.close)
    exports = wasmtime.Instance(store, module, []).exports(store)
    return store, exports, exports["memory"]


def _together(owner: object, threads: int) -> tuple[Any, Any, Any]:
    """The same for several threads."""
    crew = Crew(threads)
    weakref.finalize(owner, crew.close)
    return crew.store, crew.exports, crew.memory


class _Instance:
    """The module with one plan in its memory. Not to be used by two threads at once."""

    def __init__(self, plan: Plan, constants: Mapping[str, Array], outputs: Sequence[int], threads: int = 1) -> None:
        self._plan = plan
        self._outputs = len(outputs)
        started = _alone(self) if threads == 1 else _together(self, threads)
        self._store, exports, self._memory = started
        self._functions: dict[str, Any] = {name: exports[name] for name in _FUNCTIONS}
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        addresses = [self._put(constants[item.name]) for item in plan.constants]
        words = np.asarray(program(plan, addresses, outputs), np.int64).astype("<i4")
        self._room = self._reserve(4 * sum(len(item.shape) for item in plan.inputs) + 4)
        self._check(self._call("load", self._put(words), words.size))

    def run(self, inputs: Sequence[Array], cost: float | None) -> list[Array]:
        """The outputs for ``inputs``. ``cost``: the most steps to be spent, None for any number."""
        shapes = tuple(array.shape for array in inputs)
        if shapes != self._shapes:
            self._prepare(shapes)
        if cost is not None and self._cost > cost:
            raise InputError(
                f"a prediction on inputs of these shapes takes {self._cost:.3g} operations, "
                f"more than the {cost:.3g} allowed"
            )
        for address, array in zip(self._fed, inputs, strict=True):
            self._write(address, _as_words(array))
        self._check(self._call("run"))
        return [self._read(*place) for place in self._places]

    def _prepare(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        """Resolve the plan for these shapes, and note where its inputs and outputs then lie."""
        self._shapes = None
        self._write(self._room, np.array([size for shape in shapes for size in shape], "<i4"))
        self._check(self._call("prepare", self._room), shapes)
        self._cost = float(self._call("cost"))
        self._fed = [int(self._call("input_address", at)) for at in range(len(shapes))]
        self._places = [self._place(at) for at in range(self._outputs)]
        self._shapes = shapes

    def _place(self, at: int) -> tuple[int, tuple[int, ...], str]:
        """Address, shape and dtype of an output."""
        shape = tuple(self._call("output_size", at, axis) for axis in range(self._call("output_rank", at)))
        return int(self._call("output_address", at)), shape, DTYPES[self._call("output_dtype", at)]

    def _read(self, address: int, shape: tuple[int, ...], dtype: str) -> Array:
        nbytes = 4 * prod(shape)
        raw = self._memory.read(self._store, address, address + nbytes) if nbytes else bytearray()
        words = np.frombuffer(raw, "<f4" if dtype == "float32" else "<i4").reshape(shape)
        return words.astype(bool) if dtype == "bool" else words

    def _call(self, name: str, *arguments: int) -> Any:
        import wasmtime

        try:
            return self._functions[name](self._store, *arguments)
        except wasmtime.Trap as error:  # not known to happen: the module checks what it is given
            reason = str(error).splitlines()[0]
            raise ArtifactError(f"the module stopped ({reason}): the model is malformed, export it again") from error

    def _reserve(self, nbytes: int) -> int:
        address = int(self._call("reserve", nbytes)) if nbytes < 2**31 else 0
        if not address:
            raise ModelError(f"the model does not fit the memory that WebAssembly can give: {nbytes} more bytes")
        return address

    def _put(self, array: Array) -> int:
        words = _as_words(array)
        address = self._reserve(max(words.nbytes, 4))
        self._write(address, words)
        return address

    def _write(self, address: int, words: Array) -> None:
        if words.nbytes:
            self._memory.write(self._store, np.ascontiguousarray(words).reshape(-1).view(np.uint8).data, address)

    def _check(self, status: int, shapes: Any = None) -> None:
        if status == _FINE:
            return
        at = int(self._call("failed_op"))
        steps = self._plan.operations
        where = f"operation {at} ({steps[at].name}, layer {steps[at].layer!r})" if at < len(steps) else "its outputs"
        if status == _NO_MEMORY:
            raise ModelError(f"the model needs more memory than WebAssembly can give (at {where}): use a smaller batch")
        if status == _MISFIT:
            given = f" for inputs of shapes {', '.join(map(str, shapes))}" if shapes else ""
            raise InputError(f"the shapes do not fit{given}: {where} cannot take them")
        if status == _NO_ROW:
            raise InputError(f"an input holds a number that is no row of the table of {where}")
        if status == _OTHER_VERSION:
            raise ArtifactError("the module is of another version than this package: build the kernels again")
        raise ArtifactError(f"the model's plan is malformed at {where}: export the model again")


def _as_words(array: Array) -> Array:
    """The elements as the module holds them: one 32-bit word each, little-endian."""
    kind = "<f4" if array.dtype == np.float32 else "<i4"
    return np.ascontiguousarray(array).astype(kind, copy=False)


class ExactModel:
    """A model whose bits are the same in Python, browsers and Node. May be used from several threads.

    ``cost``: the most multiplications and element steps that a prediction may take, None for any number. ``threads``
    share each prediction; their number moves no bit.
    """

    def __init__(self, file: ExactFile, *, cost: float | None = None, threads: int = 1) -> None:
        self.plan = file.plan
        self.sha256 = file.sha256
        self._constants = file.constants
        self._cost = cost
        self._threads = threads
        self._lock = threading.Lock()
        self._instances: dict[bool, _Instance] = {}
        self._instance(traced=False)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it takes."""
        return self.plan.inputs

    def predict(self, x: Any) -> Any:
        """What the model returns: one array, or a list of arrays if it has several outputs.

        ``x`` is an array, a list of arrays in the order of the inputs, or a mapping by their names; numbers of
        another kind are refused unless the model's dtype holds them exactly. Raises InputError.
        """
        with self._lock:
            made = self._instance(traced=False).run(self._arrays(x), self._cost)
        return made[0] if len(made) == 1 else made

    def layers(self, x: Any) -> list[Array]:
        """What every layer returned, in the order of ``plan.layers``."""
        with self._lock:
            return self._instance(traced=True).run(self._arrays(x), self._cost)

    def _instance(self, traced: bool) -> _Instance:
        if traced not in self._instances:
            named = self.plan.layers if traced else self.plan.outputs
            values = [item.value for item in named]
            self._instances[traced] = _Instance(self.plan, self._constants, values, self._threads)
        return self._instances[traced]

    def _arrays(self, x: Any) -> list[Array]:
        names = [item.name for item in self.inputs]
        if isinstance(x, Mapping):
            if set(x) != set(names):
                raise InputError(f"the model's inputs are {', '.join(names)}, but {', '.join(map(str, x))} were given")
            given = [x[name] for name in names]
        elif len(names) == 1:
            given = list(x) if isinstance(x, list | tuple) and len(x) == 1 and np.ndim(x[0]) else [x]
        else:
            given = list(x) if isinstance(x, list | tuple) else [x]
        if len(given) != len(names):
            raise InputError(f"the model takes {len(names)} inputs ({', '.join(names)}), but {len(given)} were given")
        return [_fitting(item, array) for item, array in zip(self.inputs, given, strict=True)]


def _fitting(item: Input, given: Any) -> Array:
    array = np.asarray(given)
    fits = len(array.shape) == len(item.shape) and all(
        wanted in (None, size) for wanted, size in zip(item.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("?" if size is None else size for size in item.shape)
        raise InputError(
            f"input {item.name!r} has shape {array.shape}, but the model takes ({', '.join(map(str, wanted))})",
            name=item.name,
        )
    if array.dtype.name == item.dtype:
        return array
    if array.dtype.kind not in "fiub":
        raise InputError(f"input {item.name!r} is of {array.dtype}, but the model takes {item.dtype}", name=item.name)
    with np.errstate(all="ignore"):
        converted = array.astype(item.dtype)
        same = np.array_equal(converted.astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
    if not same:
        raise InputError(
            f"input {item.name!r} is of {array.dtype} and holds numbers that {item.dtype} does not: convert it first",
            name=item.name,
        )
    return converted


def load(path: str | Path, *, cost: float | None = None, threads: int = 1) -> ExactModel:
    """Open an exact model, written by ``bittrue export``.

    Raises ModelError for a file that cannot be read, ArtifactError for one that is damaged, hostile or of another
    version. ``cost`` and ``threads`` as in `ExactModel`.
    """
    return ExactModel(read(Path(path)), cost=cost, threads=threads)
