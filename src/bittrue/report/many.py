"""The result over many examples: its JSON and its text. Not one figure stands for all: the worst example is named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bittrue
from bittrue.diagnosis import Verdict

from .examples import Flip, LayerOverExamples, TargetOverExamples
from .verdict_text import paragraph
from .words import sentences, short

__all__ = ["ManyExamples", "as_data", "print_examples"]

SCHEMA = "bittrue/examples/1"
_ROWS, _FEW_ROWS = 12, 6
_FLIPS, _FEW_FLIPS = 10, 4
_SHARES = {"median": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(frozen=True)
class ManyExamples:
    """One model on many examples. ``count`` examples were read, ``batch_size`` at a time.

    ``input_sha256`` and ``weights_sha256`` are over the bits of all batches and of the reference's weights.
    ``candidate`` is the other model's file, where two were compared; ``notes`` say how they were aligned.
    """

    model: str
    description: str
    count: int
    batch_size: int
    reference: str
    targets: tuple[TargetOverExamples, ...]
    input_sha256: str | None = None
    weights_sha256: str | None = None
    candidate: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> TargetOverExamples | None:
        """The target with the most serious verdict, the first of those equally serious; None where nothing was run."""
        found = [target for target in self.targets if target.verdict is not None]
        return max(found, key=lambda target: _severity(target.verdict), default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The most serious verdict on any target; None where nothing was run."""
        return self.worst.verdict if self.worst else None

    @property
    def failures(self) -> list[str]:
        """A sentence for each target that did not deliver all examples."""
        return [target.failure for target in self.targets if target.failure]


def _severity(verdict: Verdict | None) -> int:
    return -1 if verdict is None else verdict.severity


def as_data(data: ManyExamples) -> dict[str, Any]:
    """The result as plain JSON values (docs/json.md)."""
    return {
        "schema": SCHEMA,
        "bittrue": bittrue.__version__,
        "model": data.model,
        "input": data.description,
        "examples": data.count,
        "batch_size": data.batch_size,
        "reference": data.reference,
        "candidate": data.candidate,
        "notes": list(data.notes),
        "verdict": data.verdict,
        "targets": [_target(target) for target in data.targets],
    }


def _target(found: TargetOverExamples) -> dict[str, Any]:
    worst = found.worst_batch
    return {
        "target": found.target,
        "error": found.failure or None,
        "examples": found.examples,
        "verdict": found.verdict,
        "headline": worst.headline if worst else None,
        "worst_batch": {"start": worst.start, "examples": len(worst.names)} if worst else None,
        "labels": {
            "examples": found.labelled,
            "agree": found.labelled - len(found.flips),
            "flips": [asdict(flip) for flip in found.flips],
        },
        "layers": [_layer(layer, found.names) for layer in found.layers],
    }


def _layer(found: LayerOverExamples, names: Sequence[str]) -> dict[str, Any]:
    shares = {name: _number(found.quantile(share)) for name, share in _SHARES.items()}
    most = found.measured[0]
    return {
        "name": found.name,
        "class": found.class_name,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "fix": found.fix,
        "problem": found.problem or None,
        "max_abs": _number(most.absolute),
        "max_ulp": _number(most.ulp),
        "max_abs_to_scale": {**shares, "max": _number(most.relative)},
        "worst_example": names[found.worst] if names else None,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def print_examples(data: ManyExamples, out: IO[str], *, full: bool = False) -> None:
    """The result as text: the target with the most serious verdict closely, a line for each other, unless ``full``."""
    console = Console(file=out, width=None if out.isatty() else 110, highlight=False)
    against = f"{data.reference} running {data.model}" if data.candidate else data.reference
    what = f"{data.candidate or data.model}: {data.count} examples of {data.description}, {data.batch_size} at a time"
    console.print(f"\n{escape(what)}, compared with {escape(against)}", soft_wrap=True)
    ranked = sorted(data.targets, key=lambda target: -_severity(target.verdict))
    for target in ranked:
        if full or target is ranked[0]:
            _closely(target, console, full)
        elif target.layers:
            console.print(f"{target.verdict}  {target.target}: {_in_short(target)}", soft_wrap=True, markup=False)
    for sentence in (*data.failures, *(data.notes if full else ())):
        paragraph(sentence, console, "• ")


def _closely(target: TargetOverExamples, console: Console, full: bool) -> None:
    verdict = "" if target.verdict is None else f"{target.verdict}  "
    console.print(f"\n[bold]{escape(verdict + target.target)}[/bold]", soft_wrap=True)
    worst = target.worst_batch
    if worst is None:
        return
    stop = worst.start + len(worst.names)
    console.print(f"  Of all batches the worst, examples {worst.start + 1} to {stop}:", soft_wrap=True)
    said = sentences(worst.headline)
    for sentence in said if full else [*said[:1], *(one for one in said[1:] if one.startswith("To fix it"))]:
        paragraph(sentence, console)
    for line in _labels(target, _FLIPS if full else _FEW_FLIPS):
        console.print(f"  {escape(line)}", soft_wrap=True)
    console.print(_table(target.layers, target.names, _ROWS if full else _FEW_ROWS))


def _in_short(target: TargetOverExamples) -> str:
    """Labels, and the largest difference with its layer and example."""
    worst = max(target.layers, key=lambda layer: layer.quantile(1.0))
    agree = f"{target.labelled - len(target.flips)} of {target.labelled} labels agree, " if target.labelled else ""
    if not worst.quantile(1.0):
        return f"{agree}every example the same"
    return f"{agree}largest relative {short(worst.quantile(1.0), 2)} ({worst.name}, {target.names[worst.worst]})"


def _labels(target: TargetOverExamples, most: int) -> Iterator[str]:
    if not target.labelled:
        return
    flips = target.flips
    yield f"labels: {target.labelled - len(flips)} of {target.labelled} examples agree"
    yield from map(_flip, flips[:most])
    if len(flips) > most:
        yield f"and {len(flips) - most} more, in the JSON"


def _flip(flip: Flip) -> str:
    return f"{flip.name}: {flip.output} {flip.reference} → {flip.candidate}"


def _table(layers: Sequence[LayerOverExamples], names: Sequence[str], most: int) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        caption_justify="left",
        caption="largest |difference| over the example's largest |value|",
    )
    table.add_column("layer", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in ("median", "90 %", "99 %", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst example", overflow="fold")
    for layer in _telling(layers, most):
        shares = [short(layer.quantile(share), 2) for share in (*_SHARES.values(), 1.0)]
        table.add_row(escape(layer.name), str(layer.verdict), *shares, escape(names[layer.worst]))
    return table


def _telling(layers: Sequence[LayerOverExamples], most: int) -> list[LayerOverExamples]:
    """The most serious, the largest and the last, in the order of execution."""
    ranked = sorted(layers, key=lambda layer: (layer.verdict.severity, layer.quantile(1.0)), reverse=True)
    wanted = {layer.name for layer in [*layers[-1:], *ranked[: most - 1]]}
    return [layer for layer in layers if layer.name in wanted]
