"""Convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bittrue.ops import Conv, ConvTranspose, Pool
from bittrue.ops.window import dilated, paddings

from ..defects import present
from ..versions import Version
from .attributes import Attribute, text, wholes
from .nodes import Tensor
from .registry import lowers
from .scope import Scope
from .volumes import transposed_in_volume

__all__ = ["with_axis", "without_axis"]

_DEPTHWISE_REPAIRED: Version = (3, 21, 0)


@lowers(Conv)
def conv(scope: Scope, op: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    """Conv2D, Conv3D or DepthwiseConv2dNative; other groups one by one; one spatial axis as the second of two."""
    _check_real(scope, x, kernel)
    if max(op.strides) > 1 and max(op.dilation) > 1:
        raise scope.refused("TensorFlow.js does not convolve with strides and dilation at once")
    if len(op.strides) == 1:
        return _along_one_axis(scope, op, x, kernel)
    window = tuple(size or 0 for size in kernel.spec.shape[:-2])
    op, x = _explicitly_padded(scope, op, x, window)
    depth, filters = (size or 0 for size in kernel.spec.shape[-2:])
    if op.groups == 1:
        return _plain(scope, op, x, kernel)
    if depth == 1 and len(window) == 2 and filters % op.groups == 0:
        return _depthwise(scope, op, x, scope.reshape(kernel, [*window, op.groups, filters // op.groups]))
    return _grouped(scope, op, x, kernel)


def _check_real(scope: Scope, *tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.spec.dtype.name != "float32":
            raise scope.refused(f"it slides over {tensor.spec.dtype.name} tensors")


def _along_one_axis(scope: Scope, op: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    padding = op.padding if isinstance(op.padding, str) else ((0, 0), *op.padding)
    flat = Conv((1, *op.strides), padding, (1, *op.dilation), op.groups)
    taps = scope.sizes(kernel)
    image = with_axis(scope, x)
    wide = conv(scope, flat, image, scope.reshape(kernel, [1, *taps]))
    return without_axis(scope, wide)


def with_axis(scope: Scope, x: Tensor) -> Tensor:
    """``x`` with an axis of one element behind the batch."""
    shape = (x.spec.shape[0], 1, *x.spec.shape[1:])
    return scope.node("ExpandDims", (x, scope.nodes.ints(1)), shape)


def without_axis(scope: Scope, x: Tensor) -> Tensor:
    """``x`` without the axis behind the batch, which has one element."""
    shape = (x.spec.shape[0], *x.spec.shape[2:])
    return scope.node("Squeeze", (x,), shape, {"squeeze_dims": wholes([1])})


def _explicitly_padded(scope: Scope, op: Conv, x: Tensor, window: tuple[int, ...]) -> tuple[Conv, Tensor]:
    """``op`` padded by a node of its own, where the padding is given or TensorFlow.js gets it wrong."""
    if not _needs_padding(scope, op, window):
        return op, x
    spatial = x.spec.shape[1:-1]
    if isinstance(op.padding, str) and None in spatial:
        raise scope.refused("TensorFlow.js pads it wrongly, and its sizes are not known beforehand")
    sizes = tuple(size or 0 for size in spatial)
    amounts = paddings(op.padding, sizes, dilated(window, op.dilation), op.strides)
    return replace(op, padding="valid"), scope.padded(x, ((0, 0), *amounts, (0, 0)))


def _needs_padding(scope: Scope, op: Conv, window: tuple[int, ...]) -> bool:
    """TensorFlow.js pads by a negative amount in 3-D where a stride is larger than the window.

    Its depthwise kernel on the cpu used to exchange the padding above and at the left.
    """
    if op.padding == "same":
        oversized = any(stride > size for stride, size in zip(op.strides, window, strict=True))
        depthwise = op.groups > 1 and scope.version < _DEPTHWISE_REPAIRED
        return (len(window) == 3 and oversized) or depthwise
    return not isinstance(op.padding, str)


def _plain(scope: Scope, op: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    spec = replace(op, groups=1).infer(x.spec, kernel.spec)[0]
    return scope.node(f"Conv{len(op.strides)}D", (x, kernel), spec.shape, _sliding(op))


def _sliding(op: Conv) -> Mapping[str, Attribute]:
    return {
        "strides": wholes([1, *op.strides, 1]),
        "dilations": wholes([1, *op.dilation, 1]),
        "padding": text(str(op.padding).upper()),
        "data_format": text("NHWC" if len(op.strides) == 2 else "NDHWC"),
    }


def _depthwise(scope: Scope, op: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    *window, channels, multiplier = kernel.spec.shape
    filters = (channels or 0) * (multiplier or 0)
    flat = type(kernel.spec)((*window, 1, filters), kernel.spec.dtype)
    shape = op.infer(x.spec, flat)[0].shape
    return scope.node("DepthwiseConv2dNative", (x, kernel), shape, _sliding(op))


def _grouped(scope: Scope, op: Conv, x: Tensor, kernel: Tensor) -> Tensor:
    """Each group by itself, joined again."""
    *window, depth, filters = (size or 0 for size in kernel.spec.shape)
    each, last = filters // op.groups, x.spec.rank - 1
    results = []
    for group in range(op.groups):
        channels = [(last, group * depth, (group + 1) * depth, 1)]
        part = scope.sliced(x, channels, (*x.spec.shape[:-1], depth))
        own = [(last, group * each, (group + 1) * each, 1)]
        results.append(_plain(scope, op, part, scope.sliced(kernel, own, (*window, depth, each))))
    return scope.concatenated(results, last)


@lowers(ConvTranspose)
def conv_transpose(scope: Scope, op: ConvTranspose, x: Tensor, kernel: Tensor) -> Tensor:
    """Conv2DBackpropInput of all that comes out, cropped or padded after that; over three axes a convolution."""
    _check_real(scope, x, kernel)
    if len(op.strides) == 1:
        return _transposed_along_one_axis(scope, op, x, kernel)
    if len(op.strides) > 2:
        return transposed_in_volume(scope, op, x, kernel)
    if max(op.dilation) > 1:
        kernel = _spread(scope, kernel, op.dilation)
    full = _uncropped(scope, op, x, kernel)
    cuts = [(axis, max(low, 0), -max(high, 0) or None, 1) for axis, (low, high) in enumerate(op.crop, 1)]
    shape = tuple(
        size if size is None or not 0 < axis < 3 else size - max(op.crop[axis - 1][0], 0) - max(op.crop[axis - 1][1], 0)
        for axis, size in enumerate(full.spec.shape)
    )
    if any(low or high for _, low, high, _ in cuts):
        full = scope.sliced(full, cuts, shape)
    return scope.padded(full, ((0, 0), *((max(-low, 0), max(-high, 0)) for low, high in op.crop), (0, 0)))


def _uncropped(scope: Scope, op: ConvTranspose, x: Tensor, kernel: Tensor) -> Tensor:
    """(n - 1)·stride + extent elements on an axis, in a shape that is found as the model runs, for its batch."""
    *extents, filters, _ = (size or 0 for size in kernel.spec.shape)
    pairs = list(zip(extents, op.strides, strict=True))
    spatial = x.spec.shape[1:-1]
    known = [None if n is None else (n - 1) * s + e for n, (e, s) in zip(spatial, pairs, strict=True)]
    size = _counted(scope, x, pairs, filters) if None in known else _measured(scope, x, known, filters)
    attributes = _sliding(Conv(op.strides))
    name = scope.nodes.name(f"{scope.prefix}/Conv2DBackpropInput")
    spec = type(x.spec)((x.spec.shape[0], *known, filters), x.spec.dtype)
    return scope.nodes.add("Conv2DBackpropInput", name, (size, kernel, x), {"T": _FLOAT, **attributes}, spec)


def _measured(scope: Scope, x: Tensor, sizes: Sequence[int | None], filters: int) -> Tensor:
    """The shape of one channel padded to what comes out: read off a tensor, it needs no arithmetic on a GPU."""
    channel = scope.sliced(x, [(3, 0, 1, 1)], (*x.spec.shape[:3], 1))
    widths = [(0, (size or 0) - (n or 0)) for size, n in zip(sizes, x.spec.shape[1:3], strict=True)]
    return scope.shape_of(scope.padded(channel, ((0, 0), *widths, (0, filters - 1))))


def _counted(scope: Scope, x: Tensor, pairs: Sequence[tuple[int, int]], filters: int) -> Tensor:
    """The same for spatial sizes that are not known beforehand."""
    slopes = scope.nodes.constant(np.asarray([1, *(stride for _, stride in pairs), 0], np.int32))
    offsets = scope.nodes.constant(np.asarray([0, *(extent - stride for extent, stride in pairs), filters], np.int32))
    steps = scope.node("Mul", (scope.shape_of(x), slopes), (4,))
    return scope.node("AddV2", (steps, offsets), (4,))


def _spread(scope: Scope, kernel: Tensor, dilation: Sequence[int]) -> Tensor:
    """The kernel with zeros between its taps: TensorFlow.js has no dilation here."""
    for axis, step in enumerate(dilation):
        shape = [size or 0 for size in kernel.spec.shape]
        behind = int(np.prod(shape[axis + 1 :]))
        flat = scope.reshape(kernel, [int(np.prod(shape[: axis + 1])), 1, behind])
        wide = scope.padded(flat, ((0, 0), (0, step - 1), (0, 0)))
        shape[axis] *= step
        whole = scope.reshape(wide, shape)
        shape[axis] -= step - 1
        kernel = scope.sliced(whole, [(axis, 0, shape[axis], 1)], tuple(shape)) if step > 1 else kernel
    return kernel


def _transposed_along_one_axis(scope: Scope, op: ConvTranspose, x: Tensor, kernel: Tensor) -> Tensor:
    flat = ConvTranspose((1, *op.strides), ((0, 0), *op.crop), (1, *op.dilation))
    wide = conv_transpose(scope, flat, with_axis(scope, x), scope.reshape(kernel, [1, *scope.sizes(kernel)]))
    return without_axis(scope, wide)


@lowers(Pool)
def pool(scope: Scope, op: Pool, x: Tensor) -> Tensor:
    """MaxPool or AvgPool over two or three axes; one axis as the second of two."""
    _check_real(scope, x)
    if len(op.size) == 1:
        padding = op.padding if isinstance(op.padding, str) else ((0, 0), *op.padding)
        flat = Pool(op.kind, (1, *op.size), (1, *op.strides), padding)
        return without_axis(scope, pool(scope, flat, with_axis(scope, x)))
    wrong = op.kind == "max" and present("wasm-max-pool-3d", scope.version)
    if len(op.size) == 3 and (wrong or _oversized(op)):
        return _pooled_in_turn(scope, op, x)
    attributes = {
        "ksize": wholes([1, *op.size, 1]),
        "strides": wholes([1, *op.strides, 1]),
        "padding": text(str(op.padding).upper()),
        "data_format": text("NHWC" if len(op.size) == 2 else "NDHWC"),
    }
    kind = ("MaxPool" if op.kind == "max" else "AvgPool") + ("3D" if len(op.size) == 3 else "")
    return scope.node(kind, (x,), op.infer(x.spec)[0].shape, attributes)


def _oversized(op: Pool) -> bool:
    """Where TensorFlow.js pads by a negative amount in 3-D, and shifts the windows."""
    return op.padding != "valid" and any(stride > size for stride, size in zip(op.strides, op.size, strict=True))


def _pooled_in_turn(scope: Scope, op: Pool, x: Tensor) -> Tensor:
    """The second and third axis, then the first: of windows that are boxes, the same maxima and means.

    TensorFlow.js's wasm backend takes maxima over three axes wrongly where numbers are negative.
    """
    if not isinstance(op.padding, str) or None in x.spec.shape[1:]:
        raise scope.refused("it pools over three axes whose sizes are not known beforehand")
    deep, high, wide, channels = (size or 0 for size in x.spec.shape[1:])
    flat = scope.reshape(x, [-1, high, wide, channels])
    planes = pool(scope, Pool(op.kind, op.size[1:], op.strides[1:], op.padding), flat)
    rows, columns = (size or 0 for size in planes.spec.shape[1:3])
    stacked = scope.reshape(planes, [-1, deep, rows * columns, channels])
    window = Pool(op.kind, (op.size[0], 1), (op.strides[0], 1), op.padding)
    pooled = pool(scope, window, stacked)
    return scope.reshape(pooled, [-1, pooled.spec.shape[1] or 0, rows, columns, channels])


_FLOAT: Attribute = {"type": "DT_FLOAT"}
