"""What each Keras layer means: its expansion into primitive ops. One module a family of layers."""

from . import (
    activations,
    attention,
    convolution,
    core,
    merging,
    normalization,
    operations_elementwise,
    operations_linear,
    operations_shape,
    pooling,
    recurrent,
    reshaping,
    wrappers,
)
from .registry import expand, expands, expands_operation, known_classes, known_operations

__all__ = [
    "activations",
    "attention",
    "convolution",
    "core",
    "expand",
    "expands",
    "expands_operation",
    "known_classes",
    "known_operations",
    "merging",
    "normalization",
    "operations_elementwise",
    "operations_linear",
    "operations_shape",
    "pooling",
    "recurrent",
    "reshaping",
    "wrappers",
]
