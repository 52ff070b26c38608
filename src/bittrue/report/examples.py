"""Many examples: what is kept of each batch, and what all of them say of every layer and of the labels.

Of a batch only figures are kept, one an example and layer; no tensor. They are plain JSON values, so that a run that
was interrupted goes on with what it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bittrue.diagnosis import Verdict
from bittrue.graph.model import Graph
from bittrue.traces import Array, Key, Trace

from .baseline import bits_hash, environment_of
from .data import LayerRow, ReportData, TargetOutcome
from .expectations import Measured, calls_of

__all__ = ["BatchOnTarget", "Flip", "LayerInBatch", "LayerOverExamples", "TargetOverExamples", "summary_of"]

_BINARY = frozenset({"sigmoid", "hard_sigmoid"})


@dataclass(frozen=True)
class Flip:
    """An example whose label is another: the first decision of ``output`` that changed, and both labels."""

    example: int
    name: str
    output: str
    reference: int
    candidate: int


@dataclass(frozen=True)
class LayerInBatch:
    """One call of one layer in a batch.

    ``absolute``, ``relative`` and ``ulp`` have a figure an example, as in `Measured`. Where an output's first axis is
    not the batch, each example has the whole tensor's figure. ``sha256`` is over the bits of each output.
    """

    name: str
    class_name: str
    verdict: str
    sentence: str
    fix: str
    problem: str
    absolute: tuple[float, ...]
    relative: tuple[float, ...]
    ulp: tuple[float, ...]
    sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchOnTarget:
    """What is kept of one batch on one target. ``labels`` counts the examples with a label; ``flips`` have another.

    ``digest`` is over every bit of every layer output, ``environment`` what ran, both as in a baseline.
    """

    start: int
    names: tuple[str, ...]
    verdict: str
    headline: str
    layers: tuple[LayerInBatch, ...]
    labels: int = 0
    flips: tuple[Flip, ...] = ()
    digest: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> BatchOnTarget:
        """Inverse of `as_data`. Raises KeyError, TypeError or ValueError for anything else."""
        Verdict(data["verdict"])
        _ = data["digest"], data["environment"]  # which batches of earlier versions lack: they are run again
        layers = tuple(LayerInBatch(**{**layer, "sha256": tuple(layer["sha256"])}) for layer in data["layers"])
        flips = tuple(Flip(**flip) for flip in data["flips"])
        return cls(**{**data, "names": tuple(data["names"]), "layers": layers, "flips": flips})


def summary_of(
    data: ReportData, outcome: TargetOutcome, graph: Graph, start: int, names: Sequence[str]
) -> BatchOnTarget:
    """What to keep of the result of one batch on one target that was compared."""
    layers = tuple(_layer(call, len(names)) for call in calls_of(data, outcome))
    verdict = max((Verdict(layer.verdict) for layer in layers), default=Verdict.IDENTICAL)
    found = outcome.diagnosis
    labels: int = 0
    flips: list[Flip] = []
    if data.reference.trace is not None:
        labels, flips = _labels(data.reference.trace, outcome, graph, start, names)
    return BatchOnTarget(
        start,
        tuple(names),
        str(found.verdict if found else verdict),
        found.headline if found else "",
        layers,
        labels,
        tuple(flips),
        outcome.digest,
        environment_of(outcome.provenance) if outcome.provenance else {},
    )


def _layer(call: Any, count: int) -> LayerInBatch:
    figures = [_figures(row, count) for row in call.rows]
    absolute, relative, ulp = (
        tuple(float(v) for v in np.max([one[at] for one in figures], axis=0)) if figures else () for at in range(3)
    )
    problem = next((found.problem for found in call.measured if found.problem), "")
    hashes = tuple(bits_hash(row.pair.candidate.load()) for row in call.rows)
    return LayerInBatch(
        name=call.name,
        class_name=call.class_name,
        verdict=str(call.verdict),
        sentence=call.sentence,
        fix=call.fix,
        problem=problem,
        absolute=absolute,
        relative=relative,
        ulp=ulp,
        sha256=hashes,
    )


def _figures(row: LayerRow, count: int) -> tuple[Array, ...]:
    """Largest difference, the same over the example's largest value, and largest ULP distance, for each example."""
    from bittrue.comparison import measure

    r, c = row.pair.reference, row.pair.candidate
    if row.pair.metrics is None or row.pair.identical or not r.shape or r.shape[0] != count:
        whole = Measured.of(row)
        return tuple(np.full(count, value) for value in (whole.absolute, whole.relative, whole.ulp))
    ours, theirs = r.load(), c.load()
    each = [measure(ours[at : at + 1], theirs[at : at + 1], threads=1) for at in range(count)]
    figures = [(found.max_abs, found.max_abs_to_scale, found.max_ulp) for found in each]
    columns = (np.array(column, np.float64) for column in zip(*figures, strict=True))  # None becomes NaN
    return tuple(np.where(np.isnan(column), 0.0, column) for column in columns)


