"""The first-order bound of a decision's margin, against differences: every value of every op moved by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import chain, provenance, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model, nested

from bittrue import ops
from bittrue.diagnosis import Decision, FirstOrder, diagnose, diagnose_all
from bittrue.diagnosis.axioms import arithmetic_of
from bittrue.diagnosis.first_order import first_order
from bittrue.diagnosis.margins import Margin, nearest_margins, rows_of
from bittrue.diagnosis.wiring import wire
from bittrue.graph.evaluate import evaluate_layer, rounded_constant
from bittrue.graph.expansion import Constant, OpNode, Ref
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall, TensorRef
from bittrue.graph.traversal import traverse
from bittrue.ops import Axioms
from bittrue.ops.base import widened
from bittrue.traces import Array, Trace

X, Z = TensorRef("x"), TensorRef("z")
Place = tuple[str, int, str]
"""A value: the layer's path, the call, and which of its values."""

Moves = Mapping[Place, Array]
"""What is added to values when they are made."""


@dataclass(frozen=True)
class Case:
    """A model and what it is fed."""

    graph: Graph
    inputs: Mapping[str, Array]


def drawn(*shape: int, seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def shared_and_nested() -> Case:
    """A layer of two calls, a nested model of two calls, two inputs, two outputs, a sum of both ways."""
    inside = model(
        [entry("i", 4)],
        [dense("p", drawn(4, 4, seed=1), call(TensorRef("i")), activation="sigmoid")],
        TensorRef("p"),
    )
    layers = [
        dense("d", drawn(4, 4, seed=2), call(X), call(Z), bias=drawn(4, seed=3), activation="tanh"),
        nested("n", inside, call(TensorRef("d")), call(TensorRef("d", 1))),
        layer("add", "Add", call([TensorRef("n"), TensorRef("n", 1), TensorRef("d")])),
        layer("leaky", "LeakyReLU", call(TensorRef("add")), config={"negative_slope": 0.3}),
        dense("classes", drawn(4, 3, seed=4), call(TensorRef("leaky")), activation="softmax"),
        dense("yes", drawn(4, 1, seed=5), call(TensorRef("leaky")), activation="sigmoid"),
    ]
    graph = model([entry("x", 4), entry("z", 4)], layers, TensorRef("classes"), TensorRef("yes"))
    return Case(graph, {"x": drawn(2, 4, seed=6), "z": drawn(2, 4, seed=7)})


def convolved() -> Case:
    """A picture, down to twelve classes: an argmax and a top 5."""
    options = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu", "use_bias": True}
    layers = [
        layer("conv", "Conv2D", call(X), config=options, kernel=drawn(3, 3, 2, 3, seed=1), bias=drawn(3, seed=2)),
        layer("pool", "MaxPooling2D", call(TensorRef("conv")), config={"pool_size": [2, 2]}),
        layer("flat", "Flatten", call(TensorRef("pool"))),
        dense("classes", drawn(12, 12, seed=3), call(TensorRef("flat"))),
    ]
    graph = model([entry("x", 4, 4, 2)], layers, TensorRef("classes"))
    return Case(graph, {"x": drawn(1, 4, 4, 2, seed=4)})


def masked() -> Case:
    """Words of which some are padding, through an LSTM whose mask the graph does not name."""
    layers = [
        layer("words", "Embedding", call(X), config=_WORDS, embeddings=drawn(5, 3, seed=1)),
        layer("lstm", "LSTM", call(TensorRef("words")), config=_LSTM, **_gates(3, 2)),
        dense("classes", drawn(2, 3, seed=2), call(TensorRef("lstm"))),
    ]
    graph = model([entry("x", None, dtype="int32")], layers, TensorRef("classes"))
    return Case(graph, {"x": np.array([[1, 4, 0]], np.int32)})


_WORDS = {"input_dim": 5, "output_dim": 3, "mask_zero": True}
_LSTM = {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}


def _gates(depth: int, units: int) -> dict[str, Array]:
    width = 4 * units
    return {
        "kernel": drawn(depth, width, seed=11),
        "recurrent_kernel": drawn(units, width, seed=12),
        "bias": drawn(width, seed=13),
    }


CASES = [shared_and_nested, convolved, masked]


Value = tuple[Array, int]
"""A value, and of how many terms it is a sum that may go on."""


class _Moved:
    """Evaluates a model in float64, adds ``moves``, and keeps what ``axioms`` bound the error of each value by."""

    def __init__(self, moves: Moves, axioms: Axioms | None = None) -> None:
        self.bounds: dict[Place, Array] = {}
        self._moves = moves
        self._axioms = axioms

    def visit(self, call: LayerCall, operands: Sequence[Array]) -> Sequence[Array]:
        numbers = count()

        def at(what: str) -> Place:
            return call.name, call.call, f"{what} {next(numbers)}"

        def leaf(ref: Ref, value: Array) -> Value:
            place = at("constant")
            if isinstance(ref, Constant) and self._axioms:
                self.bounds[place] = rounded_constant(value, self._axioms)
            return (value + self._moves[place] if place in self._moves else value), 0

        def made(op: ops.Op, operands: Sequence[Value]) -> Value:
            return self._made(at(op.name), op, operands)

        def step(node: OpNode, operands: Sequence[Value]) -> Value:
            return looped(node.op, operands, made) if isinstance(node.op, ops.Scan) else made(node.op, operands)

        return [value for value, _ in evaluate_layer(call.layer, operands, call.nodes[-1], leaf, step)]

    def _made(self, place: Place, op: ops.Op, operands: Sequence[Value]) -> Value:
        values, terms = [value for value, _ in operands], tuple(open_terms for _, open_terms in operands)
        (exact,) = op.evaluate(*values)
        if self._axioms and exact.dtype.kind == "f":
            self.bounds[place] = op.error_bound(self._axioms, *values, terms=terms)
        moved = exact + self._moves[place] if place in self._moves else exact
        return moved, op.unfinished_terms(terms, *(value.shape for value in values))

    def entered(self, call: LayerCall, operands: Sequence[Array], masks: Sequence[Array]) -> Sequence[Array]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Array]) -> Array:
        raise AssertionError(call.name)

    def made(self, call: LayerCall, results: Sequence[Array]) -> None: ...


