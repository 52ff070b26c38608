"""Quantised weights: within half a step of what was meant, and read back as TensorFlow.js reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_models import chain, dense, model, node

from bittrue.conversion.tfjs import convert, dequantised_graph, parse_quantize
from bittrue.conversion.tfjs.quantization import Quantization, Quantize, chosen, dequantise, quantise
from bittrue.errors import ArtifactError, UsageError

F32 = np.float32
NEW = (4, 22, 0)
LARGEST = float(np.finfo(F32).max)
AFFINE = ["uint8", "uint16"]
finite = st.floats(-(2.0**126), 2.0**126, width=32)


def there_and_back(values: Any, dtype: str) -> tuple[np.ndarray, np.ndarray, Quantization]:
    array = np.asarray(values, F32)
    stored, quantization = quantise("w", array, dtype)
    return array, dequantise(stored, quantization, "float32"), quantization


@pytest.mark.parametrize("dtype", AFFINE)
@given(values=st.lists(finite, min_size=1, max_size=30))
def test_no_error_is_larger_than_half_a_step_and_one_rounding(dtype: str, values: list[float]) -> None:
    array, found, quantization = there_and_back(values, dtype)
    rounding = np.abs(array.astype(np.float64)) * 2.0**-23 + 2.0**-149
    error = np.abs(found.astype(np.float64) - array.astype(np.float64))
    assert np.all(error <= quantization.scale * (0.5 + 1e-9) + rounding)


@pytest.mark.parametrize("dtype", AFFINE)
@given(values=st.lists(finite, min_size=1, max_size=30))
def test_zero_between_the_extremes_stays_zero(dtype: str, values: list[float]) -> None:
    _, found, _ = there_and_back([*values, 0.0], dtype)
    assert found[-1] == 0


@pytest.mark.parametrize("dtype", AFFINE)
def test_the_largest_numbers_stay_finite(dtype: str) -> None:
    _, found, _ = there_and_back([-LARGEST, 1.0, LARGEST, LARGEST], dtype)
    assert np.all(np.isfinite(found))
    assert found[0] == -LARGEST


@pytest.mark.parametrize("dtype", AFFINE)
@pytest.mark.parametrize("values", [[0.1] * 5, [-3.0], [0.0, 0.0], []], ids=repr)
def test_a_constant_is_kept_exactly(dtype: str, values: list[float]) -> None:
    array, found, _ = there_and_back(values, dtype)
    assert found.tobytes() == array.tobytes()


def test_float16_is_ieee_754() -> None:
    values = [1.0, -0.0, 2.0**-24, 65504.0, 1 + 2.0**-11, np.inf, -np.inf]
    array, found, _ = there_and_back(values, "float16")
    assert found.tobytes() == array.astype(np.float16).astype(F32).tobytes()


def test_every_finite_float16_is_itself_again() -> None:
    bits = np.arange(65536, dtype="<u2")
    numbers = ~np.isnan(bits.view(np.float16))
    found = dequantise(bits, Quantization("float16"), "float32")
    assert found[numbers].tobytes() == bits.view(np.float16)[numbers].astype(F32).tobytes()


def test_a_nan_of_float16_keeps_what_it_carries() -> None:
    found = dequantise(np.array([0x7C01, 0xFE00], "<u2"), Quantization("float16"), "float32")
    assert found.view(np.uint32).tolist() == [0x7F802000, 0xFFC00000]


def test_each_operation_is_rounded_to_float64_and_the_sum_to_float32() -> None:
    scale, minimum = 0.1, -12.8
    found = dequantise(np.array([128, 255], np.uint8), Quantization("uint8", scale, minimum), "float32")
    assert found.tolist() == [float(F32(128 * scale + minimum)), float(F32(255 * scale + minimum))]


def test_halves_of_whole_numbers_go_up() -> None:
    found = dequantise(np.array([0, 1, 2, 3], np.uint8), Quantization("uint8", 1.0, -1.5), "int32")
    assert (found.dtype, found.tolist()) == (np.int32, [-1, 0, 1, 2])


@pytest.mark.parametrize(("dtype", "value"), [("float16", 65520.0), ("uint8", np.inf), ("uint16", np.nan)])
def test_what_cannot_be_held_is_refused_by_name(dtype: str, value: float) -> None:
    with pytest.raises(UsageError, match=r"weight 'd/kernel'.*leave it out by a pattern"):
        quantise("d/kernel", np.array([1.0, value], F32), dtype)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("uint8", Quantize("uint8")), ("float16:*/kernel", Quantize("float16", "*/kernel"))],
)
def test_what_to_quantise_is_a_dtype_and_a_pattern(text: str, expected: Quantize) -> None:
    assert parse_quantize(text) == expected


@pytest.mark.parametrize("text", ["int8", "", "uint8:", ":a", "UINT8"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_quantize(text)


def test_of_several_patterns_the_last_counts() -> None:
    rules = [Quantize("uint8"), Quantize("float16", "*/bias"), Quantize("uint16", "b/*")]
    assert chosen(["a/kernel", "a/bias", "b/bias"], rules, NEW) == {
        "a/kernel": "uint8",
        "a/bias": "float16",
        "b/bias": "uint16",
    }


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no weight is called like 'x/\\*'; there are a/kernel"):
        chosen(["a/kernel"], [Quantize("uint8", "x/*")], NEW)


def test_a_dtype_that_the_version_does_not_decode_is_refused() -> None:
    assert chosen(["w"], [Quantize("uint8")], (2, 0, 0)) == {"w": "uint8"}
    with pytest.raises(UsageError, match=r"TensorFlow.js 2\.0\.0 does not decode float16 weights"):
        chosen(["w"], [Quantize("float16")], (2, 0, 0))


def graph() -> Any:
    """Two layers, one of them inside a model, with weights that no 8 bits hold."""
    inside = model(*chain(dense("deep", "entry")).layers, name="inside")
    outer = chain(dense("d", "entry"), node("Functional", "inside", "d"))
    nested = outer.layers[-1].__class__(
        "inside", "Functional", "keras", {"name": "inside"}, (), outer.layers[-1].calls, inside
    )
    for number, layer in enumerate((outer.layers[1], inside.layers[1])):
        layer.weights[0].value[:] = np.random.default_rng(number).normal(size=(3, 3))
    return model(*outer.layers[:-1], nested)


def test_the_manifest_says_how_each_weight_is_stored(tmp_path: Path) -> None:
    convert(graph(), tmp_path / "out", quantize=[Quantize("uint8", "d/kernel"), Quantize("float16", "deep/*")])
    (group,) = json.loads((tmp_path / "out" / "model.json").read_text())["weightsManifest"]
    stored = {weight["name"]: weight.get("quantization", {}) for weight in group["weights"]}
    assert {name: entry.get("dtype") for name, entry in stored.items()} == {
        "d/kernel": "uint8",
        "d/bias": None,
        "deep/kernel": "float16",
        "deep/bias": "float16",
    }
    assert set(stored["d/kernel"]) == {"dtype", "min", "scale"}
    assert (tmp_path / "out" / "group1-shard1of1.bin").stat().st_size == 9 * 1 + 3 * 4 + 9 * 2 + 3 * 2


def test_weights_are_read_back_as_they_are_stored(tmp_path: Path) -> None:
    given = graph()
    artifact = convert(given, tmp_path / "out", quantize=[Quantize("uint16", "*/kernel")])
    held = dict(artifact.weights())
    kernel = given.layer("d").weight("kernel")
    assert held["d/kernel"].tobytes() == dequantise(*quantise("", kernel, "uint16"), "float32").tobytes()
    assert held["d/kernel"].tobytes() != kernel.tobytes()
    assert held["d/bias"].tobytes() == given.layer("d").weight("bias").tobytes()


@pytest.mark.parametrize("form", ["layers-model", "graph-model"])
def test_the_dequantised_graph_has_the_artifacts_weights_and_nothing_else_changed(form: Any, tmp_path: Path) -> None:
    given = graph()
    artifact = convert(given, tmp_path / "out", form=form, quantize=[Quantize("uint8")])
    found = dequantised_graph(given, artifact)
    assert found == given  # but for the bits of the weights, which do not count there
    for (_, layer), (_, before) in zip(found.walk(), given.walk(), strict=True):
        for weight, original in zip(layer.weights, before.weights, strict=True):
            stored, quantization = quantise("", original.value, "uint8")
            assert weight.value.tobytes() == dequantise(stored, quantization, "float32").tobytes()


def test_the_dequantised_graph_of_another_model_is_refused(tmp_path: Path) -> None:
    artifact = convert(chain(dense("other", "entry")), tmp_path / "out")
    with pytest.raises(ArtifactError, match="is not this model converted: only one of them has the weight 'd/bias'"):
        dequantised_graph(chain(dense("d", "entry")), artifact)


def test_a_shard_that_changes_after_it_was_opened_is_not_read(tmp_path: Path) -> None:
    artifact = convert(graph(), tmp_path / "out")
    (tmp_path / "out" / "group1-shard1of1.bin").write_bytes(b"\x01" * 96)
    with pytest.raises(ArtifactError, match="has changed since it was opened"):
        list(artifact.weights())


def test_weights_that_span_shards_are_whole(tmp_path: Path) -> None:
    layer = dense("d", "entry", units=500_000)
    layer.weights[0].value[:] = np.random.default_rng(0).normal(size=(3, 500_000))
    artifact = convert(chain(layer), tmp_path / "out", quantize=[Quantize("uint16", "*/bias")])
    assert len(artifact.files) == 3
    assert dict(artifact.weights())["d/kernel"].tobytes() == layer.weight("kernel").tobytes()
