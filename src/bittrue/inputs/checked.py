"""Tensors against what the model takes: names, shapes, dtypes and content. Nothing is changed that loses a bit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from bittrue.errors import InputError
from bittrue.graph.model import Graph, InputSpec
from bittrue.traces import Array

__all__ = ["check_inputs", "shape_text"]

_NUMBERS = "fiub"


def check_inputs(arrays: Mapping[str, Any], graph: Graph, *, allow_nan: bool) -> dict[str, Array]:
    """The arrays in the model's order, each of its input's dtype.

    Another dtype is accepted where every value is carried over exactly. Raises InputError for a name that is
    missing or unknown, a shape, dtype or content that does not fit, and examples that do not match in number.
    """
    _check_names(arrays, graph)
    checked = {spec.name: _checked(arrays[spec.name], spec, allow_nan) for spec in graph.inputs}
    sizes = {name: array.shape[0] for name, array in checked.items() if array.ndim}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name!r} has {size}" for name, size in sizes.items())
        raise InputError(f"the inputs must hold equally many examples on their first axis, but {told}")
    return checked


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape as people write it; "batch" and "any" stand for sizes that are free."""
    words = [
        "batch" if axis == 0 and size is None else "any" if size is None else str(size)
        for axis, size in enumerate(shape)
    ]
    return f"({', '.join(words)})"


def _check_names(arrays: Mapping[str, Any], graph: Graph) -> None:
    names = [spec.name for spec in graph.inputs]
    for name in arrays:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the model takes {', '.join(map(repr, names))}"
            raise InputError(f"the model has no input {name!r}: {hint}", name=name)
    for spec in graph.inputs:
        if spec.name not in arrays:
            wanted = f"{spec.dtype} of shape {shape_text(spec.shape)}"
            raise InputError(f"the input {spec.name!r} is missing: give {wanted}", name=spec.name)


def _checked(value: Any, spec: InputSpec, allow_nan: bool) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in _NUMBERS and array.dtype.name != "bfloat16":
        message = f"the input {spec.name!r} holds {array.dtype} and not numbers; give {spec.dtype}"
        raise InputError(message, name=spec.name)
    _check_shape(array, spec)
    exact = _exactly(array, spec)
    if not allow_nan and exact.dtype.kind == "f":
        _check_finite(exact, spec.name)
    return exact


def _check_shape(array: Array, spec: InputSpec) -> None:
    fits = array.ndim == len(spec.shape) and all(
        wanted in (None, size) for wanted, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        hint = "check the sizes"
        if array.ndim == len(spec.shape) - 1:
            hint = "add the batch as first axis, array[np.newaxis]"
        elif sorted(array.shape[1:]) == sorted(size or 0 for size in spec.shape[1:]):
            hint = "the axes seem to be in another order"
        message = (
            f"the input {spec.name!r} takes the shape {shape_text(spec.shape)} and was given {array.shape}: {hint}"
        )
        raise InputError(message, name=spec.name)
    if array.size == 0:
        message = f"the input {spec.name!r} is empty, its shape is {array.shape}; give at least one example"
        raise InputError(message, name=spec.name)


def _exactly(array: Array, spec: InputSpec) -> Array:
    """``array`` in the input's dtype. Raises InputError where a value would change."""
    if array.dtype == spec.dtype:
        return np.ascontiguousarray(array, spec.dtype).reshape(array.shape)
    with np.errstate(all="ignore"):
        cast = np.ascontiguousarray(array.astype(spec.dtype)).reshape(array.shape)
        back = cast.astype(array.dtype)
    changed = (back != array) & ~((back != back) & (array != array))
    if array.dtype.kind == "f" and cast.dtype.kind in "iu":
        # Where a processor saturates, a float beyond an integer's range would come back by accident.
        range_ = np.iinfo(cast.dtype)
        changed |= (array < range_.min) | (array >= range_.max + 1.0)
    if not changed.any():
        return cast
    where = [int(axis) for axis in np.unravel_index(int(np.argmax(changed)), changed.shape)]
    message = (
        f"the input {spec.name!r} is {array.dtype} and the model takes {spec.dtype}, which cannot hold "
        f"{int(changed.sum())} of the values exactly (the first at {where}); convert it with "
        f"array.astype({str(spec.dtype)!r}) so that every side gets the same"
    )
    raise InputError(message, name=spec.name)


def _check_finite(array: Array, name: str) -> None:
    finite = np.isfinite(array)
    if finite.all():
        return
    where = tuple(int(axis) for axis in np.unravel_index(int(np.argmin(finite)), finite.shape))
    count = int(finite.size - np.count_nonzero(finite))
    what = "NaN" if np.isnan(array[where]) else "an infinity"
    message = (
        f"the input {name!r} holds {what} at {list(where)} ({count} values are not finite); replace them by numbers"
    )
    raise InputError(message, name=name)
