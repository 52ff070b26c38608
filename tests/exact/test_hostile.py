"""Programs that no exporter would write: the module answers with a status, never with a trap, and stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from running import model_of

from bittrue.errors import BittrueError
from bittrue.exact import engine
from bittrue.exact.plan import Operation, Plan, program

LARGE = (-1, 0, 1, 2, 7, 8, 9, 255, 2**16, 2**20, 2**27, 2**28, 2**30, 2**31 - 1, -(2**31), -2, -9, -10, -64)


def plans() -> list[tuple[Plan, dict[str, np.ndarray], list[np.ndarray]]]:
    """A few small models that use every kind of operation."""
    x = np.ones((2, 4, 4, 2), np.float32)
    kernel, matrix = np.ones((3, 3, 2, 4), np.float32), np.ones((4, 3), np.float32)
    pictures = [
        Operation("conv", (0, 1), (2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)),
        Operation("pool_max", (3,), (2, 0, 2, 2, 2, 2, 0, 0, 0, 0)),
        Operation("resize_linear", (4,), (2, 1, 2, 2)),
        Operation("matmul", (5, 2)),
        Operation("reduce_mean", (6,), (1, 1, 2)),
        Operation("subtract", (6, 7)),
        Operation("transpose", (8,), (0, 3, 1, 2)),
        Operation("slice", (9,), (2, 1, 1, 1, 3, 1)),
        Operation("concat", (10, 10), (1,)),
        Operation("reshape", (11,), (-2, -1)),
        Operation("softmax", (12,), (-1,)),
        Operation("argmax", (12,), (-1,)),
        Operation("repeat", (12,), (1, 2)),
    ]
    moves = [
        Operation("conv_transpose", (0, 1), (2, 2, 2, 1, 1, 0, 0, 0, 0)),
        Operation("position", (3,), (1,)),
        Operation("cast_int32", (0,)),
        Operation("gather", (2, 5)),
        Operation("broadcast", (6,), (3, -2, 4, 4, 2, 3)),
    ]
    turned = np.ones((3, 3, 2, 4), np.float32)
    zero = np.zeros((1, 4, 2), np.float32)
    loops = [
        Operation("scan", (0, 3), (1, 1), "", (Operation("add", (0, 1)), Operation("tanh", (2,))), (3,)),
        Operation("square", (4,)),
    ]
    found = []
    for steps, constants in (
        (pictures, [kernel, matrix]),
        (moves, [turned, matrix]),
        (loops, [turned, matrix, zero]),
    ):
        model = model_of([x], steps, [2 + len(constants)], constants)
        found.append((model.plan, dict(model._constants), [x]))
    return found


@pytest.mark.parametrize("which", range(3))
def test_mutated_programs_are_refused_or_run_but_never_trap(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, constants, inputs = plans()[which]
    generator = np.random.default_rng(which)
    outputs = [item.value for item in plan.outputs]
    refused = 0
    for _ in range(150):
        changes = generator.integers(1, 4)

        def mutated(*arguments: object, changes: int = changes) -> list[int]:
            words = program(*arguments)  # type: ignore[arg-type]
            for _ in range(changes):
                words[generator.integers(0, len(words))] = int(generator.choice(LARGE))
            return words[: generator.integers(1, len(words))] if generator.random() < 0.1 else words

        monkeypatch.setattr(engine, "program", mutated)
        try:
            engine._Instance(plan, constants, outputs).run(inputs, 1e7)
        except (BittrueError, IndexError):  # an IndexError is the host's: it asked for an output that is not there
            refused += 1
    assert refused > 50


def test_a_constant_outside_of_what_was_reserved_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, constants, inputs = plans()[0]
    for address in (0, 4, 2**31 - 4, 10**8, 3, -16):
        monkeypatch.setattr(engine, "program", lambda p, _, o, address=address: program(p, [address] * 2, o))
        with pytest.raises(BittrueError):
            engine._Instance(plan, constants, [3]).run(inputs, None)
