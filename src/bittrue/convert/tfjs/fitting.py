"""What depends on the shapes and dtypes a layer is called with, beyond its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bittrue.graph.model import LayerNode
from bittrue.ops import TensorSpec

from .layer_config import Written, refused

__all__ = ["fit"]

Fitting = Callable[[LayerNode, Written, Sequence[TensorSpec], TensorSpec], Written]

_TAKES_WHOLE_NUMBERS = ("Embedding", "Rescaling")


def fit(layer: LayerNode, written: Written, inputs: Sequence[TensorSpec], output: TensorSpec) -> Written:
    """``written`` adjusted to one call's specs. Raises Unsupported where TensorFlow.js would fail or be wrong."""
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
    """TensorFlow.js takes any negative axis for the last one."""
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
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Dot": _dot,
    "Flatten": _flatten,
    "LayerNormalization": _layer_normalization,
    "Reshape": _reshape,
    "Softmax": _softmax,
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply"), _merge),
}
