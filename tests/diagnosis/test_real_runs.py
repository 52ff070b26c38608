"""Keras and real TensorFlow.js: clean runs accuse nobody, and what is planted in an artifact is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.clean_controls import FAMILIES

from bittrue.model import open_model
from bittrue.pipeline import check, convert, trace
from bittrue.report.one_layer import result_of

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


@pytest.mark.parametrize("family", ["convolutions", "recurrent"])
def test_clean_runs_are_rounding_at_most(family: str) -> None:
    import keras

    keras.utils.set_random_seed(7)
    data = check(FAMILIES[family](), "random:7", ["node:cpu", "node:wasm"], batch=2)
    for outcome in data.targets:
        assert outcome.diagnosis is not None
        assert [entry.name for entry in outcome.diagnosis.entries if entry.verdict > "rounding"] == []
        assert len(outcome.diagnosis.entries) > 3
        bounds = [decision.first_order for decision in outcome.diagnosis.decisions]
        assert bounds
        for found in bounds:
            assert found is not None
            assert found.bound is not None
            assert found.change is not None
            assert found.change <= found.bound


def test_a_kernel_that_begins_with_the_bias_and_loses_every_product_in_it_is_no_fault() -> None:
    import keras

    entry = keras.Input((125,))
    layer = keras.layers.Dense(16, name="d")
    model = keras.Model(entry, layer(entry))
    layer.set_weights([np.full((125, 16), 0.4 * 2.0**-23, np.float32), np.ones(16, np.float32)])
    (outcome,) = check(model, "ones", ["node:wasm"]).targets
    assert outcome.diagnosis is not None
    (entry,) = outcome.diagnosis.entries
    assert entry.outputs[0].own.max_ulp is not None
    assert entry.outputs[0].own.max_ulp > 49  # where Keras, which adds the bias last, is off by none
    assert (entry.verdict, outcome.diagnosis.verdict) == ("rounding", "rounding")


def planted(folder: Path) -> None:
    """One bit of the weight file, in a weight in the middle; and the note that would have told."""
    document = json.loads((folder / "model.json").read_text())
    document["userDefinedMetadata"]["bittrue"].pop("sha256")
    (folder / "model.json").write_text(json.dumps(document))
    (shard,) = sorted(folder.glob("*.bin"))
    data = bytearray(shard.read_bytes())
    at = len(data) // 2 // 4 * 4
    data[at + 2] ^= 0x40
    shard.write_bytes(bytes(data))


def test_one_weight_changed_in_an_artifact_is_found_and_its_cause_proven(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    entry = tensor = keras.Input((20,), name="x")
    for at in range(5):
        tensor = keras.layers.Dense(20, activation="tanh", name=f"d{at}")(tensor)
    model: Any = keras.Model(entry, tensor)
    path = tmp_path / "m.keras"
    model.save(path)
    planted(convert(path, tmp_path / "artifact").folder)
    inputs = {"x": np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)}
    reference = trace(path, "keras:tensorflow", inputs=inputs)
    candidate = trace(tmp_path / "artifact", "node:wasm", inputs=inputs)
    found = result_of(reference, candidate, open_model(path).graph).targets[0].diagnosis
    assert found is not None
    (fault,) = found.faults
    assert (fault.name, fault.side, fault.verdict) == ("d2", "candidate", "bug")
    assert [(cause.cause, cause.proven) for cause in fault.causes] == [("weights-differ", True)]


def test_the_orders_of_cpu_and_wasm_are_reproduced_bit_for_bit() -> None:
    import keras

    keras.utils.set_random_seed(3)
    entry = tensor = keras.Input((70,), name="x")
    for at in range(4):
        tensor = keras.layers.Dense(
            70, activation="relu" if at % 2 else None, bias_initializer="normal", name=f"d{at}"
        )(tensor)
    image = keras.layers.Reshape((5, 7, 2))(tensor)
    tensor = keras.layers.Conv2D(4, 3, strides=2, padding="same", bias_initializer="normal", name="c")(image)
    data = check(keras.Model(entry, tensor), "random:3", ["node:cpu", "node:wasm"], batch=3)
    for outcome in data.targets:
        assert outcome.diagnosis is not None
        for name in ("d0", "d1", "d2", "d3", "c"):
            layer = outcome.diagnosis.layers[name]
            assert layer.verdict == "rounding"
            assert [(cause.cause, cause.proven) for cause in layer.causes] == [("summation-order", True)]
