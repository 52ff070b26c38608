"""The rigorous bound against what it claims: ``python benchmarks/bound_campaign.py [MILLIONS] [PAGE]`` (default 100).

Clean float32 computation in NumPy, in several orders of summation, of layers with random weights and inputs whose
magnitudes span up to twelve powers of ten; counts the elements, and those outside of the bound, of which there is none.
With ``PAGE`` (``docs/bounds.md``) the figures are written there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
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


@dataclass
class Count:
    """Elements by order of summation, and how they lie to the bound."""

    sizes: dict[str, int] = field(default_factory=lambda: dict.fromkeys((order.__name__ for order in ORDERS), 0))
    outside: int = 0
    share: float = 0.0
    suspicious: int = 0

    def add(self, name: str, found: Any) -> None:
        self.sizes[name] += found.size
        self.outside += found.outside
        self.share = max(self.share, found.bound_share)
        self.suspicious += found.verdict == "suspicious"

    def lines(self) -> Iterator[str]:
        for name, size in self.sizes.items():
            yield f"- {name.replace('_', ' ')}: {size:,} elements"
        yield f"- outside of the bound: {self.outside:,} of {sum(self.sizes.values()):,}"
        yield f"- largest share of the bound that any element took: {self.share:.3f}"
        yield f"- tensors called suspicious: {self.suspicious}"


PAGE = """# The bound against what it claims

Written by `python benchmarks/bound_campaign.py 100 docs/bounds.md`: clean float32 computation in NumPy of Dense layers
with random weights and inputs, whose magnitudes span up to twelve powers of ten, in several orders of summation. The
bound is that of the layer, for any order, fused or not. What real backends make of clean models stands in
[faults.md](faults.md), whose clean runs are held to the same bound.

"""


def main(millions: int, page: Path | None = None) -> int:
    count, seed = Count(), 0
    while sum(count.sizes.values()) < millions * 10**6:
        for name, found in judged(seed):
            count.add(name, found)
        seed += 1
    print("\n".join(count.lines()))
    if page is not None:
        page.write_text(PAGE + "\n".join(count.lines()) + "\n", encoding="utf-8")
    return 1 if count.outside or count.suspicious else 0


if __name__ == "__main__":
    asked = sys.argv[1:]
    raise SystemExit(main(int(asked[0]) if asked else 100, Path(asked[1]) if len(asked) > 1 else None))
