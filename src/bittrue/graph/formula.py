"""A small language in which the expansion of a layer reads as a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.ops import (
    Binary,
    Cast,
    Compare,
    Logical,
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
from .masks import uses_mask
from .model import Call, LayerNode, TensorRef, Weight
from .options import Options

__all__ = ["Formula", "Number", "Program", "Value"]


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

    def at_least(self, other: Number) -> Value:
        """Whether the elements are no less than those of ``other``."""
        return self.formula.apply(Compare("greater_equal"), self, other)

    def equals(self, other: Number) -> Value:
        """Whether the elements are equal."""
        return self.formula.apply(Compare("equal"), self, other)

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

    def __and__(self, other: Value) -> Value:
        return self.formula.apply(Logical("and"), self, other)

    def __or__(self, other: Value) -> Value:
        return self.formula.apply(Logical("or"), self, other)

    def __xor__(self, other: Value) -> Value:
        return self.formula.apply(Logical("xor"), self, other)

    def __invert__(self) -> Value:
        return self.formula.apply(Logical("not"), self)

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

    def expanded(self, axis: int) -> Value:
        """A new axis of size 1 at ``axis`` of the result."""
        place = axis % (self.rank + 1)
        last = self.formula.apply(Reshape((1,), self.rank), self)
        return last.moved(-1, place)

    def squeezed(self, *axes: int) -> Value:
        """Without ``axes``, all of size 1."""
        gone = {self.axis(axis) for axis in axes}
        kept = [axis for axis in range(self.rank) if axis not in gone]
        return self.transposed(*kept, *sorted(gone)).reshaped((), keep=len(kept)) if gone else self

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
        self.formula.program.depends_on_rank = True
        return self.formula.spec(self.ref).rank

    def size(self, axis: int) -> int | None:
        """The size of ``axis``, None where it is not known."""
        self.formula.program.depends_on_rank = True
        return self.formula.spec(self.ref).shape[axis]

    def axis(self, axis: int) -> int:
        """``axis`` counted from the front."""
        return axis % self.rank if axis < 0 else axis

    def _with(self, operation: str, other: Number) -> Value:
        return self.formula.apply(Binary(operation), self, other)


Number = Value | float | Array


class Program:
    """The ops written out so far. Formulas of layers inside one another, as in a wrapper, share one."""

    def __init__(self, inputs: Sequence[TensorSpec], weights: Sequence[Weight]) -> None:
        self.inputs = tuple(inputs)
        self.weights = tuple(weights)
        self.nodes: list[OpNode] = []
        self.depends_on_rank = False
        self._results: list[TensorSpec] = []

    def add(self, op: Op, refs: Sequence[Ref]) -> NodeRef:
        """One more op. Raises ModelError where its operands do not fit."""
        specs = [None if isinstance(ref, Constant) else self.spec(ref) for ref in refs]
        dtype = np.dtype(constant_dtype(tuple(specs)))
        filled = [spec or _constant_spec(ref, dtype) for spec, ref in zip(specs, refs, strict=True)]
        (result,) = op.infer(*filled)
        self.nodes.append(OpNode(op, tuple(refs)))
        self._results.append(result)
        return NodeRef(len(self.nodes) - 1)

    def spec(self, ref: Ref) -> TensorSpec:
        """Shape and dtype of a value, as far as they are known."""
        match ref:
            case InputRef(index):
                return self.inputs[index]
            case WeightRef(index):
                return TensorSpec.of(self.weights[index].value)
            case NodeRef(index):
                return self._results[index]
            case Constant(value):
                return TensorSpec.of(value)


def _constant_spec(ref: Ref, dtype: np.dtype[Any]) -> TensorSpec:
    assert isinstance(ref, Constant)
    return TensorSpec(ref.value.shape, dtype if ref.value.dtype.kind == "f" else ref.value.dtype)


class Formula:
    """One call of one layer, being written out: its tensors, weights and options.

    ``tensors`` are those it is called on, positional ones first, then keyword ones, as values of ``program``.
    ``first_weight`` is the place of the layer's first weight among the program's.
    """

    def __init__(
        self, layer: LayerNode, call: Call, program: Program, tensors: Sequence[Ref], first_weight: int = 0
    ) -> None:
        self.layer = layer
        self.call = call
        self.program = program
        self.options = Options(layer.name, layer.class_name, layer.config)
        self._tensors = tuple(Value(self, ref) for ref in tensors)
        self._first_weight = first_weight
        self._keywords: set[str] = set()
        self._constants_read = False

    @classmethod
    def of(cls, layer: LayerNode, call: Call, specs: Sequence[TensorSpec]) -> Formula:
        """A formula of its own for a call on tensors of ``specs``."""
        return cls(layer, call, Program(specs, layer.weights), [InputRef(index) for index in range(len(specs))])

    @property
    def tensors(self) -> tuple[Value, ...]:
        """All tensors of the call, positional ones first."""
        return self._tensors

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The tensors among the positional arguments; all there are if the call is not known."""
        count = len(self.call.inputs)
        return self._tensors[:count] if self.call.args or self.call.kwargs else self._tensors

    @property
    def x(self) -> Value:
        """The one tensor the layer is called on. Raises Unsupported if there are more or none."""
        given = self.inputs or tuple(item for item in [self.keyword("inputs")] if isinstance(item, Value))
        if len(given) != 1:
            raise self.refused(f"it is called on {len(given)} tensors, where one is expected")
        return given[0]

    def keyword(self, name: str, default: Any = None) -> Any:
        """The call's keyword argument ``name``; tensors in it as Values."""
        self._keywords.add(name)
        return self._valued(self.call.kwargs.get(name, default))

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at ``position``, or by ``name``; tensors in it as Values."""
        self._constants_read = True
        if not (self.call.args or self.call.kwargs):
            return self._tensors[position] if position < len(self._tensors) else default
        if position >= len(self.call.args):
            return self.keyword(name, default)
        return self._valued(self.call.args[position])

    def operand(self, position: int, name: str, default: Any = None) -> Value:
        """The argument as a value, whether it is a tensor, a number or an array. Raises Unsupported otherwise."""
        return self.value(self.argument(position, name, default), name)

    def value(self, item: Any, name: str) -> Value:
        """``item`` of argument ``name`` as a value."""
        if isinstance(item, Value):
            return item
        array = None if item is None or isinstance(item, str | Mapping) else np.asarray(item)
        if array is None or array.dtype.kind not in "fiub":
            raise self.refused(f"it is called with {name}={item!r}")
        return self.constant(array)

    def mask(self) -> Value | None:
        """The mask that the call is given, if any: true where an element counts."""
        mask = self.keyword("mask")
        if mask is None or isinstance(mask, Value):
            return mask
        raise self.refused(f"it is called with mask={mask!r}")

    def _valued(self, item: Any) -> Any:
        if isinstance(item, TensorRef):
            return self._tensors[(*self.call.inputs, *self.call.keyword_inputs).index(item)]
        if isinstance(item, tuple):
            return tuple(self._valued(inner) for inner in item)
        return [self._valued(inner) for inner in item] if isinstance(item, list) else item

    def weight(self, name: str, occurrence: int = 0) -> Value:
        """The ``occurrence``-th weight whose short name is ``name``. Raises ModelError if there is none."""
        found = [index for index, weight in enumerate(self.layer.weights) if weight.name == name]
        if occurrence >= len(found):
            have = ", ".join(weight.name for weight in self.layer.weights) or "none"
            raise ModelError(
                f"layer {self.layer.name!r} lacks the weight {name!r} that its options ask for; it has {have}"
            )
        return Value(self, WeightRef(self._first_weight + found[occurrence], name))

    def weight_at(self, index: int) -> Value:
        """The layer's ``index``-th weight, for those that Keras numbers instead of naming. Raises ModelError."""
        if not 0 <= index < len(self.layer.weights):
            raise ModelError(f"layer {self.layer.name!r} has {len(self.layer.weights)} weights and needs {index + 1}")
        return Value(self, WeightRef(self._first_weight + index, self.layer.weights[index].name))

    def constant(self, value: Any) -> Value:
        """A number, or an array of numbers, from the configuration."""
        return Value(self, Constant(np.asarray(value)))

    def apply(self, op: Op, *operands: Number) -> Value:
        """The result of ``op``. Raises ModelError, naming the layer, where the operands do not fit."""
        refs = [item.ref if isinstance(item, Value) else Constant(np.asarray(item)) for item in operands]
        try:
            return Value(self, self.program.add(op, refs))
        except ModelError as error:
            raise ModelError(f"layer {self.layer.name!r} ({self.layer.class_name}): {error}") from error

    def spec(self, ref: Ref) -> TensorSpec:
        """Shape and dtype of a value, as far as they are known."""
        return self.program.spec(ref)

    def inner(self, layer: LayerNode, call: Call, tensors: Sequence[Value], first_weight: int = 0) -> Formula:
        """The formula of a layer inside this one, whose first weight is this one's ``first_weight``-th."""
        refs = [tensor.ref for tensor in tensors]
        return Formula(layer, call, self.program, refs, self._first_weight + first_weight)

    def elsewhere(self, program: Program, tensors: Sequence[Ref]) -> Formula:
        """The same layer, with the same options, written in another program on other ``tensors``."""
        formula = Formula(self.layer, self.call, program, tensors, self._first_weight)
        formula.options = self.options
        return formula

    def refused(self, because: str) -> Unsupported:
        """The error for a layer that cannot be expressed as it is called."""
        name, kind = self.layer.name, self.layer.class_name
        return Unsupported(f"layer {name!r} ({kind}) cannot be expressed faithfully: {because}", layer=name)

    def check_all_read(self) -> None:
        """Raises Unsupported for options or arguments that nobody read. A mask is read by those who compute with it."""
        self.options.finish()
        for name, value in self.call.kwargs.items():
            # A model that predicts tells every layer that it is not training, whatever the call says.
            unused = name == "training" or (name == "mask" and not uses_mask(self.layer))
            if value is not None and value is not False and name not in self._keywords and not unused:
                raise self.refused(f"it is called with {name}={value!r}")
        extra = [item for item in _flattened(self.call.args) if item is not None and not isinstance(item, TensorRef)]
        if extra and not self._constants_read:
            raise self.refused(f"it is called with {extra[0]!r} beside its tensors")

    def finished(self, outputs: Value | tuple[Value, ...]) -> Expansion:
        """The expansion. Raises Unsupported for options that nobody read."""
        self.check_all_read()
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        program = self.program
        ranks = tuple(spec.rank if program.depends_on_rank else None for spec in program.inputs)
        refs = tuple(value.ref for value in values)
        return Expansion(tuple(program.nodes), refs, tuple(map(self.spec, refs)), ranks)


def _flattened(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _flattened(item)]
    return [value]
