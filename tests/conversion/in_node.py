"""Running converted models in real TensorFlow.js under Node, many of them in one process."""

from __future__ import annotations

import atexit
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
    """Every (folder, inputs) in one process of Node, which stays for whatever is asked next."""
    node = _node(str(tfjs), backend)
    assert node.stdin is not None
    assert node.stdout is not None
    sent = [{"folder": str(at), "inputs": [_sent(x) for x in xs]} for at, xs in jobs]
    node.stdin.write(json.dumps(sent).encode() + b"\n")
    node.stdin.flush()
    answer = node.stdout.readline()
    assert answer, f"Node ended with status {node.wait()}"
    return [_received(reply) for reply in json.loads(answer)]


_running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}


def _node(tfjs: str, backend: str) -> subprocess.Popen[bytes]:
    """Node with that TensorFlow.js loaded, started when there is none yet; it ends when its standard input does."""
    node = _running.get((tfjs, backend))
    if node is None or node.poll() is not None:
        found = find_node()
        assert found is not None
        command = [str(found.path), str(_SCRIPT), tfjs, backend]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        node = _running[tfjs, backend] = subprocess.Popen(command, cwd=_SCRIPT.parent, **pipes)
    return node


@atexit.register
def _end() -> None:
    for node in _running.values():
        node.communicate(timeout=20)


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
