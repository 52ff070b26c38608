"""Writing a graph as a TensorFlow.js layers-model: ``model.json`` and its weights, all at once or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import ArtifactError, UsageError
from bittrue.graph.model import Graph

from .artifact import MODEL_JSON, Artifact, read_artifact
from .layers_model import LayersModel, write_model
from .versions import parse_version

__all__ = ["convert"]

_SHARD = 4 * 2**20  # bytes; small enough to be cached one by one, as TensorFlow.js's own converter does


def convert(graph: Graph, out: Path, *, version: str = "4.22.0") -> Artifact:
    """Write ``graph`` into the folder ``out`` for TensorFlow.js of ``version``.

    ``out`` appears whole or not at all; an artifact that it held before is replaced. Raises Unsupported, naming
    the layer, for what cannot be expressed faithfully, and UsageError where ``out`` holds other things.
    """
    out = Path(out).absolute()
    model = write_model(graph, parse_version(version))
    _check_replaceable(out)
    temporary = _sibling(out)
    try:
        temporary.mkdir(parents=True)
        _write_files(model, temporary, version)
        _replace(temporary, out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}; name another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_artifact(out)


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


def _write_files(model: LayersModel, folder: Path, version: str) -> None:
    arrays = [np.ascontiguousarray(value, dtype="<f4") for value in model.weights.values()]
    names = _write_shards(arrays, folder)
    weights = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in model.weights.items()]
    document: dict[str, Any] = {
        "format": "layers-model",
        "generatedBy": "Keras",
        "convertedBy": f"Bittrue {_own_version()} for TensorFlow.js {version}",
        "modelTopology": {"backend": "tensorflow", "model_config": model.topology},
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / MODEL_JSON).write_text(text, encoding="utf-8", newline="\n")


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
