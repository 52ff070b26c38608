"""A layer that was computed as something else: another option, formula, padding, mask, order or mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from runs import SIZE, chain, run, x_of
from tests.graph.graphs import call, dense, entry, layer, model

from bittrue.diagnosis import Finding, diagnose
from bittrue.graph.model import Graph, LayerNode, TensorRef
from bittrue.traces import Array

X = TensorRef("x")
IMAGE = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype(np.float32)


def single(class_name: str, shape: tuple[int, ...], config: dict[str, Any], **weights: Array) -> Graph:
    return model([entry("x", *shape)], [layer("l", class_name, call(X), config=config, **weights)], TensorRef("l"))


def why(graph: Graph, x: Array, fault: Callable[[Array], Array], target: str = "node:wasm") -> tuple[Finding, ...]:
    """The causes of what ``fault`` makes of the layer called ``l``, which must be the one that is blamed."""
    found = diagnose(run(graph, {"x": x}), run(graph, {"x": x}, target, {"l": fault}), graph)
    assert [entry.name for entry in found.faults] == ["l"]
    return found.faults[0].causes


def instead(y: Any) -> Callable[[Array], Array]:
    return lambda _: np.asarray(y, np.float32)


def proven(causes: tuple[Finding, ...]) -> list[str]:
    return [finding.cause for finding in causes if finding.proven]


def wide(x: Array = IMAGE) -> Array:
    return x.astype(np.float64)


CASES: tuple[tuple[str, str, Graph, Array, Any], ...] = (
    (
        "option",
        "negative_slope=0.3",
        single("LeakyReLU", (7, 8, 3), {"negative_slope": 0.1}),
        IMAGE,
        np.where(IMAGE > 0, wide(), 0.3 * wide()),
    ),
    (
        "option",
        "max_value=None",
        single("ReLU", (7, 8, 3), {"max_value": 1.5, "negative_slope": 0.0, "threshold": 0.0}),
        IMAGE,
        np.maximum(wide(), 0),
    ),
    (
        "option",
        "threshold=0.0",
        single("ReLU", (7, 8, 3), {"max_value": None, "negative_slope": 0.0, "threshold": 0.7}),
        IMAGE,
        np.maximum(wide(), 0),
    ),
    (
        "option",
        "alpha=1.0",
        single("ELU", (7, 8, 3), {"alpha": 0.4}),
        IMAGE,
        np.where(IMAGE > 0, wide(), np.expm1(np.minimum(wide(), 0))),
    ),
    (
        "option",
        "axis=1",
        single("Softmax", (7, 8, 3), {"axis": -1}),
        IMAGE,
        np.exp(wide()) / np.exp(wide()).sum(1, keepdims=True),
    ),
    (
        "option-value",
        "negative_slope=0.37",
        single("LeakyReLU", (7, 8, 3), {"negative_slope": 0.1}),
        IMAGE,
        np.where(IMAGE > 0, wide(), 0.37 * wide()),
    ),
    (
        "option-value",
        "scale=0.0042",
        single("Rescaling", (7, 8, 3), {"scale": 0.1, "offset": 0.0}),
        IMAGE,
        wide() * 0.0042,
    ),
    (
        "other-formula",
        "Keras 2's",
        single("Activation", (7, 8, 3), {"activation": "hard_sigmoid"}),
        IMAGE,
        np.clip(0.2 * wide() + 0.5, 0, 1),
    ),
    (
        "other-formula",
        "tanh",
        single("Activation", (7, 8, 3), {"activation": "gelu"}),
        IMAGE,
        0.5 * wide() * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide() + 0.044715 * wide() ** 3))),
    ),
    (
        "option",
        "interpolation",
        single("UpSampling2D", (7, 8, 3), {"size": [2, 2], "interpolation": "bilinear"}),
        IMAGE,
        IMAGE.repeat(2, 1).repeat(2, 2),
    ),
    (
        "layer-skipped",
        "handed its input through",
        single("Activation", (7, 8, 3), {"activation": "tanh"}),
        IMAGE,
        IMAGE,
    ),
    ("output-rearranged", "axis 3", single("ReLU", (7, 8, 3), {}), IMAGE, np.maximum(IMAGE, 0)[..., [2, 0, 1]]),
    ("output-rearranged", "reversed along axis 1", single("ReLU", (7, 8, 3), {}), IMAGE, np.maximum(IMAGE, 0)[:, ::-1]),
)


@pytest.mark.parametrize(("name", "words", "graph", "x", "y"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_what_was_computed_instead_is_named(name: str, words: str, graph: Graph, x: Array, y: Any) -> None:
    causes = why(graph, x, instead(y))
    # Reversals are found as those of the input where the layer treats all places alike.
    assert proven(causes) in ([name], ["input-rearranged"] if name == "output-rearranged" else [name])
    assert words in causes[0].sentence or causes[0].cause == "input-rearranged"


def convolved(x: Array, kernel: Array, low: tuple[int, int], size: tuple[int, int]) -> Array:
    """Stride 2, zeros outside; ``low`` is what lies before the image."""
    y = np.zeros((len(x), *size, kernel.shape[-1]))
    for n, i, j in np.ndindex(len(x), *size):
        for r, s in np.ndindex(kernel.shape[:2]):
            a, b = 2 * i + r - low[0], 2 * j + s - low[1]
            if 0 <= a < x.shape[1] and 0 <= b < x.shape[2]:
                y[n, i, j] += x[n, a, b].astype(np.float64) @ kernel[r, s].astype(np.float64)
    return y


def test_same_padding_at_the_other_end() -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
    config = {"strides": [2, 2], "padding": "same", "use_bias": False}
    graph = single("Conv2D", (8, 8, 3), config, kernel=kernel)
    x = np.random.default_rng(2).normal(size=(1, 8, 8, 3)).astype(np.float32)
    assert proven(why(graph, x, instead(convolved(x, kernel, (1, 1), (4, 4))))) == ["padding-side"]


def test_padding_counted_in_a_mean() -> None:
    config = {"pool_size": [3, 3], "strides": [1, 1], "padding": "same"}
    graph = single("AveragePooling2D", (7, 8, 3), config)
    padded = np.pad(wide(), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = sum(padded[:, i : i + 7, j : j + 8] for i in range(3) for j in range(3)) / 9
    assert proven(why(graph, IMAGE, instead(y))) == ["other-definition"]


def test_a_resize_with_aligned_corners() -> None:
    graph = single("UpSampling2D", (7, 8, 3), {"size": [2, 2], "interpolation": "bilinear"})
    rows, columns = (np.linspace(0, n - 1, 2 * n) for n in (7, 8))
    y = np.empty((2, 14, 16, 3))
    for n, i, j, c in np.ndindex(y.shape):
        line = [np.interp(columns[j], np.arange(8), wide()[n, row, :, c]) for row in range(7)]
        y[n, i, j, c] = np.interp(rows[i], np.arange(7), line)
    causes = why(graph, IMAGE, instead(y))
    assert proven(causes) == ["other-definition"]
    assert "aligned" in causes[0].sentence


def test_epsilon_outside_of_the_root() -> None:
    drawn = np.random.default_rng(4).uniform(0.01, 0.2, (4, 3)).astype(np.float32)
    weights = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), drawn, strict=True))
    graph = single("BatchNormalization", (7, 8, 3), {"epsilon": 1e-2}, **weights)
    gamma, beta, mean, variance = drawn.astype(np.float64)
    assert proven(why(graph, IMAGE, instead((wide() - mean) / (np.sqrt(variance) + 1e-2) * gamma + beta))) == [
        "other-definition"
    ]


def test_batch_normalisation_in_training_mode() -> None:
    drawn = np.random.default_rng(4).uniform(0.5, 2, (4, 3)).astype(np.float32)
    weights = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), drawn, strict=True))
    graph = single("BatchNormalization", (7, 8, 3), {"epsilon": 1e-3}, **weights)
    mean, variance = IMAGE.mean((0, 1, 2)), IMAGE.var((0, 1, 2))
    y = (IMAGE - mean) / np.sqrt(variance + np.float32(1e-3)) * drawn[0] + drawn[1]
    assert proven(why(graph, IMAGE, instead(y))) == ["training-mode"]


def test_dropout_that_drops() -> None:
    graph = single("Dropout", (7, 8, 3), {"rate": 0.25})
    kept = np.random.default_rng(5).uniform(size=IMAGE.shape) > 0.25
    assert proven(why(graph, IMAGE, instead(np.where(kept, IMAGE / np.float32(0.75), 0)))) == ["training-mode"]


def of_two(class_name: str, **config: Any) -> Graph:
    kernel = np.random.default_rng(6).normal(size=(SIZE, SIZE)).astype(np.float32)
    both = LayerNode("l", class_name, "keras.layers", {"name": "l", **config}, (), (call([X, TensorRef("d")]),))
    return model([entry("x", SIZE)], [dense("d", kernel, call(X)), both], TensorRef("l"))


def test_operands_in_each_others_place() -> None:
    assert proven(why(of_two("Subtract"), x_of()["x"], lambda y: -y)) == ["operands-swapped"]
    swapped = why(of_two("Concatenate", axis=-1), x_of()["x"], lambda y: np.roll(y, SIZE, -1))
    assert proven(swapped) == ["operands-swapped"]


def sequences(mask: bool) -> tuple[Graph, dict[str, Array]]:
    """An average over time behind an embedding, whose mask reaches it or not."""
    table = np.random.default_rng(7).normal(size=(5, 3)).astype(np.float32)
    looked_up = layer(
        "e",
        "Embedding",
        call(X),
        config={"input_dim": 5, "output_dim": 3, "mask_zero": mask},
        embeddings=table,
    )
    mean = layer("l", "GlobalAveragePooling1D", call(TensorRef("e")), config={"keepdims": False})
    graph = model([entry("x", 6, dtype="int32")], [looked_up, mean], TensorRef("l"))
    return graph, {"x": np.array([[1, 2, 3, 0, 0, 0], [4, 1, 2, 2, 0, 0]], np.int32)}


def test_a_mask_that_was_lost() -> None:
    graph, inputs = sequences(mask=True)
    table = graph.layer("e").weight("embeddings").astype(np.float64)
    causes = why(graph, inputs["x"], instead(table[inputs["x"]].mean(1)))
    assert proven(causes) == ["mask"]
    assert "without the mask" in causes[0].sentence


def test_a_mask_that_leaked() -> None:
    x = np.random.default_rng(8).normal(size=(2, 6, 3)).astype(np.float32)
    x[:, 4:] = 0
    graph = single("GlobalAveragePooling1D", (6, 3), {"keepdims": False})
    assert proven(why(graph, x, instead(x.astype(np.float64)[:, :4].mean(1)))) == ["mask"]


def test_nan_of_an_exponential_that_overflows() -> None:
    x = np.zeros((2, SIZE), np.float32)
    x[1, 3] = 200
    graph = single("Softmax", (SIZE,), {"axis": -1})
    with np.errstate(all="ignore"):
        e = np.exp(x)
        causes = why(graph, x, instead(e / e.sum(-1, keepdims=True)))
    assert proven(causes) == ["overflow"]
    assert "maximum" in causes[0].sentence


def test_subnormal_inputs_taken_for_zero() -> None:
    kernel = np.full((SIZE, SIZE), 1e38, np.float32)
    graph = model([entry("x", SIZE)], [dense("l", kernel, call(X))], TensorRef("l"))
    x = np.full((1, SIZE), 1e-40, np.float32)
    found = diagnose(run(graph, {"x": x}), run(graph, {"x": x}, faults={"l": np.zeros_like}), graph)
    # Every backend may flush: inside the axioms. Only one that keeps subnormals can be blamed.
    assert found.verdict <= "rounding" or proven(found.faults[0].causes) == ["subnormals-flushed"]


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_explained_by_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for graph, x in ((chain(2, seed), x_of(seed)["x"]), (single("ReLU", (7, 8, 3), {"max_value": 6.0}), IMAGE)):
        name = graph.outputs[0].layer
        fault = {name: lambda y: y + generator.normal(size=y.shape).astype(np.float32)}
        found = diagnose(run(graph, {"x": x}), run(graph, {"x": x}, faults=fault), graph)
        assert [entry.name for entry in found.faults] == [name]
        assert proven(found.faults[0].causes) == []


def gru(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Cho et al. 2014: the reset gate before the product; gates in Keras's order z, r, h."""
    h = np.zeros((len(x), recurrent.shape[0]))
    units = recurrent.shape[0]
    for step in np.moveaxis(x.astype(np.float64), 1, 0):
        of_x = step @ kernel + bias
        z, r = (
            1 / (1 + np.exp(-(of_x[:, part] + h @ recurrent[:, part])))
            for part in (slice(0, units), slice(units, 2 * units))
        )
        candidate = np.tanh(of_x[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
        h = z * h + (1 - z) * candidate
    return h


def test_a_reset_gate_on_the_other_side_of_the_product() -> None:
    draw = np.random.default_rng(9)
    kernel, recurrent, bias = (draw.uniform(-1, 1, shape).astype(np.float32) for shape in ((3, 12), (4, 12), (2, 12)))
    x = draw.normal(size=(3, 5, 3)).astype(np.float32)
    config = {"units": 4, "reset_after": True}
    graph = single("GRU", (5, 3), config, kernel=kernel, recurrent_kernel=recurrent, bias=bias)
    y = gru(x, *(weight.astype(np.float64) for weight in (kernel, recurrent, bias[0] + bias[1])))
    assert proven(why(graph, x, instead(y))) == ["reset-after"]


def test_an_output_in_half_precision_whose_operands_were_not() -> None:
    draw = np.random.default_rng(1)
    alpha = draw.uniform(-30, 30, (50, 40)).astype(np.float32)
    x = draw.normal(size=(2, 50, 40)).astype(np.float32)
    causes = why(single("PReLU", (50, 40), {}, alpha=alpha), x, lambda y: y.astype(np.float16).astype(np.float32))
    assert proven(causes) == ["reduced-precision"]
