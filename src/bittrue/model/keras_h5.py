"""Whole-model HDF5 files: what ``model.save('name.h5')`` wrote in Keras 1, 2 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bittrue.errors import ModelError
from bittrue.graph.model import Graph

from .described import described_graph
from .framework import import_keras, quiet
from .hdf5 import opened_h5, refuse_links
from .json_config import first_line, parse_config
from .keras_facts import is_described_version
from .legacy import modernise, refuse_unknown_classes, with_axes
from .legacy_names import without_slashes
from .placed import placed, with_weights
from .stored_weights import weights_by_order
from .trust import refuse_foreign_code

__all__ = ["check_h5", "graph_of_h5", "load_h5"]

Config = dict[str, Any]

_CONFIG, _WEIGHTS = "model_config", "model_weights"


def check_h5(path: Path, *, trust: bool) -> tuple[Config, str]:
    """The configuration in the file at ``path``, and the version of Keras that wrote it.

    Raises ModelError or UntrustedCode before anything is made of it.
    """
    try:
        config, version = _read(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is a damaged HDF5 file ({error}); copy or save it again", path=str(path)) from error
    if not trust:
        refuse_foreign_code(config, path)
    return config, version


def graph_of_h5(path: Path, config: Config, version: str) -> Graph:
    """The model in the file at ``path``, which has been checked, without Keras.

    Raises NeedsKeras, or as `load_h5` does where Keras would not be asked either.
    """
    _checked_name(path)
    if not _is_keras_3(version):
        refuse_unknown_classes(config, path)
        config = modernise(without_slashes(config), path)
    graph = described_graph(config, masks=is_described_version(version))
    slots = placed(graph)
    with opened_h5(path, str(path)) as file:
        return with_weights(graph, weights_by_order(file[_WEIGHTS], graph, slots))


def load_h5(path: Path, *, trust: bool) -> Any:
    """The Keras model in the file at ``path``. Raises ModelError or UntrustedCode before Keras reads anything."""
    config, version = check_h5(path, trust=trust)
    return _load(config, path, trust) if _is_keras_3(version) else _load_legacy(config, path)


def _is_keras_3(version: str) -> bool:
    major = version.split(".")[0]
    return major.isdigit() and int(major) >= 3


def _read(path: Path) -> tuple[dict[str, Any], str]:
    with opened_h5(path, str(path)) as file:
        refuse_links(file, path)
        if _CONFIG not in file.attrs:
            raise ModelError(_no_model(file, path), path=str(path))
        if _WEIGHTS not in file:
            raise ModelError(
                f"{path} describes a model but holds no weights; save the whole model again", path=str(path)
            )
        return parse_config(file.attrs[_CONFIG], _CONFIG, path), _text(file.attrs.get("keras_version", "1"))


def _no_model(file: Any, path: Path) -> str:
    if "layer_names" in file.attrs or "layers" in file or "_layer_checkpoint_dependencies" in file:
        return f"{path} holds weights only; build the model, call model.load_weights and save the whole with model.save"
    return f"{path} is an HDF5 file but holds no Keras model"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _load(config: Config, path: Path, trust: bool) -> Any:
    if with_axes(config) != config:
        return _built(config, path)
    keras = import_keras()
    try:
        with quiet():
            return keras.saving.load_model(_checked_name(path), compile=False, safe_mode=not trust)
    except ModelError:
        raise
    except Exception as error:  # Keras raises whatever went wrong inside a layer; the first line says it
        raise _unloadable(keras, path, error) from error


def _load_legacy(config: Config, path: Path) -> Any:
    """Keras 3 misreads parts of what Keras 2 wrote, so it is given the configuration in its own terms."""
    refuse_unknown_classes(config, path)
    return _built(modernise(without_slashes(config), path), path)


def _built(config: Config, path: Path) -> Any:
    keras = import_keras()
    try:
        with quiet():
            kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
            model = kind.from_config(with_axes(config)["config"])
            model.load_weights(_checked_name(path))
    except ModelError:
        raise
    except Exception as error:  # as above
        raise _unloadable(keras, path, error) from error
    return model


def _checked_name(path: Path) -> str:
    """Keras tells formats by their ending alone."""
    if path.suffix in (".h5", ".hdf5"):
        return str(path)
    raise ModelError(f"{path} is an HDF5 model under another name; rename it to {path.stem}.h5", path=str(path))


def _unloadable(keras: Any, path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: Keras {keras.__version__} cannot load it: {first_line(error)}", path=str(path))
