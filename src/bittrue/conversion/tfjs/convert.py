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

from .artifact import MODEL_JSON, Artifact, read_artifact
from .graph_model import GraphModel, write_graph
from .layers_model import LayersModel, write_model
from .quantization import Quantize, chosen, quantise
from .versions import Version, parse_version

__all__ = ["Form", "convert"]

Form = Literal["auto", "layers-model", "graph-model"]
"""What to write: ``auto`` is a layers-model where every layer can be one faithfully, else a graph-model."""

_SHARD = 4 * 2**20  # bytes; small enough to be cached one by one, as TensorFlow.js's own converter does


def convert(
    graph: Graph, out: Path, *, version: str = "4.22.0", form: Form = "auto", quantize: Sequence[Quantize] = ()
) -> Artifact:
    """Write ``graph`` into the folder ``out`` for TensorFlow.js of ``version``, weights quantised as ``quantize`` says.

    ``out`` appears whole or not at all; an artifact that it held before is replaced. Where ``form`` is ``auto`` and a
    layer decides for a graph-model, the artifact's ``reason`` says which and why. Raises Unsupported, naming the
    layer, for what cannot be expressed faithfully, and UsageError where ``out`` holds other things or a weight
    cannot be quantised as asked.
    """
    out = Path(out).absolute()
    model, reason = _written(graph, parse_version(version), form)
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
    return replace(read_artifact(out), reason=reason)


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
        known = set(read_artifact(out).files)
    except ArtifactError:
        known = set()
    foreign = sorted(present - known)
    if foreign:
        raise UsageError(
            f"{out} holds other files than a converted model ({foreign[0]}); give another or an empty folder"
        )


def _write_files(model: LayersModel | GraphModel, dtypes: Mapping[str, str], folder: Path, version: str) -> None:
    stored = [_stored(name, value, dtypes.get(name)) for name, value in model.weights.items()]
    names = _write_shards([array for array, _ in stored], folder)
    weights = [entry for _, entry in stored]
    document: dict[str, Any] = {
        "format": "layers-model" if isinstance(model, LayersModel) else model.format,
        "generatedBy": "Keras",
        "convertedBy": f"Bittrue {_own_version()} for TensorFlow.js {version}",
        **_parts(model),
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / MODEL_JSON).write_text(text, encoding="utf-8", newline="\n")


def _parts(model: LayersModel | GraphModel) -> Mapping[str, Any]:
    if isinstance(model, GraphModel):
        return model.parts
    return {"modelTopology": {"backend": "tensorflow", "model_config": model.topology}}


_LAYOUTS = {"float32": "<f4", "int32": "<i4", "bool": "?"}


def _stored(name: str, value: np.ndarray[Any, Any], dtype: str | None) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """A weight's array for the shards, and its entry in the manifest."""
    entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
    array = np.ascontiguousarray(value, dtype=_LAYOUTS[value.dtype.name]).reshape(value.shape)
    if dtype is None:
        return array, entry
    quantised, quantization = quantise(name, array, dtype)
    return quantised, {**entry, "quantization": quantization.entry}


def _own_version() -> str:
    try:
        return installed_version("bittrue")
    except PackageNotFoundError:
        return "unknown"


def _write_shards(arrays: list[np.ndarray[Any, Any]], folder: Path) -> list[str]:
    """Write the arrays one after another into files of 4 MiB each, without joining them in memory."""
    count = -(-sum(array.nbytes for array in arrays) // _SHARD)
    names = [f"group1-shard{index + 1}of{count}.bin" for index in range(count)]
    position = 0
    for array in arrays:
        view = array.reshape(-1).view(np.uint8).data
        while view:
            index, offset = divmod(position, _SHARD)
            piece = view[: _SHARD - offset]
            with (folder / names[index]).open("ab") as file:
                file.write(piece)
            position += len(piece)
            view = view[len(piece) :]
    return names


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
