"""TensorFlow.js layers-models, back again: the artifact's configuration in Keras's terms, and its weights.

Lost on the way to TensorFlow.js and back are what only training uses (initialisers, regularisers, constraints),
and names of layers that do nothing there: a Sequential returns as a Functional model, an Identity as a linear
Activation. What the model computes is the same in every bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from bittrue.conversion.tfjs.artifact import Artifact, read_artifact, read_document
from bittrue.conversion.tfjs.masks import mask_users
from bittrue.conversion.tfjs.reverse import KerasTerms, read_layer
from bittrue.errors import ArtifactError, BittrueError, Unsupported
from bittrue.graph.model import Graph

from .framework import import_keras, quiet
from .json_config import first_line
from .legacy import modernise
from .trust import refuse_foreign_code

__all__ = ["load_layers_model", "refuse_other_masks"]

Config = dict[str, Any]
Renamed = Mapping[str, str]

_MODELS = ("Model", "Functional", "Sequential")
_EVERY_LAYER = frozenset({"name", "trainable", "dtype", "autocast", "batch_input_shape"})
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


def load_layers_model(path: Path) -> tuple[Any, Artifact]:
    """The artifact at ``path`` (a folder or its ``model.json``) as a Keras model, and as an artifact.

    Raises ArtifactError where it is damaged or its parts do not fit together, Unsupported or UntrustedCode, naming
    the layer, where Keras has nothing that computes the same.
    """
    artifact = read_artifact(path)
    where = artifact.where
    if artifact.format != "layers-model":
        raise Unsupported(
            f"{where} is a {artifact.format}: only layers-models can be opened as Keras models", path=str(where)
        )
    topology = read_document(where)["modelTopology"]
    config = topology.get("model_config", topology)
    refuse_foreign_code(config, where)
    terms = _Terms(where)
    with _one_sentence(f"{where}: its modelTopology is malformed", *_MALFORMED):
        modern = modernise(terms.model(config), where)
    return _built(modern, terms.renamed, artifact), artifact


def refuse_other_masks(graph: Graph, path: Path) -> None:
    """Raise Unsupported for a layer that computes with a mask: TensorFlow.js passes masks on by other rules."""
    for names, layer in mask_users(graph):
        because = "it computes with a mask, which TensorFlow.js passes on by other rules than Keras"
        raise Unsupported(
            f"{path}: layer {'/'.join(names)!r} cannot be read: {because}", layer=layer.name, path=str(path)
        )


@contextmanager
def _one_sentence(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Errors of other people's data as an ArtifactError."""
    try:
        yield
    except BittrueError:
        raise
    except kinds as error:
        raise ArtifactError(f"{what} ({first_line(error)})") from error


class _Terms:
    """Puts a configuration into Keras's terms. ``renamed``: by layer, the names of weights that differ."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.renamed: dict[str, Renamed] = {}

    def model(self, entry: Config) -> Config:
        """A model's ``{"class_name", "config"}``, with the layers in it."""
        kind, inside = entry["class_name"], entry["config"]
        if kind not in _MODELS:
            raise Unsupported(f"{self.where}: a model of class {kind!r:.80} is not one of {', '.join(_MODELS)}")
        if isinstance(inside, list):
            inside = {"name": entry.get("name", "sequential"), "layers": inside}
        layers = [self._entry(layer, kind) for layer in inside["layers"]]
        return {**entry, "config": {**inside, "layers": layers}}

    def _entry(self, entry: Config, kind: str) -> Config:
        if entry["class_name"] in _MODELS:
            return self.model(entry)
        name = entry["config"].get("name", entry.get("name"))
        try:
            terms = read_layer(str(name), entry["class_name"], entry["config"])
        except Unsupported as error:
            raise Unsupported(f"{self.where}: {error}", layer=error.layer, path=str(self.where)) from None
        self.renamed[str(name)] = terms.weights
        outer = {key: value for key, value in entry.items() if key in ("name", "inbound_nodes")}
        return {**outer, "class_name": terms.class_name, "config": {"name": name, **_accepted(terms)}}


def _accepted(terms: KerasTerms) -> Config:
    """The configuration without the optional keys that Keras's class does not take."""
    taken = _EVERY_LAYER | set(inspect.signature(getattr(import_keras().layers, terms.class_name).__init__).parameters)
    return {key: value for key, value in terms.config.items() if key not in terms.optional or key in taken}


def _built(config: Config, renamed: Mapping[str, Renamed], artifact: Artifact) -> Any:
    """The model with its weights. No weight is made before its shape is known to be the artifact's."""
    keras = import_keras()
    where = artifact.where
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    with quiet(), _one_sentence(f"{where}: Keras {keras.__version__} cannot build the model", Exception):
        with _without_variables(keras):
            model = kind.from_config(config["config"])
            found = dict(_places(model, renamed, artifact))
            _check_fit(found, artifact)
        for name, array in artifact.weights():
            found[_known_as(name, found)].assign(array)
    return model


@contextmanager
def _without_variables(keras: Any) -> Iterator[None]:
    """Layers built here know the shapes of their weights, which come to be at the end, and not at all after an error.

    A configuration of a few bytes can ask for more memory than there is.
    """
    from keras.src.backend.common import global_state

    scope = keras.StatelessScope()
    with scope:
        try:
            yield
        except BaseException:
            scope.initialize_variables = False
            global_state.set_global_attribute("uninitialized_variables", [])
            raise


def _places(model: Any, renamed: Mapping[str, Renamed], artifact: Artifact) -> Iterator[tuple[str, Any]]:
    """Every variable of the model with the name that TensorFlow.js looks it up by.

    Weights of a Keras 3 file have numbers for names there, counted in each layer.
    """
    first = next((weight.name for group in artifact.groups for weight in group.weights), "")
    numbered = first.rpartition("/")[2].isdecimal()
    for layer in _leaves(model):
        names = renamed.get(layer.name, {})
        for index, variable in enumerate(layer.weights):
            yield f"{layer.name}/{index if numbered else names.get(variable.name, variable.name)}", variable


def _leaves(model: Any) -> Iterator[Any]:
    """The layers of a model and of those in it; one that is in several of them is met several times."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _known_as(name: str, places: Mapping[str, Any]) -> str:
    """TensorFlow.js's own rule: the name, or the name without its last part but one (a recurrent layer's cell)."""
    if name in places:
        return name
    *path, last = name.split("/")
    return "/".join([*path[:-1], last])


def _check_fit(places: Mapping[str, Any], artifact: Artifact) -> None:
    """Raise ArtifactError unless each variable has its weight, of its shape."""
    missing = dict(places)
    for weight in (weight for group in artifact.groups for weight in group.weights):
        variable = missing.pop(_known_as(weight.name, places), None)
        if variable is None:
            raise ArtifactError(f"{artifact.folder}: no layer has the weight {weight.name!r:.200}")
        if tuple(variable.shape) != weight.shape:
            raise ArtifactError(
                f"{artifact.folder}: the weight {weight.name!r:.200} has the shape {weight.shape}, "
                f"but the layer takes {tuple(variable.shape)} ({prod(variable.shape):,} numbers)"
            )
    if missing:
        raise ArtifactError(f"{artifact.folder}: the layers' weight {min(missing)!r:.200} is not in the artifact")
