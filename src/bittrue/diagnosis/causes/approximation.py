"""The backend evaluates a function by a documented approximation of its own."""

from __future__ import annotations

from typing import ClassVar

from bittrue.graph.layers import expand
from bittrue.ops import TensorSpec, Unary

from ..approximations import APPROXIMATIONS, substitution
from ..evidence import Evidence
from ..result import Finding, Verdict
from .registry import cause

__all__ = ["BackendApproximation"]


@cause
class BackendApproximation:
    """The layer with the backend's own form of a function must hold what came out, where the function does not."""

    name: ClassVar[str] = "backend-approximation"
    order: ClassVar[int] = 0

    def test(self, evidence: Evidence) -> Finding | None:
        provenance = evidence.side.provenance
        specs = tuple(map(TensorSpec.of, evidence.side.inputs))
        ops = expand(evidence.layer, specs, evidence.node).ops()
        used = {op.function for op in ops if isinstance(op, Unary)}
        table = APPROXIMATIONS.get(f"{provenance.runtime}:{provenance.backend}", ())
        known = {found.function: found for found in table if found.function in used}
        if not known:
            return None
        found = evidence.try_ops(substitution(known))
        names = ", ".join(f"{row.function} ({row.source})" for row in known.values())
        sentence = f"{provenance.backend} approximates {names}; the layer's values are off by {_figure(evidence):.1g}"
        return found.finding(self.name, sentence, verdict=Verdict.APPROXIMATION)


def _figure(evidence: Evidence) -> float:
    """The largest own error, over the largest value."""
    return max(
        (
            error.max_abs / max(1e-300, float(abs(found.value).max(initial=0.0)))
            for error, found in zip(evidence.side.errors, evidence.side.rounding, strict=False)
        ),
        default=0.0,
    )
