"""Custom layers and functions whose source the user has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bittrue.conversion.tfjs import convert
from bittrue.errors import Unsupported, UntrustedCode, UsageError
from bittrue.graph.model import Graph
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.traces import Key

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]

OWN = "tests.model.own_layers"
X = np.random.default_rng(5).normal(size=(2, 4, 3)).astype(np.float32)


def saved(folder: Path, *kinds: str, ending: str = ".keras") -> tuple[Path, Any]:
    """A model with a custom layer of each kind, its weights random, in a file."""
    import keras
    from tests.model import own_layers

    entry = x = keras.Input((4, 3), name="entry")
    for kind in kinds:
        x = keras.layers.Lambda(own_layers.doubled)(x) if kind == "doubled" else _layer(own_layers, kind)(x)
    model = keras.Model(entry, keras.layers.Dense(2, name="last")(x))
    rng = np.random.default_rng(6)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    path = folder / f"model{ending}"
    model.save(path)
    return path, np.asarray(model(X))


def _layer(module: Any, kind: str) -> Any:
    return getattr(module, kind)() if kind == "Foreign" else getattr(module, kind)(5, name=kind.lower())


def truth(graph: Graph) -> Any:
    return evaluate(graph, {"entry": X})[Key("output", "last")].load()


@pytest.mark.parametrize("kinds", [["Gate"], ["Registered"], ["doubled"], ["Gate", "doubled", "Registered"]])
def test_what_the_source_says_is_what_keras_computes(kinds: Sequence[str], tmp_path: Path) -> None:
    path, keras_output = saved(tmp_path, *kinds)
    graph = open_model(path, custom=[f"{OWN}:{kind}" for kind in kinds]).graph
    assert np.allclose(truth(graph), keras_output, rtol=1e-5, atol=1e-6)
    assert convert(graph, tmp_path / "out").format == "graph-model"


def test_the_old_format_takes_them_too(tmp_path: Path) -> None:
    path, keras_output = saved(tmp_path, "Gate", ending=".h5")
    assert np.allclose(truth(open_model(path, custom=[f"{OWN}:Gate"]).graph), keras_output, rtol=1e-5, atol=1e-6)


def test_classes_may_be_given_themselves(tmp_path: Path) -> None:
    from tests.model.own_layers import Gate

    path, keras_output = saved(tmp_path, "Gate")
    assert np.allclose(truth(open_model(path, custom=[Gate]).graph), keras_output, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Gate", "doubled"])
def test_without_the_source_the_remedy_is_named(kind: str, tmp_path: Path) -> None:
    path, _ = saved(tmp_path, kind)
    with pytest.raises(UntrustedCode, match=r"layer '\w+' \(\w+\) is refused.*--custom module:Class"):
        open_model(path)


def test_nothing_is_known_any_more_afterwards(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "Gate")
    open_model(path, custom=[f"{OWN}:Gate"])
    with pytest.raises(UntrustedCode):
        open_model(path)


def test_marshalled_code_stays_refused(tmp_path: Path) -> None:
    import keras

    entry = keras.Input((4, 3))
    keras.Model(entry, keras.layers.Lambda(lambda x: x + 1)(entry)).save(tmp_path / "model.keras")
    with pytest.raises(UntrustedCode, match=r"carries Python code|marshalled"):
        open_model(tmp_path / "model.keras", custom=[f"{OWN}:doubled"])


def test_code_of_a_backend_is_refused_by_name(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "Foreign")
    graph = open_model(path, custom=[f"{OWN}:Foreign"]).graph
    with pytest.raises(Unsupported, match=r"layer 'foreign'.*cannot be traced with symbolic tensors"):
        convert(graph, tmp_path / "out")


def test_a_trusted_lambda_is_traced(tmp_path: Path) -> None:
    import keras

    entry = keras.Input((4, 3), name="entry")
    shifted = keras.layers.Lambda(lambda x: x * 3 - 1)(entry)
    keras.Model(entry, keras.layers.Identity(name="last")(shifted)).save(tmp_path / "model.keras")
    assert np.allclose(truth(open_model(tmp_path / "model.keras", trust=True).graph), X * 3.0 - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("Gate", "write it as module:Class"),
        ("no_such_module_here:Gate", "cannot be imported"),
        (f"{OWN}:Nothing", "has no Nothing"),
        ("keras.layers:Dense", "bears the name of Keras's own Dense"),
        (f"{OWN}:__all__", "neither a class nor a function"),
    ],
)
def test_what_is_no_class_is_said(spec: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        open_model(tmp_path / "model.keras", custom=[spec])
