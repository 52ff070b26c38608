"""From saved files to a minimal case: a trace beside its reference and graph, or a result's JSON that names one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bittrue.errors import UsageError
from bittrue.report.one_layer import REFERENCE_TRACE, graph_beside
from bittrue.tracefile import load

from .case import case_of
from .written import Written, reproduce

__all__ = ["repro"]

_WORST_FIRST = ("bug", "non-finite", "suspicious", "reduced precision", "approximation")
_CONVERTED = "keras_converted"


def repro(
    result: Path,
    layer: str,
    out: Path,
    *,
    target: str | None = None,
    against: Path | None = None,
    model: Any = None,
    redact: bool = False,
    trust: bool = False,
) -> Written:
    """Write ``layer`` (``name``, ``name#call``) of a saved run into ``out``, as a case that runs without Bittrue.

    ``result`` is a target's trace, or a result's JSON of a run whose traces were kept (``--save``); ``target`` says
    which of its targets (None: the one where the layer is worst). ``against`` and ``model`` as in `explain`. With
    ``redact`` weights and inputs are random ones. Raises TraceError for files that are missing, UsageError for a layer
    that is not there, that cannot stand alone, or that no random data shows the fault of.
    """
    path = _trace_of(result, layer, target) if result.suffix == ".json" else result
    beside = against or path.parent / REFERENCE_TRACE
    reference, candidate = load(beside), load(path)
    if model is None:
        graph = graph_beside(beside, reference)
    else:
        from bittrue.model import open_model

        graph = open_model(model, trust=trust).graph
    case = case_of(reference, candidate, graph, layer)
    return reproduce(case, out, saved=_converted(path.parent, candidate.provenance.version), redact=redact)


def _trace_of(result: Path, layer: str, target: str | None) -> Path:
    """The trace of the target that is asked for, or of the one where the layer has the most serious verdict."""
    try:
        data = json.loads(result.read_bytes())
        named = [found for found in data["targets"] if target in (None, found["target"])]
        saved = [found for found in named if found.get("saved")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{result} is no result of bittrue ({error}); give one written with --json") from error
    if not named:
        raise UsageError(f"{result} has no target {target!r}")
    if not saved:
        raise UsageError(f"{result} names no saved trace: run 'bittrue check' with --save DIR, and give its trace")
    worst = min(saved, key=lambda found: min(_places(found, layer), default=len(_WORST_FIRST)))
    path = Path(str(worst["saved"]))
    return path if path.exists() or path.is_absolute() else result.parent / path


def _places(target: Mapping[str, Any], layer: str) -> Iterator[int]:
    name, _, call = layer.partition("#")
    for entry in target.get("layers", []):
        if (entry["name"], entry["call"]) == (name, int(call) if call.isdigit() else 0):
            verdict = entry.get("verdict")
            yield _WORST_FIRST.index(verdict) if verdict in _WORST_FIRST else len(_WORST_FIRST)


def _converted(folder: Path, version: str) -> Path | None:
    """The converted model that ran, where it was kept beside the traces."""
    names = (f"{_CONVERTED}-{version}", _CONVERTED)
    return next((folder / name for name in names if (folder / name / "model.json").is_file()), None)
