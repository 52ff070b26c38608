"""Recurrent layers whose cell convolves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bittrue.ops import Conv
from bittrue.ops.window import dilated, output_sizes

from ..formula import Formula, Value
from ..loops import scan
from .activations import activated
from .layout import channels_first
from .operations_elementwise import as_truth
from .registry import expands

__all__: list[str] = []


@expands("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def convolutional_lstm(formula: Formula) -> tuple[Value, ...]:
    """An LSTM whose products are convolutions, looped over the steps."""
    options, spatial = formula.options, int(re.sub(r"\D", "", formula.layer.class_name))
    options.inert("kernel_size", "unit_forget_bias", "dropout", "recurrent_dropout", "seed", "unroll")
    for key in ("stateful", "zero_output_for_mask"):
        options.only(key, False)
    first = channels_first(formula)
    x, mask = _last(formula.argument(0, "sequences"), spatial, first), formula.mask()
    truth = None if mask is None else _beside(as_truth(mask), spatial)
    if options.flag("go_backwards", False):
        x = x.sliced(1, None, None, -1)
        truth = None if truth is None else truth.sliced(1, None, None, -1)
    h, c = _run(formula, x, truth, _initial(formula, x, spatial, first), spatial)
    y = h if options.flag("return_sequences", False) else _final(h)
    states = [_final(h), _final(c)] if options.flag("return_state", False) else []
    return tuple(_back(item, spatial, first) for item in (y, *states))


def _last(x: Value, spatial: int, first: bool) -> Value:
    """(batch, time, channels, …) with its channels at the end."""
    return x.transposed(0, 1, *range(3, spatial + 3), 2) if first else x


def _back(y: Value, spatial: int, first: bool) -> Value:
    """The channels where the layer has them, of sequences and of single steps."""
    if not first:
        return y
    return y.moved(-1, 2) if y.rank == spatial + 3 else y.moved(-1, 1)


def _beside(truth: Value, spatial: int) -> Value:
    for _ in range(spatial + 1):
        truth = truth.expanded(-1)
    return truth


def _final(sequence: Value) -> Value:
    return sequence.sliced(1, -1, None).squeezed(1)


def _initial(formula: Formula, x: Value, spatial: int, first: bool) -> list[Value]:
    """The two states that are given, channels at the end, or zeros of the shape that a step returns."""
    given = formula.argument(1, "initial_state")
    if given is not None:
        values = [formula.value(item, "initial_state") for item in given]
        return [value.moved(1, -1) if first else value for value in values]
    strides, dilation, padding, extents = _window(formula, spatial)
    del dilation
    sizes = output_sizes(padding, tuple(x.size(axis) for axis in range(2, spatial + 2)), extents, strides)
    if None in sizes:
        raise formula.refused("the sizes of its images are not known")
    zeros = np.zeros((1, *(size or 0 for size in sizes), formula.options.whole("filters")))
    return [formula.constant(zeros), formula.constant(zeros)]


def _window(formula: Formula, spatial: int) -> tuple[Any, Any, str, Any]:
    options = formula.options
    strides, dilation = options.wholes("strides", 1, spatial), options.wholes("dilation_rate", 1, spatial)
    padding = options.choice("padding", "valid", "valid", "same")
    taps = tuple(size or 0 for size in formula.spec(formula.weight("kernel").ref).shape[:spatial])
    return strides, dilation, padding, dilated(taps, dilation)


def _run(
    formula: Formula, x: Value, truth: Value | None, initial: Sequence[Value], spatial: int
) -> tuple[Value, Value]:
    """Both states after every step. Where the mask leaves a step out, they stay as they were."""
    strides, dilation, padding, _ = _window(formula, spatial)
    filters = formula.options.whole("filters")

    def body(inside: Formula, slices: Sequence[Value], before: Sequence[Value]) -> list[Value]:
        h, c = before
        z = inside.apply(Conv(strides, padding, dilation), slices[0], inside.weight("kernel"))
        if inside.options.flag("use_bias", True):
            z = z + inside.weight("bias")
        z = z + inside.apply(Conv((1,) * spatial, "same"), h, inside.weight("recurrent_kernel"))
        i, f, g, o = (z.sliced(-1, at * filters, (at + 1) * filters) for at in range(4))
        new_c = _gate(inside, f) * c + _gate(inside, i) * activated(inside, g, default="tanh")
        after = [_gate(inside, o) * activated(inside, new_c, default="tanh"), new_c]
        if len(slices) == 1:
            return after
        return [slices[1].where(new, old) for new, old in zip(after, before, strict=True)]

    together = scan(formula, [x] if truth is None else [x, truth], initial, body)
    return together.sliced(-1, 0, filters), together.sliced(-1, filters, 2 * filters)


def _gate(inside: Formula, z: Value) -> Value:
    return activated(inside, z, "recurrent_activation", "sigmoid")
