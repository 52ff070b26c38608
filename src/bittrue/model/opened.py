"""One door for every format: look at what was given, and hand it to the module that reads it."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bittrue.errors import ModelError, UsageError
from bittrue.graph.model import Graph

from .custom import custom_objects, known_custom
from .framework import deep_recursion
from .keras_facts import NeedsKeras

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact
    from bittrue.graph.nodegraph import NodeGraph

__all__ = ["Format", "OpenedModel", "open_model"]

Format = Literal["keras", "keras-h5", "live", "tfjs-layers", "tfjs-graph", "saved-model"]
"""``keras``: a Keras 3 archive. ``keras-h5``: a whole-model HDF5 file of Keras 2 or 3. ``live``: a Python object.
``tfjs-layers`` and ``tfjs-graph``: a TensorFlow.js layers-model or graph-model, given by its folder with a
``model.json`` or by the file that describes it, whatever its name. ``saved-model``: a folder that TensorFlow wrote,
with ``#NAME`` for another signature."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ENDINGS = ".keras, .h5, .hdf5 or a SavedModel's folder"
_TFJS = "model.json"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OSError, RuntimeError)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # a drive has one letter; Path makes one slash of two


@dataclass(frozen=True)
class OpenedModel:
    """A model as a graph, and where it came from.

    ``path`` is None for a live model. ``artifact`` is what TensorFlow.js loads, for a model that came as such.
    ``nodes`` is the TensorFlow graph that ``graph`` was made of, for a model that is not made of Keras's layers.
    """

    graph: Graph
    path: Path | None
    format: Format
    _live: Any = field(repr=False, compare=False)
    artifact: Artifact | None = None
    nodes: NodeGraph | None = field(default=None, repr=False, compare=False)

    def keras(self) -> Any:
        """The live Keras model that ``graph`` describes; the same object every time, loaded when it is first asked for.

        Raises UsageError for a model that is none: TensorFlow runs it by its nodes. Raises ModelError where Keras is
        not there or cannot load the file.
        """
        if isinstance(self._live, _Later):
            return self._live.model()
        if self._live is None:
            where = self.path if self.path is not None else f"model {self.graph.name!r}"
            raise UsageError(f"{where} is a graph of TensorFlow's and no Keras model: run it on tensorflow:cpu")
        return self._live

    def traced(self) -> OpenedModel:
        """The same model as TensorFlow's nodes, for what has layers without an expansion into ops.

        Raises Unsupported where Keras does not run on TensorFlow, ModelError where TensorFlow cannot trace it.
        """
        from .graphdef import graph_of_nodes
        from .subclassed import traced

        nodes = traced(self.keras())
        return OpenedModel(graph_of_nodes(nodes), self.path, self.format, None, nodes=nodes)


@deep_recursion()
def open_model(source: Any, *, trust: bool = False, custom: Sequence[Any] = ()) -> OpenedModel:
    """Open a ``.keras`` or whole-model ``.h5`` file, a SavedModel or a TensorFlow.js model, or take a live Keras model.

    Nothing a file brings along is executed: a file with a Lambda layer, a custom class or a pickled object is
    refused by name before Keras sees it, unless ``trust``, or unless ``custom`` has it: classes and functions of the
    user's own, or where they are (``module:Class``). Raises ModelError where the file is missing, damaged
    or no model (ArtifactError where it is one of TensorFlow.js), UntrustedCode where it would run code, Unsupported
    where the model is made of layers that Keras does not have. A SavedModel, a graph-model and a subclassed model have
    no layers of Keras: theirs are the nodes of their graph. Keras is imported only for what holds layers or values
    that Bittrue does not know: a file of Keras's own layers is read without it.
    """
    with custom_objects(custom):
        return _open(source, trust)


