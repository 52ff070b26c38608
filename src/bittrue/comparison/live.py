"""Comparing a run with its reference while its records are still arriving."""

from __future__ import annotations

from bittrue.traces import Key, Record, Trace

from .compare import Comparison, compare
from .measure import incomparable, measure
from .metrics import Metrics

__all__ = ["LiveComparison"]


class LiveComparison:
    """Measures the records of a run against ``reference`` one by one, so that little is left to do when it ends.

    What `finish` returns is what `compare` would. Any records may be taken, none or all, in any order: those that were
    not are measured at the end. Only metrics are kept. Of a run that fails nothing is left to be ended.
    """

    def __init__(self, reference: Trace) -> None:
        self._reference = reference
        self.known: dict[Key, Metrics] = {}
        """What was measured so far, by key."""

    def take(self, record: Record) -> None:
        """Measure one record now, if the reference has one of its key that it can be compared with."""
        partner = self._reference.records.get(record.key)
        if partner is None or incomparable((partner.dtype, partner.shape), (record.dtype, record.shape)):
            return
        # One thread: the other cores have the records that are to come to see to.
        self.known[record.key] = measure(partner.load(), record.load(), threads=1)

    def finish(self, candidate: Trace) -> Comparison:
        """The comparison with ``candidate``, the trace that the records belong to. Raises what `compare` does."""
        return compare(self._reference, candidate, known=self.known)
