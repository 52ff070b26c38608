"""Every figure of one layer on one target, under one name each: what a table, a notebook or a script asks for.

The properties of `LayerFigures` are the columns of `ReportData.to_dataframe`; their docstrings say the units. r is a
value of the reference, c the target's at the same place. None stands for what is not defined or was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bittrue.comparison import Metrics
from bittrue.diagnosis import OutputEvidence

from .data import LayerRow, ReportData

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["LayerFigures", "column_docs", "dataframe", "figures_of"]


@dataclass(frozen=True)
class LayerFigures:
    """One output of one call of one layer on one target."""

    on: str
    row: LayerRow

    @property
    def target(self) -> str:
        """Target, as engine:backend."""
        return self.on

    @property
    def layer(self) -> str:
        """Path of the layer, names joined by "/"."""
        return self.row.key.layer

    @property
    def call(self) -> int:
        """Number of the call, from 0."""
        return self.row.key.call

    @property
    def output(self) -> int:
        """Number of the call's output, from 0."""
        return self.row.key.index

    @property
    def class_name(self) -> str:
        """Keras class of the layer."""
        return self.row.class_name

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Shape of the tensor, the batch included: numbers of elements."""
        return self.row.pair.candidate.shape

    @property
    def verdict(self) -> str | None:
        """Verdict on the call; None where nothing was diagnosed."""
        return str(self.row.diagnosis.verdict) if self.row.diagnosis else None

    @property
    def side(self) -> str | None:
        """Who is at fault by itself: reference, candidate or None for nobody."""
        return self.row.diagnosis.side if self.row.diagnosis else None

    @property
    def identical(self) -> bool:
        """Whether every bit is the same."""
        return self.row.pair.identical

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.row.pair.candidate.size

    @property
    def different_values(self) -> int | None:
        """Number of elements with r != c."""
        return self._metrics.different_values if self._metrics else None

    @property
    def different_bits(self) -> int | None:
        """Number of elements whose bit patterns differ."""
        return self._metrics.different_bits if self._metrics else None

    @property
    def average_difference(self) -> float | None:
        """sum(|r - c|) / size, in the tensor's unit."""
        return self._metrics.average_difference if self._metrics else None

    @property
    def max_abs(self) -> float | None:
        """Largest |c - r|, in the tensor's unit."""
        return self._metrics.max_abs if self._metrics else None

    @property
    def max_rel(self) -> float | None:
        """Largest |c - r| / |r|, a ratio."""
        return self._metrics.max_rel if self._metrics else None

    @property
    def scale(self) -> float | None:
        """Largest |r|, in the tensor's unit."""
        return self._metrics.scale if self._metrics else None

    @property
    def max_abs_to_scale(self) -> float | None:
        """Largest |c - r| over the largest |r|, a ratio."""
        return self._metrics.max_abs_to_scale if self._metrics else None

    @property
    def max_ulp(self) -> float | None:
        """Largest distance, in ULP of the tensor's type."""
        return self._metrics.max_ulp if self._metrics else None

    @property
    def mean_ulp(self) -> float | None:
        """Mean distance, in ULP of the tensor's type."""
        return self._metrics.mean_ulp if self._metrics else None

    @property
    def median_ulp(self) -> float | None:
        """Median distance, in ULP of the tensor's type."""
        return self._metrics.median_ulp if self._metrics else None

    @property
    def snr_db(self) -> float | None:
        """10 log10(sum(r²) / sum((c - r)²)), in dB; infinite where they are equal."""
        return self._metrics.snr_db if self._metrics else None

    @property
    def mismatched_nan(self) -> int | None:
        """Number of elements that are NaN on one side only."""
        return self._metrics.mismatched_nan if self._metrics else None

    @property
    def mismatched_inf(self) -> int | None:
        """Number of elements that are infinite on one side only, or with different signs."""
        return self._metrics.mismatched_inf if self._metrics else None

    @property
    def float64_difference(self) -> float | None:
        """Average distance of the target from the float64 answer, in the tensor's unit."""
        return self.row.own_accuracy.average_difference if self.row.own_accuracy else None

    @property
    def reference_float64_difference(self) -> float | None:
        """Average distance of the reference from the float64 answer, in the tensor's unit."""
        return self.row.reference_accuracy.average_difference if self.row.reference_accuracy else None

    @property
    def own_error(self) -> float | None:
        """Largest error of the target's layer on its own inputs, in the tensor's unit."""
        return self._evidence.own.max_abs if self._evidence else None

    @property
    def own_error_to_bound(self) -> float | None:
        """The same as a share of the rigorous bound, a ratio: above 1 is proof of a fault."""
        return self._evidence.own.bound_share if self._evidence else None

    @property
    def own_outside(self) -> int | None:
        """Number of elements of the target beyond the rigorous bound."""
        return self._evidence.own.outside if self._evidence else None

    @property
    def inherited(self) -> float | None:
        """Largest difference that came with the inputs, in the tensor's unit."""
        return self._evidence.inherited.max_abs if self._evidence else None

    @property
    def reference_error(self) -> float | None:
        """Largest error of the reference's layer on its own inputs, in the tensor's unit."""
        return self._evidence.reference.max_abs if self._evidence else None

    @property
    def amplification(self) -> float | None:
        """By how much the layer enlarges an inherited difference relative to its values, a ratio."""
        return self._evidence.amplification.relative if self._evidence else None

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, in words; empty where there is nothing to say."""
        return self.row.pair.problem or (self.row.diagnosis.sentence if self.row.diagnosis else "")

    @property
    def fix(self) -> str:
        """What to do about it, in words; empty where nothing is known."""
        causes = self.row.diagnosis.causes if self.row.diagnosis else ()
        return next((cause.fix for cause in causes if cause.fix), "")

    @property
    def _metrics(self) -> Metrics | None:
        return self.row.pair.metrics

    @property
    def _evidence(self) -> OutputEvidence | None:
        return self.row.evidence


def figures_of(data: ReportData) -> tuple[LayerFigures, ...]:
    """One for each output of each call of each layer on each target that was compared, in the order of execution."""
    return tuple(LayerFigures(outcome.target, row) for outcome in data.targets for row in data.rows(outcome))


def column_docs() -> dict[str, str]:
    """What each column is, with its unit: the properties of `LayerFigures` in their order, and their docstrings."""
    public = {name: value for name, value in vars(LayerFigures).items() if not name.startswith("_")}
    return {name: value.__doc__ or "" for name, value in public.items() if isinstance(value, property)}


def dataframe(data: ReportData) -> DataFrame:
    """The figures as a table; ``attrs["columns"]`` holds `column_docs`. Raises UsageError where there is no pandas."""
    try:
        import pandas
    except ImportError as error:
        from bittrue.errors import UsageError

        raise UsageError("a table needs pandas: install bittrue[notebook]") from error
    docs = column_docs()
    rows: list[list[Any]] = [[getattr(found, name) for name in docs] for found in figures_of(data)]
    frame = pandas.DataFrame(rows, columns=list(docs))
    frame.attrs["columns"] = docs
    return frame
