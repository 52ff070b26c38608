"""The answer in one sentence, and the consequence for the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp, isfinite, log

from bittrue.traces import Provenance

from .result import Decision, Diagnosis, LayerDiagnosis, OutputEvidence, Verdict

__all__ = ["headline"]

_SHOWN = 5


def headline(found: Diagnosis, reference: Provenance) -> Diagnosis:
    """``found`` with its headline."""
    sentences = [_verdict(found, reference), *_growth(found), *_unjudged(found), *_consequence(found)]
    if found.notes:
        sentences.append("the run itself failed a check: " + "; ".join(found.notes))
    if found.software:
        sentences.append("the adapter is software, a real graphics card may differ")
    text = ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences if sentence)
    return replace(found, headline=text + ".")


def _verdict(found: Diagnosis, reference: Provenance) -> str:
    first, faults = found.first_fault, found.faults
    if first is not None:
        return _fault(found, first, faults, reference)
    judged = [entry for entry in found.entries if entry.outputs]
    if found.entries and all(entry.verdict is Verdict.IDENTICAL for entry in found.entries):
        return f"{found.target} and {reference.target} agree in every bit of every layer"
    if not judged:
        return f"no verdict: no layer could be held against an exact answer ({_reason(found)})"
    count = f"{len(judged)} of {len(judged)}"
    return (
        f"no bug: {reference.target} and {found.target} are both within float32 rounding of the exact answer "
        f"at every layer ({count}), {_closer(judged, found.target, reference.target)}"
    )


def _reason(found: Diagnosis) -> str:
    return next((entry.reason for entry in found.entries if entry.reason), "nothing was captured")


def _fault(found: Diagnosis, first: LayerDiagnosis, faults: Sequence[LayerDiagnosis], reference: Provenance) -> str:
    who = found.target if first.side == "candidate" else reference.target
    proven = [cause for cause in first.causes if cause.proven]
    why = f"{proven[0].sentence} (proven: {proven[0].proof})" if proven else first.sentence
    text = f"{first.verdict} in {who}: {first.name!r} ({first.class_name}) is the first at fault by itself: {why}"
    others = [
        f"{entry.name!r} ({entry.verdict}{_where(entry, first, found, reference)})"
        for entry in faults
        if entry is not first
    ]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        text += f". Independent of it: {', '.join(others[:_SHOWN])}{more}"
    if proven and proven[0].fix:
        text += f". To fix it: {proven[0].fix}"
    return text


def _where(entry: LayerDiagnosis, first: LayerDiagnosis, found: Diagnosis, reference: Provenance) -> str:
    """On which side, where it is another than that of the first fault."""
    if entry.side == first.side:
        return ""
    return f" in {found.target if entry.side == 'candidate' else reference.target}"


def _closer(judged: Sequence[LayerDiagnosis], target: str, reference: str) -> str:
    """Which side is closer to the exact answer, over all layers' own errors; within a factor of 2, neither."""
    pairs = [(output.own.rms, output.reference.rms) for entry in judged for output in entry.outputs]
    ratios = [own / other for own, other in pairs if own > 0 and other > 0]
    ratio = exp(sum(map(log, ratios)) / len(ratios)) if ratios else 1.0
    if ratio > 2:
        return f"{reference} {ratio:.2g} times closer than {target}"
    if ratio < 0.5:
        return f"{reference} no closer than {target}, which is {1 / ratio:.2g} times closer"
    return f"{reference} no closer than {target}"


def _growth(found: Diagnosis) -> Iterator[str]:
    """How the differences develop along the layers, with the values beside them."""
    if found.first_fault is not None:
        return
    outputs = [output for entry in found.entries for output in entry.outputs if output.total.rms > 0]
    clauses = [*_absolute(outputs), *_relative(outputs)]
    if clauses:
        yield "; ".join(clauses)
    yield from _cancelled(outputs)
    if any(entry.verdict is Verdict.ROUNDING for entry in found.entries):
        yield _IDENTICAL_IS_POSSIBLE


