"""Layers to run as graph-models: all that have a meaning, with the options that a layers-model refuses."""

from __future__ import annotations

from typing import Any

from tests.graph.layer_cases import CASES as SHARED
from tfjs_cases import CASES as LAYERS

__all__ = ["CASES", "MAY_BE_REFUSED"]

Case = tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]

_OWN: list[Case] = [
    ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2}, ((8, 9, 4),)),
    ("Conv1D", {"filters": 6, "kernel_size": 3, "groups": 3, "padding": "same"}, ((9, 6),)),
    ("Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, ((9, 4),)),
    ("Conv3D", {"filters": 4, "kernel_size": 2, "dilation_rate": 2}, ((6, 7, 5, 3),)),
    ("Conv3D", {"filters": 4, "kernel_size": 1, "strides": 3, "padding": "same"}, ((6, 7, 5, 3),)),
    ("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "depth_multiplier": 2}, ((8, 9, 4),)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}, ((5, 4, 2),)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "dilation_rate": 2}, ((5, 4, 2),)),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"}, ((5, 2),)),
]

CASES: list[Case] = [
    *_OWN,
    *LAYERS,
    *((name, options, tuple(s[1:] for s in shapes)) for name, options, shapes in SHARED),
]
"""Class, options and the shapes of its inputs, batch left out."""

MAY_BE_REFUSED: frozenset[str] = frozenset()
"""Classes that graph-models have no nodes for."""