def looped(op: ops.Scan, operands: Sequence[Value], made: Callable[[ops.Op, Sequence[Value]], Value]) -> Value:
    """The loop as its docstring says it, one op after the other."""
    sequences, rest = operands[: op.sequences], operands[op.sequences :]
    states, shared, every = list(rest[: op.states]), rest[op.states :], []
    for at in range(sequences[0][0].shape[1]):
        values = [*((sequence[:, at], 0) for sequence, _ in sequences), *states, *shared]
        for step in op.body:
            values.append(made(step.op, [values[number] for number in step.operands]))
        states = [(values[number][0], 0) for number in op.results]
        every.append(np.concatenate([state for state, _ in states], axis=-1))
    return np.stack(every, axis=1), 0


def outputs_of(case: Case, evaluation: _Moved) -> list[Array]:
    feeds = [widened(case.inputs[spec.name]) for spec in case.graph.inputs]
    return traverse(with_masks(case.graph), feeds, evaluation)


def margin_of(case: Case, margin: Margin, moves: Moves) -> float:
    pairs = zip(case.graph.outputs, outputs_of(case, _Moved(moves)), strict=True)
    (found,) = [y for ref, y in pairs if (ref.layer, ref.call) == (margin.key.layer, margin.key.call)]
    return margin.of(found.reshape(-1, found.shape[-1]))


def bounds_of(case: Case, target: str) -> Mapping[Place, Array]:
    evaluation = _Moved({}, arithmetic_of(provenance(target)).axioms)
    outputs_of(case, evaluation)
    return {place: bound for place, bound in evaluation.bounds.items() if np.any(bound)}


