"""Reductions over whole axes, and what is built of them."""

from __future__ import annotations

import numpy as np

from bittrue.ops import Normalize, Reduce, Softmax
from bittrue.ops.base import broadcast

from ..defects import present
from .attributes import flag, number, text
from .nodes import Tensor
from .registry import lowers
from .scope import Scope

_REDUCTIONS = {"all": "All", "any": "Any", "max": "Max", "mean": "Mean", "min": "Min", "sum": "Sum"}


_LOWEST = -1e20  # where webgl begins to look for a maximum


@lowers(Reduce)
def reduce(scope: Scope, op: Reduce, x: Tensor) -> Tensor:
    """A node of the same reduction."""
    if op.kind not in _REDUCTIONS:
        raise scope.refused(f"TensorFlow.js has no {op.kind}")
    if op.kind not in ("all", "any") and x.spec.dtype.name not in ("float32", "int32"):
        raise scope.refused(f"it reduces {x.spec.dtype.name} tensors, which TensorFlow.js would do differently")
    axes = [axis % x.spec.rank for axis in op.axes]
    if not axes:
        return x
    if x.spec.dtype.name != "float32" and present("webgpu-transpose-int", scope.version):
        return _as_numbers(scope, op, x)
    types = () if op.kind in ("all", "any") else ("T",)
    shape = op.infer(x.spec)[0].shape
    inputs = (x, scope.nodes.ints(axes))
    return scope.node(_REDUCTIONS[op.kind], inputs, shape, {"keep_dims": flag(op.keepdims)}, types)


def _as_numbers(scope: Scope, op: Reduce, x: Tensor) -> Tensor:
    """Whole numbers and truth values as float32: what reduces other axes than the last transposes inside."""
    kind = {"all": "min", "any": "max"}.get(op.kind, op.kind)
    made = reduce(scope, Reduce(kind, op.axes, op.keepdims), scope.cast(x, np.dtype(np.float32)))
    return Tensor(scope.cast(made, x.spec.dtype).node, type(x.spec)(made.spec.shape, x.spec.dtype))


@lowers(Softmax)
def softmax(scope: Scope, op: Softmax, x: Tensor) -> Tensor:
    """Softmax, which works along the last axis: another is brought there and back."""
    axis, last = op.axis % x.spec.rank, x.spec.rank - 1
    order = list(range(x.spec.rank))
    order[axis], order[last] = last, axis
    moved = scope.transposed(x, order)
    if present("webgl-max-very-negative", scope.version):
        # Where a mask leaves nothing, all numbers are lower still, and alike: so they stay.
        moved = _pair(scope, "Maximum", moved, scope.nodes.constant(np.asarray(_LOWEST, np.float32)))
    return scope.transposed(scope.node("Softmax", (moved,), moved.spec.shape), order)


@lowers(Normalize)
def normalize(
    scope: Scope, op: Normalize, x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor
) -> Tensor:
    """FusedBatchNormV3 where the statistics are a vector for the last of four axes, else one step after the other."""
    parameters = (scale, shift, mean, variance)
    if x.spec.rank == 4 and all(p.spec.shape == x.spec.shape[-1:] for p in parameters):
        attributes = {"epsilon": number(op.epsilon), "data_format": text("NHWC"), "is_training": flag(False)}
        return scope.node("FusedBatchNormV3", (x, *parameters), x.spec.shape, attributes, types=("T", "U"))
    epsilon = scope.nodes.constant(np.asarray(op.epsilon, np.float32))
    deviation = _pair(scope, "AddV2", variance, epsilon)
    factor = scope.node("Rsqrt", (deviation,), deviation.spec.shape)
    factor = factor if _is(scale, 1.0) else _pair(scope, "Mul", factor, scale)
    centred = x if _is(mean, 0.0) else _pair(scope, "Sub", x, mean)
    y = _pair(scope, "Mul", centred, factor)
    return y if _is(shift, 0.0) else _pair(scope, "AddV2", y, shift)


def _is(tensor: Tensor, number: float) -> bool:
    return tensor.value is not None and tensor.spec.shape == () and float(tensor.value) == number


def _pair(scope: Scope, op: str, a: Tensor, b: Tensor) -> Tensor:
    shape = broadcast(a.spec.shape, b.spec.shape)
    assert shape is not None
    return scope.node(op, (a, b), shape)
