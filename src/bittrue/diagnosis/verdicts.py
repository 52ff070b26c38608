"""From figures to a verdict on one call: what the difference is, on whose side, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from .result import OutputEvidence, OwnError, SideName, Verdict

__all__ = ["said", "verdict_of"]


def verdict_of(outputs: Sequence[OutputEvidence], same: bool) -> tuple[Verdict, SideName | None, str]:
    """The verdict, the side at fault by itself (None: nobody), and why. ``same``: every bit agrees."""
    own = max((found.own for found in outputs), key=_gravity)
    reference = max((found.reference for found in outputs), key=_gravity)
    faults = own.verdict.is_fault, reference.verdict.is_fault
    if same and faults[0] == faults[1]:
        return Verdict.IDENTICAL, None, _SAME_AND_OUTSIDE if any(faults) else ""
    if not any(faults):
        return Verdict.ROUNDING, None, "both sides are within rounding of the exact answer on their own inputs"
    side: SideName = "candidate" if _gravity(own) >= _gravity(reference) else "reference"
    worse, better = (own, reference) if side == "candidate" else (reference, own)
    also = f"; so is the {_OTHER[side]}" if better.verdict.is_fault else ""
    return worse.verdict, side, f"the {side} {said(worse)}{also}"


_OTHER: dict[SideName, SideName] = {"candidate": "reference", "reference": "candidate"}

_SAME_AND_OUTSIDE = (
    "both sides return the same bits, and both are outside of what the layer's meaning allows: either the two share a "
    "fault, or the exact answer does"
)


def _gravity(error: OwnError) -> tuple[Verdict, float]:
    return error.verdict, error.bound_share


def said(error: OwnError) -> str:
    """What is wrong with a side's output, as the rest of a sentence that begins with the side."""
    worst = error.worst
    if error.verdict is Verdict.NON_FINITE and worst is not None:
        count = f"{error.non_finite:,} of {error.size:,} values"
        return f"makes {count} non-finite, first at {list(worst.index)}, where the exact answer is {worst.truth:.9g}"
    if error.verdict is Verdict.BUG and worst is not None:
        count = f"{error.outside:,} of {error.size:,} values"
        return (
            f"is outside of what rounding allows in {count}: {worst.value:.9g} at {list(worst.index)}, where its own "
            f"inputs give {worst.truth:.9g} ± {worst.bound:.2g}"
        )
    ratio = error.expectation or 0.0
    return (
        f"errs {ratio**0.5:.3g} times as much as rounding is expected to ({error.limit**0.5:.3g} times is the limit), "
        "but inside the rigorous bound"
    )
