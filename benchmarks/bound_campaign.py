"""The rigorous bound against what it claims: ``python benchmarks/bound_campaign.py [MILLIONS]`` (default 100).

Clean float32 computation in NumPy, in several orders of summation, of layers with random weights and inputs whose
magnitudes span up to twelve powers of ten; counts the elements, and those outside of the bound, of which there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.diagnosis.judging import judge
from bittrue.graph.model import Call, LayerNode, TensorRef, Weight
from bittrue.graph.rounding import layer_rounding
from bittrue.ops import Axioms

Array = NDArray[np.float32]
Product = Callable[[Array, Array, np.random.Generator], Array]
ROWS = 512


def blas(x: Array, kernel: Array, generator: np.random.Generator) -> Array:
    return x @ kernel


def one_after_the_other(x: Array, kernel: Array, generator: np.random.Generator) -> Array:
    total = np.zeros((len(x), kernel.shape[1]), np.float32)
    for at in generator.permutation(len(kernel)):
        total += x[:, at, None] * kernel[at]
    return total


def in_blocks(x: Array, kernel: Array, generator: np.random.Generator) -> Array:
    step = int(generator.integers(2, 17))
    parts = [x[:, at : at + step] @ kernel[at : at + step] for at in range(0, len(kernel), step)]
    while len(parts) > 1:
        parts = [sum(parts[at + 1 : at + 2], parts[at]) for at in range(0, len(parts), 2)]
    return parts[0]


def fused(x: Array, kernel: Array, generator: np.random.Generator) -> Array:
    """Each product exact, its sum with what is there rounded once: fma, to double rounding's last bit."""
    total = np.zeros((len(x), kernel.shape[1]), np.float32)
    for at in range(len(kernel)):
        exact = x[:, at, None].astype(np.float64) * kernel[at]
        total = (total + exact).astype(np.float32)
    return total


ORDERS: tuple[Product, ...] = (blas, one_after_the_other, in_blocks, fused)


def layer(generator: np.random.Generator) -> tuple[LayerNode, Array]:
    terms, units, spread = int(generator.integers(1, 129)), int(generator.integers(64, 513)), generator.uniform(0, 6)

    def drawn(*shape: int) -> Any:
        return (generator.normal(size=shape) * 10.0 ** generator.uniform(-spread, spread, shape)).astype(np.float32)

    weights = (Weight("kernel", drawn(terms, units)), Weight("bias", drawn(units)))
    config = {"name": "d", "units": units, "use_bias": True, "activation": "linear"}
    node = LayerNode("d", "Dense", "keras.layers", config, weights, (Call((TensorRef("x"),)),))
    return node, drawn(ROWS, terms)


def judged(seed: int) -> Iterator[tuple[str, Any]]:
    generator = np.random.default_rng(seed)
    node, x = layer(generator)
    (exact,) = layer_rounding(node, [x], Axioms())
    for order in ORDERS:
        yield order.__name__, judge(order(x, node.weight("kernel"), generator) + node.weight("bias"), exact)


def main(millions: int) -> int:
    sizes, outside, shares, suspicious = dict.fromkeys((o.__name__ for o in ORDERS), 0), 0, 0.0, 0
    seed = 0
    while sum(sizes.values()) < millions * 10**6:
        for name, found in judged(seed):
            sizes[name] += found.size
            outside += found.outside
            shares = max(shares, found.bound_share)
            suspicious += found.verdict == "suspicious"
        seed += 1
    for name, size in sizes.items():
        print(f"{name}: {size:,} elements")
    print(
        f"outside of the bound: {outside}; largest share of it: {shares:.3f}; tensors called suspicious: {suspicious}"
    )
    return 1 if outside or suspicious else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
