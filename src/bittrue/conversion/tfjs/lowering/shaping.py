"""Ops that move, join, repeat or look up elements."""

from __future__ import annotations

from math import prod

import numpy as np

from bittrue.ops import Broadcast, Concat, Gather, Pad, Repeat, Reshape, Slice, Transpose
from bittrue.ops.base import promote

from ..defects import present
from ..versions import known
from .attributes import type_of, whole
from .folding import MOST, one_axis
from .nodes import Tensor
from .registry import lowers
from .scope import Scope

_INT32 = np.dtype(np.int32)


@lowers(Reshape)
def reshape(scope: Scope, op: Reshape, x: Tensor) -> Tensor:
    """Reshape, with what is known filled in."""
    kept = scope.sizes(x)[: op.keep]
    rest = op.infer(x.spec)[0].shape[op.keep :]
    return scope.reshape(x, [*kept, *(-1 if size is None else size for size in rest)])


@lowers(Transpose)
def transpose(scope: Scope, op: Transpose, x: Tensor) -> Tensor:
    """Transpose."""
    return scope.transposed(x, op.permutation)


@lowers(Concat)
def concat(scope: Scope, op: Concat, *tensors: Tensor) -> Tensor:
    """ConcatV2 of operands of one dtype."""
    dtype = promote(*(tensor.spec for tensor in tensors))
    return scope.concatenated([scope.cast(tensor, dtype) for tensor in tensors], op.axis % tensors[0].spec.rank)


@lowers(Pad)
def pad(scope: Scope, op: Pad, x: Tensor) -> Tensor:
    """PadV2."""
    return scope.padded(x, op.widths, op.value)


@lowers(Slice)
def cut(scope: Scope, op: Slice, x: Tensor) -> Tensor:
    """StridedSlice; whole numbers and truth values that are not next to each other are looked up or cast.

    TensorFlow.js's wasm backend takes them for float32 there.
    """
    axis, shape = op.axis % x.spec.rank, op.infer(x.spec)[0].shape
    deep = op.step != 1 and x.spec.rank > MOST and x.spec.shape.count(None) < 2
    if deep and present("gpu-strided-slice-rank-5", scope.version):
        inner = Slice(1, op.start, op.stop, op.step)
        return one_axis(scope, x, axis, lambda flat: cut(scope, inner, flat), shape[axis])
    cuts = [(axis, op.start, op.stop, op.step)]
    kind = "bool" if x.spec.dtype == np.bool_ else "int"
    if op.step == 1 or x.spec.dtype.name == "float32" or not present(f"wasm-strided-slice-{kind}", scope.version):
        return scope.sliced(x, cuts, shape)
    if kind == "bool":
        real = scope.sliced(scope.cast(x, np.dtype(np.float32)), cuts, shape)
        return scope.cast(real, x.spec.dtype)
    size = x.spec.shape[axis]
    if size is None:
        raise scope.refused("it takes every so many of whole numbers whose count is not known beforehand")
    places = scope.nodes.constant(np.arange(size, dtype=np.int32)[op.start : op.stop : op.step])
    attributes = {"Tindices": _TYPE, "Taxis": _TYPE, "batch_dims": whole(0)}
    return scope.node("GatherV2", (x, places, scope.nodes.ints(axis)), shape, attributes, types=("Tparams",))


@lowers(Repeat)
def repeat(scope: Scope, op: Repeat, x: Tensor) -> Tensor:
    """Tile of a new axis behind the repeated one; all other axes are joined, so that there are three at most."""
    axis = op.axis % x.spec.rank
    behind = x.spec.shape[axis + 1 :]
    if None in behind:
        raise scope.refused("it repeats elements of unknown extent, which TensorFlow.js has no node for")
    inner = prod(size or 0 for size in behind)
    flat = scope.reshape(x, [-1, 1, inner])
    repeated = scope.node(
        "Tile", (flat, scope.nodes.ints([1, op.times, 1])), (flat.spec.shape[0], op.times, inner), {"Tmultiples": _TYPE}
    )
    size = x.spec.shape[axis]
    target = [*scope.sizes(x)[:axis], -1 if size is None else size * op.times, *(n or 0 for n in behind)]
    return scope.reshape(repeated, target)


@lowers(Broadcast)
def broadcast(scope: Scope, op: Broadcast, x: Tensor) -> Tensor:
    """BroadcastTo."""
    if not known("BroadcastTo", scope.version):
        raise scope.refused("TensorFlow.js of that version does not broadcast by itself")
    return scope.node("BroadcastTo", (x, scope.nodes.ints(op.shape)), op.shape)


@lowers(Gather)
def gather(scope: Scope, op: Gather, table: Tensor, index: Tensor) -> Tensor:
    """GatherV2 of rows."""
    shape = (*index.spec.shape, *table.spec.shape[1:])
    attributes = {"Tindices": type_of(index.spec.dtype), "Taxis": _TYPE, "batch_dims": whole(0)}
    return scope.node("GatherV2", (table, index, scope.nodes.ints(0)), shape, attributes, types=("Tparams",))


_TYPE = type_of(_INT32)
