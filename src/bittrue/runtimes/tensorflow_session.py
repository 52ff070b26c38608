"""One run of one graph of nodes in this process: predict, repeat, capture in windows, and check each on the other.

A session of TensorFlow's older kind is used, because it alone can be told to leave the graph as it is: its optimiser
would fuse nodes whose results nobody asks for, and round otherwise once they are asked for.
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bittrue.errors import BittrueError, ModelError, TargetFailure, UsageError
from bittrue.graph.model import Graph, LayerNode
from bittrue.graph.nodegraph import NODES, NodeGraph, Port
from bittrue.traces import Array, Check, Key, Provenance, Record

from .base import TraceOptions
from .bits import difference
from .keras_provenance import tensorflow_provenance
from .keras_session import Sink

__all__ = ["TensorFlowSession"]

_OTHER_KERNELS = 1e-4
"""Relative to the values. Nodes in functions, as bodies of loops are, get other kernels, which round otherwise."""


@dataclass(frozen=True)
class _Wanted:
    """One tensor to be captured, and its bytes where they are known."""

    key: Key
    tensor: str
    nbytes: int | None


@dataclass
class TensorFlowSession:
    """Runs ``nodes``, which ``graph`` describes as layers, on ``inputs``, the input tensors by name."""

    target: str
    nodes: NodeGraph
    graph: Graph
    inputs: Mapping[str, Array]
    options: TraceOptions
    sink: Sink
    _checks: list[Check] = field(default_factory=list)
    _timings: dict[str, float] = field(default_factory=dict)

    def run(self) -> tuple[Provenance, tuple[Check, ...]]:
        """Send every record to the sink; the full provenance and the checks.

        Raises UsageError for a layer that the model does not have, TargetFailure where the model cannot run.
        """
        provenance = tensorflow_provenance(self.target)
        self.sink.environment(provenance)
        wanted = self._wanted()
        try:
            with _Runner(self.nodes) as runner:
                windows = self._trace(runner, wanted)
        except ModelError as error:
            raise TargetFailure(f"{self.target} cannot run the model: {error}", target=self.target) from error
        except (BittrueError, OSError):
            raise
        except Exception as error:  # TensorFlow's errors have no common base that is public
            raise self._failure(error) from error
        timings = {name: round(seconds, 6) for name, seconds in self._timings.items()}
        details = {**provenance.details, "batch": self._batch, "windows": windows, "timings": timings}
        return replace(provenance, details=details), tuple(self._checks)

    @property
    def _batch(self) -> int:
        first = next(iter(self.inputs.values()))
        return int(first.shape[0]) if first.ndim else 1

    def _wanted(self) -> list[_Wanted]:
        names = [layer.name for layer in self.graph.layers]
        chosen = set(names) if self.options.layers is None else set(self.options.layers)
        for name in sorted(chosen.difference(names)):
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names[:20])}"
            raise UsageError(f"the model has no layer {name!r} to capture: {hint}")
        layers = [layer for layer in self.graph.layers if layer.name in chosen and layer.module == NODES]
        return [wanted for layer in layers for wanted in self._outputs(layer)]

    def _outputs(self, layer: LayerNode) -> Iterator[_Wanted]:
        pairs = zip(layer.config["outputs"], layer.config["specs"], strict=True)
        for index, ((at, output), spec) in enumerate(pairs):
            tensor = f"{layer.config['nodes'][at]['name']}:{output}"
            yield _Wanted(Key("output", layer.name, 0, index), tensor, _bytes(spec, self._batch))

    def _trace(self, runner: _Runner, wanted: list[_Wanted]) -> int:
        self.sink.phase("predicting")
        plain = self._predictions(runner)
        self._check_loops(plain)
        for record in (*self._fed(), *self._weights()):
            self.sink.record(record, None)
        windows = list(_windows(wanted, self.options.budget))
        self._capture(runner, windows, plain)
        for name, array in plain.items():
            self.sink.record(Record.of(Key.parse(name), array), None)
        if self.options.runs > 1:
            self._check_batch(runner, plain)
        return len(windows)

    def _fed(self) -> Iterator[Record]:
        chosen = None if self.options.layers is None else set(self.options.layers)
        for spec in self.graph.inputs:
            yield Record.of(Key("input", spec.name), np.asarray(self.inputs[spec.name]))
        for spec in self.graph.inputs:
            if chosen is None or spec.name in chosen:
                yield Record.of(Key("output", spec.name), np.asarray(self.inputs[spec.name]))

    def _weights(self) -> Iterator[Record]:
        for layer in self.graph.layers:
            for index, weight in enumerate(layer.weights):
                yield Record.of(Key("weight", layer.name, 0, index), weight.value)

    def _predictions(self, runner: _Runner) -> dict[str, Array]:
        """The plain prediction by key, repeated as often as asked for; all must agree."""
        first = self._predict(runner, self.inputs, "first_predict")
        different = None
        for run in range(2, self.options.runs + 1):
            again = self._predict(runner, self.inputs, f"predict_{run}")
            different = different or difference(first, again, "run 1", f"run {run}")
        if self.options.runs > 1:
            detail = different or f"{self.options.runs} predictions agree bit for bit"
            self._checks.append(Check("runs", different is None, detail))
        return first

    def _check_loops(self, plain: Mapping[str, Array]) -> None:
        """The model's own loops against the steps that they were written out as."""
        if self.nodes.looping is None:
            return
        with _Runner(self.nodes.looping) as runner:
            tensors = [_tensor(port) for port in self.nodes.looping.outputs]
            found = dict(zip(plain, self._run(runner, tensors, self.inputs, "loops"), strict=True))
        different = difference(found, plain, "as loops", "written out step by step")
        detail = different or "the model's loops, and the steps that they are written out as, agree bit for bit"
        apart = max((_apart(found[key], plain[key]) for key in plain), default=0.0)
        if different and apart < _OTHER_KERNELS:
            detail = (
                f"the model's loops, and the steps that they are written out as, agree within {apart:.1g}, relatively"
            )
        self._checks.append(Check("loops", apart < _OTHER_KERNELS, detail))

    def _predict(self, runner: _Runner, inputs: Mapping[str, Array], timing: str) -> dict[str, Array]:
        tensors = [_tensor(port) for port in self.nodes.outputs]
        keys = [str(Key("prediction", ref.layer, 0, at)) for at, ref in enumerate(self.graph.outputs)]
        return dict(zip(keys, self._run(runner, tensors, inputs, timing), strict=True))

    def _run(self, runner: _Runner, tensors: Sequence[str], inputs: Mapping[str, Array], timing: str) -> list[Array]:
        start = time.perf_counter()
        found = runner.run(tensors, inputs)
        self._timings[timing] = self._timings.get(timing, 0.0) + time.perf_counter() - start
        return found

    def _capture(self, runner: _Runner, windows: list[list[_Wanted]], plain: Mapping[str, Array]) -> None:
        changed = torn = None
        last: tuple[_Wanted, Array] | None = None
        outputs = [_tensor(port) for port in self.nodes.outputs]
        for number, window in enumerate(windows):
            self.sink.phase(f"capturing {number + 1}/{len(windows)}" if len(windows) > 1 else "capturing")
            again = [last[0].tensor] if last else []
            found = self._run(runner, [*outputs, *again, *(one.tensor for one in window)], self.inputs, "capture")
            whole = dict(zip(plain, found, strict=False))
            changed = changed or difference(plain, whole, "without capture", "with capture")
            if last:
                name = str(last[0].key)
                torn = torn or difference({name: last[1]}, {name: found[len(outputs)]}, "in one pass", "in the next")
            captured = found[len(outputs) + len(again) :]
            for one, array in zip(window, captured, strict=True):
                self.sink.record(Record.of(one.key, array), None)
            last = (window[-1], captured[-1])
        self._judge(len(windows), changed, torn)

    def _judge(self, passes: int, changed: str | None, torn: str | None) -> None:
        if passes:
            detail = changed or "the model's outputs are the same, bit for bit, with and without capture"
            self._checks.append(Check("capture", changed is None, detail))
        if passes > 1:
            self._checks.append(Check("windows", torn is None, torn or f"{passes} passes agree bit for bit"))

    def _check_batch(self, runner: _Runner, plain: Mapping[str, Array]) -> None:
        """The same examples at other positions of a larger batch."""
        if any(not spec.shape or spec.shape[0] is not None for spec in self.graph.inputs):
            self._checks.append(Check("batch", None, "the model accepts one batch size only"))
            return
        larger = {name: np.concatenate([array[::-1], array]) for name, array in self.inputs.items()}
        doubled = self._predict(runner, larger, "batch")
        count = self._batch
        rows = {key: array[count:] for key, array in doubled.items() if array.shape[:1] == (2 * count,)}
        alone = {key: plain[key] for key in rows}
        different = difference(alone, rows, "in its own batch", f"at the end of a batch of {2 * count}")
        detail = different or f"the examples agree bit for bit at other positions of a batch of {2 * count}"
        passed = None if not rows else different is None
        self._checks.append(Check("batch", passed, detail if rows else "no output has one row for each example"))

    def _failure(self, error: Exception) -> TargetFailure:
        text = " ".join(str(error).split()) or type(error).__name__
        message = f"{self.target} failed to run the model ({type(error).__name__}): {text[:500]}"
        return TargetFailure(message, target=self.target)


