"""Subclassed models, live and saved: traced into nodes that compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.model.saved_models import X

from bittrue.errors import Unsupported, UntrustedCode, UsageError
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.model.framework import import_keras
from bittrue.traces import Key

keras = import_keras()


class Gated(keras.Model):  # type: ignore[misc, name-defined]
    """Two branches and a product, which no list of layers says."""

    def __init__(self, units: int = 4, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.gate = keras.layers.Dense(units, activation="sigmoid", name="gate")
        self.value = keras.layers.Dense(units, name="value")

    def call(self, x: Any) -> Any:
        return self.gate(x) * self.value(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def gated() -> Any:
    keras.utils.set_random_seed(2)
    model = Gated(name="gated")
    model(X)
    return model


def answered(source: Any, **options: Any) -> np.ndarray:
    graph = open_model(source, **options).graph
    trace = evaluate(graph, {graph.inputs[0].name: X})
    assert trace.provenance.details["no_truth"] == {}
    output = graph.outputs[0]
    found: np.ndarray = trace[Key("output", output.layer, 0, output.output)].load()
    return found


def test_a_live_one_computes_the_same() -> None:
    model = gated()
    assert np.allclose(answered(model), np.asarray(model(X)), atol=1e-6)


def test_its_own_layers_keep_their_names() -> None:
    names = {layer.name for layer in open_model(gated()).graph.layers}
    assert {"gate_1", "value_1"} <= {f"{name.removesuffix('_1')}_1" for name in names}


def test_a_saved_one_needs_its_class(tmp_path: Path) -> None:
    model = gated()
    model.save(tmp_path / "gated.keras")
    with pytest.raises((UntrustedCode, Unsupported), match="Gated"):
        open_model(tmp_path / "gated.keras")
    assert np.allclose(answered(tmp_path / "gated.keras", custom=[Gated]), np.asarray(model(X)), atol=1e-6)


def test_one_that_was_never_called_is_refused() -> None:
    with pytest.raises(Unsupported, match="never been called"):
        open_model(Gated(name="new"))


def test_it_is_not_run_by_keras() -> None:
    with pytest.raises(UsageError, match="tensorflow:cpu"):
        open_model(gated()).keras()
