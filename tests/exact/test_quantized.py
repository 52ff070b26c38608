"""Weights of exact models in 8 or 16 bits: what is stored, what is computed with, what is refused."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bittrue.cli.app import main
from bittrue.conversion.tfjs.quantization import dequantise, quantise
from bittrue.converting import export
from bittrue.errors import ArtifactError, UsageError
from bittrue.exact import load
from bittrue.exact.export import export as write_graph
from bittrue.exact.file import read, write
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan
from bittrue.exact.quantized import Quantized
from bittrue.traces import Array

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))

from graphs import TensorRef, call, dense, entry, model

BYTES = np.arange(256, dtype=np.uint8).reshape(2, 128)


def one(stored: Array, scale: Any, minimum: Any) -> tuple[Plan, dict[str, Array]]:
    """A model that adds the constant to its input."""
    constant = Constant("w", stored.shape, "float32", (scale, minimum))
    inputs = (Input("x", (None, stored.shape[1]), "float32"),)
    return Plan("one", inputs, (constant,), (Operation("add", (0, 1)),), (Named("y", 2),)), {"w": stored}


def held(path: Path) -> Array:
    """What a model of `one` computes with."""
    found: Array = load(path).predict(np.zeros((1, 128), np.float32))
    return found


@pytest.mark.parametrize(("scale", "minimum"), [(0.1, -12.3), (1 / 3, 1e-9), (1e-300, 0.0), (1e38, 1.0), (-2, 7)])
def test_a_number_is_scale_times_it_plus_minimum_in_float64_rounded_once(
    tmp_path: Path, scale: float, minimum: float
) -> None:
    write(tmp_path / "m.safetensors", *one(BYTES, scale, minimum))
    wanted = []
    for q in BYTES.reshape(-1).tolist():
        product = float(Fraction(q) * Fraction(scale))  # the nearest float64 to the exact product
        total = float(Fraction(product) + Fraction(minimum))
        with np.errstate(over="ignore"):
            wanted.append(np.float32(total))
    np.testing.assert_array_equal(held(tmp_path / "m.safetensors"), np.reshape(wanted, (2, 128)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_the_numbers_are_those_of_tensorflow_js(dtype: str) -> None:
    weight = np.random.default_rng(4).normal(size=(30, 40)).astype(np.float32)
    stored, how = quantise("w", weight, dtype)
    bits = stored.view(np.float16) if dtype == "float16" else stored
    found = Quantized(bits, how.scale, how.minimum).loaded()
    assert found.tobytes() == dequantise(stored, how, "float32").tobytes()


def test_a_quantised_model_is_the_model_of_the_weights_that_were_kept(tmp_path: Path) -> None:
    kernel = np.random.default_rng(5).normal(size=(4, 64)).astype(np.float32)
    stored, how = quantise("d/kernel", kernel, "uint8")
    quantised = Quantized(stored, how.scale, how.minimum)
    layer = dense("d", kernel, call(TensorRef("x")), bias=np.arange(64, dtype=np.float32))
    graph = model([entry("x", 4)], [layer], TensorRef("d"))
    write_graph(graph, tmp_path / "small.safetensors", quantize=lambda _: {"d/kernel": quantised})
    layer = dense("d", quantised.loaded(), call(TensorRef("x")), bias=np.arange(64, dtype=np.float32))
    write_graph(model([entry("x", 4)], [layer], TensorRef("d")), tmp_path / "wide.safetensors")
    x = np.random.default_rng(6).normal(size=(3, 4)).astype(np.float32)
    small, wide = (load(tmp_path / f"{name}.safetensors") for name in ("small", "wide"))
    assert small.predict(x).tobytes() == wide.predict(x).tobytes()
    assert read(tmp_path / "small.safetensors").constants["d/kernel"].dtype == np.float32


GOLDEN = {
    "uint8": "143d82dd2b11b027",
    "uint16": "f8e2c3f9391cd24d",
    "float16": "090d0fad464941a8",
}


@pytest.mark.parametrize("dtype", sorted(GOLDEN))
def test_the_bits_never_move(tmp_path: Path, dtype: str) -> None:
    steps = np.arange(256, dtype=np.uint16).reshape(2, 128) * (1 if dtype == "uint8" else 257)
    stored = steps.view(np.float16) if dtype == "float16" else steps.astype(dtype)
    plan, constants = one(stored, 0.1, -7.3)
    if dtype == "float16":
        plan = replace(plan, constants=(Constant("w", stored.shape, "float32"),))
        constants = {"w": np.nan_to_num(stored)}
    write(tmp_path / "m.safetensors", plan, constants)
    assert hashlib.sha256(held(tmp_path / "m.safetensors").tobytes()).hexdigest()[:16] == GOLDEN[dtype]


def altered(path: Path, change: Any) -> None:
    """Change the plan of a file, and its hash with it."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    plan = json.loads(header["__metadata__"]["bittrue.exact"])
    change(plan)
    text = json.dumps(plan)
    header["__metadata__"]["bittrue.exact"] = text
    header["__metadata__"]["bittrue.exact.sha256"] = hashlib.sha256(text.encode() + content[8 + length :]).hexdigest()
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + content[8 + length :])


