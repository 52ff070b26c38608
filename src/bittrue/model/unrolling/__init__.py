"""Loops and branches of a TensorFlow graph written out: what runs a known number of times becomes a straight line."""

from .straight import Obstacle
from .walking import MOST_NODES, Unrolled, has_control_flow, unrolled

__all__ = ["MOST_NODES", "Obstacle", "Unrolled", "has_control_flow", "unrolled"]
