"""Where elements are: numbers of places, the largest one's, and sampling between them."""

from __future__ import annotations

import numpy as np

from bittrue.ops import ArgMax, Position, Resize, TensorSpec

from ..versions import known
from .attributes import flag, type_of
from .nodes import Tensor
from .registry import lowers
from .scope import Dimension, Scope
from .windows import with_axis, without_axis

_INT32 = np.dtype(np.int32)
_KINDS = {"linear": "ResizeBilinear", "nearest": "ResizeNearestNeighbor"}


@lowers(ArgMax)
def argmax(scope: Scope, op: ArgMax, x: Tensor) -> Tensor:
    """ArgMax: of equal ones the first, as everywhere."""
    axis = op.axis % x.spec.rank
    shape = tuple(size for at, size in enumerate(x.spec.shape) if at != axis)
    attributes = {"T": type_of(x.spec.dtype), "Tidx": type_of(_INT32), "output_type": type_of(_INT32)}
    name = scope.nodes.name(f"{scope.prefix}/ArgMax")
    return scope.nodes.add("ArgMax", name, (x, scope.nodes.ints(axis)), attributes, TensorSpec(shape, _INT32))


@lowers(Position)
def position(scope: Scope, op: Position, x: Tensor) -> Tensor:
    """A constant, or a range where the size is not known before the model runs."""
    axis = op.axis % x.spec.rank
    size = x.spec.shape[axis]
    shape: list[int | Dimension] = [1] * x.spec.rank
    if size is not None:
        shape[axis] = size
        return scope.nodes.constant(np.arange(size, dtype=np.int32).reshape([n for n in shape if isinstance(n, int)]))
    limit = scope.node("Squeeze", (scope.size(Dimension(x, axis)),), ())
    ends = (scope.nodes.ints(0), limit, scope.nodes.ints(1))
    numbers = scope.node("Range", ends, (None,), types=("Tidx",))
    shape[axis] = -1
    return scope.reshape(numbers, shape)


@lowers(Resize)
def resize(scope: Scope, op: Resize, x: Tensor) -> Tensor:
    """ResizeBilinear or ResizeNearestNeighbor of two axes, at the centres of the grid's cells."""
    axes = len(op.size or op.factors)
    if axes > 2:
        raise scope.refused("graph-models of TensorFlow.js resize two axes at most")
    if axes == 1:
        flat = Resize(op.kind, (1, *op.size) if op.size else (), (1, *op.factors) if op.factors else ())
        return without_axis(scope, resize(scope, flat, with_axis(scope, x)))
    if not known("half_pixel_centers", scope.version):
        raise scope.refused("TensorFlow.js of that version samples at other places")
    size = scope.nodes.ints(op.size) if op.size else _multiplied(scope, x, op.factors)
    attributes = {"align_corners": flag(False), "half_pixel_centers": flag(True)}
    return scope.node(_KINDS[op.kind], (x, size), op.infer(x.spec)[0].shape, attributes)


def _multiplied(scope: Scope, x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """The sizes of the spatial axes, ``factors`` times: known before or not."""
    spatial = x.spec.shape[1:-1]
    if None not in spatial:
        return scope.nodes.ints([(size or 0) * factor for size, factor in zip(spatial, factors, strict=True)])
    sizes = scope.sliced(scope.shape_of(x), [(0, 1, 3, 1)], (2,))
    return scope.node("Mul", (sizes, scope.nodes.constant(np.asarray(factors, np.int32))), (2,))
