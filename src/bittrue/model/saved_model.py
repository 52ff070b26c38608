"""SavedModel folders: the signature that was chosen, frozen into a graph of nodes.

``saved_model.pb`` is read before TensorFlow sees it: a model whose graph would touch files, start Python functions or
reach other machines is refused, as a Keras file with code in it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bittrue.errors import ModelError, UntrustedCode, UsageError
from bittrue.graph.nodegraph import NodeGraph, Port, dtype_called

from .framework import import_tensorflow
from .freezing import frozen_signature, node_graph, tensorflow_errors
from .graphdef.protobuf import LARGEST

__all__ = ["SAVED_MODEL", "is_saved_model", "load_saved_model", "split_signature"]

SAVED_MODEL = "saved_model.pb"
_TEXT = "saved_model.pbtxt"
_DEFAULT = "serving_default"
_INIT = "__saved_model_"
_PREFERRED_TAGS = ("serve",)

_REACHES_OUT = frozenset(
    {
        *("WriteFile", "ReadFile", "MatchingFiles", "CreateSummaryFileWriter", "CreateSummaryDbWriter"),
        *("PyFunc", "PyFuncStateless", "EagerPyFunc", "DatasetFromGraph", "ExperimentalDatasetToTFRecord"),
        *("DatasetToTFRecord", "SaveDataset", "SaveDatasetV2", "SnapshotDataset", "SnapshotDatasetV2", "LoadDataset"),
        *("TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset", "FixedLengthRecordDataset", "SqlDataset"),
        *("FixedLengthRecordDatasetV2", "WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2"),
        *("TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader"),
        *("LMDBDataset", "CacheDataset", "CacheDatasetV2", "DebugIdentity", "DebugIdentityV2", "RpcCall", "RpcClient"),
        *("DistributedSave", "PrintV2", "SaveSlices", "RemoteCall", "RegisterDataset", "DataServiceDataset"),
        *("DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4"),
    }
)
"""Operations that read or write files, call back into Python, or talk to others."""


def is_saved_model(path: Path) -> bool:
    """Whether the folder ``path`` holds a SavedModel."""
    return (path / SAVED_MODEL).is_file() or (path / _TEXT).is_file()


def split_signature(path: Path) -> tuple[Path, str | None]:
    """``FOLDER#NAME`` as folder and signature; a folder that is there under the whole name is just that."""
    if path.exists() or "#" not in path.name:
        return path, None
    folder, _, signature = path.name.rpartition("#")
    return path.with_name(folder) if folder else path.parent, signature


def load_saved_model(path: Path, signature: str | None, *, trust: bool) -> NodeGraph:
    """The nodes behind ``signature`` of the SavedModel in ``path``; None for the one that is meant for serving.

    Raises ModelError where it is damaged, UsageError where several signatures are there to choose from, UntrustedCode
    where it would reach beyond itself, unless ``trust``.
    """
    where = str(path)
    with tensorflow_errors(f"{path} cannot be read as a SavedModel", where):
        meta = _meta_graph(path)
        if not trust:
            _refuse_reaching_out(meta, path)
        chosen = _chosen(meta.signature_def, signature, path)
        entry = meta.signature_def[chosen]
        _refuse_larger(meta.graph_def, entry, path)
        graph_def = frozen_signature(path, list(meta.meta_info_def.tags), chosen)
        inputs, outputs = list(_ports(entry.inputs, path)), list(_ports(entry.outputs, path))
        return node_graph(graph_def, entry, inputs, outputs, path.resolve().name, chosen)


def _meta_graph(path: Path) -> Any:
    import_tensorflow()
    from google.protobuf.message import DecodeError
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        graphs = list(parse_saved_model(str(path)).meta_graphs)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path / SAVED_MODEL} is damaged or cut short; copy or export it again", path=str(path)
        ) from error
    for graph in graphs:
        if set(graph.meta_info_def.tags) == set(_PREFERRED_TAGS):
            return graph
    if len(graphs) != 1:
        raise ModelError(
            f"{path} holds {len(graphs)} graphs, none of them for serving; export it again", path=str(path)
        )
    return graphs[0]


def _chosen(signatures: Mapping[str, Any], wanted: str | None, path: Path) -> str:
    names = sorted(name for name in signatures if not name.startswith(_INIT))
    listed = ", ".join(names) or "none"
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{path} has no signature {wanted!r}; it has {listed}")
        return wanted
    if _DEFAULT in names:
        return _DEFAULT
    if len(names) == 1:
        return names[0]
    if not names:
        raise ModelError(f"{path} has no signature; save it with signatures=…, or export it from Keras", path=str(path))
    raise UsageError(
        f"{path} has the signatures {listed}: choose one by writing it behind the folder, {path}#{names[0]}"
    )


def _ports(entries: Mapping[str, Any], path: Path) -> Iterator[Port]:
    """The entries of a signature in the order of their names, which is TensorFlow's own."""
    from tensorflow.core.framework import types_pb2

    for key in sorted(entries):
        info = entries[key]
        if not info.name:
            raise ModelError(f"{path}: {key!r} of its signature is no plain tensor (sparse or ragged)", path=str(path))
        name, _, output = info.name.rpartition(":")
        shape = None if info.tensor_shape.unknown_rank else tuple(_size(dim.size) for dim in info.tensor_shape.dim)
        yield Port(key, (name, int(output)), dtype_called(types_pb2.DataType.Name(info.dtype)), shape)


def _size(value: int) -> int | None:
    return None if value < 0 else int(value)


def _refuse_reaching_out(meta: Any, path: Path) -> None:
    found = sorted({op for op in _ops(meta.graph_def) if op in _REACHES_OUT})
    if found:
        raise UntrustedCode(
            f"{path} would reach beyond itself ({', '.join(found[:3])}): files, Python functions or other machines; "
            "allow it with --trust if you know where it comes from",
            path=str(path),
        )


def _refuse_larger(graph_def: Any, signature: Any, path: Path) -> None:
    """Raises ModelError, before anything is loaded, for more variables than TensorFlow can turn into constants."""
    nodes = {node.name: node for node in graph_def.node}
    waiting = [info.name for info in signature.outputs.values()]
    reached: set[str] = set()
    nbytes = 0
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name in reached or name not in nodes:
            continue
        reached.add(name)
        waiting += nodes[name].input
        nbytes += _variable_bytes(nodes[name])
    if nbytes > LARGEST:
        raise ModelError(
            f"{path} holds {nbytes / 2**30:.1f} GiB of weights, and TensorFlow makes no more than 2 GiB part of a "
            "graph; convert the .keras or .h5 file that it was made from",
            path=str(path),
        )


def _variable_bytes(node: Any) -> int:
    from tensorflow.core.framework import types_pb2

    if node.op != "VarHandleOp":
        return 0
    dtype = dtype_called(types_pb2.DataType.Name(node.attr["dtype"].type))
    size: int = math.prod(max(dim.size, 0) for dim in node.attr["shape"].shape.dim)
    return size * (dtype.itemsize if dtype else 0)


def _ops(graph_def: Any) -> Iterator[str]:
    yield from _named(graph_def.node)
    for function in graph_def.library.function:
        yield from _named(function.node_def)


def _named(nodes: Iterable[Any]) -> Iterator[str]:
    return (node.op for node in nodes)
