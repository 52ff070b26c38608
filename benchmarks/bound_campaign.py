"""The rigorous bound against what it claims: ``python benchmarks/bound_campaign.py [MILLIONS] [--real N] [--write]``.

Clean float32 computation in NumPy, in several orders of summation, of layers with random weights and inputs whose
magnitudes span up to twelve powers of ten; counts the elements, and those outside of the bound, of which there is none.
``--real`` holds clean models of N seeds in real runtimes to the same bound, on every backend. What was found is
kept in ``build/bounds``; ``--write`` writes it into ``docs/bounds.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.diagnosis.judging import judge
from bittrue.graph.model import Call, LayerNode, TensorRef, Weight
from bittrue.graph.rounding import layer_rounding
from bittrue.ops import Axioms

Array = NDArray[np.float32]
Sums = Callable[[Array, Array, Array, np.random.Generator], Array]
ROWS = 512
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def blas(x: Array, kernel: Array, bias: Array, generator: np.random.Generator) -> Array:
    return x @ kernel + bias


def one_after_the_other(x: Array, kernel: Array, bias: Array, generator: np.random.Generator) -> Array:
    return _added_to(np.zeros((len(x), kernel.shape[1]), np.float32), x, kernel, generator) + bias


def begun_with_the_bias(x: Array, kernel: Array, bias: Array, generator: np.random.Generator) -> Array:
    return _added_to(np.broadcast_to(bias, (len(x), kernel.shape[1])).copy(), x, kernel, generator)


def _added_to(total: Array, x: Array, kernel: Array, generator: np.random.Generator) -> Array:
    for at in generator.permutation(len(kernel)):
        total += x[:, at, None] * kernel[at]
    return total


def in_blocks(x: Array, kernel: Array, bias: Array, generator: np.random.Generator) -> Array:
    step = int(generator.integers(2, 17))
    parts = [x[:, at : at + step] @ kernel[at : at + step] for at in range(0, len(kernel), step)]
    while len(parts) > 1:
        parts = [sum(parts[at + 1 : at + 2], parts[at]) for at in range(0, len(parts), 2)]
    return parts[0] + bias


def fused(x: Array, kernel: Array, bias: Array, generator: np.random.Generator) -> Array:
    """Each product exact, its sum with what is there rounded once: fma, to double rounding's last bit."""
    total = np.broadcast_to(bias, (len(x), kernel.shape[1]))
    for at in range(len(kernel)):
        exact = x[:, at, None].astype(np.float64) * kernel[at]
        total = (total + exact).astype(np.float32)
    return total


ORDERS: tuple[Sums, ...] = (blas, one_after_the_other, begun_with_the_bias, in_blocks, fused)


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
    kernel, bias = (weight.value for weight in node.weights)
    for order in ORDERS:
        yield order.__name__, judge(order(x, kernel, bias, generator), exact)


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

Written by `python benchmarks/bound_campaign.py 100 --real 1 --write`. The bound is that of the layer, for any order of
summation, fused or not, begun with the bias or ended with it.

## Every element of many sums

Clean float32 computation in NumPy of Dense layers with random weights and inputs, whose magnitudes span up to twelve
powers of ten, in several orders of summation, {day}.

"""

REAL = """
## Every backend

Clean models of seven families (MobileNetV2 for pictures of 192 by 192 pixels, dense, convolutional, residual,
recurrent, attention, constant weights) on random inputs in real runtimes, {days}. Every value of every layer that a
target returned is held against the exact answer on the inputs that the layer was given there, within what that target
promises; *values held to the bound* are those for which it promises something. The adapters are software. The last
columns say the largest part of the bound that any value took, and the largest part of its limit that the statistic of
any tensor took.

"""


def by_numpy(millions: int) -> Count:
    """So many elements, and where they lie."""
    count, seed = Count(), 0
    while sum(count.sizes.values()) < millions * 10**6:
        for name, found in judged(seed):
            count.add(name, found)
        seed += 1
    print("\n".join(count.lines()))
    return count


def page(folder: Path) -> str:
    """What is in ``folder``, as a page."""
    from benchmarks.real_clean_runs import read, table

    known = json.loads((folder / "numpy.json").read_text(encoding="utf-8"))
    text = PAGE.format(day=known.pop("date")) + "\n".join(Count(**known).lines()) + "\n"
    rows = read(folder / "real.jsonl")
    if rows:
        days = sorted({row["date"] for row in rows})
        text += REAL.format(days=" to ".join(dict.fromkeys((days[0], days[-1])))) + "\n".join(table(rows)) + "\n"
    return text


def main() -> int:
    """Run what is asked for; 1 where anything clean was outside or suspicious."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("millions", type=int, nargs="?", default=100, help="elements by NumPy; 0 for none")
    parser.add_argument("--real", type=int, default=0, metavar="N", help="models of so many seeds, everywhere")
    parser.add_argument("--write", action="store_true", help="write docs/bounds.md")
    asked = parser.parse_args()
    folder, bad = ROOT / "build" / "bounds", 0
    folder.mkdir(parents=True, exist_ok=True)
    if asked.millions:
        count = by_numpy(asked.millions)
        bad += count.outside + count.suspicious
        found = {"date": date.today().isoformat(), **asdict(count)}
        (folder / "numpy.json").write_text(json.dumps(found), encoding="utf-8")
    if asked.real:
        from benchmarks.real_clean_runs import read, run

        run(folder / "real.jsonl", range(asked.real))
        bad += sum(row.get("outside", 0) + len(row.get("accused", ())) for row in read(folder / "real.jsonl"))
    if asked.write:
        (ROOT / "docs" / "bounds.md").write_text(page(folder), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
