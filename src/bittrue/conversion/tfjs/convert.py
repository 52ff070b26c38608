"""Writing a graph as a TensorFlow.js artifact: ``model.json`` and its weights, all at once or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bittrue.errors import ArtifactError, Unsupported, UsageError
from bittrue.graph.model import Graph
from bittrue.graph.nodegraph import NodeGraph

from .artifact import MODEL_JSON, Artifact, read_artifact
from .frozen_model import write_frozen
from .graph_model import GraphModel, write_graph
from .layers_model import LayersModel, write_model
from .precision import precision_notes
from .quantization import STORED, Quantize, chosen, quantise
from .shards import ShardWriter
from .shims import SHIMS, shims_module
from .versions import Version, parse_version

__all__ = ["Form", "convert"]

Form = Literal["auto", "layers-model", "graph-model"]
"""What to write: ``auto`` is a layers-model where every layer can be one faithfully, else a graph-model."""


def convert(
    graph: Graph,
    out: Path,
    *,
    version: str = "4.22.0",
    form: Form = "auto",
    quantize: Sequence[Quantize] = (),
    shims: bool = False,
    nodes: NodeGraph | None = None,
) -> Artifact:
    """Write ``graph`` into the folder ``out`` for TensorFlow.js of ``version``, weights quantised as ``quantize`` says.

    ``out`` appears whole or not at all; an artifact that it held before is replaced. Where ``form`` is ``auto`` and a
    layer decides for a graph-model, the artifact's ``reason`` says which and why. With ``shims`` it is a layers-model
    nonetheless, and where it needs them the module `SHIMS` lies beside it, which registers the layers that
    TensorFlow.js lacks; ``reason`` says for which. ``nodes`` is the TensorFlow graph that ``graph`` was made of, if it
    was: it is written as it is where one of its nodes has no expansion into ops. Raises Unsupported, naming the
    layer, for what cannot be expressed faithfully, and UsageError where ``out`` holds other things or a weight
    cannot be quantised as asked.
    """
    out = Path(out).absolute()
    if shims and form == "graph-model":
        raise UsageError("shims are for layers-models: a graph-model needs none; leave out one of the two")
    numbers = parse_version(version)
    if nodes is not None:
        model, reason = _from_nodes(graph, nodes, numbers, form, shims)
    else:
        model, reason = _shimmed(graph, numbers) if shims else _written(graph, numbers, form)
    dtypes = chosen(_quantisable(model), quantize, parse_version(version))
    _check_replaceable(out)
    temporary = _sibling(out)
    try:
        temporary.mkdir(parents=True)
        _write_files(model, dtypes, temporary, version)
        _replace(temporary, out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}; name another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shimmed = isinstance(model, LayersModel) and bool(model.shimmed)
    found = read_artifact(out)
    return replace(found, reason=reason, shims=SHIMS if shimmed else None, notes=precision_notes(graph))


def _written(graph: Graph, version: Version, form: Form) -> tuple[LayersModel | GraphModel, str | None]:
    """The model in ``form``, and why it is a graph-model if that was to be decided here."""
    if form == "graph-model":
        return write_graph(graph, version), None
    try:
        return write_model(graph, version), None
    except Unsupported as refusal:
        if form == "layers-model":
            raise
        reason = refusal
    try:
        return write_graph(graph, version), str(reason)
    except Unsupported as refusal:
        if str(refusal) == str(reason):
            raise
        message = f"{refusal}; nor can it be a layers-model: {reason}"
        raise Unsupported(message, layer=refusal.layer) from refusal


def _from_nodes(
    graph: Graph, nodes: NodeGraph, version: Version, form: Form, shims: bool
) -> tuple[LayersModel | GraphModel, str | None]:
    """A graph-model, rewritten for TensorFlow.js where each node has an expansion into ops, else node by node."""
    if form == "layers-model" or shims:
        raise Unsupported(
            f"{graph.name!r} is a graph of TensorFlow's nodes, which no layers-model can be: write a graph-model"
        )
    if nodes.obstacle:
        raise Unsupported(f"{graph.name!r} cannot be a graph-model, which predict runs without loops: {nodes.obstacle}")
    try:
        return write_graph(graph, version), None
    except Unsupported as refusal:
        reason = str(refusal)
    try:
        return write_frozen(nodes, graph, version), f"it is written node by node, as TensorFlow made it: {reason}"
    except Unsupported as refusal:
        raise Unsupported(f"{refusal}; nor can it be rewritten: {reason}", layer=refusal.layer) from refusal


def _shimmed(graph: Graph, version: Version) -> tuple[LayersModel, str | None]:
    """The model as a layers-model whatever it takes, and why it needs the shims if it does."""
    model = write_model(graph, version, shims=True)
    return model, next(iter(model.shimmed.values()), None)


def _quantisable(model: LayersModel | GraphModel) -> list[str]:
    """The names of the weights; the numbers of the configurations stay as they are."""
    if isinstance(model, LayersModel):
        return list(model.weights)
    named = [name for names in model.places.values() for name in names]
    return [name for name in named if model.weights[name].dtype == np.float32]


def _check_replaceable(out: Path) -> None:
    """Only what a conversion has written may be lost to the next one."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise UsageError(f"{out} exists and is no folder; give another place for the converted model")
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if not present:
        return
    try:
        known = {*read_artifact(out).files, SHIMS}
    except ArtifactError:
        known = set()
    foreign = sorted(present - known)
    if foreign:
        raise UsageError(
            f"{out} holds other files than a converted model ({foreign[0]}); give another or an empty folder"
        )