def _absolute(outputs: Sequence[OutputEvidence]) -> Iterator[str]:
    enlarged = [found.amplification for found in outputs]
    grown = [(found.absolute, found.growth) for found in enlarged if found.absolute and found.growth]
    if len(grown) < 3:
        return
    absolute, values = (exp(sum(log(pair[at]) for pair in grown) / len(grown)) for at in (0, 1))
    if absolute >= 1.5 and 0.5 <= absolute / values <= 2:
        yield f"absolute differences grow {absolute:.2g} times a layer because the values do ({values:.2g} times)"
    elif absolute >= 1.5:
        yield f"absolute differences grow {absolute:.2g} times a layer, the values {values:.2g} times"


_IDENTICAL_IS_POSSIBLE = (
    "identical bits are possible where both sides do the same float32 operations in the same order, which every "
    "backend chooses for itself: 'bittrue export' writes the model with its order fixed, for Python and browsers alike"
)


def _relative(outputs: Sequence[OutputEvidence]) -> Iterator[str]:
    shares = [output.total.rms / output.rms for output in outputs if output.rms > 0]
    if not shares or not isfinite(max(shares)):
        return
    usual = exp(sum(map(log, shares)) / len(shares))
    if max(shares) <= 3 * usual:
        yield f"differences are {usual:.1g} of the values throughout (root mean squares)"
    else:
        yield f"differences are {usual:.1g} of the values, {max(shares):.1g} at most (root mean squares)"


def _cancelled(outputs: Sequence[OutputEvidence]) -> Iterator[str]:
    """Large ULP counts, where they stand at values that have cancelled to near zero."""
    large = [output for output in outputs if (output.max_ulp or 0) >= 100 and output.scale > 0]
    near_zero = [
        output for output in large if output.max_ulp_value is not None and output.max_ulp_value < 0.05 * output.scale
    ]
    if large and len(near_zero) == len(large):
        most = max(output.max_ulp or 0 for output in large)
        yield f"large ULP counts (up to {most:,.0f}) stand only where outputs cancel to near zero"


def _unjudged(found: Diagnosis) -> Iterator[str]:
    unknown = [entry for entry in found.entries if entry.verdict is Verdict.NO_TRUTH]
    if unknown and len(unknown) < len(found.entries):
        names = ", ".join(repr(entry.name) for entry in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        yield f"no truth for {len(unknown)} of {len(found.entries)} layers: {names}{more}"


def _consequence(found: Diagnosis) -> Iterator[str]:
    last = [decision for decision in found.decisions if decision.rows]
    if not last:
        return
    decision = (
        last[-1] if last[-1].kind == "argmax" else next((d for d in reversed(last) if d.kind == "argmax"), last[-1])
    )
    yield _decided(decision)


def _decided(decision: Decision) -> str:
    rows = f"{decision.rows} row" + "s" * (decision.rows != 1)
    where = f"{decision.kind} of {decision.key.layer!r}"
    if decision.changed:
        return f"the {where} comes out differently in {decision.changed} of {rows}{_reach(decision)}"
    safe = f", proven safe in {decision.safe}" if decision.safe else ""
    risk = f"{decision.at_risk} of {rows} at risk" if decision.at_risk else f"none of {rows} is at risk"
    return (
        f"the {where} is the same ({risk}{safe}: least margin {decision.margin:.2g}, largest difference "
        f"{decision.difference:.2g}{_reach(decision)})"
    )


def _reach(decision: Decision) -> str:
    """How far rounding may move the least margin to first order, as a clause."""
    found = decision.first_order
    if found is None or not found.bound:
        return ""
    margin = f"the least margin, {found.margin:.2g}," if decision.changed else "that margin"
    inside = sum(near.inside is True for near in found.nearest)
    rows = f" (so in {inside} of the {len(found.nearest)} nearest rows)" if inside > 1 else ""
    more = f", more than it is{rows}" if found.inside else ""
    most = next((f", most of it from {share.name!r}" for share in found.layers if share.share > 0.5), "")
    return f"; to first order, rounding may move {margin} by up to {found.bound:.2g}{more}{most}"
