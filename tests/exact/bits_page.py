"""docs/bits.md from the results of a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["page"]

Row = Mapping[str, Any]

_HEAD = """# The same bits, in every engine

Made by `make bits`: every conformance case (each layer, operation and sequence that the tests hold against Keras, and
models of single operations on special values and odd shapes) and every architecture of keras.applications is exported,
and computed by the exact runtime in Python and, by the npm package alone, in Node, Deno, Chrome and Firefox.

*In every way* means: the results of all its operations; the outputs for the batch; the batch in parts (one example,
two, the rest) and every example alone, put together again; in a worker, where there are workers; by 2 and by 3 threads.
The results of all operations and the outputs are hashed together, dtypes and shapes included, and the hash is that of a
golden file ([cases](../tests/exact/golden_cases.json), [architectures](../tests/exact/golden_applications.json)); each
other way has to give the outputs that were hashed. All golden hashes, those of the largest architectures too, were made
by [the oracle](../src/bittrue/exact/oracle.py), which is NumPy and was written from
[the specification](../src/bittrue/exact/spec.md), not from the module.

Weights and inputs are drawn by a generator of the tests' own ([splitmix64](../tests/exact/drawn.py)), so that no hash
depends on a library's random numbers. A result is kept together with what it is of (golden hashes, modules, sources,
versions of the engines); one of anything else is not shown here.
"""

_KINDS = {
    "layer": "layers of Keras with their options",
    "operation": "operations of keras.ops",
    "sequence": "recurrent layers, masks, attention",
    "model": "models of plain operations",
    "special": "special values: zeros, subnormals, infinities, NaNs, ties",
    "shapes": "odd shapes",
}


def page(results: Iterable[Row], units: Sequence[str]) -> str:
    """The whole page, for the results that there are of the ``units``."""
    found = sorted(results, key=lambda result: units.index(result["unit"]))
    if not found:
        return f"{_HEAD}\nNothing was computed yet.\n"
    groups = [result for result in found if result["unit"].startswith("cases")]
    architectures = [result for result in found if not result["unit"].startswith("cases")]
    cases = {label: row for result in groups for label, row in result["members"].items()}
    others = {label: row for result in architectures for label, row in result["members"].items()}
    missing = [name for name in units if name not in {result["unit"] for result in found}]
    parts = [_HEAD, _engines(found), *_cases(cases, groups), *_architectures(others)]
    return "\n".join([*parts, *_disagreements({**cases, **others}), *_missing(missing)])


def _engines(found: Sequence[Row]) -> str:
    dates = sorted({result["date"] for result in found})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    places = sorted({f"{place}: {said}" for result in found for place, said in result["versions"].items()})
    absent = sorted({place for result in found for place in result["absent"]})
    modules = {f"{name}: `{digest}`" for result in found for name, digest in result["modules"].items()}
    lines = [f"- computed on {days}, in {sum(result['seconds'] for result in found) / 60:.0f} minutes"]
    lines += [f"- {place}" for place in places]
    lines += [f"- absent: {', '.join(absent)}"] if absent else []
    lines += [f"- SHA-256 of the module for {line}" for line in sorted(modules)]
    return "\n".join(lines) + "\n"


def _places(rows: Iterable[Row]) -> list[str]:
    seen: Counter[str] = Counter(place for row in rows for place in row["problems"])
    return list(seen)


def _agree(rows: Sequence[Row], place: str) -> str:
    asked = [row for row in rows if place in row["problems"]]
    right = sum(not row["problems"][place] for row in asked)
    return f"{right:,}" if right == len(rows) else f"**{right:,} of {len(rows):,}**"


def _compared(rows: Iterable[Row]) -> int:
    """Numbers compared in all places and ways."""
    return sum(sum(ways.values()) for row in rows for ways in row["numbers"].values())


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    lines = [headings, ["---"] * words + ["---:"] * (len(headings) - words), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cases(cases: Mapping[str, Row], groups: Sequence[Row]) -> Iterator[str]:
    if not cases:
        return
    yield "## Cases\n"
    everything = list(cases.values())
    met = {name for row in everything for name in row["names"]}
    known = max(result["known_operations"] for result in groups)
    yield f"{len(cases):,} cases; {len(met)} of the {known} operations of the specification occur in them."
    yield f"{_compared(everything):,} numbers were compared, in all places and ways. A figure below a place: how many"
    yield "cases have the golden hash there, in every way.\n"
    places = _places(everything)
    lines = []
    for kind, meaning in _KINDS.items():
        rows = [row for label, row in cases.items() if label.partition("/")[0] == kind]
        numbers = f"{sum(row['numbers']['python']['every'] for row in rows):,}"
        if rows:
            lines.append([meaning, f"{len(rows):,}", numbers, *(_agree(rows, place) for place in places)])
    yield _table(["cases", "how many", "numbers hashed", *places], lines)
    whole_only = sorted(label for label, row in cases.items() if not row["splits"])
    if whole_only:
        yield f"The batch of {len(whole_only)} cases was not split, as what they compute mixes its examples, or their"
        yield f"inputs have no common number of them: {', '.join(f'`{label}`' for label in whole_only)}.\n"


def _architectures(rows: Mapping[str, Row]) -> Iterator[str]:
    if not rows:
        return
    yield "## keras.applications\n"
    everything = list(rows.values())
    yield f"{len(rows)} architectures; {_compared(everything):,} numbers were compared, in all places and ways. The"
    yield "input is a batch of images. *Numbers*: the results of all operations, which are hashed. *same*: the golden"
    yield "hash in every way.\n"
    places = _places(everything)
    lines = []
    for name, row in sorted(rows.items(), key=lambda item: item[0].lower()):
        shape = ", ".join(map(str, row["inputs"][0]))
        about = [name, shape, f"{row['parameters'] / 1e6:.1f} M", f"{row['operations']:,}"]
        numbers = f"{row['numbers']['python']['every']:,}"
        same = ("same" if not row["problems"].get(place, ["absent"]) else "**no**" for place in places)
        lines.append([*about, numbers, f"`{row['golden'][:12]}`", *same])
    headings = ["architecture", "input", "parameters", "operations", "numbers", "golden hash", *places]
    yield _table(headings, lines, words=2)


def _disagreements(rows: Mapping[str, Row]) -> Iterator[str]:
    said = [
        f"- {label} in {place}: {line}"
        for label, row in rows.items()
        for place, lines in row["problems"].items()
        for line in lines
    ]
    yield "## Where they disagree\n"
    yield "\n".join(said) + "\n" if said else "Nowhere.\n"


def _missing(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"## Not computed\n\n{', '.join(names)}.\n"
