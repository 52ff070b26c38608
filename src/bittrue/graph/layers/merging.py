"""Layers that join several tensors."""

from __future__ import annotations

from functools import reduce

from bittrue.ops import Concat, Einsum

from ..formula import Formula, Value
from .registry import expands

_LETTERS = "bcdefghijklmnopq"


def _aligned(formula: Formula) -> list[Value]:
    """The inputs with as many axes each: ones are put in after the batch where there are fewer."""
    values = list(formula.inputs)
    ranks = [formula.spec(value.ref).rank for value in values]
    most = max(ranks)
    if len(set(ranks)) > 1:
        return [_widened(value, most) for value in values]
    return values


def _widened(value: Value, rank: int) -> Value:
    for _ in range(rank - value.rank):
        value = value.reshaped((1,), keep=1) if value.rank == 1 else _with_axis(value)
    return value


def _with_axis(value: Value) -> Value:
    """A 1 between the batch and the rest."""
    sizes = value.formula.spec(value.ref).shape[1:]
    if sum(size is None for size in sizes) > 1:
        raise value.formula.refused("it broadcasts a tensor of unknown sizes to one of more axes")
    return value.reshaped([1, *(-1 if size is None else size for size in sizes)], keep=1)


@expands("Add", "Average", "Maximum", "Minimum")
def merge(formula: Formula) -> Value:
    """Sum, mean, maximum or minimum of all inputs, element by element."""
    values = _aligned(formula)
    match formula.layer.class_name:
        case "Add":
            return reduce(lambda a, b: a + b, values)
        case "Average":
            return reduce(lambda a, b: a + b, values) / float(len(values))
        case "Maximum":
            return reduce(lambda a, b: a.maximum(b), values)
        case _:
            return reduce(lambda a, b: a.minimum(b), values)


@expands("Multiply")
def multiply(formula: Formula) -> Value:
    """The product of all inputs. What a mask leaves out counts as 1, and as 0 where every input's mask does."""
    values, masks = _aligned(formula), formula.keyword("mask")
    if masks is None:
        return reduce(lambda a, b: a * b, values)
    if not isinstance(masks, list) or not all(mask is None or isinstance(mask, Value) for mask in masks):
        raise formula.refused("its masks cannot be followed")
    if len({value.rank for value in formula.inputs}) > 1 or len(masks) != len(values):
        raise formula.refused("it multiplies masked tensors of different numbers of axes")
    kept = [None if mask is None else mask.expanded(-1) for mask in masks]
    factors = [value if mask is None else mask.where(value, 1.0) for value, mask in zip(values, kept, strict=True)]
    product = reduce(lambda a, b: a * b, factors)
    present = [mask for mask in kept if mask is not None]
    return reduce(lambda a, b: a | b, present).where(product, 0.0) if len(present) == len(kept) else product


@expands("Subtract")
def subtract(formula: Formula) -> Value:
    """The first input minus the second."""
    values = _aligned(formula)
    if len(values) != 2:
        raise formula.refused(f"it is called on {len(values)} tensors, where two are expected")
    return values[0] - values[1]


@expands("Concatenate")
def concatenate(formula: Formula) -> Value:
    """The inputs along ``axis``."""
    return formula.apply(Concat(formula.options.whole("axis", -1)), *formula.inputs)


@expands("Dot")
def dot(formula: Formula) -> Value:
    """Sum of products over one axis of each of two inputs, both normalised first if ``normalize``."""
    options = formula.options
    if len(formula.inputs) != 2:
        raise formula.refused(f"it is called on {len(formula.inputs)} tensors, where two are expected")
    a, b = formula.inputs
    axes = options.wholes("axes", None, 2)
    over = a.axis(axes[0]), b.axis(axes[1])
    if options.flag("normalize", False):
        a, b = (_unit(value, axis) for value, axis in zip((a, b), over, strict=True))
    first, second = "a" + _LETTERS[: a.rank - 1], "a" + _LETTERS[a.rank - 1 : a.rank + b.rank - 2]
    second = second[: over[1]] + first[over[0]] + second[over[1] + 1 :]
    rest = [letter for letter in first[1:] + second[1:] if letter != first[over[0]]]
    y = formula.apply(Einsum(f"{first},{second}->a{''.join(rest)}"), a, b)
    return y if rest else y.reshaped((1,), keep=1)


def _unit(x: Value, axis: int) -> Value:
    """x divided by its 2-norm along ``axis``; a norm under 1e-12 counts as that."""
    return x * x.function("square").reduced("sum", [axis]).function("rsqrt").minimum(1 / 1e-12)


@expands("CustomScaleLayer")
def scaled_sum(formula: Formula) -> Value:
    """x + scale · y, as in the InceptionResNetV2 of keras.applications."""
    values = formula.inputs
    if len(values) != 2:
        raise formula.refused(f"it is called on {len(values)} tensors, where two are expected")
    return values[0] + values[1] * formula.options.number("scale", 1.0)
