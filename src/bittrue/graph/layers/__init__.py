"""What each Keras layer means: its expansion into primitive ops. One module a family of layers."""

from . import activations, convolution, core, merging, normalization, pooling, reshaping
from .registry import expand, expands, known_classes

__all__ = [
    "activations",
    "convolution",
    "core",
    "expand",
    "expands",
    "known_classes",
    "merging",
    "normalization",
    "pooling",
    "reshaping",
]