def _labels(
    reference: Trace, outcome: TargetOutcome, graph: Graph, start: int, names: Sequence[str]
) -> tuple[int, list[Flip]]:
    """How many examples have labels, and the first decision of each that came out differently."""
    flips: dict[int, Flip] = {}
    labelled = False
    twins = {pair.key: pair.candidate for pair in outcome.outputs}  # another model may call its outputs otherwise
    for ref in dict.fromkeys(graph.outputs):
        key = Key("output", ref.layer, ref.call, ref.output)
        if key not in reference.records or key not in twins:
            continue
        ours, theirs = (_decided(one.load(), graph, key, len(names)) for one in (reference[key], twins[key]))
        if ours is None or theirs is None or ours.shape != theirs.shape:
            continue
        labelled = True
        for at in np.flatnonzero((ours != theirs).any(axis=1)):
            row = int(np.argmax(ours[at] != theirs[at]))
            flip = Flip(start + int(at), names[int(at)], ref.layer, int(ours[at, row]), int(theirs[at, row]))
            flips.setdefault(int(at), flip)
    return len(names) if labelled else 0, [flips[at] for at in sorted(flips)]


def _decided(values: Array, graph: Graph, key: Key, count: int) -> Array | None:
    """The labels of each example, (examples, decisions): of rows the largest, of a single sigmoid whether above 0.5."""
    if values.ndim < 2 or len(values) != count or values.dtype.kind != "f" or not values.size:
        return None
    if values.shape[-1] > 1:
        return np.asarray(np.argmax(values, axis=-1).reshape(count, -1))
    binary = graph.layer(key.layer).config.get("activation") in _BINARY
    return np.asarray((values > 0.5).astype(np.int64).reshape(count, -1)) if binary else None


@dataclass(frozen=True)
class LayerOverExamples:
    """One call of one layer on one target, over all examples. The figures have one entry an example, in their order."""

    target: str
    name: str
    class_name: str
    verdict: Verdict
    sentence: str
    fix: str
    problem: str
    absolute: Array
    relative: Array
    ulp: Array
    sha256: tuple[str, ...] = ()

    @property
    def worst(self) -> int:
        """The number of the example with the largest relative difference, the first of those equally large."""
        return int(np.argmax(self.relative)) if self.relative.size else 0

    @property
    def measured(self) -> tuple[Measured, ...]:
        """Its largest figures over all examples."""
        return (Measured(_most(self.absolute), _most(self.relative), _most(self.ulp), self.problem),)

    def quantile(self, share: float) -> float:
        """The relative difference that ``share`` of the examples do not exceed (the next larger one that occurs)."""
        return float(np.quantile(self.relative, share, method="higher")) if self.relative.size else 0.0


@dataclass(frozen=True)
class TargetOverExamples:
    """One target over all examples that it was run on; ``failure`` a sentence where it did not deliver all of them."""

    target: str
    batches: tuple[BatchOnTarget, ...] = field(repr=False)
    failure: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What people call the examples that it was run on."""
        return tuple(name for batch in self.batches for name in batch.names)

    @property
    def examples(self) -> int:
        """On how many examples it was run."""
        return len(self.names)

    @property
    def worst_batch(self) -> BatchOnTarget | None:
        """The batch with the most serious verdict, of those the one with the largest relative difference."""
        return max(self.batches, key=lambda batch: (Verdict(batch.verdict).severity, _largest(batch)), default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The most serious verdict of any batch; None where nothing was run."""
        return Verdict(self.worst_batch.verdict) if self.worst_batch else None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those of the calls of all layers in all batches."""
        return tuple(Verdict(layer.verdict) for batch in self.batches for layer in batch.layers)

    @property
    def digest(self) -> str | None:
        """Over every bit of every layer output in all batches; None where one batch has none."""
        found = [batch.digest for batch in self.batches]
        return _over_all(found) if found and None not in found else None

    @property
    def environment(self) -> Mapping[str, str]:
        """What ran the last batch."""
        return self.batches[-1].environment if self.batches else {}

    @property
    def labelled(self) -> int:
        """How many examples have labels on the model's outputs."""
        return sum(batch.labels for batch in self.batches)

    @property
    def flips(self) -> tuple[Flip, ...]:
        """The examples whose label is another than the reference's, in their order."""
        return tuple(flip for batch in self.batches for flip in batch.flips)

    @property
    def layers(self) -> tuple[LayerOverExamples, ...]:
        """Every call of every layer, in the order of execution."""
        found: dict[str, list[LayerInBatch]] = {}
        for batch in self.batches:
            for layer in batch.layers:
                found.setdefault(layer.name, []).append(layer)
        return tuple(_over(self.target, layers) for layers in found.values())


def _over(target: str, layers: Sequence[LayerInBatch]) -> LayerOverExamples:
    worst = max(layers, key=lambda layer: Verdict(layer.verdict).severity)
    problem = next((layer.problem for layer in layers if layer.problem), "")
    return LayerOverExamples(
        target=target,
        name=worst.name,
        class_name=worst.class_name,
        verdict=Verdict(worst.verdict),
        sentence=worst.sentence,
        fix=worst.fix,
        problem=problem,
        absolute=_joined(layer.absolute for layer in layers),
        relative=_joined(layer.relative for layer in layers),
        ulp=_joined(layer.ulp for layer in layers),
        sha256=tuple(map(_over_all, zip(*(layer.sha256 for layer in layers), strict=False))),
    )


def _over_all(hashes: Iterable[str | None]) -> str:
    """One SHA-256 over those of all batches, in their order."""
    return hashlib.sha256("\n".join(map(str, hashes)).encode()).hexdigest()


def _joined(parts: Iterable[Sequence[float]]) -> Array:
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _most(figures: Array) -> float:
    return float(figures.max()) if figures.size else 0.0


def _largest(batch: BatchOnTarget) -> float:
    return max((max(layer.relative, default=0.0) for layer in batch.layers), default=0.0)
