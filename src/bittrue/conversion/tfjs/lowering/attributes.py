"""Attributes of a node in the JSON form of a TensorFlow GraphDef, as TensorFlow.js reads it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bittrue.ops import Shape

__all__ = ["Attribute", "flag", "held", "number", "shape", "text", "type_of", "whole", "wholes"]

Attribute = Mapping[str, Any]

_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL"}


def held(dtype: np.dtype[Any]) -> str | None:
    """The dtype in which TensorFlow.js holds a tensor of ``dtype``: float32, int32 or bool; None if it cannot."""
    if dtype.kind in "iu":
        return "int32"
    return dtype.name if dtype.name in _TYPES else None


def type_of(dtype: np.dtype[Any]) -> Attribute:
    """The type of a tensor of ``dtype``, which TensorFlow.js must be able to hold."""
    name = held(dtype)
    assert name is not None
    return {"type": _TYPES[name]}


def flag(value: bool) -> Attribute:
    """A boolean."""
    return {"b": value}


def whole(value: int) -> Attribute:
    """A whole number; as text, as in the JSON form of a 64-bit one."""
    return {"i": str(value)}


def number(value: float) -> Attribute:
    """A real number."""
    return {"f": value}


def text(value: str) -> Attribute:
    """Text, as the base64 of its bytes."""
    return {"s": base64.b64encode(value.encode()).decode()}


def wholes(values: Sequence[int]) -> Attribute:
    """Whole numbers."""
    return {"list": {"i": [str(value) for value in values]}}


def shape(sizes: Shape) -> Attribute:
    """A shape; -1 where a size is not known."""
    return {"shape": {"dim": [{"size": str(-1 if size is None else size)} for size in sizes]}}
