"""Clean float32 arithmetic: sums in the orders that kernels use, and elementary functions in the forms they use.

Nothing here knows of Bittrue's ops; every operation on a float32 array is one rounding by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FUNCTIONS", "ORDERS", "added", "product"]

Array = NDArray[Any]
Draw = np.random.Generator
F = np.float32


def _one_by_one(terms: Array, draw: Draw) -> Array:
    total = terms[..., 0]
    for at in range(1, terms.shape[-1]):
        total = total + terms[..., at]
    return total


def _backwards(terms: Array, draw: Draw) -> Array:
    return _one_by_one(terms[..., ::-1], draw)


def _shuffled(terms: Array, draw: Draw) -> Array:
    return _one_by_one(terms[..., draw.permutation(terms.shape[-1])], draw)


def _pairwise(terms: Array, draw: Draw) -> Array:
    while terms.shape[-1] > 1:
        even = terms.shape[-1] // 2 * 2
        rest = terms[..., even:]
        terms = np.concatenate([terms[..., 0:even:2] + terms[..., 1:even:2], rest], axis=-1)
    return terms[..., 0]


def _in_lanes(terms: Array, draw: Draw) -> Array:
    """As many accumulators as a vector register has lanes, added up at the end."""
    lanes = int(draw.choice([4, 8, 16]))
    return _one_by_one(_tail(terms, lanes, _one_by_one, draw, across=True), draw)


def _in_blocks(terms: Array, draw: Draw) -> Array:
    """Blocks of neighbours, each added by itself."""
    return _one_by_one(_tail(terms, int(draw.integers(2, 17)), _one_by_one, draw, across=False), draw)


def _tail(terms: Array, size: int, sums: Callable[[Array, Draw], Array], draw: Draw, *, across: bool) -> Array:
    whole = terms.shape[-1] // size * size
    if not whole:
        return terms
    split = terms[..., :whole].reshape(*terms.shape[:-1], -1, size)
    parts = sums(np.moveaxis(split, -2, -1) if across else split, draw)
    return np.concatenate([parts, terms[..., whole:]], axis=-1)


ORDERS: Mapping[str, Callable[[Array, Draw], Array]] = MappingProxyType(
    {
        "one by one": _one_by_one,
        "backwards": _backwards,
        "shuffled": _shuffled,
        "pairwise": _pairwise,
        "in lanes": _in_lanes,
        "in blocks": _in_blocks,
    }
)
"""Sums over the last axis, by name; `product` has two more, ``blas`` and ``fused``."""


def added(terms: Array, order: str, draw: Draw) -> Array:
    """The sum over the last axis; orders that only products have count as one by one."""
    return ORDERS.get(order, _one_by_one)(terms, draw)


def product(a: Array, b: Array, order: str, draw: Draw, start: Array | None = None) -> Array:
    """(N, K) times (K, M), plus ``start`` (M), which is where the sum begins or what is added at its end."""
    if order == "blas":
        total = a @ b
    elif order == "fused":
        return _fused(a, b, start)
    else:
        terms = a[:, None, :] * b.T
        if start is not None and order == "one by one":
            first = np.broadcast_to(start[None, :, None], (*terms.shape[:-1], 1))
            return _one_by_one(np.concatenate([first, terms], axis=-1), draw)
        total = ORDERS[order](terms, draw)
    return total if start is None else total + start


def _fused(a: Array, b: Array, start: Array | None) -> Array:
    """Each product exact, its sum with what is there rounded once: fma, but for double rounding's last bit."""
    total = np.zeros((len(a), b.shape[1]), F) if start is None else np.broadcast_to(start, (len(a), b.shape[1]))
    for at in range(len(b)):
        total = (total + a[:, at, None].astype(np.float64) * b[at]).astype(F)
    return total


def _in_float64(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """As JavaScript has it: computed in float64, rounded once."""
    return lambda x: np.asarray(function(x.astype(np.float64)), F)


def _sigmoid(x: Array) -> Array:
    return F(1) / (F(1) + np.exp(-x))


def _sigmoid_by_tanh(x: Array) -> Array:
    return F(0.5) * np.tanh(F(0.5) * x) + F(0.5)


def _softplus(x: Array) -> Array:
    return np.maximum(x, F(0)) + np.log1p(np.exp(-np.abs(x)))


def _expm1_by_exp(x: Array) -> Array:
    return np.exp(x) - F(1)


_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _gelu(x: Array) -> Array:
    return np.asarray(F(0.5) * x * (F(1) + _ERF(x * F(math.sqrt(0.5))).astype(F)))


def _elu(expm1: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: np.where(x > 0, x, expm1(np.minimum(x, F(0))))


_SCALE, _SCALED = F(1.0507009873554804934193349852946), F(1.0507009873554804934193349852946 * 1.6732632423543772)


def _selu(expm1: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: np.where(x > 0, x * _SCALE, _SCALED * expm1(np.minimum(x, F(0))))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / np.sum(e, axis=-1, keepdims=True))


def _softmax_by_reciprocal(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e * (F(1) / np.sum(e, axis=-1, keepdims=True)))


FUNCTIONS: Mapping[str, tuple[Callable[[Array], Array], ...]] = MappingProxyType(
    {
        "elu": (_elu(np.expm1), _elu(_expm1_by_exp), _elu(_in_float64(np.expm1))),
        "gelu": (_gelu,),
        "hard_sigmoid": (
            lambda x: np.clip(x + F(3), F(0), F(6)) / F(6),
            lambda x: np.clip(x + F(3), F(0), F(6)) * F(1 / 6),
        ),
        "leaky_relu": (lambda x: np.where(x > 0, x, x * F(0.2)),),
        "linear": (lambda x: x,),
        "mish": (lambda x: x * np.tanh(_softplus(x)),),
        "relu": (lambda x: np.maximum(x, F(0)),),
        "relu6": (lambda x: np.clip(x, F(0), F(6)),),
        "selu": (_selu(np.expm1), _selu(_expm1_by_exp)),
        "sigmoid": (_sigmoid, _sigmoid_by_tanh, _in_float64(lambda x: 1 / (1 + np.exp(-x)))),
        "silu": (lambda x: x * _sigmoid(x), lambda x: x * _sigmoid_by_tanh(x), lambda x: x / (F(1) + np.exp(-x))),
        "softmax": (_softmax, _softmax_by_reciprocal),
        "softplus": (_softplus, _in_float64(lambda x: np.logaddexp(x, 0))),
        "softsign": (lambda x: x / (np.abs(x) + F(1)),),
        "tanh": (np.tanh, _in_float64(np.tanh)),
    }
)
"""By Keras's name of an activation, the forms in which kernels compute it."""
