"""The exact runtime in browsers and in Node: the trace that Python gives, tensor for tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_exact import INPUTS, graph

from bittrue.conversion.tfjs.artifact import Artifact
from bittrue.errors import ArtifactError, TargetFailure
from bittrue.exact.plan import SEMANTICS
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.exact import ExactRuntime
from bittrue.runtimes.exact_artifact import exact_artifact
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target
from bittrue.traces import Trace

pytestmark = pytest.mark.browser
PLACES = [pytest.param(place, marks=pytest.mark.needs(place)) for place in ("node", "chrome", "firefox")]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as found:
        yield found


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return exact_artifact(graph(), tmp_path / "exact")


def traced(host: Host, place: str, artifact: Artifact, inputs: dict[str, np.ndarray] = INPUTS, **options) -> Trace:
    with host.runtime(Target.parse(f"{place}:exact"), artifact, graph()) as runtime:
        return runtime.trace(inputs, TraceOptions(**options))


def bits(trace: Trace) -> dict[str, tuple[str, bytes]]:
    return {str(record.key): (str(record.dtype), record.load().tobytes()) for record in trace}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_the_trace_of_python(place: str, host: Host, artifact: Artifact) -> None:
    with ExactRuntime(Target.parse("python:exact"), graph()) as runtime:
        python = runtime.trace(INPUTS)
    found = traced(host, place, artifact, runs=2)
    assert bits(found) == bits(python)
    assert [(check.name, check.passed) for check in found.checks] == [
        ("runs", True),
        ("batch", True),
        ("capture", True),
    ]
    assert (found.provenance.runtime, found.provenance.backend, found.provenance.version) == (
        "exact",
        "exact",
        SEMANTICS,
    )
    assert found.provenance.details["module_sha256"] == python.provenance.details["module_sha256"]


@pytest.mark.needs("node")
def test_inputs_of_another_kind_are_taken_if_their_values_are_the_models(host: Host, artifact: Artifact) -> None:
    whole = {"x": INPUTS["x"].astype(np.int32)}
    assert traced(host, "node", artifact, whole).digest() == traced(host, "node", artifact).digest()
    with pytest.raises(TargetFailure, match="float32 does not"):
        traced(host, "node", artifact, {"x": np.int32([[2**24 + 1, 0]])})


@pytest.mark.needs("node")
def test_layers_may_be_chosen(host: Host, artifact: Artifact) -> None:
    outputs = [str(record.key) for record in traced(host, "node", artifact, layers=["r"]).of_kind("output")]
    assert outputs == ["output:r:0:0"]


@pytest.mark.needs("node")
def test_a_file_that_was_altered_is_refused(host: Host, artifact: Artifact) -> None:
    file = artifact.folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(ArtifactError, match="SHA-256"):
        traced(host, "node", artifact)


def test_weights_that_are_in_the_model_are_named_and_no_others(artifact: Artifact) -> None:
    assert artifact.places is not None
    weights = {tuple(layer["path"]): layer["weights"] for layer in artifact.places["layers"]}
    assert weights["d",] == [{"constant": "d/kernel", "shape": [2, 2]}, {"constant": "d/bias", "shape": [2]}]
    assert weights["r",] == []
