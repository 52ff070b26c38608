"""``bittrue certify`` and ``bittrue.twin`` on a real model, in Node and Chrome."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

import bittrue
from bittrue.cli.app import main

SCHEMA = json.loads(resources.files("bittrue.report").joinpath("certificate-1.schema.json").read_text("utf-8"))

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(7)
    image, extra = keras.Input((6, 6, 2), name="image"), keras.Input((3,), name="extra")
    features = keras.layers.Flatten()(keras.layers.Conv2D(3, 3, activation="tanh", name="conv")(image))
    both = keras.layers.Concatenate()([features, extra])
    outputs = [keras.layers.Dense(4, activation="softmax", name="a")(both), keras.layers.Dense(2, name="b")(both)]
    path = tmp_path_factory.mktemp("certify") / "model.keras"
    keras.Model([image, extra], outputs).save(path)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["certify", *map(str, words)])


@pytest.mark.needs("chrome")
def test_wasm_is_certified_across_chrome_and_node(model: Path, tmp_path: Path):
    done = run(model, "--in", "chrome:wasm,node:wasm", "--examples", 4, "-o", tmp_path / "certificate.json")
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "certificate.json").read_text())
    jsonschema.validate(data, SCHEMA)
    assert data["identical"] is True
    assert data["first_difference"] is None
    assert {entry["layer"] for entry in data["hashes"] if entry["kind"] == "output"} >= {"conv", "a", "b"}
    assert all(isinstance(entry["sha256"], str) for entry in data["hashes"])
    again = run(model, "--in", "node:wasm,chrome:wasm", "--examples", 4, "--same-as", tmp_path / "certificate.json")
    assert again.exit_code == 0, again.output
    assert f"The bits of {tmp_path / 'certificate.json'}" in again.output.replace("\n", "")


@pytest.mark.needs("chrome", "firefox")
def test_exact_is_certified_wherever_it_runs(model: Path):
    targets = "python:exact,chrome:exact,firefox:exact,node:exact"
    done = run(model, "--in", targets, "--examples", 4, "--json", "-")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA)
    assert (data["identical"], len({target["sha256"] for target in data["targets"]})) == (True, 1)
    assert len({target["details"]["module_sha256"] for target in data["targets"]}) == 1
    assert data["model"]["artifact"] == "exact model for bittrue-exact-1"
    assert list(data["model"]["files"]) == ["model.safetensors"]
    assert any(sentence.startswith("exact: the module") for sentence in data["covers"])


def test_backends_that_differ_are_no_certificate(model: Path):
    done = run(model, "--in", "node:wasm,node:cpu", "--examples", 1, "--json", "-")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA)
    first = data["first_difference"]
    assert first["tensor"].startswith("output:")
    assert first["index"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--in", "node:wasm"], "two at least"),
        (["--in", "node:wasm,node:cpu", "--same-as", __file__], "no certificate"),
    ],
)
def test_bad_use_is_told_before_anything_runs(model: Path, words: list[str], said: str):
    done = run(model, *words)
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")


def test_the_twin_has_the_bits_of_a_trace(model: Path):
    inputs = {"image": np.ones((2, 6, 6, 2), np.float32) / 3, "extra": np.ones((2, 3), np.float32)}
    trace = bittrue.trace(model, "node:wasm", inputs=inputs)
    with bittrue.twin(model) as twin:
        answered = twin.predict(inputs)
        in_order = twin.predict([inputs["image"], inputs["extra"]])
    traced = [record.load() for record in trace.of_kind("prediction")]
    assert [one.tobytes() for one in answered] == [one.tobytes() for one in traced]
    assert [one.tobytes() for one in in_order] == [one.tobytes() for one in traced]
