"""Nodes that compute element by element."""

from __future__ import annotations

from functools import reduce

import numpy as np

from bittrue.ops import Select

from ..formula import Value
from .table import Given, node

__all__ = ["activated", "biased"]

_FUNCTIONS = {
    "Abs": "abs",
    "Ceil": "ceil",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Expm1": "expm1",
    "Floor": "floor",
    "Log": "log",
    "Log1p": "log1p",
    "Neg": "negative",
    "Relu": "relu",
    "Rint": "round",
    "Round": "round",
    "Rsqrt": "rsqrt",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Square": "square",
    "Tanh": "tanh",
}
_BINARIES = {
    "Add": "add",
    "AddV2": "add",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Mul": "multiply",
    "Pow": "power",
    "RealDiv": "divide",
    "Sub": "subtract",
}
_RELATIONS = {
    "Equal": "equals",
    "Greater": "__gt__",
    "GreaterEqual": "__ge__",
    "Less": "__lt__",
    "LessEqual": "__le__",
    "NotEqual": "differs",
}
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@node(*_FUNCTIONS)
def function(given: Given) -> Value:
    """A function of one number."""
    return given[0].function(_FUNCTIONS[given.node.op])


@node(*_BINARIES)
def binary(given: Given) -> Value:
    """An operation of two numbers."""
    return given[0]._with(_BINARIES[given.node.op], given[1])


@node(*_RELATIONS, inert=("incompatible_shape_error",))
def relation(given: Given) -> Value:
    """Whether a relation holds."""
    found: Value = getattr(given[0], _RELATIONS[given.node.op])(given[1])
    return found


@node("Identity", "PreventGradient", "Snapshot", "StopGradient", inert=("message",))
def identity(given: Given) -> Value:
    """What it is given."""
    return given[0]


@node("IdentityN")
def identities(given: Given) -> tuple[Value, ...]:
    """All that it is given."""
    return given.tensors


@node("AddN")
def add_all(given: Given) -> Value:
    """The sum, from the first to the last."""
    return reduce(lambda total, value: total + value, given.tensors)


@node("DivNoNan")
def divide_or_zero(given: Given) -> Value:
    """x / y, and 0 where y is 0."""
    x, y = given[0], given[1]
    nothing = y.equals(0.0)
    return nothing.where(0.0, x / nothing.where(1.0, y))


@node("Div")
def divide(given: Given) -> Value:
    """x / y of floating-point numbers."""
    if not given.formula.spec(given[0].ref).is_floating:
        raise given.refused("it divides whole numbers")
    return given[0] / given[1]


@node("FloorDiv")
def floor_divide(given: Given) -> Value:
    """The largest whole number that is no more than x / y."""
    if not given.formula.spec(given[0].ref).is_floating:
        raise given.refused("it divides whole numbers")
    return (given[0] / given[1]).function("floor")


@node("SquaredDifference")
def squared_difference(given: Given) -> Value:
    """(x - y)²."""
    return (given[0] - given[1]).function("square")


@node("Reciprocal", "Inv")
def reciprocal(given: Given) -> Value:
    """1 / x."""
    return given.constant(1.0) / given[0]


@node("Relu6")
def relu6(given: Given) -> Value:
    """No less than 0 and no more than 6."""
    return given[0].clipped(0.0, 6.0)


@node("ClipByValue")
def clip(given: Given) -> Value:
    """No less than the second operand and no more than the third."""
    return given[0].minimum(given[2]).maximum(given[1])


@node("LeakyRelu", reads=("alpha",))
def leaky_relu(given: Given) -> Value:
    """x, and ``alpha`` times x where it is negative."""
    x = given[0]
    return (x > 0.0).where(x, x * given.number("alpha", 0.2))


@node("Prelu")
def parametric_relu(given: Given) -> Value:
    """x, and the second operand times x where it is negative."""
    x = given[0]
    return (x > 0.0).where(x, given[1] * x)


@node("Elu")
def elu(given: Given) -> Value:
    """x, and exp(x) - 1 where it is negative."""
    x = given[0]
    return (x > 0.0).where(x, x.minimum(0.0).function("expm1"))


@node("Selu")
def selu(given: Given) -> Value:
    """Elu with the scale and slope of Klambauer et al., *Self-Normalizing Neural Networks* (2017)."""
    x = given[0]
    return (x > 0.0).where(x * _SELU_SCALE, x.minimum(0.0).function("expm1") * (_SELU_SCALE * _SELU_ALPHA))


@node("Softsign")
def softsign(given: Given) -> Value:
    """x / (1 + |x|)."""
    return given[0] / (given[0].function("abs") + 1.0)


@node("LogicalAnd")
def both(given: Given) -> Value:
    """Both."""
    return given[0] & given[1]


@node("LogicalOr")
def either(given: Given) -> Value:
    """Either, or both."""
    return given[0] | given[1]


@node("LogicalNot")
def not_true(given: Given) -> Value:
    """The opposite."""
    return ~given[0]


@node("Select", "SelectV2")
def select(given: Given) -> Value:
    """The second operand where the first is true, else the third. A vector selects rows in the older form."""
    condition, then, otherwise = given[0], given[1], given[2]
    if given.node.op == "Select":
        while 0 < condition.rank < then.rank:
            condition = condition.expanded(-1)
    return given.apply(Select(), condition, then, otherwise)


@node("Cast", reads=("DstT", "Truncate"))
def cast(given: Given) -> Value:
    """As another kind of number."""
    if given.flag("Truncate"):
        raise given.refused("it cuts off the digits of floating-point numbers")
    return given[0].cast(given.dtype("DstT"))


@node("Bucketize", reads=("boundaries",))
def bucketize(given: Given) -> Value:
    """How many of ``boundaries`` are no larger than an element."""
    limits = given.constant(np.asarray(given.real_numbers("boundaries"), np.float64))
    x = given[0] if given.formula.spec(given[0].ref).is_floating else given[0].cast("float32")
    return x.expanded(-1).at_least(limits).cast("int32").reduced("sum", [-1], keepdims=False)


@node("BiasAdd", reads=("data_format",))
def bias_add(given: Given) -> Value:
    """A number added to every channel."""
    first = given.text("data_format", "NHWC", "NHWC", "NCHW", "NDHWC", "NCDHW") in ("NCHW", "NCDHW")
    return biased(given, given[0], given[1], first)


def biased(given: Given, x: Value, bias: Value, first: bool) -> Value:
    """``bias`` added to the channels, which are the second axis if ``first``, else the last."""
    if not first or x.rank == 2:
        return x + bias
    for _ in range(x.rank - 2):
        bias = bias.expanded(-1)
    return x + bias


def activated(given: Given, x: Value, name: str, alpha: Value | None) -> Value:
    """The activation that a fused node ends with."""
    match name:
        case "Relu" | "Tanh" | "Sigmoid":
            return x.function(name.lower())
        case "Relu6":
            return x.clipped(0.0, 6.0)
        case "Elu":
            return (x > 0.0).where(x, x.minimum(0.0).function("expm1"))
        case "LeakyRelu":
            return (x > 0.0).where(x, x * given.number("leakyrelu_alpha", 0.2))
        case "Prelu" if alpha is not None:
            return (x > 0.0).where(x, alpha * x)
    raise given.refused(f"it ends with {name}")
