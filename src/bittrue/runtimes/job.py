"""What an agent is asked to do: the ``run`` frame of docs/protocol.md."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bittrue.errors import UsageError
from bittrue.graph.model import Graph, LayerCall

from .base import TraceOptions
from .target import Target

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["Job", "flag_value"]


@dataclass(frozen=True)
class Job:
    """One run of one artifact on one target.

    ``scripts`` of TensorFlow.js lie under ``runtime_base``, the artifact's files under ``artifact_base``:
    addresses for a page, folders for Node, each ending in a separator.
    """

    target: Target
    version: str
    runtime_base: str
    scripts: tuple[str, ...]
    artifact: Artifact
    artifact_base: str
    inputs: tuple[str, ...]
    calls: tuple[LayerCall, ...]
    layers: tuple[str, ...] | None
    runs: int
    budget: int
    stay: bool = False
    """Whether the agent is to answer one request after another instead of tracing."""

    @classmethod
    def of(
        cls,
        target: Target,
        graph: Graph,
        artifact: Artifact,
        runtime: tuple[str, str, tuple[str, ...]],
        artifact_base: str,
        options: TraceOptions,
    ) -> Job:
        """``runtime`` is version, base and scripts. Raises UsageError for a layer that the model does not have."""
        version, base, scripts = runtime
        calls = _made(graph, artifact)
        layers = None if options.layers is None else _known(tuple(options.layers), calls)
        inputs = tuple(spec.name for spec in graph.inputs)
        return cls(
            target, version, base, scripts, artifact, artifact_base, inputs, calls, layers, options.runs, options.budget
        )

    def header(self) -> dict[str, Any]:
        """The header of the ``run`` frame."""
        return {"type": "run", "job": self._job()}

    def _job(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "runtime": {
                "name": "exact" if self.target.is_exact else "tfjs",
                "version": self.version,
                "base": self.runtime_base,
                "scripts": list(self.scripts),
            },
            "artifact": {
                "format": self.artifact.format,
                "base": self.artifact_base,
                "document": self.artifact.document,
            },
            "hashes": dict(self.artifact.files),
            "backend": self.target.backend,
            "flags": self.flags,
            "inputs": list(self.inputs),
            "calls": None if self.target.is_exact else self._calls,
            "layers": None if self.layers is None else list(self.layers),
            "weights": True,
            "capture": True,
            "runs": self.runs,
            "batch": self.runs > 1,  # a second question of repeatability, asked with the first
            "budget": self.budget,
            **({"places": self.artifact.places} if self.artifact.places is not None else {}),
            **({"stay": True} if self.stay else {}),
        }

    @property
    def _calls(self) -> list[dict[str, Any]]:
        return [{"path": list(call.path), "nodes": list(call.nodes)} for call in self.calls]

    @property
    def flags(self) -> Mapping[str, Any]:
        """The target's flags as JSON values."""
        return {name: flag_value(text) for name, text in self.target.flags}


def _made(graph: Graph, artifact: Artifact) -> tuple[LayerCall, ...]:
    """The calls to expect: a layers-model has none of the operations that do nothing but make Keras's masks."""
    from bittrue.conversion.tfjs.specs import used_layers

    def paths(model: Graph, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        used = used_layers(model)
        for layer in model.layers:
            if layer.name in used:
                yield (*above, layer.name)
                if layer.subgraph is not None:
                    yield from paths(layer.subgraph, (*above, layer.name))

    calls = tuple(graph.calls())
    if artifact.format != "layers-model":
        return calls
    there = set(paths(graph, ()))
    return tuple(call for call in calls if call.path in there)


def flag_value(text: str) -> Any:
    """A flag as TensorFlow.js takes it: ``true`` and numbers are values, all else is text."""
    try:
        value = json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) and value == value else text


def _known(wanted: Sequence[str], calls: Sequence[LayerCall]) -> tuple[str, ...]:
    names = {call.name for call in calls}
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, sorted(names), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(names)[:20])}"
            raise UsageError(f"the model has no layer {name!r} to capture: {hint}")
    return tuple(wanted)