def slopes_of(case: Case, margin: Margin) -> Mapping[Place, Array]:
    """The size of the margin's derivative with respect to each value, moved forwards and backwards by itself."""
    found = {}
    for place, bound in bounds_of(case, "chrome:webgl").items():
        found[place] = np.zeros(bound.shape)
        for index in np.ndindex(bound.shape):
            step = np.zeros(bound.shape)
            step[index] = 1e-6
            ahead, behind = (margin_of(case, margin, {place: sign * step}) for sign in (1, -1))
            found[place][index] = abs(ahead - behind) / 2e-6
    return found


def by_differences(case: Case, slopes: Mapping[Place, Array], target: str) -> Counter[str]:
    """What each layer adds to the bound."""
    added = Counter[str]()
    for place, bound in bounds_of(case, target).items():
        added[place[0]] += np.sum(slopes[place] * bound)
    return added


def least_margins(reference: Trace, graph: Graph) -> list[Margin]:
    return [margins[0] for margins in nearest_margins(reference, graph, 1)]


def runs_of(case: Case) -> tuple[Trace, Trace]:
    return run(case.graph, case.inputs, "keras:tensorflow"), run(case.graph, case.inputs, "chrome:webgl")


@pytest.mark.parametrize("build", CASES)
def test_the_bound_is_the_sum_of_all_values_derivatives_times_their_bounds(build: Any) -> None:
    case = build()
    reference, candidate = runs_of(case)
    found = first_order(reference, {"chrome:webgl": candidate}, case.graph)["chrome:webgl"]
    for margin in least_margins(reference, case.graph):
        bound = found[margin.key, margin.kind.name]
        slopes = slopes_of(case, margin)
        ours, theirs = (by_differences(case, slopes, target) for target in ("keras:tensorflow", "chrome:webgl"))
        assert bound.obstacle == ""
        assert bound.reference == pytest.approx(sum(ours.values()), rel=1e-3)
        assert bound.candidate == pytest.approx(sum(theirs.values()), rel=1e-3)


def test_the_layers_that_add_most_are_named_with_their_share() -> None:
    case = convolved()
    reference, candidate = runs_of(case)
    margin, _ = least_margins(reference, case.graph)
    found = first_order(reference, {"chrome:webgl": candidate}, case.graph)["chrome:webgl"][margin.key, "argmax"]
    slopes = slopes_of(case, margin)
    both = by_differences(case, slopes, "keras:tensorflow") + by_differences(case, slopes, "chrome:webgl")
    expected = [name for name, _ in both.most_common(3)]
    assert [share.name for share in found.layers] == expected
    assert [share.share for share in found.layers] == pytest.approx(
        [both[name] / sum(both.values()) for name in expected], rel=1e-3
    )


