"""What depends on the shapes and dtypes a layer is called with, beyond its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bittrue.graph.model import LayerNode
from bittrue.ops import TensorSpec

from .defects import defect_of_layer
from .layer_config import Written, refused
from .versions import Version

__all__ = ["fit"]

Fitting = Callable[[LayerNode, Written, Sequence[TensorSpec], TensorSpec], Written]

_TAKES_WHOLE_NUMBERS = ("Embedding", "Rescaling")
_DEPTHWISE = ("DepthwiseConv2D", "SeparableConv2D")
_DEPTHWISE_REPAIRED: Version = (3, 21, 0)  # 3.0.0 is the last release seen to have the defect


def fit(
    layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec, version: Version
) -> Written:
    """``written`` adjusted to one call's specs. Raises Unsupported where TensorFlow.js would fail or be wrong."""
    if written.class_name in _DEPTHWISE and version < _DEPTHWISE_REPAIRED:
        _check_symmetric(layer, written, inputs[0], output)
    defect = defect_of_layer(written.class_name, version)
    if defect is not None:
        name, known = defect
        where = " and ".join(known.backends)
        raise refused(layer, f"on {where} of TensorFlow.js {known.effect} ({name}); a graph-model goes around it")
    for spec in inputs:
        if spec.dtype.name != "float32" and layer.class_name not in _TAKES_WHOLE_NUMBERS:
            raise refused(
                layer, f"it takes {spec.dtype.name} tensors, and TensorFlow.js would compute with them differently"
            )
    fitting = _FITTINGS.get(layer.class_name)
    return written if fitting is None else fitting(layer, written, inputs, output)


def _with(written: Written, changes: Mapping[str, Any]) -> Written:
    return replace(written, config={**written.config, **changes})


def _concatenate(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """TensorFlow.js takes any negative axis for the last one: the defect layers-concatenate-negative-axis."""
    axis = int(written.config.get("axis", -1)) % output.rank
    if axis == 0:
        raise refused(layer, "it joins along the batch")
    return _with(written, {"axis": axis})


def _softmax(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    axis = written.config.get("axis", -1)
    if not isinstance(axis, int) or axis % output.rank != output.rank - 1:
        raise refused(layer, f"TensorFlow.js has softmax along the last axis alone, not along {axis}")
    return _with(written, {"axis": -1})


def _batch_normalization(
    layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec
) -> Written:
    _ranked(layer, output, 2, 4)
    axis = written.config.get("axis", -1)
    if not isinstance(axis, int) or axis % output.rank != output.rank - 1:
        raise refused(layer, f"TensorFlow.js's kernels normalise the last axis alone, not axis {axis}")
    return _with(written, {"axis": -1})


def _layer_normalization(
    layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec
) -> Written:
    _ranked(layer, output, 2, 4)
    axis = written.config.get("axis", -1)
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) != 1 or axes[0] % output.rank == 0:
        raise refused(layer, f"it normalises the axes {axes}, and TensorFlow.js is known to agree on one alone")
    return _with(written, {"axis": axes[0] % output.rank})


def _flatten(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """TensorFlow.js refuses to flatten what is flat already."""
    (given,) = inputs
    if given.rank == 2:
        return Written("Activation", {**written.config, "activation": "linear"}, ())
    _ranked(layer, given, 3, 6)
    if None in given.shape[1:]:
        raise refused(layer, "TensorFlow.js can only flatten sizes that are known beforehand")
    return written


def _reshape(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """TensorFlow.js does not work out a -1 until it runs, and then the layers after it cannot be built."""
    known = [size for size in output.shape[1:] if size is not None]
    target = known if len(known) == output.rank - 1 else written.config["target_shape"]
    return _with(written, {"target_shape": list(target)})


def _three_dimensional(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """TensorFlow.js pads by a negative amount where a stride is larger than the window, and shifts the windows."""
    window = written.config.get("kernel_size", written.config.get("pool_size", 2))
    strides = written.config.get("strides") or window
    pairs = zip(_thrice(window), _thrice(strides), strict=True)
    if written.config.get("padding") == "same" and any(stride > size for size, stride in pairs):
        raise refused(layer, "TensorFlow.js pads wrongly in 3-D where a stride is larger than the window")
    return written


def _check_symmetric(layer: LayerNode, written: Written, given: TensorSpec, output: TensorSpec) -> None:
    """The cpu backend used to take the padding above for the padding at the left, and the other way round."""
    config = written.config
    if config["padding"] != "same" or (set(config["strides"]) == {1} and len(set(config["kernel_size"])) == 1):
        return
    sizes = zip(given.shape[1:3], output.shape[1:3], config["kernel_size"], config["strides"], strict=True)
    before = {
        None if old is None or new is None else max(0, (new - 1) * step + size - old) // 2
        for old, new, size, step in sizes
    }
    if len(before) != 1 or None in before:
        raise refused(
            layer, "TensorFlow.js before 3.21 exchanges the padding above and at the left; pad with ZeroPadding2D"
        )


def _thrice(value: Any) -> Sequence[int]:
    return [value] * 3 if isinstance(value, int) else list(value)


def _global_pooling(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """Where the axes are kept, a window over all of them."""
    if written.class_name == layer.class_name:
        return written
    window = list(inputs[0].shape[1:-1])
    if None in window:
        raise refused(layer, "with keepdims it needs sizes that are known beforehand")
    return _with(written, {"pool_size": window, "strides": window})


def _dot(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    for spec in inputs:
        _ranked(layer, spec, 2, 3)
    return written


def _merge(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    if len({spec.rank for spec in inputs}) != 1:
        raise refused(layer, "its inputs have different numbers of axes")
    return written


def _ranked(layer: LayerNode, spec: TensorSpec, least: int, most: int) -> None:
    if not least <= spec.rank <= most:
        raise refused(layer, f"TensorFlow.js has it for {least} to {most} axes, and it is called with {spec.rank}")


_FITTINGS: dict[str, Fitting] = {
    "AveragePooling3D": _three_dimensional,
    "Conv3D": _three_dimensional,
    "Conv3DTranspose": _three_dimensional,
    "MaxPooling3D": _three_dimensional,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Dot": _dot,
    "Flatten": _flatten,
    "LayerNormalization": _layer_normalization,
    "Reshape": _reshape,
    "Softmax": _softmax,
    **{f"Global{kind}Pooling{axes}D": _global_pooling for kind in ("Average", "Max") for axes in (1, 2, 3)},
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply"), _merge),
}
