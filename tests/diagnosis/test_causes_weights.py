"""What happened to a weight: named to the bit where the runtime's weights were seen, else by experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from runs import SIZE, chain, provenance, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model

from bittrue.diagnosis import Finding, diagnose
from bittrue.graph.model import Graph, TensorRef, Weight
from bittrue.traces import Array, Trace

Change = Callable[[Array], Array]
X = TensorRef("x")


def changed(graph: Graph, name: str, weight: str, change: Change) -> Graph:
    def weights(found: Weight) -> Weight:
        return Weight(found.name, change(found.value)) if found.name == weight else found

    layers = (
        replace(node, weights=tuple(map(weights, node.weights))) if node.name == name else node for node in graph.layers
    )
    return replace(graph, layers=tuple(layers))


def found_in(
    graph: Graph, spoilt: Graph, *, seen: bool, name: str = "d1", inputs: dict[str, Array] | None = None
) -> Finding:
    given = inputs or x_of()
    candidate = run(spoilt, given)
    if not seen:
        candidate = Trace.of(provenance("node:wasm"), [r for r in candidate if r.key.kind != "weight"])
    found = diagnose(run(graph, given), candidate, graph)
    assert [entry.name for entry in found.faults] == [name]
    return found.faults[0].causes[0]


def rotated(value: Array) -> Array:
    return np.roll(value, 1)


def float16(value: Array) -> Array:
    return value.astype(np.float16).astype(np.float32)


def uint8(value: Array) -> Array:
    step = (float(value.max()) - float(value.min())) / 255
    places = np.rint((value - value.min()) / step).astype(np.uint8)
    return (places * step + value.min()).astype(np.float32)


def cut(value: Array) -> Array:
    short = value.copy().reshape(-1)
    short[-value.size // 3 :] = 0
    return short.reshape(value.shape)


def upper_half(value: Array) -> Array:
    return np.frombuffer(
        b"".join(b"\0\0" + word[2:] for word in (v.tobytes() for v in value.reshape(-1))), np.float32
    ).reshape(value.shape)


SEEN: tuple[tuple[str, Change], ...] = (
    ("weights-rearranged", np.transpose),
    ("weights-rearranged", lambda w: w[:, ::-1]),
    ("weights-rearranged", rotated),
    ("weights-rearranged", lambda w: w[:, np.random.default_rng(5).permutation(SIZE)]),
    ("weights-rearranged", lambda w: w[np.random.default_rng(5).permutation(SIZE)]),
    ("weights-quantised", uint8),
    ("weights-quantised", float16),
    ("weights-truncated", cut),
    ("weights-truncated", upper_half),
    ("weights-truncated", lambda w: w.byteswap() * np.float32(1)),
    ("weights-unset", np.zeros_like),
    ("weights-differ", lambda w: w * np.float32(1.25)),
)


@pytest.mark.parametrize(("name", "change"), SEEN)
def test_what_the_runtime_holds_says_what_happened_to_it(name: str, change: Change) -> None:
    graph = chain()
    finding = found_in(graph, changed(graph, "d1", "kernel", change), seen=True)
    assert (finding.cause, finding.proven) == (name, True)
    assert "'kernel'" in finding.sentence or name == "weights-quantised"


UNSEEN: tuple[tuple[str, Change], ...] = (
    ("weights-rearranged", np.transpose),
    ("weights-rearranged", rotated),
    ("weights-truncated", lambda w: w.byteswap() * np.float32(1)),
    ("weights-unset", np.zeros_like),
)


@pytest.mark.parametrize(("name", "change"), UNSEEN)
def test_experiments_tell_it_where_nobody_saw_the_weights(name: str, change: Change) -> None:
    graph = chain()
    finding = found_in(graph, changed(graph, "d1", "kernel", change), seen=False)
    assert (finding.cause, finding.proven) == (name, True)


@pytest.mark.parametrize("seen", [True, False])
def test_weights_of_another_layer_are_named_after_it(seen: bool) -> None:
    graph = chain()
    other = {weight.name: weight.value for weight in graph.layer("d3").weights}
    spoilt = changed(changed(graph, "d1", "kernel", lambda _: other["kernel"]), "d1", "bias", lambda _: other["bias"])
    finding = found_in(graph, spoilt, seen=seen)
    assert (finding.cause, finding.proven) == ("weights-of-another", True)
    assert "'d3'" in finding.sentence


def test_weights_that_nothing_known_made_of_the_models_stay_unexplained() -> None:
    graph = chain()
    noise = np.random.default_rng(9).normal(size=(SIZE, SIZE)).astype(np.float32)
    candidate = run(changed(graph, "d1", "kernel", lambda w: w + noise), x_of())
    kept = Trace.of(provenance("node:wasm"), [r for r in candidate if r.key.kind != "weight"])
    found = diagnose(run(graph, x_of()), kept, graph)
    assert [entry.name for entry in found.faults] == ["d1"]
    assert not any(cause.proven for cause in found.faults[0].causes)


def test_another_weight_file_is_told_from_a_change_of_the_same_weights() -> None:
    graph = chain()
    other = chain(seed=77)
    spoilt = graph
    for name in ("kernel", "bias"):
        held = other.layer("d1").weight(name)
        spoilt = changed(spoilt, "d1", name, lambda _, held=held: held)
    assert "another weight file" in found_in(graph, spoilt, seen=True).sentence
    scaled = found_in(graph, changed(graph, "d1", "kernel", lambda w: w * np.float32(1.25)), seen=True)
    assert "another weight file" not in scaled.sentence


def recurrent(kind: str, gates: int, **config: object) -> Graph:
    units, generator = 5, np.random.default_rng(2)

    def drawn(*shape: int) -> Array:
        return generator.uniform(-1, 1, shape).astype(np.float32)

    made = layer(
        "r",
        kind,
        call(X),
        config={"units": units, "return_sequences": True, **config},
        kernel=drawn(3, gates * units),
        recurrent_kernel=drawn(units, gates * units),
        bias=drawn(gates * units),
    )
    return model([entry("x", 6, 3)], [made], TensorRef("r"))


@pytest.mark.parametrize(
    ("graph", "order"),
    [(recurrent("LSTM", 4), (0, 2, 1, 3)), (recurrent("GRU", 3, reset_after=False), (1, 0, 2))],
)
def test_gates_in_the_order_of_another_framework(graph: Graph, order: tuple[int, ...]) -> None:
    def reordered(value: Array) -> Array:
        blocks = value.reshape(*value.shape[:-1], len(order), -1)
        return blocks[..., order, :].reshape(value.shape)

    spoilt = graph
    for name in ("kernel", "recurrent_kernel", "bias"):
        spoilt = changed(spoilt, "r", name, reordered)
    x = {"x": np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)}
    finding = found_in(graph, spoilt, seen=True, name="r", inputs=x)
    assert (finding.cause, finding.proven) == ("gate-order", True)


def test_a_kernel_read_in_another_layout_is_told_from_a_permutation() -> None:
    generator = np.random.default_rng(3)
    kernel = generator.normal(size=(3, 2, 4, 5)).astype(np.float32)
    made = layer("c", "Conv2D", call(X), config={"filters": 5, "kernel_size": [3, 2], "use_bias": False}, kernel=kernel)
    graph = model([entry("x", 6, 6, 4)], [made], TensorRef("c"))
    spoilt = changed(graph, "c", "kernel", lambda w: w.transpose(3, 2, 0, 1).reshape(w.shape))
    x = {"x": generator.normal(size=(2, 6, 6, 4)).astype(np.float32)}
    finding = found_in(graph, spoilt, seen=False, name="c", inputs=x)
    assert (finding.cause, finding.proven) == ("weights-rearranged", True)
    assert "[3, 2, 0, 1]" in finding.sentence


def test_two_weights_of_a_layer_in_each_others_place() -> None:
    graph = model(
        [entry("x", SIZE)], [dense("d", np.eye(SIZE, dtype=np.float32), call(X)), _normalised()], TensorRef("n")
    )
    mean, variance = (graph.layer("n").weight(name) for name in ("moving_mean", "moving_variance"))
    spoilt = changed(changed(graph, "n", "moving_mean", lambda _: variance), "n", "moving_variance", lambda _: mean)
    for seen in (True, False):
        finding = found_in(graph, spoilt, seen=seen, name="n")
        assert (finding.cause, finding.proven) == ("weights-of-another", True)


def _normalised() -> object:
    drawn = np.random.default_rng(4).uniform(0.5, 2, (4, SIZE)).astype(np.float32)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = dict(zip(names, drawn, strict=True))
    return layer("n", "BatchNormalization", call(TensorRef("d")), config={"epsilon": 1e-3}, **weights)
