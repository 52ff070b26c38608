"""Convolutions, pooling and resizing."""

from __future__ import annotations

from typing import Literal

from bittrue.ops import Conv, ConvTranspose, Pool, Resize
from bittrue.ops.window import Padding, paddings

from ..formula import Value
from ..layers.layout import back, channels_last
from .products import fused
from .table import Given, node

_SLIDING = ("strides", "padding", "dilations", "data_format", "explicit_paddings")
_FUSED = ("fused_ops", "leakyrelu_alpha", "epsilon")
_UNUSED = ("use_cudnn_on_gpu", "num_args", "TArgs", "num_host_args", "host_args", "filter_format")
_FIRST = ("NCHW", "NCDHW")


@node("Conv2D", "Conv3D", reads=_SLIDING, inert=_UNUSED)
def convolution(given: Given) -> Value:
    """A convolution."""
    return _convolved(given)[0]


@node("_FusedConv2D", reads=(*_SLIDING, *_FUSED), inert=_UNUSED)
def fused_convolution(given: Given) -> Value:
    """A convolution with what follows it."""
    y, first = _convolved(given)
    return fused(given, y, first)


def _convolved(given: Given) -> tuple[Value, bool]:
    x, kernel = given[0], given[1]
    spatial = x.rank - 2
    first = _first(given)
    depth, channels = given.formula.spec(kernel.ref).shape[-2], x.size(1 if first else -1)
    groups = (channels or depth or 1) // (depth or 1)
    strides, dilation = _spatial(given, "strides", spatial, first), _spatial(given, "dilations", spatial, first)
    op = Conv(strides, _padding(given, spatial, first), dilation, groups)
    return back(given.apply(op, channels_last(x, spatial, first), kernel), spatial, first), first


@node("DepthwiseConv2dNative", reads=_SLIDING, inert=_UNUSED)
def depthwise(given: Given) -> Value:
    """Each channel by its own kernels."""
    return _depthwise(given)[0]


@node("FusedDepthwiseConv2dNative", "_FusedDepthwiseConv2dNative", reads=(*_SLIDING, *_FUSED), inert=_UNUSED)
def fused_depthwise(given: Given) -> Value:
    """Each channel by its own kernels, with what follows."""
    y, first = _depthwise(given)
    return fused(given, y, first)


def _depthwise(given: Given) -> tuple[Value, bool]:
    x, kernel = given[0], given[1]
    first = _first(given)
    sizes = given.formula.spec(kernel.ref).shape
    if len(sizes) != 4 or None in sizes:
        raise given.refused("the sizes of its kernel are not known beforehand")
    channels, multiplier = (size or 0 for size in sizes[-2:])
    grouped = kernel.reshaped((1, channels * multiplier), keep=2)
    strides, dilation = _spatial(given, "strides", 2, first), _spatial(given, "dilations", 2, first)
    op = Conv(strides, _padding(given, 2, first), dilation, channels)
    return back(given.apply(op, channels_last(x, 2, first), grouped), 2, first), first


def _first(given: Given) -> bool:
    return given.text("data_format", "NHWC", "NHWC", "NCHW", "NDHWC", "NCDHW") in _FIRST


def _spatial(given: Given, name: str, spatial: int, first: bool) -> tuple[int, ...]:
    """The spatial ones of an attribute that has a number for every axis."""
    found = given.whole_numbers(name) or [1] * (spatial + 2)
    if len(found) != spatial + 2:
        raise given.refused(f"its {name} are {found}, where {spatial + 2} are expected")
    chosen, others = (found[2:], found[:2]) if first else (found[1:-1], [found[0], found[-1]])
    if others != [1, 1]:
        raise given.refused(f"its {name} {found} go over examples or channels")
    return tuple(chosen)


def _padding(given: Given, spatial: int, first: bool) -> Padding:
    padding = given.text("padding", "", "SAME", "VALID", "EXPLICIT")
    if padding != "EXPLICIT":
        return padding.lower()
    found = given.whole_numbers("explicit_paddings")
    pairs = list(zip(found[::2], found[1::2], strict=True))
    if len(pairs) != spatial + 2:
        raise given.refused(f"its explicit_paddings are {found}")
    return tuple(pairs[2:] if first else pairs[1:-1])


_BACKWARD = ("strides", "padding", "dilations", "data_format", "explicit_paddings")


@node("Conv2DBackpropInput", known=(0,), reads=_BACKWARD, inert=_UNUSED)
def transposed_convolution(given: Given) -> Value:
    """The gradient of a convolution by its input, which is a transposed convolution."""
    kernel, x = given[1], given[2]
    first = _first(given)
    strides, dilation = _spatial(given, "strides", 2, first), _spatial(given, "dilations", 2, first)
    target = given.sizes(0)
    wanted = target[2:] if first else target[1:-1]
    taps = given.formula.spec(kernel.ref).shape[:2]
    crop = []
    for axis, (size, tap, stride, step) in enumerate(zip(wanted, taps, strides, dilation, strict=True)):
        extent = ((tap or 0) - 1) * step + 1
        crop.append(_crop(given, size, x.size(axis + (2 if first else 1)), extent, stride, axis))
    op = ConvTranspose(strides, tuple(crop), dilation)
    return back(given.apply(op, channels_last(x, 2, first), kernel), 2, first)


def _crop(given: Given, wanted: object, size: int | None, extent: int, stride: int, axis: int) -> tuple[int, int]:
    """What is taken off either end: the padding that the convolution of ``wanted`` elements would have had."""
    if not isinstance(wanted, int) or size is None:
        raise given.refused("the sizes of its result are known only as the model runs")
    padding = _padding(given, 2, False)
    pairs = paddings(padding if isinstance(padding, str) else (padding[axis],), (wanted,), (extent,), (stride,))
    low = pairs[0][0]
    return low, (size - 1) * stride + extent - wanted - low


@node(
    "MaxPool",
    "AvgPool",
    "MaxPool3D",
    "AvgPool3D",
    reads=("ksize", "strides", "padding", "data_format", "explicit_paddings"),
)
def pooling(given: Given) -> Value:
    """The largest, or the mean, of every window."""
    x = given[0]
    spatial = x.rank - 2
    first = _first(given)
    kind: Literal["max", "average"] = "max" if given.node.op.startswith("Max") else "average"
    size, strides = _spatial(given, "ksize", spatial, first), _spatial(given, "strides", spatial, first)
    op = Pool(kind, size, strides, _padding(given, spatial, first))
    return back(given.apply(op, channels_last(x, spatial, first)), spatial, first)


@node("ResizeBilinear", "ResizeNearestNeighbor", known=(1,), reads=("align_corners", "half_pixel_centers"))
def resize(given: Given) -> Value:
    """An image sampled at the centres of another grid."""
    if given.flag("align_corners") or not given.flag("half_pixel_centers"):
        raise given.refused("it samples at other places than the centres of the grid's cells")
    kind = "linear" if given.node.op == "ResizeBilinear" else "nearest"
    return given.apply(Resize(kind, tuple(given.wholes(1))), given[0])
