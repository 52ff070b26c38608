"""Whole-model HDF5 files: what ``model.save('name.h5')`` wrote in Keras 1, 2 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bittrue.errors import ModelError

from .framework import import_keras, quiet
from .hdf5 import opened_h5, refuse_links
from .json_config import first_line, parse_config
from .legacy import modernise, refuse_unknown_classes
from .legacy_names import without_slashes
from .trust import refuse_foreign_code

__all__ = ["load_h5"]

_CONFIG, _WEIGHTS = "model_config", "model_weights"


def load_h5(path: Path, *, trust: bool) -> Any:
    """The Keras model in the file at ``path``. Raises ModelError or UntrustedCode before Keras reads anything."""
    try:
        config, version = _read(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is a damaged HDF5 file ({error}); copy or save it again", path=str(path)) from error
    if not trust:
        refuse_foreign_code(config, path)
    if version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 3:
        return _load(path, trust)
    return _load_legacy(config, path)


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


def _load(path: Path, trust: bool) -> Any:
    keras = import_keras()
    if path.suffix not in (".h5", ".hdf5"):  # Keras tells formats by their ending alone
        raise ModelError(f"{path} is an HDF5 model under another name; rename it to {path.stem}.h5", path=str(path))
    try:
        with quiet():
            return keras.saving.load_model(str(path), compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises whatever went wrong inside a layer; the first line says it
        raise _unloadable(keras, path, error) from error


def _load_legacy(config: dict[str, Any], path: Path) -> Any:
    """Keras 3 misreads parts of what Keras 2 wrote, so it is given the configuration in its own terms."""
    keras = import_keras()
    refuse_unknown_classes(config, path)
    try:
        with quiet():
            modern = modernise(without_slashes(config), path)
            kind = keras.Sequential if modern["class_name"] == "Sequential" else keras.Model
            model = kind.from_config(modern["config"])
            model.load_weights(_weights_name(path))
    except ModelError:
        raise
    except Exception as error:  # as above
        raise _unloadable(keras, path, error) from error
    return model


def _weights_name(path: Path) -> str:
    if path.suffix in (".h5", ".hdf5"):
        return str(path)
    raise ModelError(f"{path} is an HDF5 model under another name; rename it to {path.stem}.h5", path=str(path))


def _unloadable(keras: Any, path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: Keras {keras.__version__} cannot load it: {first_line(error)}", path=str(path))