def _write_files(model: LayersModel | GraphModel, dtypes: Mapping[str, str], folder: Path, version: str) -> None:
    sizes = (_stored_size(value, dtypes.get(name)) for name, value in model.weights.items())
    shards = ShardWriter(folder, sum(sizes))
    weights = []
    for name, value in model.weights.items():
        array, entry = _stored(name, value, dtypes.get(name))
        shards.write(array)
        weights.append(entry)
    document: dict[str, Any] = {
        "format": "layers-model" if isinstance(model, LayersModel) else model.format,
        "generatedBy": "Keras",
        "convertedBy": f"Bittrue {_own_version()} for TensorFlow.js {version}",
        **_parts(model, shards.hashes),
        "weightsManifest": [{"paths": shards.names, "weights": weights}],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / MODEL_JSON).write_text(text, encoding="utf-8", newline="\n")
    if isinstance(model, LayersModel) and model.shimmed:
        (folder / SHIMS).write_bytes(shims_module())


def _parts(model: LayersModel | GraphModel, hashes: Mapping[str, str]) -> Mapping[str, Any]:
    """What ``model.json`` says of the model; ``hashes`` are those of the weights' files, which reading checks."""
    if isinstance(model, GraphModel):
        metadata = model.parts["userDefinedMetadata"]
        noted = {**metadata, "bittrue": {**metadata["bittrue"], "sha256": hashes}}
        return {**model.parts, "userDefinedMetadata": noted}
    own: dict[str, Any] = {"sha256": hashes}
    if model.shimmed:
        own |= {"shims": SHIMS, "shimmed": list(model.shimmed)}
    topology = {"backend": "tensorflow", "model_config": model.topology}
    return {"modelTopology": topology, "userDefinedMetadata": {"bittrue": own}}


_LAYOUTS = {"float32": "<f4", "int32": "<i4", "bool": "?"}


def _stored_size(value: np.ndarray[Any, Any], dtype: str | None) -> int:
    """Bytes that a weight takes in the shards."""
    return value.size * np.dtype(STORED[dtype] if dtype else _LAYOUTS[value.dtype.name]).itemsize


def _stored(name: str, value: np.ndarray[Any, Any], dtype: str | None) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """A weight's array for the shards, and its entry in the manifest."""
    entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
    array = np.asarray(value, dtype=_LAYOUTS[value.dtype.name])
    if dtype is None:
        return array, entry
    quantised, quantization = quantise(name, array, dtype)
    return quantised, {**entry, "quantization": quantization.entry}


def _own_version() -> str:
    try:
        return installed_version("bittrue")
    except PackageNotFoundError:
        return "unknown"


def _replace(new: Path, out: Path) -> None:
    """Move ``new`` to ``out``; what was there is moved aside first and back if that fails."""
    if not out.exists():
        new.rename(out)
        return
    aside = _sibling(out)
    out.rename(aside)
    try:
        new.rename(out)
    except OSError:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sibling(out: Path) -> Path:
    """A name beside ``out`` that nobody uses: a rename within one folder is atomic."""
    return out.with_name(f".{out.name}-{secrets.token_hex(6)}")
