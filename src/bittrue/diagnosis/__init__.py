"""What a difference is, and whose fault: decomposition, bounds, verdicts, causes. Works on saved traces alone."""

from .axioms import ARITHMETICS, Arithmetic, arithmetic_of
from .diagnose import ROOM, diagnose, diagnose_all, traces_of, undiagnosed
from .evidence import Evidence, Reproduction, Side
from .result import (
    Amplification,
    Decision,
    Diagnosis,
    Finding,
    FirstOrder,
    LayerDiagnosis,
    LayerShare,
    NearRow,
    OutputEvidence,
    OwnError,
    Part,
    Verdict,
    Worst,
)

__all__ = [
    "ARITHMETICS",
    "ROOM",
    "Amplification",
    "Arithmetic",
    "Decision",
    "Diagnosis",
    "Evidence",
    "Finding",
    "FirstOrder",
    "LayerDiagnosis",
    "LayerShare",
    "NearRow",
    "OutputEvidence",
    "OwnError",
    "Part",
    "Reproduction",
    "Side",
    "Verdict",
    "Worst",
    "arithmetic_of",
    "diagnose",
    "diagnose_all",
    "traces_of",
    "undiagnosed",
]
