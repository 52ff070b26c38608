"""What every primitive op is: its shapes and dtypes, its meaning in float64, and what rounding may do to it.

An op is a frozen dataclass whose fields are its attributes; nothing about a runtime is known here. The bounds
follow N. J. Higham, *Accuracy and Stability of Numerical Algorithms* (2nd ed., SIAM 2002), chapters 2 to 4:
with unit roundoff u, n roundings on one path change a sum of products by at most γₙ = nu / (1 - nu) of the
sum of their magnitudes, in any order of summation, fused or not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any, ClassVar

import numpy as np

from bittrue.errors import ModelError
from bittrue.traces import Array

from .axioms import Axioms
from .gradients import Seen
from .variance import joined_variance

__all__ = ["ExactOp", "Op", "Shape", "TensorSpec", "broadcast", "elementwise_cut", "promote", "same_rows", "same_size"]

Shape = tuple[int | None, ...]
"""Sizes of a tensor's axes; None is a size not known before the model runs."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape (None for an unknown size) and dtype of a tensor."""

    shape: Shape
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, array: Array) -> TensorSpec:
        """The spec of a tensor at hand."""
        return cls(array.shape, array.dtype)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def is_floating(self) -> bool:
        """Whether the dtype is a floating-point one (bfloat16 and its kin included)."""
        return _is_floating(self.dtype)

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.dtype}({sizes})"


