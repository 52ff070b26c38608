"""Every operation of spec.md in NumPy, slowly, from the text alone: what the module must give bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from bittrue.errors import InputError
from bittrue.traces import Array

from .functions import FUNCTIONS, power
from .plan import Operation, Plan

__all__ = ["apply", "canonical", "evaluate"]

Attributes = Sequence[int]


def evaluate(plan: Plan, constants: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[Array]:
    """All values of ``plan`` in the order of their numbers, none made canonical."""
    values = [inputs[item.name] for item in plan.inputs] + [constants[item.name] for item in plan.constants]
    for step in plan.operations:
        values.append(apply(step, [values[operand] for operand in step.operands]))
    return values


def canonical(value: Array) -> Array:
    """With every NaN the one of bits 7fc00000."""
    if value.dtype != np.float32:
        return value
    return np.where(np.isnan(value), np.uint32(0x7FC00000).view(np.float32), value)


def apply(step: Operation, operands: Sequence[Array]) -> Array:
    """The result of one operation."""
    with np.errstate(all="ignore"):
        if step.name == "scan":
            return scan(step, operands)
        result = np.asarray(_OPERATIONS[step.name](step.attributes, *operands))
        return np.array(result, order="C")


def maximum(a: Array, b: Array) -> Array:
    """3.2"""
    return np.where(np.isnan(b) | (a < b), b, a) if a.dtype.kind == "f" else np.maximum(a, b)


def minimum(a: Array, b: Array) -> Array:
    """3.2"""
    return np.where(np.isnan(b) | (b < a), b, a) if a.dtype.kind == "f" else np.minimum(a, b)


def _rounded(function: Callable[..., Any]) -> Callable[..., Array]:
    """In float64, rounded to float32 once."""

    def computed(_: Attributes, *operands: Array) -> Array:
        return np.asarray(function(*(operand.astype(np.float64) for operand in operands))).astype(np.float32)

    return computed


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda _, *operands: np.asarray(function(*operands), operands[0].dtype)


def _truth(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda _, *operands: np.asarray(function(*operands), np.bool_)


def _sign(x: Array) -> Array:
    return np.where(x > 0, 1, np.where(x < 0, -1, x)).astype(x.dtype)


def _to_int(_: Attributes, x: Array) -> Array:
    if x.dtype.kind != "f":
        return x.astype(np.int32)
    whole = np.trunc(np.where(np.isnan(x), 0, x).astype(np.float64))
    return np.clip(whole, -(2.0**31), 2.0**31 - 1).astype(np.int64).astype(np.int32)


def _normalize(_: Attributes, x: Array, mean: Array, variance: Array, scale: Array, shift: Array, eps: Array) -> Array:
    """3.8"""
    wide = [operand.astype(np.float64) for operand in (x, mean, variance, scale, shift, eps)]
    inverse = 1.0 / np.sqrt(wide[2] + wide[5])
    return ((wide[0] - wide[1]) * (inverse * wide[3]) + wide[4]).astype(np.float32)


def matmul(_: Attributes, a: Array, b: Array, bias: Array | None = None) -> Array:
    """5.1"""
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + a.shape[-2:-1] + b.shape[-1:]
    total = np.zeros(shape, np.float32) if bias is None else np.broadcast_to(bias, shape)
    for k in range(a.shape[-1]):
        row = b[..., k, :] if a.ndim == 1 else b[..., k, None, :]
        total = total + a[..., k, None] * row
    return np.asarray(total)


def _places(size: int, out: int, tap: int, stride: int, dilation: int, low: int) -> Array:
    """Where a tap of each output place lies on an axis; -1 outside."""
    at = np.arange(out) * stride - low + tap * dilation
    return np.where((at >= 0) & (at < size), at, -1)


def _outside(x: Array, value: float) -> Array:
    """x with one more element on each spatial axis, at the end, so that -1 means it."""
    return np.pad(x, ((0, 0), *((0, 1),) * (x.ndim - 2), (0, 0)), constant_values=value)


def _slid(size: int, extent: int, stride: int, same: int, low: int, high: int) -> tuple[int, int]:
    """Size of the output and padding before it, on one axis. 5.2"""
    if not same:
        return (size + low + high - extent) // stride + 1, low
    out = -(-size // stride)
    return out, max((out - 1) * stride + extent - size, 0) // 2


def conv(attributes: Attributes, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """5.2"""
    spatial, groups, same, *rest = attributes
    strides, dilations, pads = rest[:spatial], rest[spatial : 2 * spatial], rest[2 * spatial :]
    extents = [(n - 1) * step + 1 for n, step in zip(kernel.shape, dilations, strict=False)]
    slid = [_slid(x.shape[1 + i], extents[i], strides[i], same, pads[2 * i], pads[2 * i + 1]) for i in range(spatial)]
    filters = kernel.shape[-1]
    shape = (len(x), *(out for out, _ in slid), filters)
    total = np.broadcast_to(np.float32(0) if bias is None else bias, shape)
    wide, each = _outside(x, 0.0), kernel.shape[-2]
    group = np.arange(filters) // (filters // groups)
    for tap in product(*map(range, kernel.shape[:spatial])):
        places = [
            _places(x.shape[1 + i], slid[i][0], tap[i], strides[i], dilations[i], slid[i][1]) for i in range(spatial)
        ]
        met = wide[np.ix_(np.arange(len(x)), *places, np.arange(x.shape[-1]))]
        for c in range(each):
            total = total + met[..., group * each + c] * kernel[(*tap, c)]
    return np.asarray(total)


def conv_transpose(attributes: Attributes, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """5.3"""
    spatial, *rest = attributes
    strides, dilations, crop = rest[:spatial], rest[spatial : 2 * spatial], rest[2 * spatial :]
    sizes = [
        (x.shape[1 + i] - 1) * strides[i] + (kernel.shape[i] - 1) * dilations[i] + 1 - crop[2 * i] - crop[2 * i + 1]
        for i in range(spatial)
    ]
    shape = (len(x), *sizes, kernel.shape[-1])
    total = np.array(np.broadcast_to(np.float32(0) if bias is None else bias, shape))
    wide = _outside(x, 0.0)
    for tap in product(*map(range, kernel.shape[:spatial])):
        reached, places = [], []
        for i in range(spatial):
            at = np.arange(sizes[i]) + crop[2 * i] - tap[i] * dilations[i]
            whole = at // strides[i]
            hit = at % strides[i] == 0
            reached.append(np.flatnonzero(hit))
            places.append(np.where((whole >= 0) & (whole < x.shape[1 + i]), whole, -1)[hit])
        to = np.ix_(np.arange(len(x)), *reached, np.arange(kernel.shape[-1]))
        met = wide[np.ix_(np.arange(len(x)), *places, np.arange(x.shape[-1]))]
        for c in range(x.shape[-1]):
            total[to] = total[to] + met[..., c, None] * kernel[(*tap, c)]
    return total


def _pool(average: bool) -> Callable[..., Array]:
    def pooled(attributes: Attributes, x: Array) -> Array:
        """6.2"""
        spatial, same, *rest = attributes
        size, strides, pads = rest[:spatial], rest[spatial : 2 * spatial], rest[2 * spatial :]
        slid = [_slid(x.shape[1 + i], size[i], strides[i], same, pads[2 * i], pads[2 * i + 1]) for i in range(spatial)]
        shape = (len(x), *(out for out, _ in slid), x.shape[-1])
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(np.int32).min
        total = np.zeros(shape) if average else np.full(shape, least, x.dtype)
        count = np.zeros(shape)
        for tap in product(*map(range, size)):
            places = [_places(x.shape[1 + i], slid[i][0], tap[i], strides[i], 1, slid[i][1]) for i in range(spatial)]
            met = x[np.ix_(np.arange(len(x)), *places, np.arange(x.shape[-1]))]
            inside = np.ix_(
                np.arange(len(x)), *map(np.flatnonzero, (place >= 0 for place in places)), np.arange(x.shape[-1])
            )
            if average:
                total[inside] += met[inside]
                count[inside] += 1
            else:
                total[inside] = maximum(total[inside], met[inside])
        return (total / count).astype(np.float32) if average else total

    return pooled


def _reduced(kind: str) -> Callable[..., Array]:
    def reduced(attributes: Attributes, x: Array) -> Array:
        """6.1"""
        gone = sorted({axis % x.ndim for axis in attributes[1:]})
        kept = [axis for axis in range(x.ndim) if axis not in gone]
        count = prod(x.shape[axis] for axis in gone)
        flat = x.transpose(*kept, *gone).reshape(*(x.shape[axis] for axis in kept), count)
        terms = [flat[..., i] for i in range(flat.shape[-1])]
        y = _folded(kind, terms, flat.shape[:-1], x.dtype) if gone else x
        return np.expand_dims(y, gone) if attributes[0] and gone else y

    return reduced


def _folded(kind: str, terms: list[Array], shape: tuple[int, ...], dtype: Any) -> Array:
    if kind in ("all", "any"):
        start = np.full(shape, kind == "all")
        for term in terms:
            start = start & term if kind == "all" else start | term
        return start
    if kind in ("max", "min"):
        whole, sign = np.iinfo(np.int32), -1 if kind == "max" else 1
        extreme: Any = sign * np.inf if dtype == np.float32 else (whole.min if kind == "max" else whole.max)
        y = np.full(shape, extreme, dtype)
        for term in terms:
            y = maximum(y, term) if kind == "max" else minimum(y, term)
        return y
    total = np.zeros(shape, np.float64 if dtype == np.float32 else np.int32)
    for term in terms:
        total = total + term
    return np.asarray(total / len(terms) if kind == "mean" else total).astype(dtype)


def _argmax(attributes: Attributes, x: Array) -> Array:
    """6.3"""
    return np.asarray(np.argmax(x, axis=attributes[0]), np.int32)


def _softmax(attributes: Attributes, x: Array) -> Array:
    """6.4"""
    rows = np.moveaxis(x, attributes[0], -1)
    largest = np.full(rows.shape[:-1], -np.inf, np.float32)
    for i in range(rows.shape[-1]):
        largest = maximum(largest, rows[..., i])
    e = FUNCTIONS["exp"](rows.astype(np.float64) - largest[..., None].astype(np.float64))
    total = np.zeros(rows.shape[:-1])
    for i in range(rows.shape[-1]):
        total = total + e[..., i]
    return np.moveaxis((e / total[..., None]).astype(np.float32), -1, attributes[0])


def _meant(attributes: Attributes, operands: Sequence[Array]) -> list[int]:
    """3.10: sizes as they are written, or those of an operand's axis."""
    return [n if n >= -1 else operands[(-2 - n) // 8].shape[(-2 - n) % 8] for n in attributes]


def _reshape(attributes: Attributes, x: Array, *likes: Array) -> Array:
    sizes = _meant(attributes, (x, *likes))
    known = prod(size for size in sizes if size != -1)
    return x.reshape([size if size != -1 else (x.size // known if known else 0) for size in sizes])


def _slice(attributes: Attributes, x: Array) -> Array:
    axis, has_start, start, has_stop, stop, step = attributes
    cut = [slice(None)] * x.ndim
    cut[axis] = slice(start if has_start else None, stop if has_stop else None, step)
    return x[tuple(cut)]


def _pad(attributes: Attributes, x: Array, value: Array) -> Array:
    widths = list(zip(attributes[::2], attributes[1::2], strict=True))
    return np.pad(x, widths, constant_values=value.reshape(())) if widths else x


def _gather(_: Attributes, table: Array, index: Array) -> Array:
    if ((index < 0) | (index >= len(table))).any():
        raise InputError(f"an input holds a number that is no row of a table with rows 0 to {len(table) - 1}")
    return np.asarray(table[index])


def _position(attributes: Attributes, x: Array) -> Array:
    shape = [1] * x.ndim
    shape[attributes[0]] = x.shape[attributes[0]]
    return np.arange(x.shape[attributes[0]], dtype=np.int32).reshape(shape)


def _resize(linear: bool) -> Callable[..., Array]:
    def resized(attributes: Attributes, x: Array) -> Array:
        """7.1, 7.2"""
        spatial, factors, *given = attributes
        for axis in range(1, 1 + spatial):
            size = x.shape[axis]
            wanted = given[axis - 1] * size if factors else given[axis - 1]
            if wanted == size:
                continue
            if not linear:
                x = np.take(x, [min((2 * i + 1) * size // (2 * wanted), size - 1) for i in range(wanted)], axis)
                continue
            place = (np.arange(wanted) + 0.5) * size / wanted - 0.5
            low = np.floor(place)
            weight = (place - low).reshape(-1, *(1,) * (x.ndim - axis - 1))
            a, b = (np.take(x, np.clip(low + k, 0, size - 1).astype(int), axis).astype(np.float64) for k in (0, 1))
            x = (a * (1.0 - weight) + b * weight).astype(np.float32)
        return x

    return resized


def scan(step: Operation, operands: Sequence[Array]) -> Array:
    """8"""
    sequences, states = step.attributes
    batch, time = operands[0].shape[:2]
    held = [np.broadcast_to(x, (batch, *x.shape[1:])) for x in operands[sequences : sequences + states]]
    made = []
    for at in range(time):
        values = [x[:, at] for x in operands[:sequences]] + held + list(operands[sequences + states :])
        for inner in step.body:
            values.append(apply(inner, [values[operand] for operand in inner.operands]))
        held = [values[result] for result in step.results]
        made.append(np.concatenate(held, axis=-1))
    return np.stack(made, axis=1)


_OPERATIONS: Mapping[str, Callable[..., Array]] = {
    **{name: _rounded(function) for name, function in FUNCTIONS.items()},
    "abs": _plain(np.abs),
    "add": _plain(np.add),
    "affine": _plain(lambda x, scale, shift: x * scale + shift),
    "and": _truth(np.logical_and),
    "argmax": _argmax,
    "broadcast": lambda attributes, x, *likes: np.broadcast_to(x, _meant(attributes, (x, *likes))),
    "cast_bool": _truth(lambda x: x != 0),
    "cast_float32": lambda _, x: x.astype(np.float32),
    "cast_int32": _to_int,
    "ceil": _plain(np.ceil),
    "concat": lambda attributes, *operands: np.concatenate(operands, axis=attributes[0]),
    "conv": conv,
    "conv_transpose": conv_transpose,
    "divide": _plain(np.divide),
    "equal": _truth(np.equal),
    "floor": _plain(np.floor),
    "gather": _gather,
    "greater": _truth(np.greater),
    "greater_equal": _truth(np.greater_equal),
    "less": _truth(np.less),
    "less_equal": _truth(np.less_equal),
    "matmul": matmul,
    "maximum": lambda _, a, b: maximum(a, b),
    "minimum": lambda _, a, b: minimum(a, b),
    "multiply": _plain(np.multiply),
    "negative": _plain(np.negative),
    "normalize": _normalize,
    "not": _truth(np.logical_not),
    "not_equal": _truth(np.not_equal),
    "or": _truth(np.logical_or),
    "pad": _pad,
    "pool_average": _pool(average=True),
    "pool_max": _pool(average=False),
    "position": _position,
    "power": _rounded(power),
    **{f"reduce_{kind}": _reduced(kind) for kind in ("all", "any", "max", "mean", "min", "sum")},
    "relu": lambda _, x: np.where(x < 0, 0, x).astype(x.dtype),
    "repeat": lambda attributes, x: np.repeat(x, attributes[1], axis=attributes[0]),
    "reshape": _reshape,
    "resize_linear": _resize(linear=True),
    "resize_nearest": _resize(linear=False),
    "round": _plain(np.rint),
    "select": lambda _, condition, a, b: np.asarray(np.where(condition, a, b)),
    "sign": _plain(_sign),
    "slice": _slice,
    "softmax": _softmax,
    "sqrt": _plain(np.sqrt),
    "square": _plain(np.square),
    "subtract": _plain(np.subtract),
    "transpose": lambda attributes, x: x.transpose(tuple(attributes)),
    "xor": _truth(np.logical_xor),
}
