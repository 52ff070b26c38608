"""Models whose outputs' hashes are in golden.json: every implementation of the specification must give these bits.

``python tests/exact/golden_models.py FOLDER`` writes each as FOLDER/<name>.safetensors with its inputs beside it,
FOLDER/<name>.inputs.safetensors, for runtimes in other languages. ``--oracle`` prints golden.json by the oracle.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bittrue.exact.file import write
from bittrue.exact.oracle import canonical, evaluate
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan, codes
from bittrue.traces import Array

GOLDEN = Path(__file__).with_name("golden.json")

Built = tuple[Plan, dict[str, Array], dict[str, Array]]


class Numbers:
    """Float32 numbers in [-1, 1) from Knuth's linear congruential generator: the same in every language."""

    def __init__(self, seed: int = 1) -> None:
        self._state = seed

    def __call__(self, *shape: int) -> Array:
        values = []
        for _ in range(int(np.prod(shape))):
            self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
            values.append((self._state >> 40) / 2**23 - 1)
        return np.array(values, np.float32).reshape(shape)


def built(name: str, inputs: Sequence[Array], constants: Sequence[Array], steps: Sequence[Operation]) -> Built:
    """A plan that returns the results of all its operations."""
    first = len(inputs) + len(constants)
    given = tuple(Input(f"in{at}", (None, *x.shape[1:]), x.dtype.name) for at, x in enumerate(inputs))
    kept = {f"constant{at}": x for at, x in enumerate(constants)}
    plan = Plan(
        name,
        given,
        tuple(Constant(label, x.shape, x.dtype.name) for label, x in kept.items()),
        tuple(steps),
        tuple(Named(f"{at}:{step.name}", first + at) for at, step in enumerate(steps)),
    )
    return plan, kept, {item.name: x for item, x in zip(given, inputs, strict=True)}


def dense() -> Built:
    """Ten dense layers of 50."""
    draw = Numbers()
    constants = [array for _ in range(10) for array in (draw(50, 50), draw(50))]
    steps = [Operation("matmul", (0 if at == 0 else 20 + at, 1 + 2 * at, 2 + 2 * at)) for at in range(10)]
    return built("dense", [draw(3, 50)], constants, steps)


def convolutions() -> Built:
    """Convolutions of every kind, pooling, resizing."""
    draw = Numbers(2)
    constants = [draw(3, 3, 3, 10), draw(10), draw(3, 3, 1, 10), draw(3, 3, 5, 12), draw(2, 2, 12, 7)]
    steps = [
        Operation("conv", (0, 1, 2), (2, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0)),
        Operation("relu", (6,)),
        Operation("conv", (7, 3, 2), (2, 10, 0, 1, 1, 2, 2, 2, 2, 2, 2)),
        Operation("conv", (8, 4), (2, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0)),
        Operation("pool_average", (9,), (2, 1, 3, 3, 2, 2, 0, 0, 0, 0)),
        Operation("pool_max", (9,), (2, 0, 2, 2, 2, 2, 0, 0, 0, 0)),
        Operation("conv_transpose", (10, 5), (2, 2, 2, 1, 1, 0, 0, 0, 0)),
        Operation("resize_linear", (12,), (2, 0, 17, 13)),
        Operation("resize_nearest", (12,), (2, 1, 2, 3)),
        Operation("reduce_mean", (13,), (0, 1, 2)),
    ]
    return built("convolutions", [draw(2, 19, 17, 3)], constants, steps)


def attention() -> Built:
    """Softmax of products, normalised."""
    draw = Numbers(3)
    constants = [draw(8, 8), draw(8), draw(8), np.float32(1e-3).reshape(())]
    steps = [
        Operation("matmul", (0, 1)),
        Operation("transpose", (5,), (0, 2, 1)),
        Operation("matmul", (0, 6)),
        Operation("softmax", (7,), (-1,)),
        Operation("matmul", (8, 0)),
        Operation("reduce_mean", (9,), (1, -1)),
        Operation("subtract", (9, 10)),
        Operation("square", (11,)),
        Operation("reduce_mean", (12,), (1, -1)),
        Operation("normalize", (9, 10, 13, 2, 3, 4)),
    ]
    return built("attention", [draw(2, 11, 8)], constants, steps)


def recurrent() -> Built:
    """A loop with a gate."""
    draw = Numbers(4)
    body = (
        Operation("matmul", (0, 3)),
        Operation("matmul", (1, 4)),
        Operation("add", (5, 6)),
        Operation("tanh", (7,)),
        Operation("sigmoid", (7,)),
        Operation("multiply", (8, 9)),
        Operation("add", (10, 2)),
    )
    step = Operation("scan", (0, 1, 2, 3, 4), (1, 2), "rnn", body, (10, 11))
    zeros = np.zeros((1, 6), np.float32)
    return built("recurrent", [draw(3, 9, 5)], [zeros, zeros + 1, draw(5, 6), draw(6, 6)], [step])


def functions() -> Built:
    """Every function of one number on bit patterns from all exponents, NaNs included."""
    bits = (np.arange(2048, dtype=np.uint64) * 2654435761 % 2**32).astype(np.uint32)
    bits = np.concatenate([bits, np.arange(512, dtype=np.uint32) << 23, (np.arange(512, dtype=np.uint32) << 23) + 1])
    unary = sorted((number, name) for name, (code, number) in codes().items() if code == 0)
    steps = [Operation(name, (0,)) for _, name in unary]
    return built("functions", [bits.view(np.float32)], [], steps)


MODELS: dict[str, Callable[[], Built]] = {
    "attention": attention,
    "convolutions": convolutions,
    "dense": dense,
    "functions": functions,
    "recurrent": recurrent,
}


def hashes(outputs: Sequence[Array]) -> list[str]:
    """SHA-256 of the bits of each output."""
    return [hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for array in outputs]


def by_oracle(name: str) -> list[str]:
    """The hashes that the oracle gives."""
    plan, constants, inputs = MODELS[name]()
    values = evaluate(plan, constants, inputs)
    return hashes([canonical(values[item.value]) for item in plan.outputs])


def main() -> None:
    """Write the models, or print the hashes."""
    if sys.argv[1] == "--oracle":
        print(json.dumps({name: by_oracle(name) for name in sorted(MODELS)}, indent=1))
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        plan, constants, inputs = build()
        write(folder / f"{name}.safetensors", plan, constants)
        save_file(inputs, folder / f"{name}.inputs.safetensors")


if __name__ == "__main__":
    main()
