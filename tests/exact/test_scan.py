"""Loops over time: against the oracle, and against the loop written out."""

from __future__ import annotations

import numpy as np
import pytest
from running import assert_same_bits, model_of

from bittrue.errors import ArtifactError, InputError
from bittrue.exact.oracle import apply
from bittrue.exact.plan import Operation
from bittrue.traces import Array

BODY = (
    Operation("matmul", (0, 3)),  # 5: of the slice
    Operation("matmul", (1, 4)),  # 6: of the first state
    Operation("add", (5, 6)),  # 7
    Operation("tanh", (7,)),  # 8: the new first state
)


def drawn() -> list[Array]:
    generator = np.random.default_rng(0)
    shapes = [(3, 5, 4), (1, 6), (3, 2), (4, 6), (6, 6)]
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def looped(results: tuple[int, ...], body: tuple[Operation, ...] = BODY) -> Operation:
    return Operation("scan", (0, 1, 2, 3, 4), (1, 2), "rnn", body, results)


def test_a_loop_gives_what_its_steps_written_out_give() -> None:
    x, h, c, kernel, recurrent = drawn()
    step = looped((8, 2))
    found = model_of(drawn(), [step], [5]).predict(drawn())
    states = np.broadcast_to(h, (3, 6))
    made = []
    for at in range(5):
        z = apply(Operation("matmul", (0, 1)), [x[:, at], kernel])
        z = z + apply(Operation("matmul", (0, 1)), [states, recurrent])
        states = apply(Operation("tanh", (0,)), [z])
        made.append(np.concatenate([states, c], axis=-1))
    assert_same_bits(found, np.stack(made, axis=1))
    assert_same_bits(found, apply(step, drawn()))


def test_states_may_change_places() -> None:
    operands = [np.ones((2, 4, 3), np.float32), np.full((1, 3), 2, np.float32), np.full((2, 3), 5, np.float32)]
    step = Operation("scan", (0, 1, 2), (1, 2), "swap", (), (2, 1))
    found = model_of(operands, [step], [3]).predict(operands)
    assert found[0, :, 0].tolist() == [5, 2, 5, 2]
    assert found[0, :, 3].tolist() == [2, 5, 2, 5]


def test_whole_numbers_are_added_up() -> None:
    x, start = np.arange(24, dtype=np.int32).reshape(2, 4, 3), np.zeros((1, 3), np.int32)
    step = Operation("scan", (0, 1), (1, 1), "cumsum", (Operation("add", (0, 1)),), (2,))
    assert_same_bits(model_of([x, start], [step], [2]).predict([x, start]), np.cumsum(x, axis=1, dtype=np.int32))


@pytest.mark.parametrize("results", [(6, 2), (7, 7)])
def test_a_state_that_changes_its_shape_is_refused(results: tuple[int, ...]) -> None:
    body = (Operation("matmul", (1, 4)), Operation("transpose", (5,), (1, 0)), Operation("concat", (1, 1), (1,)))
    model = model_of(drawn(), [looped(results, body)], [5])
    with pytest.raises(InputError, match=r"operation 0 \(scan, layer 'rnn'\)"):
        model.predict(drawn())


@pytest.mark.parametrize("body", [(Operation("add", (0, 9)),), (Operation("scan", (0, 1), (1, 1), "", (), (1,)),)])
def test_a_body_that_reads_what_is_not_there_or_loops_is_refused(body: tuple[Operation, ...]) -> None:
    with pytest.raises((ArtifactError, InputError)):
        model_of(drawn(), [looped((1, 2), body)], [5]).predict(drawn())
