"""A converted model as a folder: what is in it, and whether it may be loaded.

An artifact may come from anywhere. Nothing outside its folder is opened, whatever its ``model.json`` says, and
every length is checked before anything runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bittrue.errors import ArtifactError

from .manifest import Group, parse_manifest

__all__ = ["MODEL_JSON", "Artifact", "file_hash", "format_of", "read_artifact", "read_document"]

MODEL_JSON = "model.json"
_LARGEST_JSON = 64 * 2**20  # one of empty lists alone takes thirty times its size once it is parsed
_VERSION = re.compile(r"for TensorFlow\.js (\S+)$")

# What means something else in a URL or on another system than in a POSIX path.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:%?#*\"<>|]")


@dataclass(frozen=True)
class Artifact:
    """A model that TensorFlow.js can load from ``folder``.

    ``format`` is ``layers-model`` or ``graph-model``; ``version`` the TensorFlow.js version it was written for,
    empty where it does not say; ``files`` the SHA-256 of each file in hexadecimal, by its POSIX path in ``folder``;
    ``document`` the name of the file among them that describes the model, ``model.json`` mostly;
    ``groups`` what its manifest says of the weights; ``reason`` why a conversion that could choose wrote a graph-model,
    or why a layers-model needs the module ``shims`` beside it. ``notes`` are sentences on what was converted.
    ``places`` says which nodes of a graph-model are whose, where that was found out and is not the artifact's own word.
    """

    folder: Path
    format: str
    version: str
    files: Mapping[str, str]
    document: str = MODEL_JSON
    groups: tuple[Group, ...] = field(default=(), repr=False, compare=False)
    reason: str | None = field(default=None, compare=False)
    shims: str | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    places: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def where(self) -> Path:
        """The file that describes the model."""
        return self.folder / self.document

    def weights(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every weight by its name, with the bits that TensorFlow.js holds after loading: quantised ones as float32.

        Raises ArtifactError where a file is not the one that was read when the artifact was opened.
        """
        for group in self.groups:
            files = (self._unaltered(path) for path in group.paths)
            left = memoryview(b"")
            for weight in group.weights:
                raw = bytearray()
                while len(raw) < weight.nbytes:
                    left = left or memoryview(next(files))
                    piece = left[: weight.nbytes - len(raw)]
                    raw += piece
                    left = left[len(piece) :]
                yield weight.name, weight.decode(raw)

    def _unaltered(self, path: str) -> bytes:
        data = _shard(path, self.where).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.files[path]:
            raise ArtifactError(f"{self.folder}: the weight file {path} has changed since it was opened; open it again")
        return data


def read_artifact(path: Path) -> Artifact:
    """The artifact in the folder ``path``, or that the file ``path`` describes (``model.json``, or any other name).

    Raises ArtifactError, naming the file and what is wrong with it: no JSON, paths that leave the folder, weights
    of impossible shape, shards whose length is not what the manifest says or whose hash is not the one noted beside it,
    anything named twice.
    """
    where = _document(path)
    folder = where.parent
    document = read_document(where)
    groups = parse_manifest(document, where)
    files = {where.name: file_hash(where)}
    for group in groups:
        files.update(_check_group(group, where))
    _check_hashes(document, files, folder)
    return Artifact(folder, format_of(document, where), _version(document), files, where.name, groups)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(path: Path) -> Path:
    # What is neither is said to be missing as the folder that it would be, unless its name is that of a file.
    return path if path.is_file() or (path.suffix == ".json" and not path.is_dir()) else path / MODEL_JSON


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object that describes the model at ``path``, a folder with a ``model.json`` or a file like it.

    Raises ArtifactError where it is none, or describes no model.
    """
    path = _document(path)
    try:
        if _inside(path, path.parent).stat().st_size > _LARGEST_JSON:
            raise ArtifactError(f"{path} is larger than {_LARGEST_JSON >> 20} MiB, which no model needs")
        document = json.loads(path.read_bytes(), parse_constant=_no_json)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; give the folder that a model was converted into") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not readable as JSON ({error}); convert the model again") from error
    if isinstance(document, dict) and {"class_name", "config"} <= document.keys():
        raise ArtifactError(
            f"{path} is a Keras model's configuration without its weights; save the model with model.save('name.keras')"
        )
    if not isinstance(document, dict) or not isinstance(document.get("modelTopology"), dict):
        raise ArtifactError(f"{path} describes no model: it has no modelTopology")
    return document


def _no_json(constant: str) -> float:
    """NaN and infinities: Python reads them, browsers do not."""
    raise ValueError(f"{constant} is no JSON")


def format_of(document: Mapping[str, Any], where: Path) -> str:
    """``layers-model`` or ``graph-model``, whatever it says of itself. Raises ArtifactError for another."""
    topology = document["modelTopology"]
    # The first converters did not write a format.
    form = document.get("format") or ("graph-model" if "node" in topology else "layers-model")
    if form not in ("layers-model", "graph-model"):
        raise ArtifactError(f"{where} has the format {form!r}; layers-model and graph-model are known")
    return str(form)


def _version(document: Mapping[str, Any]) -> str:
    match = _VERSION.search(str(document.get("convertedBy") or ""))
    return match[1] if match else ""


def _check_group(group: Group, where: Path) -> dict[str, str]:
    """Hashes of a group's files, whose lengths together must be that of its weights."""
    expected, folder = group.nbytes, where.parent
    files = {str(path): _shard(path, where) for path in group.paths}
    found = sum(file.stat().st_size for file in files.values())
    if found != expected:
        names = ", ".join(files) or "no file"
        hint = "cut short or incomplete; copy or convert it again" if found < expected else "not what was converted"
        raise ArtifactError(
            f"{folder}: {names} hold {found:,} bytes, but the manifest's weights take {expected:,}: {hint}"
        )
    return {name: file_hash(file) for name, file in files.items()}


def _check_hashes(document: Mapping[str, Any], files: Mapping[str, str], folder: Path) -> None:
    """The files are those that were converted, as far as the artifact says which those were."""
    noted: Any = document
    for key in ("userDefinedMetadata", "bittrue", "sha256"):
        noted = noted.get(key) if isinstance(noted, Mapping) else None
    for name, expected in noted.items() if isinstance(noted, Mapping) else ():
        if files.get(name, expected) != expected:
            raise ArtifactError(
                f"{folder}: the weight file {name} is not the one that was converted, its SHA-256 is another; "
                "copy or convert it again"
            )


def _shard(path: Any, where: Path) -> Path:
    """The file that the manifest in ``where`` calls ``path``, which must lie in the same folder."""
    folder = where.parent
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
