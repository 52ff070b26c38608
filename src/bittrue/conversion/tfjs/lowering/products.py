"""Matrix products, and sums of products in general."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from bittrue.ops import Einsum, MatMul, Shape
from bittrue.ops.base import broadcast

from ..defects import present
from .attributes import flag
from .nodes import Tensor
from .registry import lowers
from .scope import Dimension, Scope, Sizes


@lowers(MatMul)
def matmul(scope: Scope, op: MatMul, a: Tensor, b: Tensor) -> Tensor:
    """MatMul with one matrix on the right, else a batch of them."""
    if b.spec.rank > 2:
        return _batched(scope, a, b)
    if a.spec.rank == 2:
        return _flat(scope, a, b)
    depth, width = b.spec.shape
    product = _flat(scope, scope.reshape(a, [-1, depth or 0]), b)
    return scope.reshape(product, [*scope.sizes(a)[:-1], width or 0])


def _flat(scope: Scope, a: Tensor, b: Tensor) -> Tensor:
    attributes = {"transpose_a": flag(False), "transpose_b": flag(False)}
    shape = (a.spec.shape[0], b.spec.shape[1])
    return scope.node("MatMul", _real(scope, a, b), shape, attributes)


def _batched(scope: Scope, a: Tensor, b: Tensor) -> Tensor:
    leading = broadcast(a.spec.shape[:-2], b.spec.shape[:-2])
    assert leading is not None
    if present("batch-mat-mul-broadcast", scope.version):
        a, b = (_spread(scope, x, leading) for x in (a, b))
    attributes = {"adj_x": flag(False), "adj_y": flag(False)}
    shape = (*leading, a.spec.shape[-2], b.spec.shape[-1])
    return scope.node("BatchMatMulV2", _real(scope, a, b), shape, attributes)


def _spread(scope: Scope, x: Tensor, leading: Shape) -> Tensor:
    """``x`` with ``leading`` axes: TensorFlow.js pairs matrices wrongly where both operands are broadcast.

    Times ones, which changes no number; the numbers of matrices along axes of unknown sizes stay as they are.
    """
    own = (1,) * (len(leading) + 2 - x.spec.rank) + x.spec.shape[:-2]
    if own == leading:
        return x
    if any(wanted is None and size == 1 for size, wanted in zip(own, leading, strict=True)):
        raise scope.refused("it repeats matrices an unknown number of times")
    ones = [1 if size == wanted else wanted or 1 for size, wanted in zip(own, leading, strict=True)]
    factor = scope.nodes.constant(np.ones((*ones, 1, 1), np.float32))
    return scope.node("Mul", (x, factor), (*leading, *x.spec.shape[-2:]))


def _real(scope: Scope, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.spec.dtype.name != "float32" or b.spec.dtype.name != "float32":
        raise scope.refused(f"it multiplies {a.spec.dtype.name} by {b.spec.dtype.name} matrices")
    return a, b


@lowers(Einsum)
def einsum(scope: Scope, op: Einsum, a: Tensor, b: Tensor) -> Tensor:
    """Axes brought in order, one matrix product, and axes brought in the order wanted."""
    left, _, output = op.equation.partition("->")
    first, second = left.split(",")
    a, first = _summed(scope, a, first, set(second + output))
    b, second = _summed(scope, b, second, set(first + output))
    shared = [letter for letter in first if letter in second and letter in output]
    inner = [letter for letter in first if letter in second and letter not in output]
    rows = [letter for letter in first if letter not in second]
    columns = [letter for letter in second if letter not in first]
    sizes = _sizes(scope, (a, first), (b, second))
    left_side = _matrix(scope, a, first, (shared, rows, inner), sizes)
    right_side = _matrix(scope, b, second, (shared, inner, columns), sizes)
    product = _batched(scope, left_side, right_side) if shared else _flat(scope, left_side, right_side)
    order = [*shared, *rows, *columns]
    spread = scope.reshape(product, [sizes[letter] for letter in order])
    return scope.transposed(spread, [order.index(letter) for letter in output])


def _summed(scope: Scope, x: Tensor, term: str, used: set[str]) -> tuple[Tensor, str]:
    """``x`` summed over the axes that nothing else names."""
    gone = [axis for axis, letter in enumerate(term) if letter not in used]
    if not gone:
        return x, term
    kept = [axis for axis in range(len(term)) if axis not in gone]
    shape = tuple(x.spec.shape[axis] for axis in kept)
    total = scope.node("Sum", (x, scope.nodes.ints(gone)), shape, {"keep_dims": flag(False)})
    return total, "".join(term[axis] for axis in kept)


def _sizes(scope: Scope, *operands: tuple[Tensor, str]) -> dict[str, int | Dimension]:
    sizes: dict[str, int | Dimension] = {}
    for tensor, term in operands:
        for letter, size in zip(term, scope.sizes(tensor), strict=True):
            if not isinstance(sizes.get(letter), int):
                sizes[letter] = size
    return sizes


def _matrix(
    scope: Scope, x: Tensor, term: str, parts: tuple[Sequence[str], ...], sizes: dict[str, int | Dimension]
) -> Tensor:
    """``x`` with its axes in the order of ``parts``; the last two parts are an axis each."""
    leading, *both = parts
    ordered = scope.transposed(x, [term.index(letter) for part in parts for letter in part])
    target = [*(sizes[letter] for letter in leading), *(_joined([sizes[letter] for letter in part]) for part in both)]
    if target.count(-1) > 1:
        raise scope.refused("it multiplies over several axes of unknown sizes")
    return scope.reshape(ordered, target)


def _joined(sizes: Sizes) -> int | Dimension:
    """The size of several axes made one."""
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == len(sizes):
        return prod(known)
    return sizes[0] if len(sizes) == 1 else -1
