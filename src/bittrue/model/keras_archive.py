"""Keras 3's own format: a zip archive of ``config.json``, ``metadata.json`` and ``model.weights.h5``."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from bittrue.errors import ModelError
from bittrue.graph.model import Graph

from .described import described_graph
from .framework import import_keras, quiet
from .hdf5 import opened_h5, refuse_links
from .json_config import first_line, parse_config
from .keras_facts import NeedsKeras, is_described_version
from .members import is_stored, stored_member
from .placed import placed, with_weights
from .stored_weights import weights_by_path
from .trust import refuse_foreign_code

__all__ = ["check_archive", "graph_of_archive", "load_archive"]

Config = dict[str, Any]

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_METADATA = "metadata.json"
_LARGEST_METADATA = 2**16
_LARGEST_CONFIG = 256 * 2**20
_LARGEST_RATIO = 200  # of sizes after and before decompression; Keras itself stores without compression
_SMALL = 64 * 2**20  # an archive that unpacks to less is harmless at any ratio


def check_archive(path: Path, *, trust: bool) -> Config:
    """The configuration in the archive at ``path``. Raises ModelError or UntrustedCode before it is put to use."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = _read_config(archive, path)
            _refuse_keras_2(archive, path)
            _check_members(archive, path)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path} is a damaged .keras archive ({error}); save it again", path=str(path)) from error
    if not trust:
        refuse_foreign_code({**config, "compile_config": None}, path)
    return config


def graph_of_archive(path: Path, config: Config) -> Graph:
    """The model in the archive at ``path``, which has been checked, without Keras. Raises NeedsKeras."""
    _keras_name(path)
    with zipfile.ZipFile(path) as archive:
        version, entry = _version(archive), archive.getinfo(_WEIGHTS)
        assets = [name for name in archive.namelist() if name not in (_CONFIG, _WEIGHTS, _METADATA)]
    if assets or not is_stored(entry):
        raise NeedsKeras(f"the asset {assets[0]}" if assets else "an archive that is compressed or encrypted")
    graph = described_graph(config, masks=is_described_version(version))
    slots = placed(graph)
    with stored_member(path, entry) as weights, opened_h5(weights, f"{path}:{_WEIGHTS}") as file:
        if weights.checksum() != entry.CRC:
            raise NeedsKeras("an archive whose checksum is wrong")
        return with_weights(graph, weights_by_path(file, graph, slots))


def load_archive(path: Path, *, trust: bool) -> Any:
    """The Keras model in the archive at ``path``. Raises ModelError or UntrustedCode before Keras reads anything."""
    check_archive(path, trust=trust)
    return _load(path, trust)


def _read_config(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    names = set(archive.namelist())
    missing = [name for name in (_CONFIG, _WEIGHTS) if name not in names]
    if missing:
        raise ModelError(
            f"{path} is a zip archive but no Keras model: it holds no {' and no '.join(missing)}", path=str(path)
        )
    if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
        raise ModelError(
            f"{path}: its {_CONFIG} is larger than {_LARGEST_CONFIG >> 20} MiB, which no model needs", path=str(path)
        )
    return parse_config(archive.read(_CONFIG), _CONFIG, path)


def _refuse_keras_2(archive: zipfile.ZipFile, path: Path) -> None:
    """Keras 2.12 to 2.15 wrote archives of the same ending, which Keras 3 cannot read."""
    version = _version(archive)
    if version.startswith("2."):
        remedy = "save it there with model.save('name.h5'), which can be read"
        raise ModelError(
            f"{path} is an archive of Keras {version}, which Keras 3 cannot read; {remedy}", path=str(path)
        )


def _version(archive: zipfile.ZipFile) -> str:
    """The version of Keras that wrote the archive, empty if it does not say."""
    if _METADATA not in archive.namelist() or archive.getinfo(_METADATA).file_size > _LARGEST_METADATA:
        return ""
    try:
        return str(json.loads(archive.read(_METADATA)).get("keras_version", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if parts[0] == "" or ".." in parts or ":" in parts[0]:
            raise ModelError(
                f"{path}: its member {member.filename!r} would be written outside the archive", path=str(path)
            )
        if member.file_size > max(_SMALL, member.compress_size * _LARGEST_RATIO):
            raise ModelError(
                f"{path}: its member {member.filename!r} unpacks to {member.file_size:,} bytes, a zip bomb",
                path=str(path),
            )
    entry = archive.getinfo(_WEIGHTS)
    opened = stored_member(path, entry) if is_stored(entry) else archive.open(entry)
    with opened as weights, opened_h5(weights, f"{path}:{_WEIGHTS}") as file:
        refuse_links(file, path)


def _load(path: Path, trust: bool) -> Any:
    keras = import_keras()
    try:
        with quiet():
            return keras.saving.load_model(_keras_name(path), compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises whatever went wrong inside a layer; the first line says it
        raise ModelError(
            f"{path}: Keras {keras.__version__} cannot load it: {first_line(error)}", path=str(path)
        ) from error


def _keras_name(path: Path) -> str:
    """Keras tells formats by their ending alone."""
    if path.suffix == ".keras":
        return str(path)
    raise ModelError(f"{path} is a .keras archive under another name; rename it to {path.stem}.keras", path=str(path))
