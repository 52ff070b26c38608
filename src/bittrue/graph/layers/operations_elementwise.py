"""The operations of keras.ops that act element by element, as nodes of a Functional model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bittrue.ops import Binary, Compare, Select

from ..formula import Formula, Value
from . import activations
from .registry import expands_operation

__all__ = ["as_float", "as_truth", "required"]

_FUNCTIONS = {
    "Abs": "abs",
    "Absolute": "abs",
    "Ceil": "ceil",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Expm1": "expm1",
    "Floor": "floor",
    "Log": "log",
    "Log1p": "log1p",
    "Negative": "negative",
    "Rsqrt": "rsqrt",
    "Sign": "sign",
    "Sin": "sin",
    "Sqrt": "sqrt",
    "Square": "square",
    "Tanh": "tanh",
}
_OF_INTEGERS = frozenset({"abs", "negative", "sign", "square"})

_ARITHMETIC = {
    "Add": "add",
    "Divide": "divide",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Multiply": "multiply",
    "Power": "power",
    "Subtract": "subtract",
    "TrueDivide": "divide",
}

_RELATIONS = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterEqual": "greater_equal",
    "Less": "less",
    "LessEqual": "less_equal",
    "NotEqual": "not_equal",
}

_ACTIVATIONS = {
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LogSigmoid": "log_sigmoid",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "TanhShrink": "tanh_shrink",
}


def required(formula: Formula, key: str) -> Any:
    """Option ``key`` of an operation. Keras writes all of them or, where one cannot be serialised, none.

    Raises Unsupported where it is missing.
    """
    if key not in formula.layer.config:
        raise formula.refused(f"its option {key} is not among what Keras says of it")
    return formula.options.raw(key, None)


def _number(formula: Formula, key: str) -> float:
    required(formula, key)
    return formula.options.number(key, 0.0)


def as_float(x: Value) -> Value:
    """x, or as float32 where it is integral or boolean: what Keras computes fractions in."""
    return x if x.formula.spec(x.ref).is_floating else x.cast("float32")


def as_truth(x: Value) -> Value:
    """x, or whether it is not 0."""
    return x if x.formula.spec(x.ref).dtype.kind == "b" else x.cast("bool")


def _pair(formula: Formula, first: str = "x1", second: str = "x2") -> tuple[Value, Value]:
    return formula.operand(0, first), formula.operand(1, second)


@expands_operation(*_FUNCTIONS)
def function(formula: Formula) -> Value:
    """A function of one number."""
    name, x = _FUNCTIONS[formula.layer.class_name], formula.operand(0, "x")
    kind = formula.spec(x.ref).dtype.kind
    return (x if name in _OF_INTEGERS and kind != "b" else as_float(x)).function(name)


@expands_operation("Round")
def round_(formula: Formula) -> Value:
    """The nearest whole number, halves to the even one."""
    required(formula, "decimals")
    formula.options.only("decimals", 0)
    return formula.operand(0, "x").function("round")


@expands_operation(*_ARITHMETIC)
def arithmetic(formula: Formula) -> Value:
    """Arithmetic on two tensors, or on a tensor and a number."""
    operation = _ARITHMETIC[formula.layer.class_name]
    a, b = _pair(formula)
    if operation in ("divide", "power") and not any(formula.spec(value.ref).is_floating for value in (a, b)):
        if operation == "power":
            raise formula.refused("it raises whole numbers to a power")
        a, b = a.cast("float32"), b.cast("float32")
    return formula.apply(Binary(operation), a, b)


@expands_operation("Reciprocal")
def reciprocal(formula: Formula) -> Value:
    """1 / x."""
    return formula.constant(1.0) / as_float(formula.operand(0, "x"))


@expands_operation(*_RELATIONS)
def relation(formula: Formula) -> Value:
    """A comparison."""
    return formula.apply(Compare(_RELATIONS[formula.layer.class_name]), *_pair(formula))


@expands_operation("LogicalAnd", "LogicalOr", "LogicalXor")
def logic(formula: Formula) -> Value:
    """A connective of two truth values; numbers other than 0 are true."""
    a, b = map(as_truth, _pair(formula))
    match formula.layer.class_name:
        case "LogicalAnd":
            return a & b
        case "LogicalOr":
            return a | b
        case _:
            return a ^ b


@expands_operation("LogicalNot")
def negation(formula: Formula) -> Value:
    """Whether x is 0 or false."""
    return ~as_truth(formula.operand(0, "x"))


@expands_operation("Where")
def where(formula: Formula) -> Value:
    """x1 where the condition holds, else x2."""
    condition = as_truth(formula.operand(0, "condition"))
    return condition.where(formula.operand(1, "x1"), formula.operand(2, "x2"))


@expands_operation("Clip")
def clip(formula: Formula) -> Value:
    """No less than x_min, no more than x_max."""
    low, high = (formula.value(required(formula, key), key) for key in ("x_min", "x_max"))
    return formula.operand(0, "x").maximum(low).minimum(high)


@expands_operation("Cast", "ConvertToTensor")
def cast(formula: Formula) -> Value:
    """As another kind of number, if one is named."""
    formula.options.only("sparse", None, False)
    formula.options.only("ragged", None, False)
    dtype, x = required(formula, "dtype"), formula.operand(0, "x")
    if dtype not in (None, "float16", "float32", "float64", "int32", "int64", "bool"):
        raise formula.options.refused("dtype", "is a kind of number that Bittrue does not know")
    return x if dtype is None else x.cast(dtype)


@expands_operation("StopGradient", "Copy")
def same(formula: Formula) -> Value:
    """x itself."""
    return formula.operand(0, "variable" if formula.layer.class_name == "StopGradient" else "x")


@expands_operation("ZerosLike", "OnesLike")
def like(formula: Formula) -> Value:
    """0 or 1 in the shape of x, in x's kind of number or the one named."""
    x = formula.operand(0, "x")
    # get_config leaves out a dtype that is None.
    dtype = formula.options.raw("dtype", None) or formula.spec(x.ref).dtype.name
    value = formula.constant(1.0 if formula.layer.class_name == "OnesLike" else 0.0)
    anywhere = formula.apply(Compare("equal"), x, x)
    return formula.apply(Select(), anywhere, value, value).cast(dtype)


