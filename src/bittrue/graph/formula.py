"""A small language in which the expansion of a layer reads as a formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.ops import (
    Binary,
    Cast,
    Compare,
    MatMul,
    Op,
    Reduce,
    Repeat,
    Reshape,
    Select,
    Slice,
    Softmax,
    TensorSpec,
    Transpose,
    Unary,
)
from bittrue.traces import Array

from .expansion import Constant, Expansion, InputRef, NodeRef, OpNode, Ref, WeightRef, constant_dtype
from .model import Call, LayerNode, TensorRef
from .options import Options

__all__ = ["Formula", "Number", "Value"]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor in the making. Arithmetic on values, and on values and numbers, adds ops to their formula."""

    formula: Formula = field(repr=False)
    ref: Ref

    def __add__(self, other: Number) -> Value:
        return self._with("add", other)

    def __sub__(self, other: Number) -> Value:
        return self._with("subtract", other)

    def __mul__(self, other: Number) -> Value:
        return self._with("multiply", other)

    def __truediv__(self, other: Number) -> Value:
        return self._with("divide", other)

    def __neg__(self) -> Value:
        return self.function("negative")

    def __matmul__(self, other: Value) -> Value:
        return self.formula.apply(MatMul(), self, other)

    def __gt__(self, other: float) -> Value:
        return self.formula.apply(Compare("greater"), self, other)

    def __ge__(self, other: float) -> Value:
        return self.formula.apply(Compare("greater_equal"), self, other)

    def __lt__(self, other: float) -> Value:
        return self.formula.apply(Compare("less"), self, other)

    def __le__(self, other: float) -> Value:
        return self.formula.apply(Compare("less_equal"), self, other)

    def differs(self, other: Number) -> Value:
        """Whether the elements are not equal."""
        return self.formula.apply(Compare("not_equal"), self, other)

    def maximum(self, other: Number) -> Value:
        """The larger of two elements."""
        return self._with("maximum", other)

    def minimum(self, other: Number) -> Value:
        """The smaller of two elements."""
        return self._with("minimum", other)

    def clipped(self, low: float, high: float) -> Value:
        """No less than ``low`` and no more than ``high``."""
        return self.maximum(low).minimum(high)

    def where(self, then: Number, otherwise: Number) -> Value:
        """``then`` where self is true, else ``otherwise``."""
        return self.formula.apply(Select(), self, then, otherwise)

    def function(self, name: str) -> Value:
        """The function called ``name`` in `bittrue.ops.unary`."""
        return self.formula.apply(Unary(name), self)

    def softmax(self, axis: int) -> Value:
        """Softmax along ``axis``."""
        return self.formula.apply(Softmax(axis), self)

    def reduced(self, kind: str, axes: Sequence[int], keepdims: bool = True) -> Value:
        """``kind`` of `bittrue.ops.reduce` over ``axes``."""
        return self.formula.apply(Reduce(kind, tuple(axes), keepdims), self)

    def reshaped(self, shape: Sequence[int], keep: int = 1) -> Value:
        """The first ``keep`` axes as they are, the rest as ``shape``."""
        return self.formula.apply(Reshape(tuple(shape), keep), self)

    def transposed(self, *permutation: int) -> Value:
        """Axis i of the result is axis ``permutation[i]``."""
        if permutation == tuple(range(len(permutation))):
            return self
        return self.formula.apply(Transpose(permutation), self)

    def moved(self, source: int, destination: int) -> Value:
        """One axis in another place, the others in their order."""
        order = [axis for axis in range(self.rank) if axis != source % self.rank]
        order.insert(destination % self.rank, source % self.rank)
        return self.transposed(*order)

    def sliced(self, axis: int, start: int | None, stop: int | None, step: int = 1) -> Value:
        """A stretch of ``axis``."""
        return self.formula.apply(Slice(axis, start, stop, step), self)

    def repeated(self, axis: int, times: int) -> Value:
        """Every element of ``axis`` ``times`` times."""
        return self if times == 1 else self.formula.apply(Repeat(axis, times), self)

    def cast(self, dtype: str) -> Value:
        """As another kind of number."""
        return self.formula.apply(Cast(dtype), self)

    @property
    def rank(self) -> int:
        """Number of axes. Asking makes the expansion one for inputs of this rank alone."""
        self.formula.depends_on_rank = True
        return self.formula.spec(self.ref).rank

    def size(self, axis: int) -> int | None:
        """The size of ``axis``, None where it is not known."""
        self.formula.depends_on_rank = True
        return self.formula.spec(self.ref).shape[axis]

    def axis(self, axis: int) -> int:
        """``axis`` counted from the front."""
        return axis % self.rank if axis < 0 else axis

    def _with(self, operation: str, other: Number) -> Value:
        return self.formula.apply(Binary(operation), self, other)


