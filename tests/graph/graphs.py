"""Small models written by hand, with no framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.traces import Array


def call(*refs: TensorRef | list[TensorRef], **kwargs: Any) -> Call:
    return Call(refs, kwargs)


def layer(
    name: str, class_name: str, *calls: Call, config: dict[str, Any] | None = None, **weights: Array
) -> LayerNode:
    held = tuple(Weight(key, np.asarray(value)) for key, value in weights.items())
    return LayerNode(name, class_name, "keras.layers", {"name": name, **(config or {})}, held, calls)


def entry(name: str = "x", *shape: int | None, dtype: str = "float32") -> tuple[LayerNode, InputSpec]:
    node = layer(name, "InputLayer", config={"batch_shape": [None, *shape], "dtype": dtype})
    return node, InputSpec(name, (None, *shape), np.dtype(dtype), TensorRef(name))


def dense(name: str, kernel: Array, *calls: Call, bias: Array | None = None, **config: Any) -> LayerNode:
    weights = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
    return layer(
        name, "Dense", *calls, config={"units": kernel.shape[1], "use_bias": bias is not None, **config}, **weights
    )


def model(inputs: list[tuple[LayerNode, InputSpec]], layers: list[LayerNode], *outputs: TensorRef) -> Graph:
    return Graph(
        "m", "Functional", (*(node for node, _ in inputs), *layers), tuple(spec for _, spec in inputs), outputs
    )


def nested(name: str, graph: Graph, *calls: Call) -> LayerNode:
    return LayerNode(name, "Functional", "keras", {"name": name}, (), calls, graph)
