"""One backend's kernel: other backends of the same run compute the same call right."""

from __future__ import annotations

from typing import ClassVar

from ..evidence import Evidence
from ..result import Finding
from .registry import cause

__all__ = ["OneBackend"]


@cause
class OneBackend:
    """Offered, not proven: where the artifact and the page are the same, what remains is the backend."""

    name: ClassVar[str] = "one-backend"
    order: ClassVar[int] = 90

    def test(self, evidence: Evidence) -> Finding | None:
        if evidence.side.name != "candidate":
            return None
        right = [target for target, errors in evidence.sibling_errors.items() if not any(e.outside for e in errors)]
        if not right:
            return None
        backend = evidence.side.provenance.backend
        sentence = f"only {backend} is off at this layer: {', '.join(right)} compute it right on their own inputs"
        proof = f"{len(right)} of {len(evidence.sibling_errors)} other targets are within the bound"
        return Finding(self.name, sentence, False, proof, f"run this model on another backend than {backend}")
