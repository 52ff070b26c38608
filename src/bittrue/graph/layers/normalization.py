"""Normalisations, by learnt statistics and by the input's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bittrue.ops import Normalize
from bittrue.traces import Array

from ..formula import Formula, Number, Value
from .registry import expands


def _along(x: Value, parameter: Value, axes: Sequence[int]) -> Value:
    """``parameter``, one number for each index of x's ``axes``, shaped to broadcast against x."""
    if tuple(axes) == (-1,):
        return parameter
    places = [x.axis(axis) for axis in axes]
    if places == [x.rank - 1]:
        return parameter
    sizes = dict(zip(places, x.formula.spec(parameter.ref).shape, strict=True))
    return parameter.reshaped([sizes.get(axis) or 1 for axis in range(x.rank)], keep=0)


def _affine(formula: Formula, x: Value, axes: Sequence[int]) -> tuple[Number, Number]:
    """gamma and beta as the options have them, 1 and 0 where they are off."""
    options = formula.options
    scale: Number = _along(x, formula.weight("gamma"), axes) if options.flag("scale", True) else 1.0
    shift: Number = _along(x, formula.weight("beta"), axes) if options.flag("center", True) else 0.0
    return scale, shift


def _moments(x: Value, axes: Sequence[int]) -> tuple[Value, Value]:
    """Mean and (biased) variance over ``axes``."""
    mean = x.reduced("mean", axes)
    return mean, (x - mean).function("square").reduced("mean", axes)


@expands("BatchNormalization")
def batch_normalization(formula: Formula) -> Value:
    """(x - moving_mean) / √(moving_variance + epsilon) · gamma + beta."""
    options, x = formula.options, formula.x
    options.inert("momentum", "synchronized", "renorm_clipping", "renorm_momentum")
    options.only("renorm", False)
    axes = options.wholes("axis", -1)
    mean, variance = (_along(x, formula.weight(name), axes) for name in ("moving_mean", "moving_variance"))
    normalize = Normalize(options.number("epsilon", 1e-3))
    return formula.apply(normalize, x, mean, variance, *_affine(formula, x, axes))


@expands("LayerNormalization")
def layer_normalization(formula: Formula) -> Value:
    """Normalised over ``axis``, or, with ``rms_scaling``, divided by √(variance + epsilon) alone."""
    options, x = formula.options, formula.x
    axes = options.wholes("axis", -1)
    axes = tuple(sorted(axes)) if len(axes) > 1 else axes
    mean, variance = _moments(x, axes)
    epsilon = options.number("epsilon", 1e-3)
    if not options.flag("rms_scaling", False):
        return formula.apply(Normalize(epsilon), x, mean, variance, *_affine(formula, x, axes))
    options.inert("center")
    scale: Number = _along(x, formula.weight("gamma"), axes) if options.flag("scale", True) else 1.0
    return formula.apply(Normalize(epsilon), x, 0.0, variance, scale, 0.0)


@expands("RMSNormalization")
def rms_normalization(formula: Formula) -> Value:
    """x / √(mean of squares over ``axis`` + epsilon) · scale."""
    options, x = formula.options, formula.x
    axes = options.wholes("axis", -1)
    axes = tuple(sorted(axes)) if len(axes) > 1 else axes
    squares = x.function("square").reduced("mean", axes)
    # Keras broadcasts the scale against the last axes, whatever axes it belongs to.
    scale = formula.weight("scale")
    return formula.apply(Normalize(options.number("epsilon", 1e-6)), x, 0.0, squares, scale, 0.0)


@expands("UnitNormalization")
def unit_normalization(formula: Formula) -> Value:
    """x divided by its 2-norm over ``axis``; a norm under 1e-12 counts as that."""
    x, axes = formula.x, formula.options.wholes("axis", -1)
    inverse = x.function("square").reduced("sum", axes).function("rsqrt")
    return x * inverse.minimum(1 / 1e-12)


@expands("GroupNormalization")
def group_normalization(formula: Formula) -> Value:
    """Normalised over all axes but the batch, separately for each of ``groups`` groups of channels."""
    options, x = formula.options, formula.x
    axis, groups = x.axis(options.whole("axis", -1)), options.whole("groups", 32)
    last = x.moved(axis, -1)
    shape = (-1, 1) if groups == -1 else (groups, -1)
    split = last.reshaped(shape, keep=x.rank - 1)
    over = [*range(1, x.rank - 1), x.rank]
    affine = _affine(formula, last, (-1,))
    scale, shift = (item.reshaped(shape, keep=0) if isinstance(item, Value) else item for item in affine)
    mean, variance = _moments(split, over)
    y = formula.apply(Normalize(options.number("epsilon", 1e-3)), split, mean, variance, scale, shift)
    return y.reshaped((-1,), keep=x.rank - 1).moved(-1, axis)


@expands("Normalization")
def normalization(formula: Formula) -> Value:
    """(x - mean) / max(√variance, 1e-7), or its inverse, with statistics from the options or adapted."""
    options, x = formula.options, formula.x
    axis = options.raw("axis", -1)
    kept = sorted(x.axis(item) for item in ([] if axis is None else options.wholes("axis", -1)))
    given = (options.raw("mean", None), options.raw("variance", None))
    if given[0] is None:
        mean, variance = (_spread(x, formula.weight(name), kept) for name in ("mean", "variance"))
    else:
        mean, variance = (formula.constant(_aligned(np.asarray(item, np.float64), x.rank, kept)) for item in given)
    deviation = variance.function("sqrt").maximum(1e-7)
    return x * deviation + mean if options.flag("invert", False) else (x - mean) / deviation


def _spread(x: Value, parameter: Value, kept: Sequence[int]) -> Value:
    shape = x.formula.spec(parameter.ref).shape
    return _along(x, parameter, kept) if shape else parameter


def _aligned(statistics: Array, rank: int, kept: Sequence[int]) -> Array:
    """Statistics with their axes on the last of the ``kept`` ones, right to left, as Keras aligns them."""
    if statistics.ndim in (0, rank):
        return statistics
    shape = [1] * rank
    for back in range(1, statistics.ndim + 1):
        shape[kept[-back]] = statistics.shape[-back]
    return statistics.reshape(shape)


@expands("Rescaling")
def rescaling(formula: Formula) -> Value:
    """x · scale + offset."""
    scale = np.asarray(formula.options.raw("scale", 1.0), np.float64)
    offset = np.asarray(formula.options.raw("offset", 0.0), np.float64)
    return formula.x.cast("float32") * scale + offset


@expands("LayerScale")
def layer_scale(formula: Formula) -> Value:
    """x times one learnt number for each channel, as in the ConvNeXt of keras.applications."""
    formula.options.inert("init_values", "projection_dim")
    return formula.x * formula.weight_at(0)
