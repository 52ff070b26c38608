"""Running converted models in real TensorFlow.js under Node, many of them in one process."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.runtimes.discovery import find_node

__all__ = ["Prediction", "digest", "predict", "predict_all"]

Array = NDArray[Any]
BUNDLED = Path(__file__).resolve().parents[2] / "src/bittrue/_vendor/tfjs/4.22.0/tf.min.js"
_SCRIPT = Path(__file__).with_name("predict.mjs")


_DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "?"}


@dataclass(frozen=True)
class Prediction:
    """What one model returned, the SHA-256 of each of its weights, and its layers; ``error`` where it did not run."""

    outputs: tuple[Array, ...] = ()
    weights: dict[str, str] | None = None
    layers: tuple[str, ...] = ()
    error: str | None = None


def digest(array: Array) -> str:
    """SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def predict(folder: Path, inputs: Sequence[Array], tfjs: Path = BUNDLED) -> Prediction:
    """One model, which must run."""
    (prediction,) = predict_all([(folder, inputs)], tfjs)
    assert prediction.error is None, prediction.error
    return prediction


def predict_all(
    jobs: Sequence[tuple[Path, Sequence[Array]]], tfjs: Path = BUNDLED, backend: str = "cpu"
) -> list[Prediction]:
    """Every (folder, inputs) in one process of Node."""
    node = find_node()
    assert node is not None
    sent = [{"folder": str(at), "inputs": [_sent(x) for x in xs]} for at, xs in jobs]
    asked = {"tfjs": str(tfjs), "backend": backend, "jobs": sent}
    done = subprocess.run(
        [str(node.path), str(_SCRIPT)], input=json.dumps(asked).encode(), capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return [_received(reply) for reply in json.loads(done.stdout)]


def _sent(array: Array) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"shape": array.shape, "dtype": array.dtype.name, "base64": data}


def _received(reply: dict[str, Any]) -> Prediction:
    if "error" in reply:
        return Prediction(error=reply["error"])
    outputs = [
        np.frombuffer(base64.b64decode(o["base64"]), _DTYPES[o.get("dtype", "float32")]).reshape(o["shape"])
        for o in reply["outputs"]
    ]
    return Prediction(tuple(outputs), reply["weights"], tuple(reply["layers"]))
