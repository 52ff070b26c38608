"""Subclassed Keras models, whose code says what they compute: traced by TensorFlow into a graph of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.graph.nodegraph import NodeGraph, Port

from .framework import import_keras, import_tensorflow
from .freezing import check_backend, frozen_trace, node_graph, tensorflow_errors

__all__ = ["is_subclassed", "traced"]


def is_subclassed(model: Any) -> bool:
    """Whether a Keras model is more than layers that are connected: its ``call`` is its own."""
    keras = import_keras()
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        return False
    return not hasattr(model, "operations") or not type(model).call.__module__.startswith("keras.src.models.")


def traced(model: Any) -> NodeGraph:
    """What ``model`` computes in inference, for any sizes that it was built to leave open.

    Raises Unsupported where it has never been called, so that its inputs are not known, and where Keras does not run
    on TensorFlow; ModelError where TensorFlow cannot trace it.
    """
    what = f"model {model.name!r} ({type(model).__name__}), whose layers do not say what they compute,"
    check_backend(what)
    tf = import_tensorflow()
    with tensorflow_errors(f"{what} cannot be traced by TensorFlow", None):
        arguments = _arguments(tf, model)
        inputs = _flat_specs(tf, arguments)

        def call(*tensors: Any) -> Any:
            packed = tf.nest.pack_sequence_as(arguments, tensors)
            return tf.nest.flatten(model(*packed, training=False))

        function = tf.function(call, autograph=False).get_concrete_function(*inputs)
        names = _output_names(len(function.outputs))
        return _nodes(tf, function, [spec.name for spec in inputs], names, model.name)


def _nodes(tf: Any, function: Any, inputs: list[str], outputs: list[str], name: str) -> NodeGraph:
    frozen = frozen_trace(function)
    describe = tf.compat.v1.saved_model.build_tensor_info
    with frozen.graph.as_default():
        signature = tf.compat.v1.saved_model.build_signature_def(
            {f"i{at}": describe(tensor) for at, tensor in enumerate(frozen.inputs)},
            {f"o{at}": describe(tensor) for at, tensor in enumerate(frozen.outputs)},
        )
    ins = [_port(key, tensor) for key, tensor in zip(inputs, frozen.inputs, strict=True)]
    outs = [_port(key, tensor) for key, tensor in zip(outputs, frozen.outputs, strict=True)]
    return node_graph(frozen.graph.as_graph_def(), signature, ins, outs, name)


def _port(key: str, tensor: Any) -> Port:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return Port(key, (tensor.op.name, tensor.value_index), np.dtype(tensor.dtype.as_numpy_dtype), shape)


def _arguments(tf: Any, model: Any) -> list[Any]:
    """What the model is called on: for each argument shapes and dtypes in its structure, any batch."""
    name = f"model {model.name!r} is a subclassed model ({type(model).__name__})"
    struct = getattr(model, "_inputs_struct", None)
    shapes = getattr(model, "_build_shapes_dict", None)
    if struct is not None:
        return [tf.nest.map_structure(lambda tensor: _spec(tf, tensor.shape, tensor.dtype, tensor.name), struct)]
    if not model.built or not shapes:
        raise Unsupported(
            f"{name} that has never been called, so that its inputs are not known; call it once on data, or build it "
            "with the shapes of its inputs"
        )
    return [_shaped(tf, shape, model.input_dtype) for shape in shapes.values()]


def _shaped(tf: Any, shape: Any, dtype: str) -> Any:
    """A recorded structure of shapes; a list or tuple of sizes is one shape."""
    if isinstance(shape, Mapping):
        return {key: _shaped(tf, value, dtype) for key, value in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return _spec(tf, shape, dtype, None)
    return [_shaped(tf, value, dtype) for value in shape]


def _spec(tf: Any, shape: Any, dtype: str, name: str | None) -> Any:
    return tf.TensorSpec([None, *shape[1:]], dtype, name)


def _flat_specs(tf: Any, arguments: list[Any]) -> list[Any]:
    flat = tf.nest.flatten(arguments)
    names = [_name(spec, at, len(flat)) for at, spec in enumerate(flat)]
    return [tf.TensorSpec(spec.shape, spec.dtype, name) for spec, name in zip(flat, names, strict=True)]


def _name(spec: Any, at: int, count: int) -> str:
    plain = "input" if count == 1 else f"input_{at}"
    return str(spec.name) if spec.name and not str(spec.name).startswith("keras_tensor") else plain


def _output_names(count: int) -> list[str]:
    return ["output"] if count == 1 else [f"output_{at}" for at in range(count)]