@given(st.sampled_from(CASES), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_roundings_within_the_bounds_move_the_margin_no_further(build: Any, seed: int) -> None:
    case, generator = build(), np.random.default_rng(seed)
    reference, candidate = runs_of(case)
    bounds = bounds_of(case, "keras:tensorflow")
    moves = {
        place: bound * generator.choice([-1.0, 1.0], bound.shape) * generator.uniform(0, 1, bound.shape) ** 0.1
        for place, bound in bounds.items()
    }
    found = first_order(reference, {"chrome:webgl": candidate}, case.graph)["chrome:webgl"]
    for margin in least_margins(reference, case.graph):
        moved = abs(margin_of(case, margin, moves) - margin_of(case, margin, {}))
        reach = found[margin.key, margin.kind.name].reference
        assert reach is not None
        assert moved <= reach * (1 + 1e-3)


def test_every_arithmetic_has_its_own_bound_and_the_reference_one() -> None:
    case = shared_and_nested()
    traces = {target: run(case.graph, case.inputs, target) for target in ("node:wasm", "chrome:webgl")}
    found = first_order(run(case.graph, case.inputs, "keras:tensorflow"), traces, case.graph)
    (wasm, *_), (webgl, *_) = (tuple(found[target].values()) for target in traces)
    assert wasm.reference == webgl.reference == wasm.candidate
    assert webgl.candidate is not None
    assert webgl.reference is not None
    assert webgl.candidate > 2 * webgl.reference


def one_ulp(y: Array) -> Array:
    """Up or down by turns."""
    return np.nextafter(y, np.where(np.arange(y.size).reshape(y.shape) % 3, np.inf, -np.inf).astype(y.dtype))


@pytest.mark.parametrize("seed", range(4))
def test_rounding_once_a_layer_stays_within_and_so_do_decisions(seed: int) -> None:
    graph, inputs = chain(activation="tanh", seed=seed), x_of(seed)
    found = diagnose(run(graph, inputs), run(graph, inputs, faults={f"d{at}": one_ulp for at in range(4)}), graph)
    moved = 0.0
    for decision in found.decisions:
        bound = decision.first_order
        assert bound is not None
        assert bound.margin == decision.margin
        assert bound.bound is not None
        assert bound.change is not None
        assert bound.change <= bound.bound
        moved += bound.change
        assert not bound.inside
    assert moved > 0
    assert "to first order, rounding may move that margin by up to" in found.headline


def test_a_margin_inside_the_bound_is_said_to_be() -> None:
    kernel = np.eye(2, dtype=np.float32)
    kernel[0, 1] = 1 - 2.0**-23
    graph = model([entry("x", 2)], [dense("d", kernel, call(X))], TensorRef("d"))
    x = {"x": np.array([[1, 2.0**-30]], np.float32)}
    found = diagnose(run(graph, x), run(graph, x), graph)
    (decision,) = found.decisions
    assert decision.first_order is not None
    assert decision.first_order.inside
    assert "more than it is, most of it from 'd')" in found.headline


def reach(decisions: Sequence[Decision]) -> FirstOrder:
    assert decisions[0].first_order is not None
    return decisions[0].first_order


def test_a_layer_that_is_not_known_on_the_way_leaves_no_bound() -> None:
    graph = chain()
    strange = tuple(replace(node, class_name="Strange") if node.name == "d1" else node for node in graph.layers)
    found = reach(diagnose(run(graph, x_of()), run(graph, x_of()), replace(graph, layers=strange)).decisions)
    assert (found.bound, found.inside, found.layers) == (None, None, ())
    assert found.obstacle.startswith("the reverse pass ends at the layer 'd1' (Strange): ")


def test_a_layer_beside_the_way_is_no_obstacle() -> None:
    beside = dense("beside", drawn(4, 2, seed=1), call(X))
    graph = model([entry("x", 4)], [beside, dense("d", drawn(4, 3, seed=2), call(X))], TensorRef("d"))
    reference, candidate = (run(graph, {"x": drawn(1, 4, seed=3)}, target) for target in ("keras:jax", "node:wasm"))
    strange = tuple(replace(node, class_name="Strange") if node.name == "beside" else node for node in graph.layers)
    (found,) = first_order(reference, {"a": candidate}, replace(graph, layers=strange))["a"].values()
    assert found.bound is not None


def test_without_the_values_of_a_layer_there_is_no_bound() -> None:
    graph = chain()
    found = reach(diagnose(run(graph, x_of(), without=("d1",)), run(graph, x_of()), graph).decisions)
    assert found.bound is None
    assert "'d2' (Dense): the reference has no record of" in found.obstacle


def test_where_nothing_is_promised_there_is_no_bound() -> None:
    graph = model([entry("x", 2)], [dense("d", np.full((2, 2), 3e38, np.float32), call(X))], TensorRef("d"))
    x = {"x": np.array([[1.0, -1.0]], np.float32)}
    found = reach(diagnose(run(graph, x), run(graph, x), graph).decisions)
    assert found.obstacle == "the reverse pass ends at the layer 'd' (Dense): nothing is promised of its values"


def test_a_model_of_many_outputs_has_its_first_decisions_followed_back() -> None:
    layers = [dense(f"d{at}", drawn(2, 2, seed=at), call(X)) for at in range(12)]
    graph = model([entry("x", 2)], layers, *(TensorRef(f"d{at}") for at in range(12)))
    x = {"x": drawn(1, 2, seed=99)}
    found = diagnose_all(run(graph, x), {"a": run(graph, x)}, graph)["a"].decisions
    assert [decision.first_order is not None for decision in found] == [True] * 8 + [False] * 4


def test_a_threshold_is_approached_from_either_side() -> None:
    case = shared_and_nested()
    reference, _ = runs_of(case)
    margin = least_margins(reference, case.graph)[-1]
    rows = rows_of(reference[margin.key])
    assert rows is not None
    assert margin.kind.name == "threshold 0.5"
    assert margin.of(rows) == pytest.approx(np.min(np.abs(rows - 0.5)))
    low = np.full_like(rows, 0.75)
    low[margin.row] = 1 - rows[margin.row]
    assert margin.of(low) == pytest.approx(-margin.of(rows))


def test_a_gradient_that_no_call_takes_leaves_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = chain()
    monkeypatch.setattr("bittrue.diagnosis.first_order.wire", lambda graph: wire(graph)[2:])
    (found, *_) = first_order(run(graph, x_of()), {"a": run(graph, x_of())}, graph)["a"].values()
    assert (found.bound, found.obstacle) == (None, "nothing is known of how 'd1' was made")


def nearly_a_tie(rows: int) -> Case:
    """Two classes whose scores differ by a few roundings, in some rows by more."""
    kernel = drawn(16, 3, seed=5)
    kernel[:, 2] = -3
    kernel[:, 1] = kernel[:, 0]
    kernel[0, 1] += np.float32(4e-6)
    x = np.abs(drawn(rows, 16, seed=6))
    x[::3, 0] = 400
    return Case(model([entry("x", 16)], [dense("d", kernel, call(X))], TensorRef("d")), {"x": x})


def test_the_nearest_rows_are_followed_back_each_with_its_own_bound() -> None:
    case = nearly_a_tie(7)
    reference, candidate = runs_of(case)
    (found,) = diagnose(reference, candidate, case.graph).decisions
    assert found.first_order is not None
    near = found.first_order.nearest
    margins = np.abs(np.diff(reference[found.key].load().astype(np.float64)[:, :2])[:, 0])
    assert [one.row for one in near] == np.argsort(margins, kind="stable").tolist()
    assert [one.margin for one in near] == sorted(margins)
    assert {one.inside for one in near} == {True, False}
    for one in near:
        alone = Case(case.graph, {"x": case.inputs["x"][one.row : one.row + 1]})
        (by_itself,) = diagnose(*runs_of(alone), case.graph).decisions
        assert by_itself.first_order is not None
        assert one.bound == pytest.approx(by_itself.first_order.bound)


def test_one_row_is_enough_where_the_least_margin_is_far_beyond_its_bound() -> None:
    reference, candidate = run(chain(), x_of(rows=5), "keras:tensorflow"), run(chain(), x_of(rows=5))
    decisions = diagnose(reference, candidate, chain()).decisions
    assert decisions
    assert all(found.first_order is not None and len(found.first_order.nearest) == 1 for found in decisions)


def test_the_headline_counts_the_rows_that_rounding_may_turn() -> None:
    case = nearly_a_tie(7)
    found = diagnose(*runs_of(case), case.graph)
    first = found.decisions[0].first_order
    assert first is not None
    inside = sum(near.inside is True for near in first.nearest)
    assert inside > 1
    assert f"more than it is (so in {inside} of the {len(first.nearest)} nearest rows)" in found.headline
