"""One run of one Keras model in this process: predict, repeat, capture in windows, and check each against the other."""

from __future__ import annotations

import difflib
import gc
import logging
import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from bittrue.errors import BittrueError, TargetFailure, UsageError
from bittrue.graph.model import Graph
from bittrue.traces import Array, Check, Key, Provenance, Record

from .base import TraceOptions
from .bits import difference
from .keras_hooks import CallSite, Hooks, call_sites, functional
from .keras_provenance import keras_provenance
from .keras_stream import Stream, can_stream

__all__ = ["KerasSession", "Sink"]

_WAITING = 4  # part of the budget for tensors that wait to be taken; the rest is for what takes them
_COPIES = 2  # of each captured tensor: `predict` joins what the batches returned, even where there is one


class Sink(Protocol):
    """Where a session's results go, in the order in which they come."""

    def environment(self, provenance: Provenance) -> None:
        """What the model runs on; said before anything runs."""

    def phase(self, what: str) -> None:
        """The session is now doing ``what``."""

    def record(self, record: Record, total: int | None) -> None:
        """A record; all records together are about ``total`` bytes."""


@dataclass
class KerasSession:
    """Runs ``model`` (a live Keras model that ``graph`` describes) on ``inputs``, the input tensors by name.

    Every pass is the model's own ``predict`` with the whole batch in one step.
    """

    target: str
    model: Any
    graph: Graph
    inputs: Mapping[str, Array]
    options: TraceOptions
    sink: Sink
    _checks: list[Check] = field(default_factory=list)
    _timings: dict[str, float] = field(default_factory=dict)
    _skipped: set[str] = field(default_factory=set)

    def run(self) -> tuple[Provenance, tuple[Check, ...]]:
        """Send every record to the sink; the full provenance and the checks.

        Raises UsageError for a layer that the model does not have, TargetFailure where the model cannot run.
        """
        provenance = keras_provenance(self.target, self.model)
        self.sink.environment(provenance)
        wanted = self._wanted()
        with _collected_warnings() as caught:
            try:
                windows = self._trace(wanted)
            except (BittrueError, OSError):
                raise
            except Exception as error:  # whatever a framework raises, from any of its modules
                raise self._failure(error) from error
        details = {
            **provenance.details,
            "batch": self._batch,
            "windows": windows,
            "timings": {name: round(seconds, 6) for name, seconds in self._timings.items()},
            "not_captured": sorted(self._skipped),
            "warnings": list(dict.fromkeys(caught)),
        }
        return replace(provenance, details=details), tuple(self._checks)

    @property
    def _batch(self) -> int:
        return int(next(iter(self.inputs.values())).shape[0])

    def _wanted(self) -> list[CallSite]:
        known = {(call.path, call.nodes) for call in self.graph.calls()}
        found = call_sites(self.model)
        sites = [site for site in found if (site.path, site.nodes) in known]
        # An input that the user did not write down (as below a Sequential model) is no layer of the graph.
        self._skipped.update(s.name for s in found if (s.path, s.nodes) not in known and not s.is_input)
        if self.options.layers is None:
            return sites
        wanted, names = set(self.options.layers), sorted({site.name for site in sites})
        for name in sorted(wanted.difference(names)):
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names[:20])}"
            raise UsageError(f"the model has no layer {name!r} to capture: {hint}")
        return [site for site in sites if site.name in wanted]

    def _trace(self, wanted: list[CallSite]) -> int:
        self.sink.phase("predicting")
        uncompiled = self.model.predict_function is None
        plain = self._predictions()
        if self.options.runs > 1:
            self._check_batch(plain)
        if uncompiled:  # the capture compiles a function of its own: two at once would be twice the memory
            self.model.predict_function = None
            gc.collect()
        if can_stream(self.model):
            windows, total = [(wanted, 0)] if wanted else [], self._foreseen(wanted)
        else:
            sizes = self._sizes(wanted)
            windows = list(_windows(wanted, sizes, self.options.budget // _COPIES))
            self._judge_budget(windows, dict(zip(wanted, sizes, strict=True)))
            total = sum(size for _, size in windows)
        if total is not None:
            total += sum(array.nbytes for array in plain.values())
        for record in (*self._inputs(), *self._weights()):
            self.sink.record(record, total)
        self._capture(windows, plain, total)
        for name, array in plain.items():
            self.sink.record(Record.of(Key.parse(name), array), total)
        return len(windows)

    def _inputs(self) -> Iterator[Record]:
        for spec in self.graph.inputs:
            yield Record.of(Key("input", spec.name), np.asarray(self.inputs[spec.name]))

    def _weights(self) -> Iterator[Record]:
        for name, layer in _leaves(functional(self.model)):
            for index, variable in enumerate(getattr(layer, "weights", ())):
                yield Record.of(Key("weight", name, 0, index), _host(variable))

    def _predictions(self) -> dict[str, Array]:
        """The plain prediction by key, repeated as often as asked for; all must agree."""
        first = self._named(self._predict(self._feeds(self.inputs), "first_predict"))
        different = None
        for run in range(2, self.options.runs + 1):
            again = self._named(self._predict(self._feeds(self.inputs), f"predict_{run}"))
            different = different or difference(first, again, "run 1", f"run {run}")
        if self.options.runs > 1:
            detail = different or f"{self.options.runs} predictions agree bit for bit"
            self._checks.append(Check("runs", different is None, detail))
        return first

    def _named(self, outputs: Any) -> dict[str, Array]:
        import keras

        names = [reference.layer for reference in self.graph.outputs]
        arrays = [np.asarray(array) for array in keras.tree.flatten(outputs)]
        return {str(Key("prediction", names[i], 0, i)): array for i, array in enumerate(arrays)}

    def _feeds(self, inputs: Mapping[str, Array]) -> Any:
        """The inputs in the structure in which the model takes them."""
        import keras

        names = {spec.ref.layer: spec.name for spec in self.graph.inputs}
        graph: Any = functional(self.model)
        arrays = [inputs[_input_name(names, tensor)] for tensor in graph.inputs]
        return keras.tree.pack_sequence_as(graph._inputs_struct, arrays)

    def _predict(self, feeds: Any, timing: str, batch: int | None = None) -> Any:
        for layer in self.model._flatten_layers():
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()
        start = time.perf_counter()
        outputs = self.model.predict(feeds, batch_size=batch or self._batch, verbose=0)
        self._timings[timing] = self._timings.get(timing, 0.0) + time.perf_counter() - start
        return outputs

    def _foreseen(self, wanted: list[CallSite]) -> int | None:
        sizes = [_bytes(site.specs, self._batch) for site in wanted]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def _sizes(self, wanted: list[CallSite]) -> list[int]:
        """Bytes of each call's outputs. Where Keras knows a size only while it runs, a pass collects the shapes."""
        foreseen = [_bytes(site.specs, self._batch) for site in wanted]
        if None not in foreseen:
            return [size or 0 for size in foreseen]
        self.sink.phase("measuring")
        hooks = Hooks(self.model, wanted, shapes=True)
        with hooks.active():
            shapes = self._predict(self._feeds(self.inputs), "measure")["captured"]
        return [
            sum(
                math.prod(int(size) for size in shapes.get(str(Key("output", site.name, site.call, index)), ()))
                * _itemsize(dtype)
                for index, (_, dtype) in enumerate(site.specs)
            )
            for site in wanted
        ]

    def _capture(self, windows: list[tuple[list[CallSite], int]], plain: dict[str, Array], total: int | None) -> None:
        if can_stream(self.model):
            for sites, _ in windows:
                self._judge_capture(1, self._streamed(sites, plain, total), None)
            return
        changed = torn = None
        earlier: dict[str, Array] = {}
        for number, (sites, _) in enumerate(windows):
            self.sink.phase(f"capturing {number + 1}/{len(windows)}" if len(windows) > 1 else "capturing")
            # The last call of a window is captured again in the next one: the passes must agree on it.
            again = windows[number - 1][0][-1:] if number else []
            outputs, captured = self._captured([*again, *sites])
            changed = changed or difference(plain, outputs, "without capture", "with capture")
            both = {**outputs, **captured}
            torn = torn or difference(earlier, both, f"in pass {number}", f"in pass {number + 1}")
            for key, array in captured.items():
                if key not in earlier:
                    self.sink.record(Record.of(Key.parse(key), array), total)
            last = (sites[-1].name, sites[-1].call)
            earlier = {**outputs, **{key: array for key, array in captured.items() if _call_of(key) == last}}
        self._judge_capture(len(windows), changed, torn)

    def _streamed(self, sites: list[CallSite], plain: dict[str, Array], total: int | None) -> str | None:
        """Capture in one pass that keeps nothing; how its outputs differ from the plain prediction."""
        self.sink.phase("capturing")
        stream = Stream(
            lambda key, array: self.sink.record(Record.of(Key.parse(key), array), total),
            self.options.budget // _WAITING,
        )
        sizes = {site: _bytes(site.specs, self._batch) for site in sites}
        hooks = Hooks(self.model, sites, stream=stream, sizes=sizes)
        try:
            with hooks.active():
                result = self._predict(self._feeds(self.inputs), "capture")
        except Exception as error:
            if stream.error is None:
                raise
            raise stream.error from error
        self._skipped |= hooks.skipped
        return difference(plain, self._named(result["outputs"]), "without capture", "with capture")

    def _judge_budget(self, windows: list[tuple[list[CallSite], int]], sizes: Mapping[CallSite, int]) -> None:
        again = [0, *(sizes[sites[-1]] for sites, _ in windows)]
        most = _COPIES * max((new + before for (_, new), before in zip(windows, again, strict=False)), default=0)
        if most > self.options.budget:
            asked, least = (f"{-(-size // 2**20)} MiB" for size in (self.options.budget, most))
            detail = (
                f"the budget of {asked} was raised to {least}, the least with which this model can be captured here"
            )
            self._checks.append(Check("budget", None, detail))

    def _judge_capture(self, passes: int, changed: str | None, torn: str | None) -> None:
        if passes:
            detail = changed or "the model's outputs are the same, bit for bit, with and without capture"
            self._checks.append(Check("capture", changed is None, detail))
        if passes > 1:
            self._checks.append(Check("windows", torn is None, torn or f"{passes} passes agree bit for bit"))

    def _captured(self, sites: list[CallSite]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Outputs and captured tensors of one pass, the tensors in execution order."""
        hooks = Hooks(self.model, sites)
        with hooks.active():
            result = self._predict(self._feeds(self.inputs), "capture")
        self._skipped |= hooks.skipped
        captured = {key: np.asarray(value) for key, value in result["captured"].items()}
        for key in hooks.scalars:
            captured[key] = captured[key].reshape(())
        position = {(site.name, site.call): index for index, site in enumerate(sites)}
        kinds = ("mask", "state", "output")

        def order(key: str) -> tuple[int, int, int]:
            parsed = Key.parse(key)
            return position[parsed.layer, parsed.call], kinds.index(parsed.kind), parsed.index

        return self._named(result["outputs"]), {key: captured[key] for key in sorted(captured, key=order)}

    def _check_batch(self, plain: dict[str, Array]) -> None:
        """The same examples at other positions of a larger batch."""
        count = self._batch
        if any(spec.shape[0] is not None for spec in self.graph.inputs):
            self._checks.append(Check("batch", None, "the model accepts one batch size only"))
            return
        self.sink.phase("trying other batch positions")
        larger = {name: np.concatenate([array[::-1], array]) for name, array in self.inputs.items()}
        doubled = self._named(self._predict(self._feeds(larger), "batch", 2 * count))
        alone = {key: array for key, array in plain.items() if array.shape[:1] == (count,)}
        rows = {key: doubled[key] for key in alone if doubled[key].shape[:1] == (2 * count,)}
        alone = {key: alone[key] for key in rows}
        if not rows:
            self._checks.append(Check("batch", None, "no output has one row for each example"))
            return
        backward = {key: array[:count][::-1] for key, array in rows.items()}
        forward = {key: array[count:] for key, array in rows.items()}
        different = difference(alone, backward, "in its own batch", f"in a batch of {2 * count}, order reversed")
        different = different or difference(alone, forward, "in its own batch", f"at the end of a batch of {2 * count}")
        detail = different or f"the examples agree bit for bit at other positions of a batch of {2 * count}"
        self._checks.append(Check("batch", different is None, detail))

    def _failure(self, error: Exception) -> TargetFailure:
        text = " ".join(str(error).split()) or type(error).__name__
        message = f"{self.target} failed to run the model ({type(error).__name__}): {text[:500]}"
        return TargetFailure(message, target=self.target)


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """What Keras warns of goes into the list in place of the terminal; hints for programmers are left out."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)  # it complains that every pass is compiled anew
    texts: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            yield texts
            texts.extend(str(warning.message) for warning in caught)
    finally:
        log.setLevel(level)


def _input_name(names: Mapping[str, str], tensor: Any) -> str:
    layer = tensor._keras_history[0].name
    return names.get(layer, layer)


def _call_of(key: str) -> tuple[str, int]:
    parsed = Key.parse(key)
    return parsed.layer, parsed.call


def _leaves(graph: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every layer that is no nested model, once, with its path."""
    for operation in graph.operations:
        inner = functional(operation)
        if inner is not None:
            yield from _leaves(inner, (*path, operation.name))
        else:
            yield "/".join((*path, operation.name)), operation


def _host(variable: Any) -> Array:
    """A variable in host memory."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def _itemsize(dtype: str) -> int:
    if dtype in ("bfloat16", "float16"):
        return 2
    return 0 if dtype == "string" else np.dtype(dtype).itemsize


def _bytes(specs: Iterable[tuple[tuple[int | None, ...], str]], batch: int) -> int | None:
    """Bytes of tensors whose first axis is the batch where it is unknown; None if another axis is unknown."""
    total = 0
    for shape, dtype in specs:
        sizes = [batch if axis == 0 and size is None else size for axis, size in enumerate(shape)]
        if None in sizes:
            return None
        total += math.prod(size for size in sizes if size is not None) * _itemsize(dtype)
    return total


def _windows(sites: list[CallSite], sizes: list[int], budget: int) -> Iterator[tuple[list[CallSite], int]]:
    """Consecutive calls whose outputs fit into ``budget`` bytes together; a larger one stands alone."""
    window: list[CallSite] = []
    held = new = 0
    for site, size in zip(sites, sizes, strict=True):
        if window and held + size > budget:
            yield window, new
            # The next pass captures the last call of this one again.
            window, held, new = [], sizes[sites.index(window[-1])], 0
        window.append(site)
        held, new = held + size, new + size
    if window:
        yield window, new
