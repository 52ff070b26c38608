"""Faults of an input: prepared otherwise than for Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .plan import Plan
from .registry import Array, Draw, kind

__all__: list[str] = []


def _input(plan: Plan, change: Callable[[Array], Array | None]) -> str | None:
    for name, value in plan.inputs.items():
        made = None if value.dtype != np.float32 or name in plan.taken else change(value)
        if made is not None:
            plan.inputs[name] = np.ascontiguousarray(made, np.float32)
            return name
    return None


@kind("input", "input-transformed")
def input_scaled(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: x / np.float32(255))


@kind("input", "input-transformed")
def input_shifted_and_scaled(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: x / np.float32(127.5) - np.float32(1))


@kind("input", "input-transformed")
def channels_swapped(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: x[..., ::-1] if x.ndim == 4 and x.shape[-1] <= 4 else None)


@kind("input", "input-transformed")
def picture_mirrored(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: x[:, :, ::-1] if x.ndim == 4 else None)


@kind("input", "input-transformed")
def picture_transposed(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: np.swapaxes(x, 1, 2) if x.ndim == 4 and x.shape[1] == x.shape[2] else None)


@kind("input", "input-transformed")
def input_in_half_precision(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: x.astype(np.float16).astype(np.float32))


@kind("input")
def another_example(plan: Plan, draw: Draw) -> str | None:
    return _input(plan, lambda x: draw.normal(size=x.shape).astype(np.float32))