BROKEN = [
    {},
    {"w": [1.0]},
    {"w": ["1", 0]},
    {"w": [True, 0]},
    {"w": [1e999, 0]},
    {"w": [10**400, 0]},
    [1],
    {"v": [1, 0]},
]


@pytest.mark.parametrize("quantized", BROKEN, ids=str)
def test_a_scale_that_is_missing_or_none_is_refused(tmp_path: Path, quantized: Any) -> None:
    path = tmp_path / "m.safetensors"
    write(path, *one(BYTES, 0.5, 0.25))
    altered(path, lambda plan: plan.update(quantized=quantized))
    with pytest.raises(ArtifactError, match=r"m\.safetensors: the model's plan is malformed"):
        load(path)


def test_a_whole_number_as_scale_is_a_number(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", *one(BYTES, 0.5, 0.25))
    altered(tmp_path / "m.safetensors", lambda plan: plan.update(quantized={"w": [2, 1]}))
    np.testing.assert_array_equal(held(tmp_path / "m.safetensors"), BYTES * np.float32(2) + 1)


def test_a_scale_for_a_constant_of_float32_is_refused(tmp_path: Path) -> None:
    plan, _ = one(BYTES, 0.5, 0.25)
    write(tmp_path / "m.safetensors", plan, {"w": BYTES.astype(np.float32)})
    with pytest.raises(ArtifactError, match="is stored as float32, with a scale"):
        load(tmp_path / "m.safetensors")


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    path = tmp_path_factory.mktemp("keras") / "m.keras"
    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((30,)), keras.layers.Dense(200, name="wide"), keras.layers.Dense(2)]).save(path)
    return path


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("given", [["uint8"], ["uint16:wide/*"], ["float16", "uint8:*/kernel"]], ids=str)
def test_the_command_quantises_what_fits_the_patterns(tmp_path: Path, keras_file: Path, given: list[str]) -> None:
    out = tmp_path / "m.safetensors"
    options = [word for rule in given for word in ("--quantize", rule)]
    done = CliRunner().invoke(main, ["export", str(keras_file), str(out), *options])
    assert done.exit_code == 0, done.output
    dtypes = {name: entry["dtype"] for name, entry in header_of(out).items() if name != "__metadata__"}
    assert dtypes["wide/kernel"] == ("U16" if "wide" in given[0] else "U8")
    assert dtypes["wide/bias"] == ("U16" if "wide" in given[0] else "F32")
    x = np.random.default_rng(0).normal(size=(2, 30)).astype(np.float32)
    export(keras_file, tmp_path / "all.safetensors")
    np.testing.assert_allclose(load(out).predict(x), load(tmp_path / "all.safetensors").predict(x), atol=0.05)


def header_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    found: dict[str, Any] = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    return found


@pytest.mark.needs("tensorflow")
def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path, keras_file: Path) -> None:
    with pytest.raises(UsageError, match=r"no weight is called like 'tall/\*'"):
        export(keras_file, tmp_path / "m.safetensors", quantize=["uint8:tall/*"])


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_a_model_of_another_precision_is_computed_in_float32(tmp_path: Path, policy: str) -> None:
    import keras

    layer = keras.layers.Dense(2, dtype=policy)
    net = keras.Sequential([keras.Input((3,), dtype=layer.compute_dtype), layer])
    done = export(net, tmp_path / "m.safetensors")
    assert len(done.notes) == 1
    assert "coarser side" in done.notes[0]
    x = np.float32([[1, 2, 4]])
    weights = [np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(w, "float32"))) for w in net.weights]
    np.testing.assert_allclose(load(tmp_path / "m.safetensors").predict(x), x @ weights[0] + weights[1], rtol=1e-6)
