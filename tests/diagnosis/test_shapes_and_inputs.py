"""Outputs of another shape than the layer means, inputs that were prepared otherwise, and orders of summation."""

from __future__ import annotations

import numpy as np
import pytest
from runs import SIZE, chain, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model

from bittrue.diagnosis import diagnose
from bittrue.graph.model import Graph, TensorRef
from bittrue.traces import Array, Check

X = TensorRef("x")


def pooled() -> Graph:
    """A convolution whose size nobody behind it needs to know."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    config = {"padding": "same", "strides": [1, 1], "use_bias": False}
    conv = layer("c", "Conv2D", call(X), config=config, kernel=kernel)
    mean = layer("m", "GlobalAveragePooling2D", call(TensorRef("c")), config={"keepdims": False})
    return model([entry("x", 8, 8, 2)], [conv, mean], TensorRef("m"))


def test_another_padding_is_a_bug_of_its_layer_though_the_shapes_differ() -> None:
    from dataclasses import replace

    graph = pooled()
    inputs = {"x": np.random.default_rng(1).normal(size=(2, 8, 8, 2)).astype(np.float32)}
    valid = replace(graph.layer("c"), config={**graph.layer("c").config, "padding": "valid"})
    spoilt = replace(graph, layers=tuple(valid if node.name == "c" else node for node in graph.layers))
    found = diagnose(run(graph, inputs), run(spoilt, inputs), graph)
    assert [(entry.name, entry.verdict, entry.side) for entry in found.faults] == [("c", "bug", "candidate")]
    assert "(2, 6, 6, 4)" in found.faults[0].sentence
    cause = found.faults[0].causes[0]
    assert (cause.cause, cause.proven) == ("option", True)
    assert "padding='valid'" in cause.sentence
    assert found.layers["m"].verdict <= "rounding"


def test_a_shape_that_both_sides_return_accuses_nobody() -> None:
    graph = pooled()
    inputs = {"x": np.ones((1, 8, 8, 2), np.float32)}
    cropped = {"c": lambda y: y[:, 1:]}
    found = diagnose(run(graph, inputs, faults=cropped), run(graph, inputs, faults=cropped), graph)
    assert found.faults == ()


def prepared(change: object, seed: int = 0) -> tuple[tuple[str, bool], ...]:
    graph = chain(1)
    inputs = x_of(seed, rows=3)
    found = diagnose(run(graph, inputs), run(graph, {"x": change(inputs["x"])}), graph)  # type: ignore[operator]
    assert [entry.name for entry in found.faults] == ["x"]
    return tuple((cause.cause, cause.proven) for cause in found.faults[0].causes)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x / np.float32(255),
        lambda x: x / np.float32(127.5) - np.float32(1),
        lambda x: x.astype(np.float16).astype(np.float32),
        lambda x: x[::-1],
        lambda x: np.rint(x).astype(np.float32),
        np.zeros_like,
    ],
)
def test_what_was_done_to_an_input_is_proven(change: object) -> None:
    assert prepared(change) == (("input-transformed", True),)


@pytest.mark.parametrize("seed", range(4))
def test_another_example_is_explained_by_nothing(seed: int) -> None:
    assert prepared(lambda x: np.random.default_rng(99 + seed).normal(size=x.shape).astype(np.float32), seed) == ()


def ascending(x: Array, kernel: Array, bias: Array) -> Array:
    """One product after the other to the bias, every operation rounded to float32."""
    y = np.empty((len(x), kernel.shape[1]), np.float32)
    for row, column in np.ndindex(y.shape):
        total = bias[column]
        for at in range(len(kernel)):
            total = np.float32(total + np.float32(x[row, at] * kernel[at, column]))
        y[row, column] = total
    return y


def biased() -> tuple[Graph, Array, Array]:
    draw = np.random.default_rng(3)
    kernel, bias = (draw.normal(size=shape).astype(np.float32) for shape in ((SIZE, SIZE), SIZE))
    return model([entry("x", SIZE)], [dense("d", kernel, call(X), bias=bias)], TensorRef("d")), kernel, bias


def test_rounding_names_the_order_that_gives_its_bits() -> None:
    graph, kernel, bias = biased()
    x = x_of(rows=6)
    fault = {"d": lambda _: ascending(x["x"], kernel, bias)}
    found = diagnose(run(graph, x), run(graph, x, "node:wasm", fault), graph)
    (entry_,) = found.entries
    assert entry_.verdict == "rounding"
    assert [(cause.cause, cause.proven) for cause in entry_.causes] == [("summation-order", True)]
    elsewhere = diagnose(run(graph, x), run(graph, x, "chrome:webgl", fault), graph)
    assert elsewhere.entries[0].causes == ()


def test_a_failed_check_of_the_run_is_offered_and_not_claimed() -> None:
    check = Check("runs", False, "2 of 3 runs differ")
    fault = {"d1": lambda y: y + np.float32(0.01) * np.random.default_rng(1).normal(size=y.shape).astype(np.float32)}
    graph = chain(3)
    found = diagnose(run(graph, x_of()), run(graph, x_of(), faults=fault, checks=(check,)), graph)
    assert [(cause.cause, cause.proven) for cause in found.faults[0].causes] == [("unstable", False)]


def test_nan_from_nan_is_not_born_there() -> None:
    def broken(y: Array) -> Array:
        y = y.copy()
        y[0, 0] = np.nan
        return y

    def infinite(y: Array) -> Array:
        return np.where(np.isnan(y), np.float32(-np.inf), y)

    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults={"d1": broken, "d2": infinite}), chain())
    assert [entry.name for entry in found.faults] == ["d1"]


def test_one_backend_alone_is_offered_where_the_others_are_right() -> None:
    from bittrue.diagnosis import diagnose_all

    graph = chain(3)
    noise = np.random.default_rng(1).normal(size=(2, SIZE)).astype(np.float32)
    traces = {
        "node:cpu": run(graph, x_of(), "node:cpu"),
        "node:wasm": run(graph, x_of(), "node:wasm", {"d1": lambda y: y + noise}),
    }
    (fault,) = diagnose_all(run(graph, x_of(), "keras:tensorflow"), traces, graph)["node:wasm"].faults
    assert [(cause.cause, cause.proven) for cause in fault.causes] == [("one-backend", False)]
    assert "node:cpu" in fault.causes[0].sentence


def test_a_search_in_vain_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from bittrue.diagnosis import effort

    monkeypatch.setattr(effort, "_MOST", 0)
    draw = np.random.default_rng(4)
    noisy = {name: lambda y: y + draw.normal(size=y.shape).astype(np.float32) for name in ("d0", "d1", "d2")}
    found = diagnose(run(chain(), x_of()), run(chain(), x_of(), faults=noisy), chain())
    assert [entry.name for entry in found.faults] == ["d0", "d1", "d2"]
    assert [effort.NOT_SEARCHED in entry.sentence for entry in found.faults] == [False, True, True]
