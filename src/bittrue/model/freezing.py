"""TensorFlow's own tools: variables turned into constants, functions written out, and what nobody reads taken away.

Nothing is optimised that could move a bit of what the nodes compute: the passes of TensorFlow's optimiser that are
used inline functions and prune; they fold and fuse nothing, and reorder no arithmetic.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bittrue.errors import BittrueError, ModelError, Unsupported
from bittrue.graph.nodegraph import NodeGraph, Port

from .framework import import_tensorflow, quiet
from .graphdef.protobuf import nodes_of_graph_def
from .unrolling import MOST_NODES, Obstacle, has_control_flow, unrolled

__all__ = ["check_backend", "frozen_signature", "frozen_trace", "node_graph", "tensorflow_errors"]

_LOWERED = "_lower_using_switch_merge"
_PASSES = ("function", "pruning", "dependency", "pruning")  # "constfold" would scale kernels by what follows


@contextmanager
def tensorflow_errors(what: str, path: str | None) -> Iterator[None]:
    """What TensorFlow raises, of which there are many kinds, as a ModelError of one sentence."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)  # it advises against its own older functions
    try:
        with quiet():
            yield
    except BittrueError:
        raise
    except Exception as error:  # TensorFlow's errors have no common base that is public
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{what}: {lines[0][:300]}", path=path) from error
    finally:
        log.setLevel(level)


def frozen_signature(path: Path, tags: Sequence[str], signature: str) -> Any:
    """The GraphDef behind a signature of the SavedModel at ``path``, its variables constants.

    Loaded as a graph and never as Python objects: classes that the model was saved with need not be there, nor fit.
    """
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_from_session_graph

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph, config=_one_device(tf)) as session:
        meta = v1.saved_model.load(session, list(tags), str(path))
        entry = meta.signature_def[signature]
        names = sorted({info.name.split(":")[0] for info in entry.outputs.values()})
        try:
            return convert_variables_to_constants_from_session_graph(session, graph.as_graph_def(), names)
        except ValueError as error:
            raise ModelError(
                f"{path}: TensorFlow cannot turn its variables into constants ({str(error).splitlines()[0][:200]}); "
                "convert the .keras or .h5 file that it was made from",
                path=str(path),
            ) from error


def frozen_trace(function: Any) -> Any:
    """The GraphDef of a concrete function with its variables as constants, its inputs' and outputs' names kept."""
    import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def node_graph(
    graph_def: Any, signature: Any, inputs: Sequence[Port], outputs: Sequence[Port], name: str, chosen: str = ""
) -> NodeGraph:
    """The nodes of ``graph_def``, frozen, that ``signature`` (a SignatureDef) asks for, loops written out.

    Loops that cannot be are left to TensorFlow's optimiser, which makes nodes of TensorFlow 1's kind of them.
    """
    kept = _simplified(_unlowered(graph_def), signature)
    if not has_control_flow(kept):
        return nodes_of_graph_def(kept, inputs, outputs, name, chosen)
    try:
        found = unrolled(kept, [port.source for port in outputs], MOST_NODES)
    except Obstacle as obstacle:
        nodes = nodes_of_graph_def(_simplified(graph_def, signature), inputs, outputs, name, chosen)
        return replace(nodes, obstacle=str(obstacle))
    moved = [replace(port, source=source) for port, source in zip(outputs, found.outputs, strict=True)]
    straight = nodes_of_graph_def(found.graph_def, inputs, moved, name, chosen)
    looping = nodes_of_graph_def(kept, inputs, outputs, name, chosen)
    shared = {key: straight.constants.get(key, array) for key, array in looping.constants.items()}
    return replace(straight, looping=replace(looping, constants=shared))


def _unlowered(graph_def: Any) -> Any:
    """``graph_def`` with loops and branches that TensorFlow's optimiser leaves as they are."""
    if not any(node.attr[_LOWERED].b for node in _all_nodes(graph_def) if _LOWERED in node.attr):
        return graph_def
    made = type(graph_def)()
    made.CopyFrom(graph_def)
    for node in _all_nodes(made):
        if _LOWERED in node.attr:
            node.attr[_LOWERED].b = False
    return made


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _simplified(graph_def: Any, signature: Any) -> Any:
    """``graph_def`` after TensorFlow's optimiser, for the inputs and outputs of ``signature``."""
    tf = import_tensorflow()
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import tf_optimizer

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        meta = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=graph)
    meta.signature_def["chosen"].CopyFrom(signature)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1  # small graphs too
    rewriting.optimizers.extend(_PASSES)
    return tf_optimizer.OptimizeGraph(config, meta)


def _one_device(tf: Any) -> Any:
    """Folding and restoring need no accelerator."""
    return tf.compat.v1.ConfigProto(device_count={"GPU": 0})


def check_backend(what: str) -> None:
    """Raises Unsupported where Keras runs on another backend than TensorFlow, which alone can be traced."""
    from .framework import import_keras

    backend = import_keras().backend.backend()
    if backend != "tensorflow":
        raise Unsupported(f"{what} can be read only where Keras runs on TensorFlow, but it runs on {backend}")
