"""Nodes that sum products."""

from __future__ import annotations

from bittrue.ops import MatMul, Normalize

from ..formula import Value
from ..layers.operations_linear import einsum
from .elementwise import activated, biased
from .table import Given, node

__all__ = ["fused"]


@node("MatMul", reads=("transpose_a", "transpose_b"), inert=("grad_a", "grad_b"))
def matmul(given: Given) -> Value:
    """The product of two matrices."""
    return _product(given)


def _product(given: Given) -> Value:
    a, b = _turned(given, given[0], "transpose_a"), _turned(given, given[1], "transpose_b")
    return given.apply(MatMul(), a, b)


@node("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", reads=("adj_x", "adj_y"), inert=("grad_x", "grad_y"))
def batch_matmul(given: Given) -> Value:
    """Products of matrices, leading axes broadcast."""
    return given.apply(MatMul(), _turned(given, given[0], "adj_x"), _turned(given, given[1], "adj_y"))


def _turned(given: Given, x: Value, attribute: str) -> Value:
    return x.moved(-1, -2) if given.flag(attribute) else x


@node("Einsum", reads=("equation",))
def einstein(given: Given) -> Value:
    """Einsum of one tensor or two."""
    return einsum(given.formula, given.text("equation", ""), given.tensors)


@node(
    "_FusedMatMul",
    reads=("transpose_a", "transpose_b", "fused_ops", "leakyrelu_alpha", "epsilon"),
    inert=("num_args",),
)
def fused_matmul(given: Given) -> Value:
    """A product of matrices with what follows it."""
    return fused(given, _product(given), False)


def fused(given: Given, y: Value, first: bool) -> Value:
    """``y`` with the operations that a fused node appends, in order; the operands beyond the second are theirs."""
    extra = list(given.tensors[2:])
    for name in given.texts("fused_ops"):
        if name == "BiasAdd" and extra:
            y = biased(given, y, extra.pop(0), first)
        elif name == "FusedBatchNorm" and len(extra) >= 4:
            scale, shift, mean, variance = (extra.pop(0) for _ in range(4))
            y = given.apply(Normalize(given.number("epsilon", 0.0001)), y, mean, variance, scale, shift)
        else:
            y = activated(given, y, name, extra.pop(0) if name == "Prelu" and extra else None)
    return y


@node(
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    reads=("data_format", "epsilon", "is_training"),
    inert=("exponential_avg_factor",),
)
def batch_normalization(given: Given) -> tuple[Value, ...]:
    """(x - mean) / √(variance + ε) · scale + shift for every channel; of the other outputs, the statistics alone."""
    if given.flag("is_training", True):
        raise given.refused("it normalises by the statistics of the batch")
    x, scale, shift, mean, variance = (given[at] for at in range(5))
    if given.text("data_format", "NHWC", "NHWC", "NCHW", "NDHWC", "NCDHW") in ("NCHW", "NCDHW"):
        scale, shift, mean, variance = (_upright(value, x.rank) for value in (scale, shift, mean, variance))
    y = given.apply(Normalize(given.number("epsilon", 0.0001)), x, mean, variance, scale, shift)
    return y, given[3], given[4]


def _upright(value: Value, rank: int) -> Value:
    for _ in range(rank - 2):
        value = value.expanded(-1)
    return value