class Op(ABC):
    """One primitive operation with one output. Subclasses are frozen dataclasses; their fields are attributes.

    The base validates: whatever `evaluate` and `error_bound` are given has passed `infer` first.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)

    @property
    def name(self) -> str:
        """The op's name in messages and tables: its class name."""
        return type(self).__name__

    def infer(self, *specs: TensorSpec) -> tuple[TensorSpec, ...]:
        """Specs of the outputs for inputs of ``specs``. Raises ModelError where they do not fit."""
        least, most = self.arity
        if len(specs) < least or (most is not None and len(specs) > most):
            raise self.refused(*specs, because=f"it takes {_count(least, most)}")
        return (self._infer(*specs),)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """The op's meaning: float64 in and out (narrower floats are widened), integers and booleans as they are."""
        self.infer(*map(TensorSpec.of, arrays))
        with np.errstate(all="ignore"):
            return (self._evaluate(*map(widened, arrays)),)

    def reduction_length(self, *shapes: tuple[int, ...]) -> int:
        """Number of terms in each of the op's sums, 0 where it sums nothing."""
        return 0

    def error_bound(
        self,
        axioms: Axioms,
        *arrays: Array,
        errors: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
        terms: tuple[int, ...] | None = None,
    ) -> Array:
        """Elementwise bound on the distance of the computed from the exact result, for one evaluation under ``axioms``.

        ``exact`` is `evaluate` on ``arrays``, for callers that have it. ``errors`` bound how far the operands of the
        computation may lie from ``arrays`` (None: not at all), so that bounds compose. For a boolean operand a
        positive error says that it may be the other truth value. ``terms`` are the operands' `unfinished_terms` (None:
        all are finished). Infinite where nothing is promised; 0 for integral results.
        """
        exact = self.evaluate(*arrays)[0] if exact is None else exact
        operands = tuple(widened(array) for array in arrays)
        given = errors if errors is not None else (0.0,) * len(operands)
        with np.errstate(all="ignore"):
            moved = tuple(_flushed(axioms, array, error) for array, error in zip(operands, given, strict=True))
            bound = self._bound(axioms, exact, operands, moved)
            for at, into in self._joining(terms or ()):
                bound = bound + axioms.gamma((terms or ())[into]) * (np.abs(operands[at]) + moved[at])
        return np.where(np.isnan(bound), inf, bound)

    def _bound(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        carried = np.broadcast_to(np.float64(0), exact.shape)
        if any(np.any(error) for error in errors):
            carried = self._carried(exact, operands, errors)
        if not np.issubdtype(exact.dtype, np.floating):
            return carried
        magnitudes = tuple(np.abs(array) + error for array, error in zip(operands, errors, strict=True))
        size = np.abs(exact) + carried
        bound = carried + self._rounding(axioms, size, magnitudes)
        bound = bound + np.where((size > 0) & (size < 2 * axioms.smallest_normal), axioms.smallest_normal, 0.0)
        return np.where(np.isfinite(exact) & (size + bound > axioms.largest), inf, bound)

    def rounding_variance(
        self,
        axioms: Axioms,
        *arrays: Array,
        variances: tuple[Array | float, ...] | None = None,
        exact: Array | None = None,
        terms: tuple[int, ...] | None = None,
    ) -> Array:
        """Expected square of the error of one evaluation under ``axioms``, elementwise: no bound, and no proof.

        A rounding of size ulp contributes ulp² / 12. ``variances`` are those of the operands (None: exact), taken as
        independent of the op's own roundings. Where roundings may go the same way it errs on the large side.
        ``exact`` and ``terms`` as for `error_bound`.
        """
        exact = self.evaluate(*arrays)[0] if exact is None else exact
        operands = tuple(widened(array) for array in arrays)
        given = variances if variances is not None else (0.0,) * len(operands)
        moved = tuple(np.broadcast_to(np.float64(v), a.shape) for v, a in zip(given, operands, strict=True))
        with np.errstate(all="ignore"):
            variance = self._variance(axioms, exact, operands, moved)
            for at, into in self._joining(terms or ()):
                variance = variance + joined_variance(axioms, operands[at], operands[into], (terms or ())[into])
        return np.where(np.isnan(variance), inf, variance)

    def unfinished_terms(self, terms: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """Of how many terms the result is a sum that may go on: kernels begin a sum with the bias, or end with it.

        ``terms`` and ``shapes`` are those of the operands. 0 for what is no sum of products, or is finished.
        """
        return 0

    def _joining(self, terms: tuple[int, ...]) -> list[tuple[int, int]]:
        """Which operand may stand in which other one's sum before its terms."""
        return []

    def _variance(
        self, axioms: Axioms, exact: Array, operands: tuple[Array, ...], variances: tuple[Array, ...]
    ) -> Array:
        carried = np.broadcast_to(np.float64(0), exact.shape)
        if any(np.any(variance) for variance in variances):
            carried = np.square(self._carried(exact, operands, tuple(map(np.sqrt, variances))))
        if not np.issubdtype(exact.dtype, np.floating):
            return carried
        return np.asarray(carried + self._own_variance(axioms, exact, operands))

    def _own_variance(self, axioms: Axioms, exact: Array, operands: tuple[Array, ...]) -> Array:
        """What the op's own roundings contribute; anything within the op's own bound is taken as equally likely."""
        bound = self._bound(axioms, exact, operands, tuple(np.zeros(operand.shape) for operand in operands))
        return np.asarray(np.square(bound) / 3)

    def independent_roundings(self, result: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """At least how many independent roundings make the errors of a ``result``, for operands of ``shapes``."""
        return prod(result)

    def cuts(self, cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
        """How the result is cut into examples along its first axis where the operands are.

        ``cut`` is, of each operand, how many of its rows there an example has, 0 of one that is not cut, and so is what
        is returned: a part of the result is the op of the same part of the operands, whatever their number, and so are
        its bound and its derivatives. None where that is not known, as where examples meet. ``specs`` are the
        operands', whole.
        """
        return None

    def pullback(
        self,
        *arrays: Array,
        gradient: Array,
        exact: Array | None = None,
        wanted: Sequence[bool] | None = None,
        terms: tuple[int, ...] = (),
        seen: Seen | None = None,
    ) -> tuple[Array | None, ...]:
        """The vector-Jacobian product Jᵀ·``gradient`` at ``arrays``: for each operand float64, of the operand's shape.

        ``gradient`` is that of some number with respect to the result and has its shape; what comes back is that of the
        number with respect to each operand. None for an operand that is no float or not ``wanted`` (None: all are), and
        for all where the result is no float. ``exact`` as for `error_bound`. At a kink it is the derivative towards
        larger operands, at a tie that of the first; a jump counts with the derivative beside it. ``seen`` is told of
        the op, with ``terms`` as for `error_bound`. Raises ModelError for an op that has no derivative here.
        """
        exact = self.evaluate(*arrays)[0] if exact is None else exact
        operands = tuple(widened(array) for array in arrays)
        asked = wanted if wanted is not None else (True,) * len(operands)
        floats = [operand.dtype.kind == exact.dtype.kind == "f" for operand in operands]
        if seen is not None and exact.dtype.kind == "f":
            seen(self, operands, exact, gradient, terms)
        with np.errstate(all="ignore"):
            return tuple(
                self._pullback(at, operands, exact, gradient) if want and is_float else None
                for at, (want, is_float) in enumerate(zip(asked, floats, strict=True))
            )

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        """Jᵀ·``gradient`` with respect to operand ``at``, a float as the result is."""
        raise ModelError(f"{self} has no derivative here")

    def refused(self, *specs: TensorSpec, because: str) -> ModelError:
        """The error for inputs that do not fit, as one sentence."""
        given = ", ".join(map(str, specs)) or "nothing"
        return ModelError(f"{self} cannot take {given}: {because}")

    @abstractmethod
    def _infer(self, *specs: TensorSpec) -> TensorSpec: ...

    @abstractmethod
    def _evaluate(self, *arrays: Array) -> Array: ...

    @abstractmethod
    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        """Bound on the change of the result where no operand moves by more than its ``errors``."""

    @abstractmethod
    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        """Bound on the op's own error for operands up to ``magnitudes`` and exact results up to ``size``."""


class ExactOp(Op):
    """An op that moves values and rounds nothing: what its operands carry is moved the same way."""

    def unfinished_terms(self, terms: tuple[int, ...], *shapes: tuple[int, ...]) -> int:
        """Those of its one operand, in another place."""
        return terms[0] if len(terms) == 1 else 0

    def _carried(self, exact: Array, arrays: tuple[Array, ...], errors: tuple[Array, ...]) -> Array:
        return np.asarray(self._evaluate(*errors), np.float64)

    def _rounding(self, axioms: Axioms, size: Array, magnitudes: tuple[Array, ...]) -> Array:
        return np.zeros_like(size)

    def _pullback(self, at: int, operands: tuple[Array, ...], exact: Array, gradient: Array) -> Array:
        """Every element goes back to where it came from: the op, fed with the numbers of elements, tells where."""
        size = operands[at].size
        fed = [np.full(operand.shape, -1) for operand in operands]
        fed[at] = np.arange(size).reshape(operands[at].shape)
        sources = self._evaluate(*fed).reshape(-1)
        kept = sources >= 0
        everything = bool(kept.all())
        from_there = gradient.reshape(-1) if everything else gradient.reshape(-1)[kept]
        pulled = np.bincount(sources if everything else sources[kept], from_there, size)
        return pulled.reshape(operands[at].shape)


def widened(array: Array) -> Array:
    """Floats as float64, integers as int64, booleans as they are."""
    if array.dtype == np.bool_:
        return array
    return np.asarray(array, np.float64 if _is_floating(array.dtype) else np.int64)


def promote(*specs: TensorSpec) -> np.dtype[Any]:
    """The dtype of an elementwise result: the widest floating one if any is floating, else as NumPy has it."""
    floating = [spec.dtype for spec in specs if spec.is_floating]
    return np.result_type(*(floating or [spec.dtype for spec in specs]))


def same_size(first: int | None, second: int | None) -> bool:
    """Whether two sizes may be equal."""
    return first is None or second is None or first == second


def broadcast(*shapes: Shape) -> Shape | None:
    """The shape that ``shapes`` broadcast to by NumPy's rules, None if they do not."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result: list[int | None] = []
    for sizes in zip(*padded, strict=True):
        known = {size for size in sizes if size not in (1, None)}
        if len(known) > 1:
            return None
        result.append(known.pop() if known else (None if None in sizes else 1))
    return tuple(result)


def elementwise_cut(cut: tuple[int, ...], *specs: TensorSpec) -> int | None:
    """`Op.cuts` of an op that takes its operands element by element, broadcast."""
    rank = max(spec.rank for spec in specs)
    # What is not cut must be the same for every example: without that axis, or of size 1 there.
    alike = (
        spec.rank == rank if mark else spec.rank < rank or spec.shape[0] == 1
        for mark, spec in zip(cut, specs, strict=True)
    )
    return max(cut) if rank and all(alike) and same_rows(cut) else None


def same_rows(cut: tuple[int, ...]) -> bool:
    """Whether all operands that are cut have as many rows an example."""
    return len({rows for rows in cut if rows}) < 2


def _is_floating(dtype: np.dtype[Any]) -> bool:
    # bfloat16 and the float8 types of ml_dtypes are registered with NumPy as kind "V".
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _flushed(axioms: Axioms, array: Array, error: Array | float) -> Array:
    moved = np.broadcast_to(np.asarray(error, np.float64), array.shape)
    if array.dtype.kind != "f":
        return moved
    small = (array != 0) & (np.abs(array) < axioms.smallest_normal)
    return moved + np.where(small, np.abs(array), 0.0) if small.any() else moved


def _count(least: int, most: int | None) -> str:
    if least == most:
        return f"{least} input" + "s" * (least != 1)
    return f"at least {least} inputs" if most is None else f"{least} to {most} inputs"
