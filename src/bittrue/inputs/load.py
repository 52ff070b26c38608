"""From what the user said to input tensors."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import InputError, TraceError
from bittrue.graph.model import Graph, InputSpec, LayerNode, TensorRef
from bittrue.traces import Array

from .checked import check_inputs, shape_text
from .images import IMAGE_SUFFIXES, Preprocessing, image_files, read_images

__all__ = ["describe_inputs", "load_inputs"]

Spec = str | os.PathLike[str] | Mapping[str, Any] | None

_KINDS = "ones, random:SEED, .npy, .npz, .safetensors, an image or a folder of images"
_SMALL_INTEGERS = 10
_TABLES = frozenset({"Embedding", "ReversibleEmbedding"})


def load_inputs(
    spec: Spec,
    graph: Graph,
    *,
    batch: int = 1,
    preprocessing: Preprocessing | None = None,
    allow_nan: bool = False,
) -> dict[str, Array]:
    """The model's inputs by name, in its order and dtypes; the first axis is the batch.

    ``spec`` is one of

    - ``"ones"`` or None: ``batch`` examples of ones;
    - ``"random:SEED"``: ``batch`` examples from ``np.random.Generator(np.random.PCG64(SEED))``, drawn input by
      input in the model's order: float32 from the standard normal distribution (drawn as float32; drawn as
      float64 and rounded for other float dtypes), whole numbers below an embedding's ``input_dim`` where one
      reads the input, below 10 for other integers, below 2 for bool;
    - a ``.npy`` file (models of one input), a ``.npz`` or ``.safetensors`` file (tensors by the input's name), a
      saved trace (its inputs);
    - an image or a folder of images (models of one input), with ``preprocessing``;
    - a mapping of arrays by name.

    Raises InputError where the file or a tensor does not fit; NaN and infinities are refused unless ``allow_nan``.
    """
    if spec is None or spec == "ones":
        return {entry.name: np.ones(_made_up_shape(entry, batch), entry.dtype) for entry in graph.inputs}
    if isinstance(spec, str) and (spec == "random" or spec.startswith("random:")):
        return _random(spec.partition(":")[2], graph, batch)
    arrays = spec if isinstance(spec, Mapping) else _read(Path(spec), graph, preprocessing)
    return check_inputs(arrays, graph, allow_nan=allow_nan)


def describe_inputs(spec: Spec) -> str:
    """What the user fed, in a few words."""
    if spec is None:
        return "ones"
    return ", ".join(map(str, spec)) + " given as arrays" if isinstance(spec, Mapping) else str(spec)


def _made_up_shape(entry: InputSpec, batch: int) -> tuple[int, ...]:
    first, *rest = entry.shape
    if None in rest:
        message = (
            f"the input {entry.name!r} takes any size ({shape_text(entry.shape)}), so it cannot be made up; "
            "give a file with a tensor of the size that you use"
        )
        raise InputError(message, name=entry.name)
    return (batch if first is None else first, *(size for size in rest if size is not None))


def _random(seed: str, graph: Graph, batch: int) -> dict[str, Array]:
    if not (seed.isascii() and seed.isdigit()):
        raise InputError(f"random:{seed} has no seed; write a whole number as in random:1, so that it can be repeated")
    generator = np.random.Generator(np.random.PCG64(int(seed)))
    return {entry.name: _drawn(generator, entry, graph, _made_up_shape(entry, batch)) for entry in graph.inputs}


def _drawn(generator: np.random.Generator, entry: InputSpec, graph: Graph, shape: tuple[int, ...]) -> Array:
    limits = [int(layer.config["input_dim"]) for layer in _readers(graph, entry.ref) if layer.class_name in _TABLES]
    if limits:
        return generator.integers(0, min(limits), shape).astype(entry.dtype)
    match entry.dtype.kind:
        case "b":
            return generator.integers(0, 2, shape).astype(np.bool_)
        case "i" | "u":
            return generator.integers(0, _SMALL_INTEGERS, shape).astype(entry.dtype)
    # In float32 first: what is made up in finer dtypes can be fed where there are none.
    return generator.standard_normal(shape, np.float32).astype(entry.dtype)


def _readers(graph: Graph, ref: TensorRef) -> Iterator[LayerNode]:
    """The layers that are called on the tensor itself, in nested models too."""
    for layer in graph.layers:
        for call in layer.calls:
            for position, tensor in enumerate(call.inputs):
                if tensor != ref:
                    continue
                yield layer
                if layer.subgraph is not None and position < len(layer.subgraph.inputs):
                    yield from _readers(layer.subgraph, layer.subgraph.inputs[position].ref)


def _read(path: Path, graph: Graph, preprocessing: Preprocessing | None) -> dict[str, Array]:
    if not path.exists():
        raise InputError(f"{path} does not exist; give {_KINDS}")
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in IMAGE_SUFFIXES:
        return {_only(graph, path).name: _images(path, preprocessing)}
    if preprocessing is not None:
        raise InputError(f"{path} is no image, so no preprocessing applies; leave it out")
    try:
        match suffix:
            case ".npy":
                return {_only(graph, path).name: _npy(path)}
            case ".npz":
                return _npz(path)
            case ".safetensors":
                return _safetensors(path)
    except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}); it may be truncated or hold Python objects") from error
    raise InputError(f"{path} is no kind of input that is known here; give {_KINDS}")


def _only(graph: Graph, path: Path) -> InputSpec:
    if len(graph.inputs) != 1:
        names = ", ".join(repr(entry.name) for entry in graph.inputs)
        raise InputError(f"{path} holds one tensor and the model takes {names}; give a .npz with one under each name")
    return graph.inputs[0]


def _images(path: Path, preprocessing: Preprocessing | None) -> Array:
    if preprocessing is None:
        message = f"{path} holds images, and how they become numbers must be said; add a preprocessing such as "
        raise InputError(message + "resize=224x224,scale=1/127.5,offset=-1,order=rgb")
    return read_images(image_files(path), preprocessing)


def _npy(path: Path) -> Array:
    # Mapped, so that a header which promises more than the file holds is an error and not an allocation.
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _npz(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no archive of arrays")
        return {name: archive[name] for name in archive.files}


def _safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if "bittrue.trace" in (file.metadata() or {}):
                return _of_trace(path)
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _of_trace(path: Path) -> dict[str, Array]:
    from bittrue.tracefile import read_trace

    try:
        return {record.key.layer: record.load() for record in read_trace(path).of_kind("input")}
    except TraceError as error:
        raise ValueError(str(error)) from error
