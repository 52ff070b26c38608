"""One door for every format: look at what was given, and hand it to the module that reads it."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bittrue.errors import ModelError
from bittrue.graph.model import Graph

from .framework import deep_recursion

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["Format", "OpenedModel", "open_model"]

Format = Literal["keras", "keras-h5", "live", "tfjs-layers"]
"""``keras``: a Keras 3 archive. ``keras-h5``: a whole-model HDF5 file of Keras 2 or 3. ``live``: a Python object.
``tfjs-layers``: a TensorFlow.js layers-model, given by its folder or its ``model.json``."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ENDINGS = ".keras, .h5 or .hdf5"
_TFJS = "model.json"


@dataclass(frozen=True)
class OpenedModel:
    """A model as a graph, and where it came from.

    ``path`` is None for a live model. ``artifact`` is what TensorFlow.js loads, for a model that came as such.
    """

    graph: Graph
    path: Path | None
    format: Format
    _live: Any = field(repr=False, compare=False)
    artifact: Artifact | None = None

    def keras(self) -> Any:
        """The live Keras model that ``graph`` describes; the same object every time."""
        return self._live


@deep_recursion()
def open_model(source: Any, *, trust: bool = False) -> OpenedModel:
    """Open a ``.keras`` or whole-model ``.h5`` file or a TensorFlow.js layers-model, or take a live Keras model.

    Nothing a file brings along is executed: a file with a Lambda layer, a custom class or a pickled object is
    refused by name before Keras sees it, unless ``trust``. Raises ModelError where the file is missing, damaged
    or no model (ArtifactError where it is one of TensorFlow.js), UntrustedCode where it would run code, Unsupported
    where the model is not made of layers, or of layers that Keras does not have.
    """
    if not isinstance(source, str | os.PathLike):
        return _opened(_checked(source), None, "live")
    path = Path(source)
    match _format_of(path):
        case "keras":
            from .keras_archive import load_archive

            return _opened(load_archive(path, trust=trust), path, "keras")
        case "tfjs-layers":
            from .tfjs_layers import load_layers_model, refuse_other_masks

            model, artifact = load_layers_model(path)
            opened = replace(_opened(model, path, "tfjs-layers"), artifact=artifact)
            refuse_other_masks(opened.graph, path)
            return opened
        case _:
            from .keras_h5 import load_h5

            return _opened(load_h5(path, trust=trust), path, "keras-h5")


def _opened(model: Any, path: Path | None, kind: Format) -> OpenedModel:
    from .reading import graph_of

    return OpenedModel(graph_of(model, path=path), path, kind, model)


def _checked(source: Any) -> Any:
    from .framework import import_keras

    if not isinstance(source, import_keras().Model):
        kind = type(source).__name__
        raise ModelError(f"an object of type {kind} is no model: give a Keras model or the path of a file ({_ENDINGS})")
    return source


def _format_of(path: Path) -> Format:
    """Told by content, not by name; a name that promises something else than the content is an error of its own."""
    if path.is_dir():
        if (path / _TFJS).exists():
            return "tfjs-layers"
        raise ModelError(
            f"{path} is a folder without a {_TFJS}; give the model's file ({_ENDINGS}) or the folder of a "
            "TensorFlow.js model",
            path=str(path),
        )
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ModelError(f"{path} is no ordinary file; give the model's file ({_ENDINGS})", path=str(path))
    try:
        with path.open("rb") as file:
            magic = file.read(len(_HDF5_MAGIC))
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; give the model's file ({_ENDINGS})", path=str(path)) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", path=str(path)) from error
    if magic == _HDF5_MAGIC:
        return "keras-h5"
    if zipfile.is_zipfile(path):
        return "keras"
    if path.name == _TFJS:
        return "tfjs-layers"
    raise ModelError(_not_a_model(path, magic), path=str(path))


def _not_a_model(path: Path, magic: bytes) -> str:
    if not magic:
        return f"{path} is empty; save the model again"
    if magic.startswith(b"PK"):
        return f"{path} is a damaged or truncated .keras archive; copy or save it again"
    return f"{path} is neither a .keras archive nor an HDF5 file; save the model with model.save('name.keras')"
