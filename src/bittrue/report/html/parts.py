"""The parts of the page that need no script: verdict, targets, weights and inputs, environment, how to reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from bittrue.diagnosis import Verdict
from bittrue.report.data import ExactProof, ReportData, TargetOutcome
from bittrue.report.words import decisions_in_words, without_fix
from bittrue.traces import Provenance

__all__ = ["environment", "exact", "reproduce", "targets", "verdict", "weights"]

_STYLES = {
    Verdict.IDENTICAL: "identical",
    Verdict.ROUNDING: "rounding",
    Verdict.NO_TRUTH: "unknown",
    Verdict.APPROXIMATION: "approximation",
    Verdict.PRECISION: "precision",
    Verdict.SUSPICIOUS: "suspicious",
    Verdict.NON_FINITE: "bug",
    Verdict.BUG: "bug",
}
_LONGEST = 600  # characters of one fact of the environment


def verdict(data: ReportData) -> str:
    """The answer: ship or not, the headline, and what to do."""
    style, title = _decision(data)
    fixes = list(dict.fromkeys(_fixes(data)))
    todo = "".join(f"<li>{fix}</li>" for fix in fixes)
    name = escape(data.model.name) if data.model else "two runs"
    lead, *more = without_fix(data.worst) if data.worst else [_without_headline(data)]  # the fix is under "What to do"
    more = [sentence for sentence in more if not sentence.startswith("The adapter is software")]  # said in the notes
    software = [outcome.target for outcome in data.targets if outcome.provenance and outcome.provenance.software]
    notes = [*data.notes]
    if software:
        notes.append(f"Software adapters, on which a real graphics card may differ: {', '.join(software)}.")
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="verdict {style}" id="verdict"><p class="soft small">{name}, {escape(data.input_description)}, '
        f"compared with {escape(data.reference.provenance.target)}</p><h1>{title}</h1>"
        f'<p class="headline">{escape(lead)}</p>'
        + ("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in more) + "</ul>" if more else "")
        + (f"<h2>What to do</h2><ul>{todo}</ul>" if todo else "")
        + (f'<ul class="soft small">{said}</ul>' if said else "")
        + "</div>"
    )


def _decision(data: ReportData) -> tuple[str, str]:
    compared = [outcome for outcome in data.targets if outcome.status == "compared"]
    if not compared:
        return "stop", "Nothing was compared"
    worst = data.verdict
    if worst is None:
        return ("ship", "Identical") if all(outcome.identical for outcome in compared) else ("look", "Compared")
    if worst >= Verdict.NON_FINITE:
        return "stop", "Do not ship"
    if worst == Verdict.SUSPICIOUS or any(outcome.status == "failed" for outcome in data.targets):
        return "look", "Look before you ship"
    return "ship", "Ship"


def _without_headline(data: ReportData) -> str:
    same = sum(outcome.identical for outcome in data.targets)
    return f"{same} of {len(data.targets)} targets are identical in every bit; nothing was diagnosed."


def _fixes(data: ReportData) -> Iterator[str]:
    for outcome in data.targets:
        for entry in outcome.diagnosis.faults if outcome.diagnosis else ():
            for cause in entry.causes:
                if cause.fix:
                    proven = "" if cause.proven else " (likely)"
                    yield f"<code>{escape(entry.name)}</code>{proven}: {escape(cause.fix)}"


_HEADS = ("verdict", "identical layers", "largest relative", "decisions", "adapter")


def targets(data: ReportData) -> str:
    """One line for each target."""
    rows = "".join(_target_row(data, outcome) for outcome in data.targets)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("target", *_HEADS))
    return (
        '<section aria-labelledby="targets-title"><h2 id="targets-title">Targets</h2><div class="scroll">'
        '<table class="stacked">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _target_row(data: ReportData, outcome: TargetOutcome) -> str:
    name = f'<th scope="row">{escape(outcome.target)}</th>'
    if outcome.status != "compared":
        why = escape(outcome.sentence)
        badge = f'<span class="badge failed">{outcome.status}</span>'
        return f'<tr>{name}<td data-label="verdict">{badge}</td><td colspan="4" data-label="why">{why}</td></tr>'
    rows = data.rows(outcome)
    same = sum(bool(row.pair.metrics and row.pair.metrics.identical) for row in rows)
    relative = [row.pair.metrics.max_abs_to_scale for row in rows if row.pair.metrics]
    largest = max((value for value in relative if value is not None and value == value), default=0.0)
    found = outcome.diagnosis
    badge = _badge(found.verdict) if found else _badge(Verdict.IDENTICAL if outcome.identical else None)
    decided = decisions_in_words(found) if found else "-"
    cells = [badge, f"{same} of {len(rows)}", f"{largest:.2g}", escape(decided), _adapter(outcome.provenance)]
    labelled = (f'<td data-label="{label}"><span>{cell}</span></td>' for label, cell in zip(_HEADS, cells, strict=True))
    return f"<tr>{name}{''.join(labelled)}</tr>"


def _badge(found: Verdict | None) -> str:
    style = _STYLES[found] if found is not None else "unknown"
    return f'<span class="badge {style}">{escape(found) if found is not None else "differs"}</span>'


def _adapter(provenance: Provenance | None) -> str:
    if provenance is None or provenance.adapter is None:
        return "none"
    software = '<span class="badge suspicious">software</span> ' if provenance.software else ""
    return f'{software}<span class="small">{escape(provenance.adapter)}</span>'


def exact(data: ReportData) -> str:
    """The same model as an exact one: hash beside hash, equal to the first or not; nothing where it was not run."""
    proof = data.exact
    if proof is None:
        return ""
    first = next(iter(proof.hashes.values()), None)
    rows: list[tuple[str, str, bool | None]] = [
        (target, f"<code>{escape(digest)}</code>", digest == first) for target, digest in proof.hashes.items()
    ]
    rows += [(target, escape(sentence), None) for target, sentence in proof.failures.items()]
    said = {True: ("identical", "equal"), False: ("bug", "other bits"), None: ("failed", "failed")}
    lines = "".join(
        f'<tr><th scope="row">{escape(target)}</th><td data-label="bits"><span class="badge {said[same][0]}">'
        f'{said[same][1]}</span></td><td data-label="SHA-256"><span class="small">{shown}</span></td></tr>'
        for target, shown, same in rows
    )
    answer, style = _proven(proof)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("target", "bits", "SHA-256"))
    return (
        '<section id="exact" aria-labelledby="exact-title"><h2 id="exact-title">The same model, exported as an exact '
        f'one <span class="badge {style}">{answer}</span></h2><p class="soft small">SHA-256 of all {proof.values:,} '
        "values of its outputs: equal hashes are equal bits. It is another artifact than the one above, written by "
        '<code>bittrue export</code>, and rounds in an order of its own.</p><div class="scroll"><table class="stacked">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div></section>"
    )


def _proven(proof: ExactProof) -> tuple[str, str]:
    """What the hashes say in a few words, and the style of that."""
    if proof.refuted:
        return "not the same bits everywhere", "bug"
    if proof.identical:
        return f"the same bits in {len(proof.hashes)} of {len(proof.hashes)} places", "identical"
    return "nothing to compare with", "unknown"


def weights(data: ReportData) -> str:
    """Whether both sides hold the same weights and were fed the same inputs."""
    rows = "".join(_weights_row(outcome) for outcome in data.targets if outcome.comparison)
    fed = "".join(
        f"<li><code>{escape(given.name)}</code>: {escape(given.dtype)} {list(given.shape)}</li>"
        for given in data.inputs
    )
    return (
        '<section id="weights" aria-labelledby="weights-title"><h2 id="weights-title">Weights and inputs</h2>'
        f"<ul>{fed}</ul>"
        '<div class="scroll"><table><thead><tr><th scope="col">target</th><th scope="col">weights</th>'
        f'<th scope="col">inputs</th><th scope="col">that differ</th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def _weights_row(outcome: TargetOutcome) -> str:
    assert outcome.comparison is not None
    cells, differing = [], []
    for kind in ("weight", "input"):
        pairs = [pair for pair in outcome.comparison.pairs if pair.key.kind == kind]
        bad = [pair for pair in pairs if not (pair.metrics and pair.metrics.identical)]
        differing += [str(pair.key) for pair in bad]
        same = f"identical in every bit ({len(pairs)})" if pairs and not bad else f"{len(bad)} of {len(pairs)} differ"
        cells.append(same if pairs else "not captured")
    shown = ", ".join(differing[:8]) + (f" and {len(differing) - 8} more" if len(differing) > 8 else "")
    return (
        f'<tr><th scope="row">{escape(outcome.target)}</th>'
        f"<td>{cells[0]}</td><td>{cells[1]}</td><td><code>{escape(shown or 'none')}</code></td></tr>"
    )


def environment(data: ReportData) -> str:
    """What ran, with everything that can move a bit."""
    blocks = [_provenance("Reference: " + data.reference.provenance.target, data.reference.provenance)]
    blocks += [
        _provenance(outcome.target, outcome.provenance, outcome) for outcome in data.targets if outcome.provenance
    ]
    return (
        '<section id="environment" aria-labelledby="environment-title"><h2 id="environment-title">Environment</h2>'
        f"{''.join(blocks)}</section>"
    )


def _provenance(title: str, found: Provenance, outcome: TargetOutcome | None = None) -> str:
    details = found.details
    program = " ".join(str(details[name]) for name in ("browser", "browser_version") if details.get(name))
    summary = ", ".join(filter(None, (f"{found.runtime} {found.version}", program, str(details.get("os", "")))))
    badge = ' <span class="badge suspicious">software</span>' if found.software else ""
    facts: list[tuple[str, Any]] = [("backend", found.backend), ("adapter", found.adapter)]
    facts += [(name.replace("_", " "), value) for name, value in sorted(details.items()) if name != "timings"]
    facts += [(f"check: {one.name}", one.detail) for one in outcome.checks] if outcome else []
    return (
        f"<details><summary><strong>{escape(title)}</strong>{badge} "
        f'<span class="soft small">{escape(summary)}</span></summary><dl>{_facts(facts)}</dl></details>'
    )


def _facts(facts: Iterable[tuple[str, Any]]) -> str:
    said = ((name, _said(value)) for name, value in facts)
    return "".join(f'<dt>{escape(name)}</dt><dd class="small">{escape(text)}</dd>' for name, text in said if text)


def _said(value: Any) -> str:
    """A fact as people write it; nothing for what is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{name} = {_said(item)}" for name, item in value.items())[:_LONGEST]
        case list() | tuple():
            return ", ".join(map(_said, value))[:_LONGEST]
    return str(value)[:_LONGEST]


def reproduce(data: ReportData) -> str:
    """The commands that run it again."""
    lines = list(_commands(data))
    return (
        '<section id="reproduce" aria-labelledby="reproduce-title"><h2 id="reproduce-title">Reproduce</h2>'
        f"<pre>{escape(chr(10).join(lines))}</pre></section>"
    )


def _commands(data: ReportData) -> Iterator[str]:
    wanted = ",".join(outcome.target for outcome in data.targets if not outcome.target.startswith("keras"))
    source = data.model.source if data.model else None
    if data.command == "demo":
        yield f"bittrue demo --in {shlex.quote(wanted)}"
    elif source:
        given = data.input_description
        fed = "" if given in ("ones", "") else f" --input {shlex.quote(given)}"
        models = shlex.quote(source)
        if data.candidate:
            models = f"--reference {models} --candidate {shlex.quote(data.candidate)}"
        yield f"bittrue check {models} --in {shlex.quote(wanted)}{fed} --report report.html"
    for outcome in data.targets:
        if outcome.saved:
            yield f"bittrue compare REFERENCE {shlex.quote(outcome.saved)}"
