"""TensorFlow's own tools: variables turned into constants, functions written out, and what nobody reads taken away.

Nothing is optimised that could move a bit of what the nodes compute: the passes of TensorFlow's optimiser that are
used inline functions and prune; they fold and fuse nothing, and reorder no arithmetic.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bittrue.errors import BittrueError, ModelError, Unsupported

from .framework import import_tensorflow, quiet

__all__ = ["check_backend", "frozen_signature", "frozen_trace", "simplified", "tensorflow_errors"]

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
        frozen = convert_variables_to_constants_from_session_graph(session, graph.as_graph_def(), names)
    return simplified(frozen, entry)


def frozen_trace(function: Any) -> Any:
    """The GraphDef of a concrete function with its variables as constants, its inputs' and outputs' names kept."""
    import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def simplified(graph_def: Any, signature: Any) -> Any:
    """``graph_def`` after TensorFlow's optimiser, for the inputs and outputs of ``signature`` (a SignatureDef)."""
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
