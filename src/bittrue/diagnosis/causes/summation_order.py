"""Rounding itself: the order in which a known kernel adds up, reproduced to the bit.

TensorFlow.js ``cpu`` adds JavaScript numbers (float64): a matrix product in blocks of 48 terms whose sums are added up
in a Float32Array, a convolution tap by tap in a Float32Array, a depthwise one in one number. ``wasm`` (XNNPACK, one
thread, no SIMD across a sum) adds float32 products in ascending order, none of them fused, beginning with the bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from bittrue.graph.evaluate import evaluate_layer
from bittrue.graph.expansion import OpNode, Ref
from bittrue.graph.layers import expand
from bittrue.ops import Binary, Conv, MatMul, Op, TensorSpec
from bittrue.ops.window import dilated, pad, paddings, taps
from bittrue.traces import Array

from ..effort import products
from ..evidence import Evidence
from ..experiments import fits
from ..result import Finding, Verdict
from .registry import cause

__all__ = ["SummationOrder", "known_order"]

_MOST = 2**24
"""Products beyond which a layer is not added up anew."""

_BLOCK = 48


@dataclass(frozen=True)
class _Order:
    """``kind`` says how products are added up; ``bias_first``: to the bias, instead of the bias to them."""

    kind: str
    bias_first: bool
    words: str


_ORDERS: dict[str, tuple[_Order, ...]] = {
    "tfjs:cpu": (
        _Order("float64", False, "sums in float64 numbers, rounded once"),
        _Order("blocks", False, "sums in float64 numbers, in blocks of 48 that are added up in float32"),
        _Order("fused", False, "sums in ascending order in float32, products unrounded"),
    ),
    "tfjs:wasm": (
        _Order("ascending", True, "sums in ascending order in float32, beginning with the bias, nothing fused"),
        _Order("ascending", False, "sums in ascending order in float32, the bias last, nothing fused"),
    ),
    "exact:exact": (_Order("ascending", True, "sums in ascending order in float32, beginning with the bias"),),
}


@cause
class SummationOrder:
    """The layer added up in a known order must give every bit."""

    name: ClassVar[str] = "summation-order"
    order: ClassVar[int] = 1

    def test(self, evidence: Evidence) -> Finding | None:
        return known_order(evidence)


def known_order(evidence: Evidence) -> Finding | None:
    """Which order of summation gives every bit of what came out, if one that is known of the backend does.

    Layers of more than `_MOST` products are not added up again.
    """
    provenance = evidence.side.provenance
    orders = _ORDERS.get(f"{provenance.runtime}:{provenance.backend}", ())
    specs = tuple(map(TensorSpec.of, evidence.side.inputs))
    ops = list(expand(evidence.layer, specs, evidence.node).ops()) if orders else []
    size = sum(y.size for y in evidence.side.outputs)
    if not any(isinstance(op, Conv | MatMul) for op in ops) or products(evidence.layer, size) > _MOST:
        return None
    for order in orders:
        values = fits(partial(_summed, evidence, order))
        found = None if values is None else evidence.try_values(values)
        if found is not None and found.proven:
            sentence = f"{provenance.backend} {order.words}: rounding, and nothing else"
            return found.finding(SummationOrder.name, sentence, verdict=Verdict.ROUNDING)
    return None


@dataclass(frozen=True)
class _Sum:
    """A product that may still be begun with a bias."""

    op: Op
    x: Array
    kernel: Array
    order: _Order

    def value(self, bias: Array | None = None) -> Array:
        """float32; begun with ``bias``, one for each column."""
        return _added(self.op, self.x, self.kernel, self.order, bias)


def _summed(evidence: Evidence, order: _Order) -> tuple[Array, ...]:
    """The outputs in float32: products in ``order``, every other operation rounded once."""

    def leaf(ref: Ref, value: Array) -> Array | _Sum:
        return value.astype(np.float32) if value.dtype.kind == "f" else value

    def step(node: OpNode, operands: Sequence[Array | _Sum]) -> Array | _Sum:
        if isinstance(node.op, Conv | MatMul):
            x, kernel = map(_valued, operands)
            if isinstance(node.op, Conv) or kernel.ndim == 2:
                return _Sum(node.op, x, kernel, order)
        first = operands[0]
        if order.bias_first and isinstance(first, _Sum) and isinstance(node.op, Binary) and node.op.operation == "add":
            other = _valued(operands[1])
            if other.ndim == 1 and other.shape[0] == first.kernel.shape[-1]:
                return first.value(other)
        result = node.op.evaluate(*map(_valued, operands))[0]
        return result.astype(np.float32) if result.dtype.kind == "f" else result

    return tuple(map(_valued, evaluate_layer(evidence.layer, evidence.side.inputs, evidence.node, leaf, step)))


def _valued(item: Array | _Sum) -> Array:
    return item.value() if isinstance(item, _Sum) else item


def _added(op: Op, x: Array, kernel: Array, order: _Order, bias: Array | None) -> Array:
    shape, terms = _terms(op, x, kernel)
    total = np.zeros(shape, np.float64 if order.kind in ("float64", "blocks") else np.float32)
    if bias is not None:
        total = total + bias.astype(total.dtype)
    kind = "float64" if order.kind == "blocks" and isinstance(op, Conv) else order.kind
    result = np.zeros(shape, np.float32)
    for at, (a, b) in enumerate(terms):
        if kind == "blocks" and at and at % _BLOCK == 0:
            result, total = (result + total).astype(np.float32), np.zeros(shape)
        if kind == "ascending":
            total = total + a * b
        elif kind == "fused":
            total = (total + a.astype(np.float64) * b).astype(np.float32)
        else:
            total = total + a.astype(np.float64) * b
    return (result + total).astype(np.float32) if kind == "blocks" else total.astype(np.float32)


def _terms(op: Op, x: Array, kernel: Array) -> tuple[tuple[int, ...], Iterator[tuple[Array, Array]]]:
    """The shape of the result, and its products one after the other: rows, columns, then input channels."""
    if isinstance(op, MatMul):
        shape = (*x.shape[:-1], kernel.shape[-1])
        return shape, ((x[..., at, None], kernel[at]) for at in range(x.shape[-1]))
    assert isinstance(op, Conv)
    known = op.infer(TensorSpec.of(x), TensorSpec.of(kernel))[0].shape
    shape = tuple(size for size in known if size is not None)
    return shape, _products(op, x, kernel, shape)


def _products(op: Conv, x: Array, kernel: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, Array]]:
    window = kernel.shape[:-2]
    amounts = paddings(op.padding, x.shape[1:-1], dilated(window, op.dilation), op.strides)
    if op.groups not in (1, x.shape[-1]) or (op.groups > 1 and kernel.shape[-2] != 1):
        raise ValueError("groups that are neither one nor one for each channel")
    times = kernel.shape[-1] // x.shape[-1] if op.groups > 1 else 1
    for tap, view in taps(pad(x, amounts, 0.0), window, op.strides, op.dilation, shape[1:-1]):
        if op.groups > 1:
            yield np.repeat(view, times, axis=-1), kernel[tap][0]
            continue
        for channel in range(view.shape[-1]):
            yield view[..., channel, None], kernel[tap][channel]
