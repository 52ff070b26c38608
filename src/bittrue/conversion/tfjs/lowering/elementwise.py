"""Ops that work element by element."""

from __future__ import annotations

import numpy as np

from bittrue.ops import Binary, Cast, Compare, Logical, Select, Unary
from bittrue.ops.base import broadcast, promote

from ..defects import present
from ..versions import known
from .attributes import held, type_of
from .folding import MOST, folded
from .nodes import Tensor
from .registry import lowers
from .scope import Scope

_UNARY = {
    "abs": "Abs",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "expm1": "Expm1",
    "floor": "Floor",
    "log": "Log",
    "log1p": "Log1p",
    "negative": "Neg",
    "relu": "Relu",
    "round": "Round",
    "rsqrt": "Rsqrt",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "sin": "Sin",
    "softplus": "Softplus",
    "sqrt": "Sqrt",
    "square": "Square",
    "tanh": "Tanh",
}

_BINARY = {
    "add": "AddV2",
    "divide": "RealDiv",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Mul",
    "power": "Pow",
    "subtract": "Sub",
}

_COMPARE = {
    "equal": "Equal",
    "greater": "Greater",
    "greater_equal": "GreaterEqual",
    "less": "Less",
    "less_equal": "LessEqual",
    "not_equal": "NotEqual",
}

_LOGICAL = {"and": "LogicalAnd", "not": "LogicalNot", "or": "LogicalOr", "xor": "NotEqual"}

_WRAPPING = ("int32", "int64", "float32")  # narrower integers wrap around where TensorFlow.js's do not


@lowers(Unary)
def unary(scope: Scope, op: Unary, x: Tensor) -> Tensor:
    """A node of the same function."""
    if op.function not in _UNARY:
        raise scope.refused(f"TensorFlow.js has no {op.function}")
    _check_arithmetic(scope, x)
    return scope.node(_UNARY[op.function], (x,), x.spec.shape)


@lowers(Binary)
def binary(scope: Scope, op: Binary, a: Tensor, b: Tensor) -> Tensor:
    """A node of the same operation, its operands made of one dtype first."""
    if op.operation not in _BINARY:
        raise scope.refused(f"TensorFlow.js has no {op.operation}")
    _check_arithmetic(scope, a, b)
    a, b = _as_matrices(scope, *_alike(scope, a, b))
    return scope.node(_BINARY[op.operation], (a, b), _shape(a, b))


@lowers(Compare)
def compare(scope: Scope, op: Compare, a: Tensor, b: Tensor) -> Tensor:
    """A node of the same relation."""
    a, b = _as_matrices(scope, *_alike(scope, a, b))
    made = scope.node(_COMPARE[op.relation], (a, b), _shape(a, b))
    return Tensor(made.node, type(made.spec)(made.spec.shape, np.dtype(np.bool_)))


@lowers(Logical)
def logical(scope: Scope, op: Logical, *operands: Tensor) -> Tensor:
    """LogicalAnd, LogicalOr, LogicalNot; of two truth values one or the other is that they differ."""
    kind = _LOGICAL[op.connective]
    shape = operands[0].spec.shape if len(operands) == 1 else _shape(*operands)
    return scope.node(kind, operands, shape, types=("T",) if kind == "NotEqual" else ())


@lowers(Select)
def select(scope: Scope, op: Select, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """SelectV2, which broadcasts; where it is missing, Select if nothing is to be broadcast."""
    shape = broadcast(condition.spec.shape, a.spec.shape, b.spec.shape)
    assert shape is not None
    a, b = _alike(scope, a, b)
    if held(a.spec.dtype) == "bool" and present("wasm-select-bool", scope.version):
        return _chosen(scope, condition, a, b)
    if len(shape) > MOST and present("gpu-where-rank-5", scope.version):
        flat, restored = folded(scope, (condition, a, b))
        if flat[0].spec.rank < len(shape):
            return restored(select(scope, op, *flat))
    kind = "SelectV2"
    if not known(kind, scope.version):
        kind = "Select"
        if len({condition.spec.shape, a.spec.shape, b.spec.shape}) > 1:
            raise scope.refused("TensorFlow.js of that version selects from tensors of one shape alone")
    name = scope.nodes.name(f"{scope.prefix}/{kind}")
    spec = type(a.spec)(shape, a.spec.dtype)
    return scope.nodes.add(kind, name, (condition, a, b), {"T": type_of(a.spec.dtype)}, spec)


def _chosen(scope: Scope, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Truth values of ``a`` where the condition holds, else of ``b``."""
    then = logical(scope, Logical("and"), condition, a)
    otherwise = logical(scope, Logical("and"), logical(scope, Logical("not"), condition), b)
    return logical(scope, Logical("or"), then, otherwise)


@lowers(Cast)
def cast(scope: Scope, op: Cast, x: Tensor) -> Tensor:
    """A cast; to whole numbers of 32 bits alone, which is what TensorFlow.js has."""
    dtype = np.dtype(op.dtype)
    narrow = dtype.kind in "iu" and dtype.name not in _WRAPPING
    if narrow and dtype != x.spec.dtype:
        raise scope.refused(f"TensorFlow.js has no {dtype.name} tensors")
    if dtype.kind == "f" and dtype.name != "float32":
        raise scope.refused(f"TensorFlow.js has no {dtype.name} tensors")
    return scope.cast(x, dtype)


def _shape(a: Tensor, b: Tensor) -> tuple[int | None, ...]:
    shape = broadcast(a.spec.shape, b.spec.shape)
    assert shape is not None
    return shape


def _alike(scope: Scope, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands in the dtype that NumPy's rules give them together."""
    dtype = promote(a.spec, b.spec)
    return scope.cast(a, dtype), scope.cast(b, dtype)


def _as_matrices(scope: Scope, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors beside tensors of five axes as matrices of one row."""
    rank = max(a.spec.rank, b.spec.rank)
    if rank <= MOST or not present("webgpu-vector-rank-5", scope.version):
        return a, b
    first, second = (scope.reshape(x, [1, x.spec.shape[0] or -1]) if x.spec.rank == 1 else x for x in (a, b))
    return first, second


def _check_arithmetic(scope: Scope, *tensors: Tensor) -> None:
    dtype = promote(*(tensor.spec for tensor in tensors))
    if dtype.name not in _WRAPPING:
        raise scope.refused(f"it computes with {dtype.name} tensors, which TensorFlow.js would do differently")
