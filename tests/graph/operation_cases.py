"""Operations of keras.ops to compare with Keras: what is built of symbolic inputs, and the inputs' shapes.

A shape may be followed by a dtype; ``int32`` inputs are 0 to 3 and ``bool`` ones are drawn evenly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Shape = tuple[Any, ...]
Case = tuple[str, Callable[..., Any], tuple[Shape, ...]]

INT, BOOL = "int32", "bool"


def _functions() -> list[Case]:
    plain = "abs absolute ceil cos erf exp expm1 floor negative round sign sin square tanh"
    plain += " hard_sigmoid hard_silu hard_tanh log_sigmoid relu relu6 selu sigmoid silu softplus softsign"
    plain += " sparse_plus sparse_sigmoid tanh_shrink"
    found: list[Case] = [(name, lambda k, x, name=name: getattr(k.ops, name)(x), ((3, 4),)) for name in plain.split()]
    positive = "log log1p sqrt rsqrt reciprocal"
    found += [
        (name, lambda k, x, name=name: getattr(k.ops, name)(k.ops.abs(x) + 0.5), ((3, 4),)) for name in positive.split()
    ]
    with_options: list[tuple[str, dict[str, Any]]] = [
        ("celu", {"alpha": 0.5}),
        ("elu", {"alpha": 0.5}),
        ("gelu", {"approximate": True}),
        ("gelu", {"approximate": False}),
        ("glu", {"axis": 1}),
        ("hard_shrink", {"threshold": 0.7}),
        ("leaky_relu", {"negative_slope": 0.1}),
        ("log_softmax", {"axis": 1}),
        ("soft_shrink", {"threshold": 0.3}),
        ("softmax", {"axis": 1}),
        ("squareplus", {"b": 3}),
        ("threshold", {"threshold": 0.5, "default_value": 2.0}),
        ("clip", {"x_min": -0.5, "x_max": 0.25}),
    ]
    for name, options in with_options:
        found.append((name, lambda k, x, name=name, o=options: getattr(k.ops, name)(x, **o), ((3, 4),)))
    found += [
        ("exp-int", lambda k, x: k.ops.exp(x), ((3, 4, INT),)),
        ("abs-int", lambda k, x: k.ops.abs(-x), ((3, 4, INT),)),
        ("activations.relu", lambda k, x: k.activations.relu(x, 0.1, 2.0, 0.3), ((3, 4),)),
        ("activations.gelu", lambda k, x: k.activations.gelu(x), ((3, 4),)),
    ]
    return found


def _pairs() -> list[Case]:
    two: tuple[Shape, ...] = ((3, 4), (3, 1))
    names = "add subtract multiply maximum minimum equal not_equal greater greater_equal less less_equal"
    names += " logical_and logical_or logical_xor"
    found: list[Case] = [(name, lambda k, a, b, name=name: getattr(k.ops, name)(a, b), two) for name in names.split()]
    return [
        *found,
        ("divide", lambda k, a, b: k.ops.divide(a, k.ops.abs(b) + 0.5), two),
        ("divide-int", lambda k, a, b: a / (b + 1), ((3, 4, INT), (3, 4, INT))),
        ("power", lambda k, a, b: k.ops.power(k.ops.abs(a) + 0.5, b), two),
        ("number-left", lambda k, x: 2.0 - x / 3, ((3, 4),)),
        ("number-of-int", lambda k, x: x * 0.5 + 1, ((3, 4, INT),)),
        ("array", lambda k, x: x + k.ops.arange(4, dtype="float32"), ((3, 4),)),
        ("keyword", lambda k, a, b: k.ops.subtract(x1=a, x2=b), two),
        ("masks", lambda k, a, b: (a > 0) & ~(b > 0), two),
        ("logical_not", lambda k, x: k.ops.logical_not(x), ((3, 4, BOOL),)),
        ("where", lambda k, a, b: k.ops.where(a > b, a, 0.5), two),
        ("where-truth", lambda k, c, a: k.ops.where(c, a, -a), ((3, 4, BOOL), (3, 4))),
        ("cast-int", lambda k, x: k.ops.cast(x, "int32"), ((3, 4),)),
        ("cast-truth", lambda k, x: k.ops.cast(x > 0, "float32"), ((3, 4),)),
        ("stop_gradient", lambda k, x: k.ops.stop_gradient(x), ((3, 4),)),
        ("zeros_like", lambda k, x: k.ops.zeros_like(x) + x, ((3, 4),)),
        ("ones_like-truth", lambda k, x: k.ops.ones_like(x, dtype="bool"), ((3, 4),)),
    ]


def _reductions() -> list[Case]:
    found: list[Case] = []
    for name in ["sum", "mean", "max", "min", "var", "std", "logsumexp", "amax", "amin"]:
        for options in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True}, {"axis": -1}):
            found.append((name, lambda k, x, name=name, o=options: getattr(k.ops, name)(x, **o), ((3, 4, 5),)))
    return [
        *found,
        ("any", lambda k, x: k.ops.any(x > 1, axis=-1), ((3, 4),)),
        ("all", lambda k, x: k.ops.all(x > -1, axis=0, keepdims=True), ((3, 4),)),
        ("mean-int", lambda k, x: k.ops.mean(x, axis=1), ((3, 4, INT),)),
        ("sum-truth", lambda k, x: k.ops.sum(x, axis=1), ((3, 4, BOOL),)),
        ("argmax", lambda k, x: k.ops.argmax(x, axis=-1), ((3, 4),)),
        ("argmin", lambda k, x: k.ops.argmin(x, axis=1, keepdims=True), ((3, 4),)),
        ("cumsum", lambda k, x: k.ops.cumsum(x, axis=1), ((3, 4),)),
        ("cumsum-last", lambda k, x: k.ops.cumsum(x, axis=-1), ((3, 2, 4),)),
        ("cumsum-first", lambda k, x: k.ops.cumsum(x, axis=0), ((3, 2, 4),)),
        ("cumsum-truth", lambda k, x: k.ops.cumsum(k.ops.cast(x, "int32"), axis=1), ((3, 4, BOOL),)),
    ]


def _products() -> list[Case]:
    return [
        ("matmul", lambda k, a, b: k.ops.matmul(a, b), ((3, 4, 5), (3, 5, 2))),
        ("matmul-broadcast", lambda k, a, b: a @ b, ((3, 2, 4, 5), (3, 1, 5, 6))),
        ("matmul-column", lambda k, a, b: k.ops.matmul(a, b[0]), ((3, 4, 5), (1, 5))),
        ("matmul-vectors", lambda k, a, b: k.ops.matmul(a[0], b[0]), ((3, 5), (1, 5))),
        ("einsum", lambda k, a, b: k.ops.einsum("bij,bkj->bik", a, b), ((3, 4, 5), (3, 6, 5))),
        ("einsum-implicit", lambda k, a, b: k.ops.einsum("bij,bjk", a, b), ((3, 4, 5), (3, 5, 6))),
        ("einsum-ellipsis", lambda k, a, b: k.ops.einsum("...ij,...jk->...ki", a, b), ((3, 2, 4, 5), (3, 2, 5, 6))),
        ("einsum-one", lambda k, a: k.ops.einsum("bij->jb", a), ((3, 4, 5),)),
    ]


def _shapes() -> list[Case]:
    return [
        ("reshape", lambda k, x: k.ops.reshape(x, (-1, 10)), ((3, 4, 5),)),
        ("reshape-batch", lambda k, x: k.ops.reshape(x, (-1, 2, 10)), ((3, 4, 5),)),
        ("ravel", lambda k, x: k.ops.ravel(x), ((3, 4),)),
        ("transpose", lambda k, x: k.ops.transpose(x, (0, 2, 1)), ((3, 4, 5),)),
        ("transpose-all", lambda k, x: k.ops.transpose(x), ((3, 4, 5),)),
        ("swapaxes", lambda k, x: k.ops.swapaxes(x, 1, -1), ((3, 4, 5, 2),)),
        ("moveaxis", lambda k, x: k.ops.moveaxis(x, 1, -1), ((3, 4, 5, 2),)),
        ("expand_dims", lambda k, x: k.ops.expand_dims(x, 1), ((3, 4, 5),)),
        ("expand_dims-last", lambda k, x: k.ops.expand_dims(x, -1), ((3, 4, 5),)),
        ("squeeze", lambda k, x: k.ops.squeeze(x, 1), ((3, 1, 5),)),
        ("squeeze-two", lambda k, x: k.ops.squeeze(x, (1, -1)), ((3, 1, 5, 1),)),
        ("concatenate", lambda k, a, b: k.ops.concatenate([a, b], axis=-1), ((3, 4), (3, 2))),
        ("stack", lambda k, a, b: k.ops.stack([a, b], axis=1), ((3, 4), (3, 4))),
        ("stack-last", lambda k, a, b: k.ops.stack([a, b], axis=-1), ((3, 4), (3, 4))),
        ("split", lambda k, x: k.ops.split(x, 2, axis=-1), ((3, 4),)),
        ("split-places", lambda k, x: k.ops.split(x, [1, 3], axis=1), ((3, 5),)),
        ("unstack", lambda k, x: k.ops.unstack(x, 4, axis=1), ((3, 4),)),
        ("get-number", lambda k, x: x[:, 1], ((3, 4, 5),)),
        ("get-last", lambda k, x: x[..., -1], ((3, 4, 5),)),
        ("get-slices", lambda k, x: x[:, 1:3, ::2], ((3, 4, 5),)),
        ("get-backwards", lambda k, x: x[:, ::-1], ((3, 4, 5),)),
        ("get-new", lambda k, x: x[:, None, ..., 1:], ((3, 4, 5),)),
        ("take", lambda k, x: k.ops.take(x, [2, 0, -1], axis=1), ((3, 4, 5),)),
        ("take-by-tensor", lambda k, x, i: k.ops.take(x[0], i, axis=0), ((1, 4, 5), (3, 2, INT))),
        ("take-flat", lambda k, x: k.ops.take(x, [[1, 3]]), ((3, 4),)),
        ("one_hot", lambda k, x: k.ops.one_hot(x, 3), ((3, 4, INT),)),
        ("one_hot-axis", lambda k, x: k.ops.one_hot(x, 5, axis=1), ((3, 4, INT),)),
        ("broadcast_to", lambda k, x: k.ops.broadcast_to(x[:1, :], (6, 3, 4)), ((3, 4),)),
        ("repeat", lambda k, x: k.ops.repeat(x, 3, axis=1), ((3, 4),)),
        ("tile", lambda k, x: k.ops.tile(x, (1, 2, 3)), ((3, 4, 2),)),
        ("flip", lambda k, x: k.ops.flip(x, axis=1), ((3, 4),)),
        ("pad", lambda k, x: k.ops.pad(x, ((0, 0), (1, 2))), ((3, 4),)),
        ("pad-value", lambda k, x: k.ops.pad(x, ((0, 0), (1, 2)), constant_values=1.5), ((3, 4),)),
    ]


CASES: tuple[Case, ...] = (*_functions(), *_pairs(), *_reductions(), *_products(), *_shapes())
