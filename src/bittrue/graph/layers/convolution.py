"""Convolutions: plain, depthwise, separable and transposed, in one to three dimensions."""

from __future__ import annotations

import re

from bittrue.errors import ModelError
from bittrue.ops import Conv, ConvTranspose
from bittrue.ops.window import Padding, dilated

from ..formula import Formula, Value
from .activations import activated
from .core import adapted
from .layout import back, channels_first, channels_last
from .registry import expands


def _spatial(formula: Formula) -> int:
    """Number of spatial axes, from the class's name: Conv2D, SeparableConv1D, Conv3DTranspose."""
    return int(re.sub(r"\D", "", formula.layer.class_name))


def _window(formula: Formula, kernel: Value, spatial: int) -> tuple[tuple[int, ...], Padding, tuple[int, ...]]:
    """Strides, padding and dilation of the layer."""
    strides = formula.options.wholes("strides", 1, spatial)
    dilation = formula.options.wholes("dilation_rate", 1, spatial)
    allowed = ("valid", "same", "causal") if spatial == 1 else ("valid", "same")
    padding = formula.options.choice("padding", "valid", *allowed)
    if padding != "causal":
        return strides, padding, dilation
    if formula.options.raw("data_format", None) == "channels_first":
        raise formula.options.refused("padding", "is not defined by Keras for channels_first")
    taps = _taps(formula, kernel, spatial)
    return strides, ((dilated(taps, dilation)[0] - 1, 0),), dilation


def _taps(formula: Formula, kernel: Value, spatial: int) -> tuple[int, ...]:
    """The kernel's spatial sizes."""
    shape = formula.spec(kernel.ref).shape
    if len(shape) != spatial + 2:
        raise ModelError(f"layer {formula.layer.name!r}: its kernel has {len(shape)} axes instead of {spatial + 2}")
    return tuple(size for size in shape[:-2] if size is not None)


def _finished(formula: Formula, y: Value, spatial: int, first: bool) -> Value:
    """Bias, layout and activation, in Keras's order."""
    if formula.options.flag("use_bias", True):
        y = y + formula.weight("bias")
    return activated(formula, back(y, spatial, first))


@expands("Conv1D", "Conv2D", "Conv3D")
def convolution(formula: Formula) -> Value:
    """activation(conv(x, kernel) + bias)."""
    options, spatial = formula.options, _spatial(formula)
    options.inert("filters", "kernel_size")
    first = channels_first(formula)
    kernel = adapted(formula)
    strides, padding, dilation = _window(formula, kernel, spatial)
    conv = Conv(strides, padding, dilation, options.whole("groups", 1))
    y = formula.apply(conv, channels_last(formula.x, spatial, first), kernel)
    return _finished(formula, y, spatial, first)


def _depthwise(formula: Formula, x: Value, kernel: Value, spatial: int) -> Value:
    """Each channel by its own ``depth_multiplier`` kernels: a convolution with as many groups as channels."""
    strides, padding, dilation = _window(formula, kernel, spatial)
    _taps(formula, kernel, spatial)
    channels, multiplier = (size or 0 for size in formula.spec(kernel.ref).shape[-2:])
    formula.options.only("depth_multiplier", multiplier)
    grouped = kernel.reshaped((1, channels * multiplier), keep=spatial)
    return formula.apply(Conv(strides, padding, dilation, groups=channels), x, grouped)


@expands("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise_convolution(formula: Formula) -> Value:
    """activation(depthwise(x, kernel) + bias)."""
    spatial = _spatial(formula)
    formula.options.inert("kernel_size")
    first = channels_first(formula)
    kernel = formula.weight(_first_named(formula, "kernel", "depthwise_kernel"))
    y = _depthwise(formula, channels_last(formula.x, spatial, first), kernel, spatial)
    return _finished(formula, y, spatial, first)


@expands("SeparableConv1D", "SeparableConv2D")
def separable_convolution(formula: Formula) -> Value:
    """activation(pointwise(depthwise(x)) + bias)."""
    spatial = _spatial(formula)
    formula.options.inert("kernel_size", "filters")
    formula.options.only("groups", 1)
    first = channels_first(formula)
    y = _depthwise(formula, channels_last(formula.x, spatial, first), formula.weight("depthwise_kernel"), spatial)
    y = formula.apply(Conv((1,) * spatial), y, formula.weight("pointwise_kernel"))
    return _finished(formula, y, spatial, first)


@expands("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def transposed_convolution(formula: Formula) -> Value:
    """activation(conv_transpose(x, kernel) + bias)."""
    options, spatial = formula.options, _spatial(formula)
    options.inert("filters", "kernel_size")
    first = channels_first(formula)
    kernel = formula.weight("kernel")
    strides = options.wholes("strides", 1, spatial)
    dilation = options.wholes("dilation_rate", 1, spatial)
    taps = _taps(formula, kernel, spatial)
    extra: list[int | None] = [None] * spatial
    if options.raw("output_padding", None) is not None:
        extra = list(options.wholes("output_padding", None, spatial))
    same = options.choice("padding", "valid", "valid", "same") == "same"
    crop = tuple(
        _crop(same, extent, stride, more)
        for extent, stride, more in zip(dilated(taps, dilation), strides, extra, strict=True)
    )
    op = ConvTranspose(strides, crop, dilation)
    y = formula.apply(op, channels_last(formula.x, spatial, first), kernel)
    return _finished(formula, y, spatial, first)


def _crop(same: bool, extent: int, stride: int, more: int | None) -> tuple[int, int]:
    """What Keras takes off the (n - 1)·stride + extent elements on either side (negative: what it adds).

    "valid" keeps all and adds ``output_padding`` (default max(stride - extent, 0)) at the end. "same" leaves
    n·stride, or (n - 1)·stride + extent % 2 + ``output_padding``; as the gradient of a "same" convolution, it
    takes the smaller half off the front.
    """
    if not same:
        return 0, -(max(stride - extent, 0) if more is None else more)
    kept = stride if more is None else extent % 2 + more
    low = max(extent - kept, 0) // 2
    return low, extent - kept - low


def _first_named(formula: Formula, *names: str) -> str:
    have = {weight.name for weight in formula.layer.weights}
    return next((name for name in names if name in have), names[0])
