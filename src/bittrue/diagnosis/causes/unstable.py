"""The run itself changes its results: from run to run, with the place in the batch, or by being watched."""

from __future__ import annotations

from typing import ClassVar

from ..evidence import Evidence
from ..result import Finding
from .registry import cause

__all__ = ["Unstable"]

_CHECKS = {
    "runs": ("returns other results each time it is run", "look for what is random or left over from the run before"),
    "batch": ("returns other results at another place in the batch", "predict one example at a time"),
    "capture": ("returns other results when its layers are watched", "trust the prediction, not the captured layers"),
    "device": ("had a kernel rejected by the graphics device", "run on another backend, or with less memory"),
}


@cause
class Unstable:
    """Offered beside what is not explained: the experiments on the run itself that failed, as the trace has them."""

    name: ClassVar[str] = "unstable"
    order: ClassVar[int] = 80

    def test(self, evidence: Evidence) -> Finding | None:
        failed = [check for check in evidence.checks if check.passed is False and check.name in _CHECKS]
        if not failed:
            return None
        words, fix = _CHECKS[failed[0].name]
        sentence = f"the {evidence.side.name} {words}, which may show at this layer"
        return Finding(self.name, sentence, False, failed[0].detail, fix)
