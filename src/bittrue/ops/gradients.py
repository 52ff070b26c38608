"""What vector-Jacobian products share: adding up over broadcast axes, and going backwards through several ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bittrue.traces import Array

if TYPE_CHECKING:
    from .base import Op

__all__ = ["Computed", "Seen", "backward", "scaled", "summed_to"]

Computed = tuple["Op", tuple[int, ...], int]
"""One op that was computed, the numbers of the values that it took, and the number of the value that it made."""


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """What goes back to an operand of ``shape`` that was broadcast: ``gradient`` summed over the axes repeated."""
    added = gradient.ndim - len(shape)
    repeated = (axis for axis, size in enumerate(shape, added) if size == 1 != gradient.shape[axis])
    axes = (*range(added), *repeated)
    return np.asarray(gradient.sum(axis=axes).reshape(shape)) if axes else gradient


def scaled(gradient: Array, derivative: Array | float) -> Array:
    """Their product; 0 where nothing hangs on the element, even if its derivative is infinite."""
    return np.where(gradient == 0, 0.0, gradient * derivative)


Seen = Callable[["Op", tuple[Array, ...], Array, Array, tuple[int, ...]], None]
"""Told of each op that a gradient comes to: the op, its operands, its result, the gradient, and the operands' terms."""


def backward(
    program: Sequence[Computed],
    values: Sequence[Array],
    gradients: list[Array | None],
    wanted: Sequence[bool],
    seen: Seen | None = None,
) -> None:
    """Reverse accumulation through a straight line of ops (A. Griewank and A. Walther, *Evaluating Derivatives*, 2008).

    ``values`` are all values by number, ``gradients`` those of one number with respect to each of them (None: nothing
    is known to hang on it) as far as they come from outside; those of all ``wanted`` values are added, a value's over
    all of its uses. What an op made is let go once it has been passed on. ``seen`` is told of every op in between,
    those of loops included, in every step. Raises ModelError as `Op.pullback`.
    """
    terms = [0] * len(values)
    for op, operands, made in program:
        shapes = (values[operand].shape for operand in operands)
        terms[made] = op.unfinished_terms(tuple(terms[operand] for operand in operands), *shapes)
    for op, operands, made in reversed(program):
        gradient = gradients[made]
        if gradient is None or not wanted[made]:
            continue
        pulled = op.pullback(
            *(values[operand] for operand in operands),
            gradient=gradient,
            exact=values[made],
            wanted=[wanted[operand] for operand in operands],
            terms=tuple(terms[operand] for operand in operands),
            seen=seen,
        )
        gradients[made] = None
        for operand, found in zip(operands, pulled, strict=True):
            if found is not None:
                before = gradients[operand]
                gradients[operand] = found if before is None else before + found