class _Runner:
    """The graph in a session of its own, on the CPU, left as it is."""

    def __init__(self, nodes: NodeGraph) -> None:
        from bittrue.model.framework import import_tensorflow
        from bittrue.model.graphdef.protobuf import graph_def_of

        tf = import_tensorflow()
        self.feeds = {port.name: _tensor(port) for port in nodes.inputs}
        self.dtypes = {port.name: port.dtype for port in nodes.inputs}
        graph = tf.Graph()
        with graph.as_default(), tf.device("/CPU:0"):
            try:
                tf.graph_util.import_graph_def(graph_def_of(nodes), name="")
            except ValueError as error:
                raise ModelError(str(error).splitlines()[0][:300]) from error
        self.session = tf.compat.v1.Session(graph=graph, config=_untouched(tf))

    def __enter__(self) -> _Runner:
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()

    def run(self, tensors: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        """The tensors, each fetched once however often it is asked for."""
        feeds = {tensor: np.asarray(inputs[name], self.dtypes[name]) for name, tensor in self.feeds.items()}
        unique = list(dict.fromkeys(tensors))
        found = dict(zip(unique, self.session.run(unique, feeds), strict=True))
        return [np.asarray(found[tensor]) for tensor in tensors]


def _untouched(tf: Any) -> Any:
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = -1  # none
    return config


def _tensor(port: Port) -> str:
    return f"{port.source[0]}:{port.source[1]}"


def _apart(found: Array, plain: Array) -> float:
    """The largest difference, relative to the largest value."""
    if found.shape != plain.shape:
        return math.inf
    left, right = found.astype(np.float64), plain.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    apart = np.max(np.abs(np.where(same, 0.0, left - right)), initial=0.0)
    return float(apart / max(np.max(np.abs(right), initial=0.0), np.finfo(np.float64).tiny))


def _bytes(spec: Sequence[Any] | None, batch: int) -> int | None:
    if spec is None:
        return None
    dtype, shape = spec
    sizes = [batch if axis == 0 and size is None else size for axis, size in enumerate(shape)]
    return None if None in sizes else math.prod(sizes) * np.dtype(dtype).itemsize


def _windows(wanted: Sequence[_Wanted], budget: int) -> Iterator[list[_Wanted]]:
    """Consecutive tensors that fit into ``budget`` bytes together; one of unknown size stands alone."""
    window: list[_Wanted] = []
    held = 0
    for one in wanted:
        size = budget if one.nbytes is None else one.nbytes
        if window and held + size > budget:
            yield window
            window, held = [], 0
        window.append(one)
        held += size
    if window:
        yield window
