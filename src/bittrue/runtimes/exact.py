"""The exact runtime in Python (``python:exact``): the WebAssembly module in process, with what every layer returned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np

from bittrue.errors import TargetFailure, UsageError
from bittrue.exact.engine import ExactModel, module_sha256
from bittrue.exact.export import lowered
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.plan import SEMANTICS
from bittrue.graph.model import Graph
from bittrue.tracefile import TraceWriter
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

from .base import Inputs, NullProgress, Progress, TraceOptions
from .bits import difference
from .collect import machine_facts
from .exact_artifact import held_weights
from .target import Target

__all__ = ["ExactRuntime"]


class ExactRuntime:
    """Runs ``graph`` with the semantics of spec.md. A layer that they do not have is refused when it is entered."""

    def __init__(self, target: Target, graph: Graph, *, progress: Progress | None = None) -> None:
        self.target = target
        self._graph = graph
        self._progress = progress or NullProgress()
        self._model: ExactModel | None = None
        self._constants: Mapping[str, Array] = {}

    def __enter__(self) -> ExactRuntime:
        from bittrue.conversion.tfjs.precision import in_float32

        self._progress.phase(str(self.target), "planning")
        plan, self._constants = lowered(in_float32(self._graph))
        self._model = ExactModel(ExactFile(plan, self._constants, digest(plan, self._constants)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model = None

    def trace(self, inputs: Inputs, options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
        """Run the model on ``inputs`` and return what every layer produced."""
        if self._model is None:
            raise TargetFailure(f"{self.target} was not started", target=str(self.target))
        wanted = self._wanted(self._model, options)
        start = time.perf_counter()
        plain = self._predicted(self._model, inputs)
        seconds = time.perf_counter() - start
        checks = []
        for run in range(2, options.runs + 1):
            found = difference(plain, self._predicted(self._model, inputs), "run 1", f"run {run}")
            checks.append(Check("runs", found is None, found or f"runs 1 and {run} agree bit for bit"))
        layers = self._model.layers(dict(inputs))
        with TraceWriter(Path(options.save) if options.save else None) as writer:
            for record in self._records(self._model, inputs, layers, wanted, plain):
                self._progress.record(str(self.target), record.key.layer, record.nbytes, None)
                writer.add(record)
            checks.append(self._capture_check(self._model, layers, plain))
            return writer.finish(self._provenance(inputs, seconds), tuple(checks))

    def _wanted(self, model: ExactModel, options: TraceOptions) -> set[str]:
        known = {named.name for named in model.plan.layers}
        if options.layers is None:
            return known
        missing = sorted(set(options.layers) - known)
        if missing:
            raise UsageError(
                f"the model has no layer {missing[0]!r} to capture: it has {', '.join(sorted(known)[:20])}"
            )
        return set(options.layers)

    def _predicted(self, model: ExactModel, inputs: Inputs) -> dict[str, Array]:
        self._progress.phase(str(self.target), "predicting")
        made = model.predict(dict(inputs))
        arrays = made if isinstance(made, list) else [made]
        names = [ref.layer for ref in self._graph.outputs]
        return {str(Key("prediction", names[at], 0, at)): array for at, array in enumerate(arrays)}

    def _records(
        self, model: ExactModel, inputs: Inputs, layers: Sequence[Array], wanted: set[str], plain: dict[str, Array]
    ) -> Iterator[Record]:
        for spec in self._graph.inputs:
            yield Record.of(Key("input", spec.name), np.asarray(inputs[spec.name]))
        held = held_weights(self._graph, self._constants)
        for path, layer in self._graph.walk():
            for index, weight in enumerate(layer.weights):
                if (path, index) in held:
                    array = self._constants[held[path, index]].reshape(np.shape(weight.value))
                    yield Record.of(Key("weight", "/".join(path), 0, index), array)
        for named, array in zip(model.plan.layers, layers, strict=True):
            if named.name in wanted:
                yield Record.of(Key("output", named.name, named.call, named.index), array)
        for key, array in plain.items():
            yield Record.of(Key.parse(key), array)

    def _capture_check(self, model: ExactModel, layers: Sequence[Array], plain: dict[str, Array]) -> Check:
        """The outputs of the run that kept every layer are those of the run that kept none."""
        values = {named.value: array for named, array in zip(model.plan.layers, layers, strict=True)}
        captured = {
            key: values[named.value]
            for key, named in zip(plain, model.plan.outputs, strict=True)
            if named.value in values
        }
        compared = {key: plain[key] for key in captured}
        found = difference(compared, captured, "without capture", "with capture")
        detail = found or "the model's outputs are the same, bit for bit, with and without capture"
        return Check("capture", found is None, detail)

    def _provenance(self, inputs: Inputs, seconds: float) -> Provenance:
        details = {
            **machine_facts(),
            "wasmtime": version("wasmtime"),
            "module_sha256": module_sha256(),
            "threads": 1,
            "batch": int(next(iter(inputs.values())).shape[0]),
            "timings": {"first_predict": round(seconds, 6)},
        }
        return Provenance(str(self.target), "exact", "exact", SEMANTICS, details=details)
