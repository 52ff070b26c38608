"""A converted model as a folder: what is in it, and whether it may be loaded.

An artifact may come from anywhere. Nothing outside its folder is opened, whatever its ``model.json`` says, and
every length is checked before anything runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from bittrue.errors import ArtifactError

__all__ = ["MODEL_JSON", "Artifact", "file_hash", "read_artifact"]

MODEL_JSON = "model.json"
_LARGEST_JSON = 256 * 2**20
_LARGEST_WEIGHTS = 2**40  # bytes; no machine that Bittrue runs on holds more
_BYTES = {"float32": 4, "int32": 4, "float16": 2, "uint16": 2, "uint8": 1, "bool": 1, "complex64": 8}
_STORED = ("float16", "uint16", "uint8")
_VERSION = re.compile(r"for TensorFlow\.js (\S+)$")

# What means something else in a URL or on another system than in a POSIX path.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:%?#*\"<>|]")


@dataclass(frozen=True)
class Artifact:
    """A model that TensorFlow.js can load from ``folder``.

    ``format`` is ``layers-model`` or ``graph-model``; ``version`` the TensorFlow.js version it was written for,
    empty where it does not say; ``files`` the SHA-256 of each file in hexadecimal, by its POSIX path in ``folder``.
    """

    folder: Path
    format: str
    version: str
    files: Mapping[str, str]


def read_artifact(path: Path) -> Artifact:
    """The artifact in the folder ``path``, or whose ``model.json`` is ``path``.

    Raises ArtifactError, naming the file and what is wrong with it: no JSON, paths that leave the folder, weights
    of impossible shape, shards whose length is not what the manifest says, anything named twice.
    """
    folder = path.parent if path.name == MODEL_JSON and not path.is_dir() else path
    document = _document(folder)
    groups = _groups(document, folder)
    _check_names(groups, folder)
    files = {MODEL_JSON: file_hash(folder / MODEL_JSON)}
    for group in groups:
        files.update(_check_group(group, folder))
    return Artifact(folder, _format(document, folder), _version(document), files)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_JSON
    try:
        if _inside(path, folder).stat().st_size > _LARGEST_JSON:
            raise ArtifactError(f"{path} is larger than {_LARGEST_JSON >> 20} MiB, which no model needs")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; give the folder that a model was converted into") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not readable as JSON ({error}); convert the model again") from error
    if not isinstance(document, dict) or not isinstance(document.get("modelTopology"), dict):
        raise ArtifactError(f"{path} describes no model: it has no modelTopology")
    return document


def _format(document: Mapping[str, Any], folder: Path) -> str:
    topology = document["modelTopology"]
    # The first converters did not write a format.
    form = document.get("format") or ("graph-model" if "node" in topology else "layers-model")
    if form not in ("layers-model", "graph-model"):
        raise ArtifactError(f"{folder / MODEL_JSON} has the format {form!r}; layers-model and graph-model are known")
    return str(form)


def _version(document: Mapping[str, Any]) -> str:
    match = _VERSION.search(str(document.get("convertedBy") or ""))
    return match[1] if match else ""


def _groups(document: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    groups = document.get("weightsManifest", [])
    sound = isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("paths"), list) and isinstance(group.get("weights"), list)
        for group in groups
    )
    if not sound:
        raise ArtifactError(
            f"{folder / MODEL_JSON}: its weightsManifest is not a list of groups with paths and weights"
        )
    return list(groups)


def _check_names(groups: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Paths and weights are named once. Paths that differ in case alone are one file on some systems."""
    seen: set[tuple[str, str]] = {("path", MODEL_JSON)}
    for group in groups:
        paths = [("path", str(path).casefold()) for path in group["paths"]]
        weights = [("weight", str(weight.get("name"))) for weight in group["weights"] if isinstance(weight, dict)]
        for kind, name in paths + weights:
            if (kind, name) in seen:
                raise ArtifactError(f"{folder / MODEL_JSON} names the {kind} {name!r} twice")
            seen.add((kind, name))


def _check_group(group: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Hashes of a group's files, whose lengths together must be that of its weights."""
    expected = sum(_weight_bytes(weight, folder) for weight in group["weights"])
    files = {str(path): _shard(path, folder) for path in group["paths"]}
    found = sum(file.stat().st_size for file in files.values())
    if found != expected:
        names = ", ".join(files) or "no file"
        hint = "cut short or incomplete; copy or convert it again" if found < expected else "not what was converted"
        raise ArtifactError(
            f"{folder}: {names} hold {found:,} bytes, but the manifest's weights take {expected:,}: {hint}"
        )
    return {name: file_hash(file) for name, file in files.items()}


def _weight_bytes(weight: Any, folder: Path) -> int:
    where = folder / MODEL_JSON
    if not isinstance(weight, dict) or not isinstance(weight.get("name"), str):
        raise ArtifactError(f"{where}: its weightsManifest holds something that is no weight: {weight!r:.80}")
    name, shape = weight["name"], weight.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ArtifactError(f"{where}: weight {name!r} has the shape {shape!r:.80}, which is none")
    dtype = _stored_dtype(weight, where)
    size = prod(shape) * _BYTES[dtype]
    if size > _LARGEST_WEIGHTS or any(length > _LARGEST_WEIGHTS for length in shape):
        raise ArtifactError(f"{where}: weight {name!r} of shape {shape!r:.80} would take {size:,} bytes")
    return size


def _stored_dtype(weight: Mapping[str, Any], where: Path) -> str:
    quantization = weight.get("quantization")
    known: tuple[str, ...] = tuple(_BYTES)
    dtype = weight.get("dtype")
    if quantization is not None and isinstance(dtype, str) and dtype in known:
        dtype = quantization.get("dtype") if isinstance(quantization, dict) else quantization
        known = _STORED
    if not isinstance(dtype, str) or dtype not in known:
        raise ArtifactError(
            f"{where}: weight {weight['name']!r} has the dtype {dtype!r:.80}; known are {', '.join(known)}"
        )
    return dtype


def _shard(path: Any, folder: Path) -> Path:
    """The file that the manifest calls ``path``, which must lie in ``folder``."""
    where = folder / MODEL_JSON
    if not isinstance(path, str) or not path:
        raise ArtifactError(f"{where}: its weightsManifest names a file by {path!r:.80}")
    if _FORBIDDEN.search(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise ArtifactError(f"{where}: the weight file {path!r:.200} is refused, because it may lie outside the folder")
    try:
        file = _inside(folder.joinpath(*path.split("/")), folder)
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: the weight file {path} is missing; copy or convert it again") from None
    except OSError as error:
        raise ArtifactError(
            f"{folder}: the weight file {path:.200} cannot be read: {error.strerror or error}"
        ) from error
    if not file.is_file():
        raise ArtifactError(f"{folder}: the weight file {path} is no file")
    return file


def _inside(path: Path, folder: Path) -> Path:
    """``path`` if it exists and no link on the way leads out of ``folder``; raises OSError if it does not exist."""
    resolved = path.resolve(strict=True)
    if not resolved.is_relative_to(folder.resolve()):
        raise ArtifactError(f"{path} is refused, because it leads out of the artifact's folder")
    return path
