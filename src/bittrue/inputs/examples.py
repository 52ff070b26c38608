"""Many examples, read a batch at a time: what is in memory does not grow with how many there are."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from bittrue.errors import InputError
from bittrue.graph.model import Graph
from bittrue.traces import Array

from .checked import check_inputs
from .images import IMAGE_SUFFIXES, Preprocessing, image_files, read_images
from .load import Spec, load_inputs

__all__ = ["Batch", "Examples", "open_examples"]

_LARGEST_ROW = 2**31  # bytes of one example: what a damaged header must not allocate


@dataclass(frozen=True)
class Batch:
    """Some examples: ``start`` is the number of the first, ``names`` what people call each."""

    start: int
    names: tuple[str, ...]
    inputs: dict[str, Array]

    @property
    def stop(self) -> int:
        """The number behind the last."""
        return self.start + len(self.names)

    @property
    def sha256(self) -> str:
        """Over names, dtypes, shapes and bits of its tensors."""
        total = hashlib.sha256()
        for name, array in self.inputs.items():
            total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return total.hexdigest()


class _Rows(Protocol):
    """The examples of one input. ``take`` is called with one range after the other, from 0 on, without gaps."""

    @property
    def count(self) -> int: ...

    def take(self, start: int, stop: int) -> Array: ...


class Examples(AbstractContextManager["Examples"]):
    """The examples of a model's inputs; a context manager, because files stay open."""

    def __init__(self, graph: Graph, rows: Mapping[str, _Rows], names: Callable[[int], str], stack: ExitStack) -> None:
        self._graph = graph
        self._rows = rows
        self._names = names
        self._stack = stack
        self.count = min((one.count for one in rows.values()), default=0)
        """How many there are."""

    def batches(self, size: int) -> Iterator[Batch]:
        """All of them in order, ``size`` at a time, the last may be smaller; once.

        Raises InputError for a tensor that does not fit the model, when its batch is read.
        """
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            try:
                taken = {name: rows.take(start, stop) for name, rows in self._rows.items()}
            except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile) as error:
                raise InputError(f"the examples from {start} on cannot be read ({error}); check the file") from error
            names = tuple(map(self._names, range(start, stop)))
            yield Batch(start, names, check_inputs(taken, self._graph, allow_nan=False))

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def open_examples(spec: Spec, graph: Graph, *, count: int = 1, preprocessing: Preprocessing | None = None) -> Examples:
    """The examples that ``spec`` names, as in `load_inputs`; ``count`` of them where they are made up.

    Files are read as they are needed, .npz that are compressed too; what is made up or given as arrays is held. Raises
    InputError as `load_inputs` does, and for inputs that do not hold equally many examples.
    """
    made_up = spec is None or isinstance(spec, Mapping) or str(spec).partition(":")[0] in ("ones", "random")
    path = None if made_up else Path(str(spec))
    with ExitStack() as stack:
        names: Callable[[int], str] = str
        if path is not None and (path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES) and preprocessing is not None:
            files = image_files(path)
            rows: dict[str, _Rows] = {_only(graph, path, "images"): _Images(files, preprocessing)}
            names = [file.name for file in files].__getitem__
        elif path is not None and path.is_file() and path.suffix.lower() in _READERS and preprocessing is None:
            rows = _READERS[path.suffix.lower()](path, graph, stack)
        else:
            arrays = load_inputs(spec, graph, batch=count, preprocessing=preprocessing)
            rows = {name: _Held(array) for name, array in arrays.items()}
        _check_counts(rows)
        return Examples(graph, rows, names, stack.pop_all())


@dataclass(frozen=True)
class _Held:
    array: Array

    @property
    def count(self) -> int:
        return len(self.array)

    def take(self, start: int, stop: int) -> Array:
        return self.array[start:stop]


@dataclass(frozen=True)
class _Images:
    files: list[Path]
    preprocessing: Preprocessing

    @property
    def count(self) -> int:
        return len(self.files)

    def take(self, start: int, stop: int) -> Array:
        return read_images(self.files[start:stop], self.preprocessing)


class _Member:
    """The rows of one array of a .npz, decompressed as they are read, first to last."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        shape, fortran, dtype = _header(file)
        if not shape or dtype.hasobject or prod(shape[1:]) * dtype.itemsize > _LARGEST_ROW:
            raise ValueError(f"{name} holds no examples of numbers")
        if fortran and len(shape) > 1:
            raise ValueError(f"{name} is stored column by column; save np.ascontiguousarray of it")
        self._shape, self._dtype = shape, dtype
        self._row = prod(shape[1:]) * dtype.itemsize
        self.count = int(shape[0])

    def take(self, start: int, stop: int) -> Array:
        size = (stop - start) * self._row
        data = self._file.read(size)
        if len(data) != size:
            raise ValueError("it is truncated")
        return np.frombuffer(data, self._dtype).reshape(stop - start, *self._shape[1:])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"its format {version} is not known")


def _npz(path: Path, graph: Graph, stack: ExitStack) -> dict[str, _Rows]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        found: dict[str, _Rows] = {}
        for member in archive.namelist():
            name = member.removesuffix(".npy")
            found[name] = _Member(stack.enter_context(archive.open(member)), name)
        return found
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}); it may be truncated or hold Python objects") from error


def _npy(path: Path, graph: Graph, stack: ExitStack) -> dict[str, _Rows]:
    """The one array of a .npy, mapped: a row is in memory from when it is taken."""
    name = _only(graph, path, "one tensor")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not array.ndim:
            raise ValueError("it holds a single number")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); it may be truncated or hold Python objects") from error
    return {name: _Held(array)}


class _Slices:
    """The rows of one tensor of a safetensors file, which maps it."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        shape = tensor.get_shape()
        if not shape:
            raise ValueError("it holds a single number, which is no example")
        self.count = int(shape[0])

    def take(self, start: int, stop: int) -> Array:
        rows: Array = self._tensor[start:stop]
        return rows


def _safetensors(path: Path, graph: Graph, stack: ExitStack) -> dict[str, _Rows]:
    from safetensors import SafetensorError, safe_open

    try:
        file = stack.enter_context(safe_open(path, framework="numpy"))
        if "bittrue.trace" not in (file.metadata() or {}):
            return {name: _Slices(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); it may be truncated") from error
    return {name: _Held(array) for name, array in load_inputs(str(path), graph).items()}  # a trace maps its tensors


_READERS: dict[str, Callable[[Path, Graph, ExitStack], dict[str, _Rows]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
}


def _check_counts(rows: Mapping[str, _Rows]) -> None:
    if len({one.count for one in rows.values()}) > 1:
        told = ", ".join(f"{name!r} has {one.count}" for name, one in rows.items())
        raise InputError(f"the inputs must hold equally many examples on their first axis, but {told}")


def _only(graph: Graph, path: Path, what: str) -> str:
    if len(graph.inputs) != 1:
        raise InputError(f"{path} holds {what} and the model takes {len(graph.inputs)} inputs; give a .npz with each")
    return graph.inputs[0].name