Number = Value | float | Array


class Formula:
    """One call of one layer, being written out: its inputs, weights and options, and the ops so far.

    ``specs`` are those of the call's tensors, positional ones first, then keyword ones.
    """

    def __init__(self, layer: LayerNode, call: Call, specs: Sequence[TensorSpec]) -> None:
        self.layer = layer
        self.call = call
        self.specs = tuple(specs)
        self.options = Options(layer.name, layer.class_name, layer.config)
        self.depends_on_rank = False
        self._keywords: set[str] = set()
        self._positional = False
        self._nodes: list[OpNode] = []
        self._results: list[TensorSpec] = []

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The tensors the layer is called on."""
        return tuple(Value(self, InputRef(index)) for index in range(len(self.specs)))

    @property
    def x(self) -> Value:
        """The one tensor the layer is called on. Raises Unsupported if there are more or none."""
        if len(self.specs) != 1:
            raise self.refused(f"it is called on {len(self.specs)} tensors, where one is expected")
        return self.inputs[0]

    def keyword(self, name: str, default: Any = None) -> Any:
        """The call's keyword argument ``name``; a tensor as a Value."""
        self._keywords.add(name)
        value = self.call.kwargs.get(name, default)
        if not isinstance(value, TensorRef):
            return value
        position = list(self.call.keyword_inputs).index(value)
        return Value(self, InputRef(len(self.call.inputs) + position))

    def weight(self, name: str, occurrence: int = 0) -> Value:
        """The ``occurrence``-th weight whose short name is ``name``. Raises ModelError if there is none."""
        found = [index for index, weight in enumerate(self.layer.weights) if weight.name == name]
        if occurrence >= len(found):
            have = ", ".join(weight.name for weight in self.layer.weights) or "none"
            raise ModelError(
                f"layer {self.layer.name!r} lacks the weight {name!r} that its options ask for; it has {have}"
            )
        return Value(self, WeightRef(found[occurrence], name))

    def constant(self, value: float | Array) -> Value:
        """A number, or an array of numbers, from the configuration."""
        return Value(self, Constant(np.asarray(value)))

    def apply(self, op: Op, *operands: Number) -> Value:
        """The result of ``op``. Raises ModelError, naming the layer, where the operands do not fit."""
        values = [item if isinstance(item, Value) else self.constant(item) for item in operands]
        specs = [None if isinstance(value.ref, Constant) else self.spec(value.ref) for value in values]
        dtype = np.dtype(constant_dtype(tuple(specs)))
        filled = [spec or self._constant_spec(value, dtype) for spec, value in zip(specs, values, strict=True)]
        try:
            (result,) = op.infer(*filled)
        except ModelError as error:
            raise ModelError(f"layer {self.layer.name!r} ({self.layer.class_name}): {error}") from error
        self._nodes.append(OpNode(op, tuple(value.ref for value in values)))
        self._results.append(result)
        return Value(self, NodeRef(len(self._nodes) - 1))

    def _constant_spec(self, value: Value, dtype: np.dtype[Any]) -> TensorSpec:
        assert isinstance(value.ref, Constant)
        array = value.ref.value
        return TensorSpec(array.shape, dtype if array.dtype.kind == "f" else array.dtype)

    def spec(self, ref: Ref) -> TensorSpec:
        """Shape and dtype of a value, as far as they are known."""
        match ref:
            case InputRef(index):
                return self.specs[index]
            case WeightRef(index):
                return TensorSpec.of(self.layer.weights[index].value)
            case NodeRef(index):
                return self._results[index]
            case Constant(value):
                return TensorSpec.of(value)

    def refused(self, because: str) -> Unsupported:
        """The error for a layer that cannot be expressed as it is called."""
        name, kind = self.layer.name, self.layer.class_name
        return Unsupported(f"layer {name!r} ({kind}) cannot be expressed faithfully: {because}", layer=name)

    def finished(self, outputs: Value | tuple[Value, ...]) -> Expansion:
        """The expansion. Raises Unsupported for options that nobody read."""
        self.options.finish()
        for name, value in self.call.kwargs.items():
            if value is not None and value is not False and name not in self._keywords:
                raise self.refused(f"it is called with {name}={value!r}")
        extra = [item for item in _flattened(self.call.args) if item is not None and not isinstance(item, TensorRef)]
        if extra and not self._positional:
            raise self.refused(f"it is called with {extra[0]!r} beside its tensors")
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        ranks = tuple(spec.rank if self.depends_on_rank else None for spec in self.specs)
        refs = tuple(value.ref for value in values)
        return Expansion(tuple(self._nodes), refs, tuple(map(self.spec, refs)), ranks)


def _flattened(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _flattened(item)]
    return [value]
