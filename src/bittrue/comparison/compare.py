"""Comparing two traces, one pair of tensors at a time. Facts only: no tolerance, no verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bittrue.errors import ComparisonError
from bittrue.traces import Key, Kind, Provenance, Record, Trace

from .align import Alignment, align
from .measure import incomparable, measure
from .metrics import Metrics

__all__ = ["Comparison", "Pair", "Summary", "accuracy", "compare", "compare_pairs"]


@dataclass(frozen=True)
class Pair:
    """One tensor on both sides.

    ``reference`` and ``candidate`` are the records, whose tensors are loaded only when asked for. Either
    ``metrics`` says how they compare or ``problem`` why they cannot be, in a phrase.
    """

    reference: Record
    candidate: Record
    metrics: Metrics | None = field(default=None, compare=False)
    problem: str | None = None

    @property
    def key(self) -> Key:
        """The reference's key, which in two runs of one model is the candidate's as well."""
        return self.reference.key

    @property
    def identical(self) -> bool:
        """Whether the two were compared and every bit matches."""
        return self.metrics is not None and self.metrics.identical


@dataclass(frozen=True)
class Summary:
    """Totals over pairs of tensors. Numbers of tensors, but for the last three, which are numbers of elements."""

    pairs: int = 0
    identical: int = 0
    problems: int = 0
    elements: int = 0
    different_values: int = 0
    different_bits: int = 0

    @classmethod
    def of(cls, pair: Pair) -> Summary:
        """What one pair adds."""
        if pair.metrics is None:
            return cls(pairs=1, problems=1)
        found = pair.metrics
        return cls(1, int(found.identical), 0, found.size, found.different_values, found.different_bits)

    def __add__(self, other: Summary) -> Summary:
        return Summary(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Comparison:
    """How two traces compare, in the reference's order of execution. There is at least one pair.

    ``complete``: whether both runs went to their end.
    """

    reference: Provenance
    candidate: Provenance
    pairs: tuple[Pair, ...]
    unmatched_reference: tuple[Key, ...] = ()
    unmatched_candidate: tuple[Key, ...] = ()
    complete: bool = True

    def of_kind(self, kind: Kind) -> tuple[Pair, ...]:
        """The pairs of one kind."""
        return tuple(pair for pair in self.pairs if pair.key.kind == kind)

    @property
    def inputs(self) -> tuple[Pair, ...]:
        """The pairs of tensors that the models were fed."""
        return self.of_kind("input")

    @property
    def weights(self) -> tuple[Pair, ...]:
        """The pairs of weights."""
        return self.of_kind("weight")

    @property
    def outputs(self) -> tuple[Pair, ...]:
        """The pairs of layers' outputs."""
        return self.of_kind("output")

    @property
    def by_key(self) -> MappingProxyType[Key, Pair]:
        """The pairs by key."""
        return MappingProxyType({pair.key: pair for pair in self.pairs})

    @property
    def problems(self) -> tuple[Pair, ...]:
        """The pairs that could not be compared."""
        return tuple(pair for pair in self.pairs if pair.problem is not None)

    @property
    def identical(self) -> bool:
        """Whether both runs are complete, every record has a partner, and every bit of every pair matches."""
        unmatched = self.unmatched_reference or self.unmatched_candidate
        return self.complete and not unmatched and all(pair.identical for pair in self.pairs)

    def summary(self, kind: Kind | None = None) -> Summary:
        """Totals over the pairs of one kind, or over all."""
        pairs = self.pairs if kind is None else self.of_kind(kind)
        return sum((Summary.of(pair) for pair in pairs), Summary())


_NOTHING: Mapping[Key, Metrics] = MappingProxyType({})


def compare_pairs(alignment: Alignment, known: Mapping[Key, Metrics] = _NOTHING) -> Iterator[Pair]:
    """Measure matched records one pair at a time; what `compare` does, for callers that show progress."""
    return (_pair(reference, candidate, known) for reference, candidate in alignment.matched)


def compare(
    reference: Trace,
    candidate: Trace,
    alignment: Alignment | None = None,
    known: Mapping[Key, Metrics] = _NOTHING,
) -> Comparison:
    """Compare two traces record by record.

    Records are matched by key unless an ``alignment`` of the two says otherwise; those without a partner are
    reported, and so are pairs whose shape or dtype does not allow a comparison. A float64 record (a truth) compares
    with float32: differences in float64, ULP distances in float32's spacing. At most one pair of tensors is held at
    a time, and a block of memory-mapped ones. ``known`` has the metrics of records of one key on both sides that
    were measured before (see `LiveComparison`); they are not measured again.
    Raises ComparisonError if the traces have no record in common.
    """
    alignment = align(reference, candidate) if alignment is None else alignment
    if not alignment.matched:
        raise ComparisonError(_nothing_in_common(reference, candidate))
    return Comparison(
        reference.provenance,
        candidate.provenance,
        tuple(compare_pairs(alignment, known)),
        alignment.unmatched_reference,
        alignment.unmatched_candidate,
        reference.complete and candidate.complete,
    )


def accuracy(truth: Trace, trace: Trace) -> Comparison:
    """How far the outputs and predictions of ``trace`` are from a float64 truth: `compare` of just these kinds.

    Metrics are in the candidate's units (``max_ulp`` in multiples of its spacing at the true value). Raises
    ComparisonError if a floating-point tensor of the truth is not float64, or there is nothing in common.
    """
    true, found = _results(truth), _results(trace)
    for record in true:
        if record.dtype.kind == "f" and record.dtype.itemsize != 8:
            raise ComparisonError(f"{record.key} of the truth is {record.dtype}; a truth is evaluated in float64")
    return compare(true, found)


def _results(trace: Trace) -> Trace:
    records = {key: record for key, record in trace.records.items() if key.kind in ("output", "prediction")}
    return Trace(trace.provenance, MappingProxyType(records), trace.checks, trace.complete)


def _pair(reference: Record, candidate: Record, known: Mapping[Key, Metrics]) -> Pair:
    problem = incomparable((reference.dtype, reference.shape), (candidate.dtype, candidate.shape))
    if problem:
        return Pair(reference, candidate, problem=problem)
    metrics = known.get(reference.key) if reference.key == candidate.key else None
    return Pair(reference, candidate, metrics or measure(reference.load(), candidate.load()))


def _nothing_in_common(reference: Trace, candidate: Trace) -> str:
    sides = (("reference", reference), ("candidate", candidate))
    empty = [name for name, trace in sides if not len(trace)]
    if empty:
        return f"nothing to compare: the {' and the '.join(empty)} has no records"
    first = [next(iter(trace)).key for _, trace in sides]
    return (
        f"nothing to compare: none of the {len(reference)} records of the reference ({first[0]}, …) is among the "
        f"{len(candidate)} of the candidate ({first[1]}, …); check that both are traces of the same model"
    )
