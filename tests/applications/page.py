"""docs/applications.md from the results of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["page"]

Row = Mapping[str, Any]

_HEAD = """# The families of keras.applications

Written by `make applications`. Every architecture with up to 100 million parameters, for the smallest image that it
takes, with seeded weights under which the activations of every layer are of order one (the moving statistics are those
of a batch), is converted (`--format auto`), run in TensorFlow.js, and held against float64 **layer by layer**: each
layer's output against the exact answer for the inputs that the layer was really given, and the bound on rounding that
follows from its operations. A figure is the worst *own error* of any layer in units of that bound: 1 or less is
rounding, in whatever order the sums were taken. What is over 1 is named below the table. In two places what a backend
is known to do is allowed for: TensorFlow.js's `erf` is an approximation with an error of 1.5e-7, and its packed
depthwise convolution on webgl adds its products to 1e-15, so that they are rounded to multiples of 2⁻⁷³.
"""
_TARGETS = ("node:wasm", "node:cpu", "chrome:webgl", "chrome:webgpu")


def page(results: Iterable[Row]) -> str:
    """The whole page, for the results of all architectures that have one."""
    everything = sorted(results, key=lambda row: (row["architecture"]["family"], row["architecture"]["parameters"]))
    rows = [row for row in everything if row["architecture"]["size"]]
    blocks = [row for row in everything if not row["architecture"]["size"]]
    parts = [_HEAD, _summary(rows), _table(rows), _blocks(blocks), _forms(rows), _notes(everything)]
    return "\n".join(part for part in parts if part)


def _blocks(rows: Sequence[Row]) -> str:
    """The transformer blocks, which have no image and few parameters."""
    if not rows:
        return ""
    headings = ["block", "form", "calls", *_TARGETS]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    for row in rows:
        name = row["architecture"]["name"].replace("_", " ")
        outcomes = [_cell(row["outcomes"].get(target)) for target in _TARGETS]
        lines.append([name, row["form"] or "**refused**", f"{row['layers']}", *outcomes])
    title = "## Transformer blocks\n\nBuilt of Keras layers, with seeded weights; " + _dates(rows) + ".\n\n"
    return title + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _dates(rows: Sequence[Row]) -> str:
    dates = sorted({row["date"] for row in rows})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _summary(rows: Sequence[Row]) -> str:
    versions = sorted({row["versions"] for row in rows})
    families = {row["architecture"]["family"] for row in rows}
    lines = [f"- {_dates(rows)}; {'; '.join(versions)}", f"- {len(rows)} architectures of {len(families)} families"]
    refused = sum(row["refusal"] is not None for row in rows)
    lines.append(f"- refused: {refused}")
    for target in _TARGETS:
        runs = [row["outcomes"][target] for row in rows if target in row["outcomes"]]
        within = sum(_verdict(run) == "within" for run in runs)
        layers = sum(row["layers"] for row in rows if target in row["outcomes"])
        lines.append(f"- {target}: {within} of {len(runs)} within rounding in every layer ({layers:,} calls of layers)")
    return "\n".join(lines) + "\n"


def _verdict(run: Row) -> str:
    if run["error"] is not None:
        return "did not run"
    return "**outside**" if run["outside"] or run["failed"] else "within"


def _table(rows: Sequence[Row]) -> str:
    headings = ["architecture", "parameters", "input", "form", "calls", "conversion", *_TARGETS]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    for row in rows:
        about = row["architecture"]
        size = f"{about['size']} px"
        form = row["form"] or "**refused**"
        cells = [about["name"], f"{about['parameters'] / 1e6:.1f} M", size, form, f"{row['layers']}"]
        lines.append([*cells, f"{row['conversion']:.1f} s", *(_cell(row["outcomes"].get(name)) for name in _TARGETS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(run: Row | None) -> str:
    if run is None:
        return ""
    if run["error"] is not None:
        return "did not run"
    mark = "" if _verdict(run) == "within" else "**outside** "
    return f"{mark}{run['worst']:.3g} ({run['seconds']:.0f} s)"


def _forms(rows: Sequence[Row]) -> str:
    decided = [row for row in rows if row["reason"]]
    lines = [f"- {row['architecture']['name']}: {row['reason']}" for row in decided]
    return "## Why a graph-model\n\n" + "\n".join(lines) + "\n" if lines else ""


def _notes(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        name = row["architecture"]["name"]
        lines += [f"- {name}: {row['refusal']}"] if row["refusal"] else []
        for target, run in row["outcomes"].items():
            said = [run["error"]] if run["error"] else list(run["failed"])
            said += [f"{run['outside']} outputs outside, the worst {run['layer']}"] if run["outside"] else []
            lines += [f"- {name} on {target}: {text}" for text in said]
    return "## What is not within rounding\n\n" + "\n".join(lines) + "\n" if lines else ""