def _open(source: Any, trust: bool) -> OpenedModel:
    if not isinstance(source, str | os.PathLike):
        return _opened(_checked(source), None, "live")
    if _ADDRESS.match(str(source)):
        raise ModelError(f"{source} is an address; download the model first, and give the file or folder")
    path = Path(source)
    match _format_of(path):
        case "saved-model":
            return _opened_saved_model(path, trust)
        case "tfjs-graph":
            from .tfjs_graph import load_graph_model

            graph, nodes, artifact = load_graph_model(path)
            return OpenedModel(graph, path, "tfjs-graph", None, artifact, nodes)
        case "keras":
            return _opened_archive(path, trust)
        case "tfjs-layers":
            from .tfjs_layers import load_layers_model, refuse_other_masks

            model, artifact = load_layers_model(path)
            opened = replace(_opened(model, path, "tfjs-layers"), artifact=artifact)
            refuse_other_masks(opened.graph, path)
            return opened
        case _:
            return _opened_h5(path, trust)


class _Later:
    """A Keras model that is loaded when it is first asked for."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._model: Any = None

    @deep_recursion()
    def model(self) -> Any:
        if self._model is None:
            self._model = self._load()
        return self._model


def _opened_archive(path: Path, trust: bool) -> OpenedModel:
    from .keras_archive import check_archive, graph_of_archive, load_archive

    config = check_archive(path, trust=trust)
    return _opened_file(path, "keras", lambda: graph_of_archive(path, config), lambda: load_archive(path, trust=trust))


def _opened_h5(path: Path, trust: bool) -> OpenedModel:
    from .keras_h5 import check_h5, graph_of_h5, load_h5

    config, version = check_h5(path, trust=trust)
    return _opened_file(
        path, "keras-h5", lambda: graph_of_h5(path, config, version), lambda: load_h5(path, trust=trust)
    )


def _opened_file(path: Path, kind: Format, read: Callable[[], Graph], load: Callable[[], Any]) -> OpenedModel:
    """Without Keras where that is certain to give the same, else with it."""
    try:
        if known_custom():
            raise NeedsKeras("classes of the user's own")
        return OpenedModel(read(), path, kind, _Later(load))
    except (NeedsKeras, *_MALFORMED):  # what is malformed Keras says better
        return _opened(load(), path, kind)


def _opened(model: Any, path: Path | None, kind: Format) -> OpenedModel:
    from .reading import graph_of
    from .subclassed import is_subclassed, traced

    if is_subclassed(model):
        from .graphdef import graph_of_nodes

        nodes = traced(model)
        return OpenedModel(graph_of_nodes(nodes), path, kind, None, nodes=nodes)
    return OpenedModel(graph_of(model, path=path), path, kind, model)


def _opened_saved_model(path: Path, trust: bool) -> OpenedModel:
    from .graphdef import graph_of_nodes
    from .saved_model import load_saved_model, split_signature

    folder, signature = split_signature(path)
    nodes = load_saved_model(folder, signature, trust=trust)
    return OpenedModel(graph_of_nodes(nodes), path, "saved-model", None, nodes=nodes)


def _checked(source: Any) -> Any:
    from .framework import import_keras

    if not isinstance(source, import_keras().Model):
        kind = type(source).__name__
        raise ModelError(f"an object of type {kind} is no model: give a Keras model or the path of a file ({_ENDINGS})")
    return source


def _format_of(path: Path) -> Format:
    """Told by content, not by name; a name that promises something else than the content is an error of its own."""
    from .saved_model import SAVED_MODEL, is_saved_model, split_signature

    folder, _ = split_signature(path)
    if folder.is_dir():
        if (path / _TFJS).exists():
            return _tfjs_format(path)
        if is_saved_model(folder):
            return "saved-model"
        raise ModelError(
            f"{path} is a folder without a {_TFJS} or a {SAVED_MODEL}; give the model's file ({_ENDINGS}) or the "
            "folder of a TensorFlow.js model",
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
    if path.name == _TFJS or magic.lstrip()[:1] == b"{":
        return _tfjs_format(path)
    raise ModelError(_not_a_model(path, magic), path=str(path))


def _tfjs_format(path: Path) -> Format:
    from bittrue.conversion.tfjs.artifact import format_of, read_document

    return "tfjs-graph" if format_of(read_document(path), path) == "graph-model" else "tfjs-layers"


def _not_a_model(path: Path, magic: bytes) -> str:
    if not magic:
        return f"{path} is empty; save the model again"
    if magic.startswith(b"PK"):
        return f"{path} is a damaged or truncated .keras archive; copy or save it again"
    return f"{path} is neither a .keras archive nor an HDF5 file; save the model with model.save('name.keras')"
