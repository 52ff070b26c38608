"""What one call of a layer computed, op by op, so that derivatives can be taken backwards through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan

import numpy as np

from bittrue.errors import ModelError
from bittrue.ops import Axioms, Op, TensorSpec
from bittrue.ops.gradients import Computed, backward
from bittrue.traces import Array

from .evaluate import evaluate_layer, rounded_constant
from .expansion import Constant, InputRef, OpNode, Ref
from .model import LayerNode

__all__ = ["Pulled", "Tape"]


@dataclass(frozen=True)
class Pulled:
    """What comes back through a call of the gradient of some number.

    ``inputs`` are the gradients with respect to the call's inputs: float64 and of their shapes, None where nothing
    hangs on them. ``moved`` is, for each of the tape's axioms, Σ |gradient| · bound over all values that the call's ops
    made, in loops at every step: to first order, how far the call's own roundings may move the number; infinite where
    nothing is promised of a value that counts.
    """

    inputs: tuple[Array | None, ...]
    moved: tuple[float, ...]


class Tape:
    """The ``call``-th call of ``layer`` on ``inputs``, evaluated in float64 with everything on the way kept.

    ``outputs`` are what it returns. Raises as `bittrue.graph.evaluate.layer_truth`.
    """

    def __init__(self, layer: LayerNode, inputs: Sequence[Array], axioms: Sequence[Axioms] = (), call: int = 0) -> None:
        self._layer = layer
        self._axioms = tuple(axioms)
        self._count = len(inputs)
        self._values: list[Array] = list(inputs)
        self._wanted = [TensorSpec.of(array).is_floating for array in inputs]
        self._constants: list[int] = []
        self._program: list[Computed] = []
        self._outputs = evaluate_layer(layer, inputs, call, self._leaf, self._step)

    @property
    def outputs(self) -> tuple[Array, ...]:
        """What the call returns."""
        return tuple(self._values[number] for number in self._outputs)

    def pullback(self, gradients: Sequence[Array | None]) -> Pulled:
        """What comes back of ``gradients``, those of one number with respect to the outputs, of their shapes.

        None for an output that the number does not hang on, and for those behind the last. May be asked any number of
        times. Raises ModelError where an op of the layer has no derivative.
        """
        came: list[Array | None] = [None] * len(self._values)
        for number, gradient in zip(self._outputs, gradients, strict=False):
            if gradient is not None and self._wanted[number]:
                before = came[number]
                came[number] = gradient if before is None else before + gradient
        moved = _Moved(self._axioms)
        try:
            backward(self._program, self._values, came, self._wanted, moved.by_an_op if self._axioms else None)
        except ModelError as error:
            raise ModelError(f"layer {self._layer.name!r} ({self._layer.class_name}): {error}") from error
        for number in self._constants:
            moved.by_a_constant(self._values[number], came[number])
        return Pulled(tuple(came[: self._count]), tuple(moved.sums))

    def _leaf(self, ref: Ref, value: Array) -> int:
        if isinstance(ref, InputRef):
            return ref.index
        # Weights are exact; a number from the configuration may be rounded.
        rounded = isinstance(ref, Constant) and any(rounded_constant(value, axioms).any() for axioms in self._axioms)
        self._constants += [len(self._values)] if rounded else []
        return self._kept(value, wanted=rounded)

    def _step(self, node: OpNode, operands: Sequence[int]) -> int:
        values = [self._values[number] for number in operands]
        exact = node.op.evaluate(*values)[0]
        hangs = any(self._wanted[number] for number in operands)
        # What is made of weights alone counts too if it rounds.
        wanted = hangs or any(node.op.error_bound(axioms, *values, exact=exact).any() for axioms in self._axioms)
        made = self._kept(exact, wanted=wanted and exact.dtype.kind == "f")
        self._program.append((node.op, tuple(operands), made))
        return made

    def _kept(self, value: Array, *, wanted: bool) -> int:
        self._values.append(value)
        self._wanted.append(wanted)
        return len(self._values) - 1


class _Moved:
    """Σ |gradient| · bound for each of several axioms, as it grows."""

    def __init__(self, axioms: Sequence[Axioms]) -> None:
        self._axioms = axioms
        self.sums = [0.0] * len(axioms)

    def by_an_op(
        self, op: Op, operands: tuple[Array, ...], exact: Array, gradient: Array, terms: tuple[int, ...]
    ) -> None:
        """By what the op itself rounds, its operands being exact."""
        for at, axioms in enumerate(self._axioms):
            self._add(at, gradient, op.error_bound(axioms, *operands, exact=exact, terms=terms))

    def by_a_constant(self, value: Array, gradient: Array | None) -> None:
        """By rounding a number from the configuration once."""
        if gradient is not None:
            for at, axioms in enumerate(self._axioms):
                self._add(at, gradient, rounded_constant(value, axioms))

    def _add(self, at: int, gradient: Array, bound: Array) -> None:
        with np.errstate(all="ignore"):
            total = float(np.sum(np.where(gradient == 0, 0.0, np.abs(gradient) * bound)))
        self.sums[at] += inf if isnan(total) else total
