"""Bittrue's ops as the nodes that TensorFlow.js's graph executor runs. One module a family of ops."""

from . import elementwise, locating, looping, normalizing, products, shaping, windows
from .nodes import Nodes, Tensor
from .registry import lower, lowered_ops
from .scope import Scope

__all__ = [
    "Nodes",
    "Scope",
    "Tensor",
    "elementwise",
    "locating",
    "looping",
    "lower",
    "lowered_ops",
    "normalizing",
    "products",
    "shaping",
    "windows",
]
