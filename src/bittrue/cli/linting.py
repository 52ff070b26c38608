"""What `bittrue lint` found, as text and as data (schema in lint-1.schema.json)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

import bittrue

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.lint import Finding, Lint

__all__ = ["SCHEMA", "lint_as_data", "print_lint"]

SCHEMA = "bittrue/lint/1"
"""Name and major version of the schema. Later versions of Bittrue only add to it."""

_STYLES = {"rejected": "red", "different": "magenta", "hazard": "yellow", "rewritten": "cyan"}
_SAID = {"different": "silently different", "hazard": "hazardous"}
_ENDS = {
    "layers-model": "the converter repairs all of it",
    "graph-model": "a layers-model would not be faithful, so that a graph-model is written",
    None: "it cannot be written faithfully, neither as a layers-model nor as a graph-model",
}
_NAMED = 4  # layers named in one line


def lint_as_data(result: Lint) -> dict[str, Any]:
    """The findings as plain JSON values."""
    kinds: Counter[str] = Counter(finding.kind for finding in result.findings)
    return {
        "schema": SCHEMA,
        "bittrue": bittrue.__version__,
        "model": result.model,
        "tfjs": result.version,
        "read_from": result.read_from,
        "layers": result.layers,
        "convertible": result.convertible,
        "form": result.form,
        "counts": {kind: kinds[kind] for kind in _STYLES},
        "findings": [_plain(asdict(finding)) for finding in result.findings],
    }


def print_lint(result: Lint, out: IO[str]) -> None:
    """The answer first, then each finding once, with all the layers that it is made on."""
    console = Console(file=out, width=None if out.isatty() else 110, highlight=False)
    console.print(_headline(result), markup=False, soft_wrap=True)
    if result.version != result.read_from:
        note = f"Read off the classes of TensorFlow.js {result.read_from}, less what {result.version} lacks."
        console.print(note, markup=False, soft_wrap=True)
    refused = [finding for finding in result.findings if not finding.repaired]
    repaired = [finding for finding in result.findings if finding.repaired]
    for title, findings in (("not in a layers-model", refused), ("repaired by the converter", repaired)):
        if findings:
            console.print(f"\n[bold]{title}[/bold]")
        for finding, layers in _grouped(findings):
            _print_finding(console, finding, layers)


def _headline(result: Lint) -> str:
    where = f"{result.model!r} in TensorFlow.js {result.version}"
    if not result.findings:
        return f"{where}: nothing would be rejected or computed differently ({result.layers} layers)"
    kinds: Counter[str] = Counter(finding.kind for finding in result.findings)
    counted = ", ".join(f"{kinds[kind]} {_SAID.get(kind, kind)}" for kind in _STYLES if kinds[kind])
    end = _ENDS[result.form]
    return f"{where}: {counted}; {end}"


def _grouped(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, layer=""), []).append(finding.layer)
    return list(groups.items())


def _print_finding(console: Console, finding: Finding, layers: Sequence[str]) -> None:
    named = ", ".join(layers[:_NAMED]) + (f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else "")
    head = Text(f"{finding.kind:9} ", _STYLES[finding.kind])
    head.append(f"{named or 'the model'} ({finding.class_name})", "bold")
    console.print(head, soft_wrap=True)
    option = f"{finding.option}: " if finding.option else ""
    console.print(f"          {option}{finding.effect}; {finding.why}", markup=False, soft_wrap=True)
    console.print(f"          → {finding.remedy}", markup=False, soft_wrap=True)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"layer": value["layer"] or None}
