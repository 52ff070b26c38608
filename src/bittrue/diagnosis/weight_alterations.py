"""What may happen to a weight on its way from a model to a runtime, as arrays to experiment with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

from bittrue.graph.model import LayerNode
from bittrue.traces import Array

from .evidence import Evidence, Reproduction
from .experiments import attempt, same_bits, with_weights
from .result import Finding, Verdict

__all__ = ["Alterations", "altered", "gate_orders", "rearranged", "rows_moved", "truncated", "unset"]

Alterations = Callable[[Array], Iterator[tuple[str, Array]]]
"""From a weight to what it may have become, each with its words."""

FIX = "convert the model again and replace every weight file: bittrue convert MODEL OUT"


def altered(
    evidence: Evidence, name: str, alterations: Alterations, *, fix: str = FIX, verdict: Verdict | None = None
) -> Finding | None:
    """The finding of a cause ``name`` that does one of ``alterations`` to weights of the layer.

    Where the runtime was seen to hold other weights, these must be what an alteration gives, to the bit. Where it holds
    the model's, or nobody looked, each weight is altered in turn.
    """
    found = _held(evidence, alterations) if _differs(evidence) else _tried(evidence, alterations)
    if found is None:
        return None
    words, reproduction = found
    sentence = f"the {evidence.side.name} computed with {words}"
    return reproduction.finding(name, sentence, fix, verdict)


def _differs(evidence: Evidence) -> bool:
    layer, held = evidence.layer, evidence.side.weights
    return len(held) == len(layer.weights) and not all(
        same_bits(weight.value, value) for weight, value in zip(layer.weights, held, strict=True)
    )


def _held(evidence: Evidence, alterations: Alterations) -> tuple[str, Reproduction] | None:
    words = []
    for weight, value in zip(evidence.layer.weights, evidence.side.weights, strict=True):
        if same_bits(weight.value, value):
            continue
        found = next((said for said, made in alterations(weight.value) if same_bits(_like(made, value), value)), None)
        if found is None:
            return None
        words.append(f"{weight.name!r} {found}")
    reproduction = attempt(evidence, with_weights(evidence.layer, evidence.side.weights))
    return (" and ".join(words), reproduction) if reproduction is not None and reproduction.proven else None


def _like(made: Array, value: Array) -> Array:
    return made if made.dtype == value.dtype else made.astype(value.dtype)


def _tried(evidence: Evidence, alterations: Alterations) -> tuple[str, Reproduction] | None:
    layer = evidence.layer
    for at, weight in enumerate(layer.weights):
        for words, made in alterations(weight.value):
            if same_bits(made, weight.value):
                continue
            values: list[Array | None] = [None] * len(layer.weights)
            values[at] = made
            found = attempt(evidence, with_weights(layer, values))
            if found is not None and found.proven:
                return f"{weight.name!r} {words}", found
    return None


def rearranged(value: Array) -> Iterator[tuple[str, Array]]:
    """``value`` transposed, read in another order of its axes, mirrored or shifted by one place."""
    if value.ndim < 1 or value.size < 2:
        return
    for order in list(permutations(range(value.ndim)))[1:]:
        moved = np.transpose(value, order)
        if moved.shape == value.shape:
            yield f"with its axes in the order {list(order)} (transposed)", moved
        else:
            yield f"read as if its axes were stored in the order {list(order)}", moved.reshape(value.shape)
            turned = value.reshape([value.shape[axis] for axis in order])
            yield f"stored with its axes in another order than {list(order)}", np.transpose(turned, np.argsort(order))
    for axis in range(value.ndim):
        if value.shape[axis] > 1:
            yield f"reversed along axis {axis}", np.flip(value, axis)
    if value.ndim >= 4:
        spatial = tuple(range(value.ndim - 2))
        yield "with its spatial axes reversed (a convolution for a cross-correlation)", np.flip(value, spatial)
    yield "shifted by one element", np.roll(value, 1)
    yield "shifted back by one element", np.roll(value, -1)


def rows_moved(model: Array, held: Array) -> str | None:
    """Along which axis ``held`` has the slices of ``model`` in another order, in words; None if along none."""
    for axis in range(model.ndim):
        mine, theirs = (_slices(array, axis) for array in (model, held))
        if sorted(mine) == sorted(theirs) and len(set(mine)) == len(mine) > 1:
            places = {piece: at for at, piece in enumerate(mine)}
            order = [places[piece] for piece in theirs]
            shown = ", ".join(map(str, order[:8])) + (", …" if len(order) > 8 else "")
            return f"permuted along axis {axis} (order {shown})"
    return None


def _slices(array: Array, axis: int) -> list[bytes]:
    moved = np.moveaxis(array, axis, 0)
    return [np.ascontiguousarray(piece).tobytes() for piece in moved]


def truncated(value: Array) -> Iterator[tuple[str, Array]]:
    """``value`` with half of its bits cut off, or read with its bytes in the other order."""
    if value.dtype != np.float32:
        return
    raw = np.ascontiguousarray(value).view(np.uint32)
    yield "cut to the upper 16 of 32 bits (bfloat16, towards zero)", (raw & np.uint32(0xFFFF0000)).view(np.float32)
    yield "read in the other order of bytes", value.byteswap()


def unset(value: Array) -> Iterator[tuple[str, Array]]:
    """``value`` as it is before a model is loaded: zeros, or ones."""
    yield "left at zeros (its values were never set)", np.zeros_like(value)
    yield "left at ones (its values were never set)", np.ones_like(value)


def gate_orders(layer: LayerNode) -> Iterator[tuple[str, list[Array | None]]]:
    """The layer's weights with the gates of a recurrent cell in other orders, as other frameworks store them."""
    gates = _gates(layer)
    if gates is None:
        return
    names = "ifco" if gates == 4 else "zrh"
    for order in list(permutations(range(gates)))[1:]:
        words = "gates stored in the order " + ", ".join(names[at] for at in order)
        yield words, [_blocks(weight.value, order) for weight in layer.weights]


def _gates(layer: LayerNode) -> int | None:
    kernels = [weight.value for weight in layer.weights if weight.name == "recurrent_kernel"]
    if not kernels or kernels[0].ndim != 2:
        return None
    ratio = kernels[0].shape[1] // kernels[0].shape[0]
    return ratio if ratio in (3, 4) else None


def _blocks(value: Array, order: tuple[int, ...]) -> Array | None:
    if value.shape[-1] % len(order):
        return None
    parts = np.split(value, len(order), axis=-1)
    return np.concatenate([parts[at] for at in order], axis=-1)
