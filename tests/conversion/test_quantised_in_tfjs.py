"""TensorFlow.js's own decoder makes the bits of quantised weights that `Artifact.weights` says it makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_node import BUNDLED, digest, predict
from sample_models import chain, dense

from bittrue.conversion.tfjs import Quantize, convert, dequantised_graph, read_artifact
from bittrue.graph.evaluate import layer_bound
from bittrue.ops import Axioms
from bittrue.runtimes.discovery import find_node

pytestmark = [pytest.mark.browser, pytest.mark.needs("node")]
SCRIPT = Path(__file__).with_name("decode.mjs")


def decoded(folder: Path) -> Any:
    node = find_node()
    assert node is not None
    asked = json.dumps({"tfjs": str(BUNDLED), "folder": str(folder)}).encode()
    done = subprocess.run([str(node.path), str(SCRIPT)], input=asked, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def entry(name: str, stored: np.ndarray, dtype: str, scale: float = 1.0, minimum: float = 0.0) -> dict[str, Any]:
    kind = {"u1": "uint8", "u2": "uint16"}[stored.dtype.str[1:]]
    return {
        "name": name,
        "shape": list(stored.shape),
        "dtype": dtype,
        "quantization": {"dtype": kind, "scale": scale, "min": minimum},
    }


def test_every_stored_value_at_many_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    byte, word = np.arange(256, dtype="u1"), np.arange(65536, dtype="<u2")
    arrays, weights = [word], [entry("half", word, "float32") | {"quantization": {"dtype": "float16"}}]
    for number, magnitude in enumerate([1e-47, 1e-40, 1e-9, 1.0, 1e9, 1e30]):
        for stored in (byte, word):
            scale, minimum = (float(value) for value in rng.normal(size=2) * magnitude)
            arrays.append(stored)
            weights.append(entry(f"{number}/{stored.dtype}", stored, "float32", scale, minimum))
    for number, scale in enumerate([0.5, 0.1, 1.5]):
        arrays.append(word)
        weights.append(entry(f"whole/{number}", word, "int32", scale, -1000.5))
    document = {"modelTopology": {}, "weightsManifest": [{"paths": ["all.bin"], "weights": weights}]}
    (tmp_path / "model.json").write_text(json.dumps(document))
    (tmp_path / "all.bin").write_bytes(b"".join(array.tobytes() for array in arrays))
    found = decoded(tmp_path)
    for name, array in read_artifact(tmp_path).weights():
        assert found[name] == {"dtype": array.dtype.name, "sha256": digest(array)}, name


@pytest.mark.parametrize("dtype", ["float16", "uint16", "uint8"])
def test_what_runs_is_the_dequantised_model_within_rounding(dtype: str, tmp_path: Path) -> None:
    layer = dense("d", "entry", units=20, given=30)
    rng = np.random.default_rng(7)
    layer.weights[0].value[:] = rng.normal(size=(30, 20))
    graph = chain(layer, shape=(30,))
    artifact = convert(graph, tmp_path / "out", quantize=[Quantize(dtype)])
    given = rng.normal(size=(4, 30)).astype(np.float32)
    found = predict(tmp_path / "out", [given])
    for held, bound_of in ((dequantised_graph(graph, artifact), True), (graph, False)):
        ((exact, bound),) = layer_bound(held.layers[-1], [given], Axioms())
        assert bool(np.all(np.abs(found.outputs[0] - exact) <= bound)) is bound_of
    assert found.weights == {name: digest(array) for name, array in artifact.weights()}
