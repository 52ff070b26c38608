"""A certificate for people (text) and for programs (JSON): what was run, what was the same, what that covers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bittrue
from bittrue.comparison.certificate import Certificate, FirstDifference, HashedTensor
from bittrue.traces import Provenance

__all__ = ["SCHEMA", "as_data", "coverage", "lines", "unlike"]

SCHEMA = "bittrue/certificate/1"
"""Name and major version of the schema. Later versions of Bittrue only add to it."""

_FACTS = (
    "browser",
    "browser_version",
    "node_version",
    "wasmtime",
    "module_sha256",
    "user_agent",
    "os",
    "machine",
    "cpu",
    "threads",
    "flags",
)
_SHOWN = 16  # digits of a hash in a line


def as_data(certificate: Certificate, model: Mapping[str, Any], made: str) -> dict[str, Any]:
    """The certificate as plain JSON values. ``made`` is when, as ISO 8601 in UTC; ``model`` what it is about."""
    return {
        "schema": SCHEMA,
        "bittrue": bittrue.__version__,
        "made": made,
        "identical": certificate.identical,
        "model": dict(model),
        "inputs": [
            {"name": one.name, "shapes": {key: list(shape) for key, shape in one.shapes.items()}, "sha256": one.sha256}
            for one in certificate.inputs
        ],
        "targets": [
            _target(target, found, certificate.digests[target]) for target, found in certificate.provenances.items()
        ],
        "tensors": certificate.tensor_count,
        "values": certificate.value_count,
        "hashes": [_tensor(tensor) for tensor in certificate.tensors],
        "first_difference": _first(certificate.first_difference),
        "failed_checks": list(certificate.failed_checks),
        "covers": list(coverage(certificate)[0]),
        "does_not_cover": list(coverage(certificate)[1]),
    }


def _target(target: str, found: Provenance, digest: str) -> dict[str, Any]:
    facts = {name: found.details[name] for name in _FACTS if found.details.get(name) is not None}
    return {
        "target": target,
        "sha256": digest,
        "runtime": found.runtime,
        "version": found.version,
        "backend": found.backend,
        "adapter": found.adapter,
        "software": found.software,
        "details": facts,
    }


def _tensor(tensor: HashedTensor) -> dict[str, Any]:
    key = tensor.key
    hashes = dict(tensor.sha256)
    return {
        "kind": key.kind,
        "layer": key.layer,
        "call": key.call,
        "index": key.index,
        "dtype": tensor.dtype,
        "tensors": tensor.tensors,
        "values": tensor.values,
        "sha256": next(iter(hashes.values())) if tensor.identical else hashes,
    }


def _first(found: FirstDifference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    index = None if found.index is None else list(found.index)
    return {
        "input": found.input_set,
        "tensor": str(found.key),
        "targets": list(found.targets),
        "index": index,
        "what": found.what,
    }


def coverage(certificate: Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the certificate covers and what it does not, each as sentences."""
    found = certificate.provenances.values()
    cpus = sorted({str(one.details.get("cpu", "an unknown processor")) for one in found})
    covers: tuple[str, ...] = (
        f"{len(certificate.inputs)} sets of inputs, {certificate.tensor_count:,} tensors and "
        f"{certificate.value_count:,} values of each target: every weight, every layer's output, every prediction.",
        f"The versions and flags named under each target, on {' and '.join(cpus)}.",
    )
    modules = sorted({str(one.details["module_sha256"]) for one in found if "module_sha256" in one.details})
    if modules:
        covers += (
            f"exact: the module {', '.join(modules)}, which imports nothing and has no relaxed instruction: "
            "WebAssembly rounds each of its operations alike on every processor, and NaNs leave it with one bit "
            "pattern. Weights that were folded at export are in the file whose SHA-256 is named.",
        )
    return covers, tuple(_not_covered({one.backend for one in found}))


def _not_covered(backends: set[str]) -> Iterator[str]:
    yield "Inputs that were not run; the instructions are the same for all, but only these were compared."
    if backends == {"exact"}:
        yield "Engines that break WebAssembly's specification on other processors or in other versions."
        return
    yield "Processors of another family than the one named, other versions, and other flags or numbers of threads."
    if "wasm" in backends:
        yield (
            "wasm: WebAssembly rounds every operation alike everywhere, but TensorFlow.js has several modules (plain, "
            "SIMD, threaded) and chooses by what the browser offers; the payload of a NaN is free."
        )
    if "cpu" in backends:
        yield (
            "cpu: exp, tanh and the like are JavaScript's Math functions, which each engine may implement differently "
            "from one version to the next."
        )
    for backend in sorted(backends & {"webgl", "webgpu"}):
        yield (
            f"{backend}: its bits belong to one graphics processor, driver and shader compiler; identical here says "
            "nothing of any other machine, and no certificate can. Use wasm where bits must agree."
        )
    if backends & {"tensorflow", "jax", "torch"}:
        yield "Keras: its libraries choose kernels by processor, number of threads and switches such as oneDNN's."


def lines(certificate: Certificate, model: Mapping[str, Any]) -> Iterator[str]:
    """The certificate in a dozen lines, the verdict first."""
    names = list(certificate.provenances)
    if certificate.identical:
        yield f"IDENTICAL: {len(names)} targets, every bit of {certificate.value_count:,} values in {model['name']}."
    else:
        yield f"NOT IDENTICAL: {model['name']} on {len(names)} targets."
    found = certificate.first_difference
    if found is not None:
        where = "" if found.index is None else f", element {list(found.index)}"
        yield f"First difference: {found.key}{where}, inputs {found.input_set}, "
        yield f"  {found.targets[0]} and {found.targets[1]}: {found.what}"
    same = sum(tensor.identical for tensor in certificate.tensors)
    sets = f"over {len(certificate.inputs)} sets of inputs"
    yield f"{same:,} of {len(certificate.tensors):,} tensors have one hash, {sets}."
    width = max(map(len, names))
    for target, digest in certificate.digests.items():
        yield f"  {target:<{width}}  {digest[:_SHOWN]}…  {_where(certificate.provenances[target])}"
    for failed in certificate.failed_checks:
        yield f"Check failed: {failed}"
    covers, lacks = coverage(certificate)
    yield from (f"Covers: {sentence}" for sentence in covers)
    yield from (f"Does not cover: {sentence}" for sentence in lacks)


def _where(found: Provenance) -> str:
    details = found.details
    node = f"Node {details['node_version']}" if details.get("node_version") else ""
    program = f"{details['browser']} {details.get('browser_version')}" if details.get("browser") else node
    adapter = f"{found.adapter}{', software' if found.software else ''}" if found.adapter else ""
    parts = [f"{found.runtime} {found.version}", program, adapter]
    return ", ".join(part for part in parts if part)


def unlike(certificate: Mapping[str, Any], earlier: Mapping[str, Any]) -> str | None:
    """Where two certificates (as data) of the same model and inputs first disagree, as a sentence; None if nowhere."""
    if certificate["inputs"] != earlier["inputs"]:
        return "they are over other inputs"
    before = {_name(tensor): tensor for tensor in earlier["hashes"]}
    for tensor in certificate["hashes"]:
        there = before.pop(_name(tensor), None)
        if there is None:
            return f"{_name(tensor)} is not in the earlier one"
        if there["sha256"] != tensor["sha256"]:
            return f"{_name(tensor)} has another hash"
    return f"{next(iter(before))} is only in the earlier one" if before else None


def _name(tensor: Mapping[str, Any]) -> str:
    return f"{tensor['kind']}:{tensor['layer']}:{tensor['call']}:{tensor['index']}"