@expands_operation(*_ACTIVATIONS)
def plain_activation(formula: Formula) -> Value:
    """An activation without options."""
    return activations.ACTIVATIONS[_ACTIVATIONS[formula.layer.class_name]](formula.operand(0, "x"))


_Shaped = Callable[[Formula, Value], Value]


def _with(function: Callable[..., Value], *keys: str) -> _Shaped:
    def apply(formula: Formula, x: Value) -> Value:
        return function(x, *(_number(formula, key) for key in keys))

    return apply


def _along(function: Callable[[Value, int], Value], formula: Formula, x: Value) -> Value:
    required(formula, "axis")
    return function(x, formula.options.whole("axis"))


def _gelu(formula: Formula, x: Value) -> Value:
    required(formula, "approximate")
    return activations.gelu(x, formula.options.flag("approximate", False))


def _relu(formula: Formula, x: Value) -> Value:
    ceiling = required(formula, "max_value")
    slope, floor = _number(formula, "negative_slope"), _number(formula, "threshold")
    return activations.relu(x, slope, None if ceiling is None else _number(formula, "max_value"), floor)


_PARAMETRIC: Mapping[str, _Shaped] = {
    "Celu": _with(activations.celu, "alpha"),
    "Elu": _with(activations.elu, "alpha"),
    "Gelu": _gelu,
    "Glu": partial(_along, activations.glu),
    "HardShrink": _with(activations.hard_shrink, "threshold"),
    "LeakyRelu": _with(activations.leaky_relu, "negative_slope"),
    "LogSoftmax": partial(_along, activations.log_softmax),
    "ReLU": _relu,
    "SoftShrink": _with(activations.soft_shrink, "threshold"),
    "Softmax": partial(_along, activations.softmax),
    "Squareplus": _with(activations.squareplus, "b"),
    "Threshold": _with(activations.threshold, "threshold", "default_value"),
}


@expands_operation(*_PARAMETRIC)
def activation(formula: Formula) -> Value:
    """An activation with options."""
    return _PARAMETRIC[formula.layer.class_name](formula, formula.operand(0, "x"))
