"""The experiment, end to end, in a real browser: the published table, character by character."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.needs("chrome", "node", "tensorflow")]

TARGETS = "chrome:webgl,chrome:wasm,node:wasm,keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"


def demo(folder: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "bittrue", "demo", "--out", str(folder), "--quiet", "--json", "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def demo_here(folder: Path, *arguments: str) -> Any:
    """The same in this process, which has imported Keras already."""
    from click.testing import CliRunner

    from bittrue.cli.app import main

    done = CliRunner().invoke(main, ["demo", "--out", str(folder), "--quiet", "--json", "-", *arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return demo(tmp_path_factory.mktemp("demo"), "--in", TARGETS)


def published_processor(data: Any) -> bool:
    """Whether Keras rounds here as it did in the published run: oneDNN's kernels, with AVX2 or newer."""
    details = data["reference"]["provenance"]["details"]
    return bool(details.get("onednn")) and "avx2" in json.dumps(details).lower()


def test_the_result_follows_the_schema(result: Any) -> None:
    schema = json.loads(files("bittrue.report").joinpath("result-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(result, schema)


def test_webgl_reproduces_every_published_line(result: Any) -> None:
    if not published_processor(result):
        pytest.skip("declared: Keras rounds otherwise on this processor (no oneDNN, or no AVX2)")
    assert result["published"] == {"target": "chrome:webgl", "lines": 30, "matched": 30}
    last = result["targets"][0]["layers"][-1]
    assert (last["name"], last["different_values"], last["average_difference"]) == ("dense_9", 44, 0.42203125)


def test_so_does_the_version_that_was_published(tmp_path: Path) -> None:
    if os.environ.get("BITTRUE_OFFLINE") == "1":
        pytest.skip("declared: BITTRUE_OFFLINE=1, and TensorFlow.js 1.7.2 is not bundled")
    found = demo_here(tmp_path, "--in", "chrome:webgl", "--tfjs", "1.7.2")
    if not published_processor(found):
        pytest.skip("declared: Keras rounds otherwise on this processor (no oneDNN, or no AVX2)")
    assert found["published"]["matched"] == 30
    assert found["targets"][0]["provenance"]["version"] == "1.7.2"


def test_weights_arrive_intact_and_wasm_has_one_set_of_bits_everywhere(result: Any) -> None:
    assert all(weight["identical"] for target in result["targets"] for weight in target["weights"])
    assert all(len(target["weights"]) == 20 and len(target["layers"]) == 10 for target in result["targets"])
    digests = {target["target"]: target["digest"] for target in result["targets"]}
    assert digests["chrome:wasm"] == digests["node:wasm"]


def test_it_ends_with_the_same_bits_everywhere(result: Any) -> None:
    proof = result["exact"]
    assert sorted(proof["hashes"]) == ["chrome:exact", "node:exact", "python:exact"]
    assert (proof["identical"], len(set(proof["hashes"].values())), proof["failures"]) == (True, 1, {})
    assert proof["values"] == 10 * 50


def test_every_layer_says_how_far_each_side_is_from_the_float64_answer(result: Any) -> None:
    for target in result["targets"]:
        for layer in target["layers"]:
            # Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1: 50 products, 51 sums a
            # layer, entries below 1, so each layer multiplies the scale of the error by at most 51 beside its own.
            assert 0 <= layer["float64"]["average_difference"] < 1e-5 * layer["scale"]
            assert 0 <= layer["reference_float64"]["average_difference"] < 1e-5 * layer["scale"]


def test_nothing_is_unmatched_and_capturing_changed_nothing(result: Any) -> None:
    for target in result["targets"]:
        assert target["unmatched"] == {"reference": [], "candidate": []}
        assert [check["passed"] for check in target["checks"] if check["name"] == "capture"] == [True]


def test_depth_and_size_are_options(tmp_path: Path) -> None:
    found = demo_here(tmp_path, "--depth", "3", "--size", "7", "--in", "node:cpu")
    assert [layer["shape"] for layer in found["targets"][0]["layers"]] == [[1, 7]] * 3
    assert found["published"] is None
    assert (tmp_path / "keras_model.h5").exists()
    assert (tmp_path / "keras_converted" / "model.json").exists()
