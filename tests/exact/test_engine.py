"""Exact models in Python: inputs and outputs, shapes that change, batches, bad input."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from running import assert_same_bits, model_of

from bittrue.errors import InputError
from bittrue.exact.engine import ExactModel
from bittrue.exact.oracle import evaluate
from bittrue.exact.plan import Operation


def network() -> ExactModel:
    """A convolution, a pooling over all places, a product and a softmax, for pictures of any size."""
    generator = np.random.default_rng(0)
    kernel, weights = generator.normal(size=(3, 3, 2, 9)), generator.normal(size=(9, 5))
    steps = [
        Operation("conv", (0, 1), (2, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0), "conv"),
        Operation("relu", (3,)),
        Operation("reduce_mean", (4,), (0, 1, 2)),
        Operation("matmul", (5, 2)),
        Operation("softmax", (6,), (-1,), "top"),
    ]
    x = np.zeros((1, 1, 1, 2), np.float32)
    return model_of([x], steps, [7], [kernel.astype(np.float32), weights.astype(np.float32)])


def pictures(count: int, height: int = 12, width: int = 9) -> Any:
    return np.random.default_rng(count).normal(size=(count, height, width, 2)).astype(np.float32)


def test_it_computes_what_the_oracle_computes_for_every_size() -> None:
    model = network()
    for shape in ((1, 12, 9), (3, 5, 5), (1, 40, 33), (2, 12, 9), (0, 5, 5)):
        x = pictures(*shape)
        assert_same_bits(model.predict(x), evaluate(model.plan, model._constants, {"in0": x})[7])


def test_bits_depend_on_neither_the_batch_nor_its_split() -> None:
    model, x = network(), pictures(11)
    together = model.predict(x)
    assert_same_bits(np.concatenate([model.predict(x[:4]), model.predict(x[4:])]), together)
    assert_same_bits(np.concatenate([model.predict(x[at : at + 1]) for at in range(11)]), together)
    assert_same_bits(model.predict(x[::-1])[::-1], together)


def test_predictions_do_not_disturb_each_other() -> None:
    model, x = network(), pictures(2)
    first = model.predict(x)
    kept = first.copy()
    model.predict(pictures(2) * 3)
    assert_same_bits(first, kept)
    assert_same_bits(model.predict(x), kept)


def test_several_threads_may_share_a_model() -> None:
    model, wanted = network(), [network().predict(pictures(n)) for n in range(1, 5)]
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: model.predict(pictures(n))})) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, array in enumerate(wanted, 1):
        assert_same_bits(found[n], array)


def pair() -> ExactModel:
    a = np.zeros((1, 2), np.float32)
    return model_of([a, a.astype(np.int32)], [Operation("cast_float32", (1,)), Operation("add", (0, 2))], [3, 1, 0])


def test_inputs_come_in_order_or_by_name_and_outputs_in_order() -> None:
    a, b = np.float32([[1, 2]]), np.int32([[3, 4]])
    for given in ([a, b], (a, b), {"in1": b, "in0": a}):
        total, second, first = pair().predict(given)
        assert total.tolist() == [[4, 6]]
        assert second.dtype == np.int32
        assert first.tolist() == a.tolist()


def test_a_number_that_the_dtype_holds_is_taken_whatever_its_own() -> None:
    assert pair().predict([np.float64([[1, 2.5]]), np.int64([[3, 4]])])[0].tolist() == [[4, 6.5]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([np.zeros((1, 2, 1)), np.zeros((1, 2))], r"input 'in0' has shape \(1, 2, 1\), but the model takes \(\?, \?\)"),
        ([np.zeros((1, 2))], "takes 2 inputs"),
        ({"in0": np.zeros((1, 2)), "other": 1}, "the model's inputs are in0, in1"),
        ([np.zeros((1, 2)), np.full((1, 2), 0.5)], "holds numbers that int32 does not"),
        ([np.full((1, 2), 0.1), np.zeros((1, 2), int)], "holds numbers that float32 does not"),
        ([np.array([["a", "b"]]), np.zeros((1, 2), int)], "is of <U1"),
        ([np.zeros((1, 2)), np.zeros((1, 3), int)], r"operation 1 \(add"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pair().predict(given)


def test_a_model_works_on_after_it_refused_something() -> None:
    model = pair()
    with pytest.raises(InputError):
        model.predict([np.zeros((1, 2)), np.zeros((1, 3), int)])
    assert model.predict([np.ones((1, 2)), np.ones((1, 2), int)])[0].tolist() == [[2, 2]]


def test_an_index_that_is_no_row_gives_an_error_and_no_output() -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    model = model_of([np.zeros((1,), np.int32)], [Operation("gather", (1, 0), (), "embedding")], [2], [table])
    assert model.predict(np.int32([2, 0])).tolist() == [[4, 5], [0, 1]]
    for index in (3, -1, 2**31 - 1):
        with pytest.raises(InputError, match=r"no row of the table of operation 0 \(gather, layer 'embedding'\)"):
            model.predict(np.int32([0, index]))


def test_truths_go_in_and_out_as_such() -> None:
    model = model_of([np.zeros(1, bool)], [Operation("not", (0,))], [1])
    assert model.predict(np.array([True, False])).tolist() == [False, True]


def test_a_nan_has_one_pattern_in_every_output() -> None:
    x = np.array([0xFFC00001, 0x7F800001, 0x3F800000], np.uint32).view(np.float32)
    model = model_of([x], [Operation("negative", (0,)), Operation("reshape", (0,), (3,))], [1, 2, 0])
    for array in model.predict(x):
        assert array.view(np.uint32)[:2].tolist() == [0x7FC00000] * 2


def test_what_a_prediction_may_cost_can_be_capped() -> None:
    model = network()
    model._cost = 1e5
    model.predict(pictures(1))
    with pytest.raises(InputError, match="more than the 1e"):
        model.predict(pictures(50))


def test_a_model_that_needs_more_memory_than_there_is_says_so() -> None:
    x = np.zeros((1, 1), np.float32)
    steps = [Operation("broadcast", (0,), (2**14, 2**14)), Operation("add", (1, 1)), Operation("concat", (1, 2), (0,))]
    with pytest.raises(Exception, match="more memory than WebAssembly can give"):
        model_of([x], steps, [3]).predict(x)
