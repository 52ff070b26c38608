"""Models of a few operations on special values and on odd shapes, as plans that no library has a hand in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import golden_models
import numpy as np
from drawn import uniform, whole
from golden_models import Built
from running import SPECIAL

from bittrue.exact.plan import Operation, codes

__all__ = ["MODELS"]

BINARY = sorted(name for name, (code, _) in codes().items() if code in (1, 2))
ODD_SHAPES = 12


def pairs() -> Built:
    """Every operation of two numbers on every pair of special values."""
    a, b = (np.array(side, np.float32) for side in zip(*product(SPECIAL, SPECIAL), strict=True))
    return golden_models.built("pairs", [a, b], [], [Operation(name, (0, 1)) for name in BINARY])


def sums() -> Built:
    """Products, windows and reductions over special values."""
    rows = np.stack([np.roll(SPECIAL, at) for at in range(len(SPECIAL))])
    kernel = np.stack([np.roll(SPECIAL, 3 * at) for at in range(5)], 1)
    steps = [
        Operation("matmul", (0, 1)),
        Operation("softmax", (0,), (-1,)),
        *(Operation(name, (0,), (1, 1)) for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")),
        Operation("argmax", (0,), (-1,)),
        Operation("cast_int32", (0,)),
    ]
    return golden_models.built("sums", [rows], [kernel], steps)


def odd_shapes(seed: int) -> Built:
    """Products and convolutions of odd sizes, drawn by ``seed``."""
    name = f"odd shapes {seed}"
    batch, height, width, channels, filters, tap, stride, depth = (whole(name, (8,), 19) + 1).tolist()
    tap, stride = 1 + tap % 4, 1 + stride % 3
    x = uniform(f"{name}/x", (batch, height, width, channels))
    weights = [(tap, tap, channels, filters), (filters,), (filters, depth)]
    steps = [
        Operation("conv", (0, 1, 2), (2, 1, 1, stride, 1, 1, 1, 0, 0, 0, 0)),
        Operation("matmul", (4, 3)),
        Operation("tanh", (5,)),
        Operation("pool_average", (6,), (2, 1, 2, 3, 1, 2, 0, 0, 0, 0)),
        Operation("softmax", (7,), (-1,)),
    ]
    constants = [uniform(f"{name}/{at}", shape) for at, shape in enumerate(weights)]
    return golden_models.built(name, [x], constants, steps)


def _odd(seed: int) -> Callable[[], Built]:
    return lambda: odd_shapes(seed)


MODELS: dict[str, Callable[[], Built]] = {
    "special/pairs": pairs,
    "special/sums": sums,
    **{f"shapes/{seed:02d}": _odd(seed) for seed in range(ODD_SHAPES)},
}
