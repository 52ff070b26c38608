"""Subclassed Keras models, whose code says what they compute: traced by TensorFlow into a graph of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from bittrue.errors import Unsupported
from bittrue.graph.nodegraph import NodeGraph, Port

from .framework import import_keras, import_tensorflow
from .freezing import check_backend, frozen_trace, simplified, tensorflow_errors
from .graphdef.protobuf import nodes_of_graph_def

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
    what = f"model {model.name!r} is a subclassed model ({type(model).__name__}), which"
    check_backend(what)
    tf = import_tensorflow()
    with tensorflow_errors(f"{what} TensorFlow cannot trace", None):
        structure = _structure(model)
        inputs = _flat_specs(tf, structure)

        def call(*tensors: Any) -> Any:
            packed = tf.nest.pack_sequence_as(structure, tensors)
            return tf.nest.flatten(model(packed, training=False))

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
    graph_def = simplified(frozen.graph.as_graph_def(), signature)
    ins = [_port(key, tensor) for key, tensor in zip(inputs, frozen.inputs, strict=True)]
    outs = [_port(key, tensor) for key, tensor in zip(outputs, frozen.outputs, strict=True)]
    return nodes_of_graph_def(graph_def, ins, outs, name)


def _port(key: str, tensor: Any) -> Port:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return Port(key, (tensor.op.name, tensor.value_index), np.dtype(tensor.dtype.as_numpy_dtype), shape)


def _structure(model: Any) -> Any:
    """The inputs of the model, as shapes and dtypes in the structure in which it takes them."""
    from keras.src.export.export_utils import get_input_signature

    if not model.built:
        name = type(model).__name__
        raise Unsupported(
            f"model {model.name!r} is a subclassed model ({name}) that has never been called, so that its inputs are "
            "not known; call it once on data, or build it with the shapes of its inputs"
        )
    try:
        signature = get_input_signature(model)
    except ValueError as error:
        raise Unsupported(f"model {model.name!r} does not say what it takes: {str(error).splitlines()[0]}") from error
    return signature[0] if isinstance(signature, list | tuple) and len(signature) == 1 else signature


def _flat_specs(tf: Any, structure: Any) -> list[Any]:
    flat = tf.nest.flatten(structure)
    names = [_name(spec, at, len(flat)) for at, spec in enumerate(flat)]
    return [tf.TensorSpec(spec.shape, spec.dtype, name) for spec, name in zip(flat, names, strict=True)]


def _name(spec: Any, at: int, count: int) -> str:
    given = getattr(spec, "name", None)
    plain = "input" if count == 1 else f"input_{at}"
    return str(given) if given and not str(given).startswith("keras_tensor") else plain


def _output_names(count: int) -> list[str]:
    return ["output"] if count == 1 else [f"output_{at}" for at in range(count)]
