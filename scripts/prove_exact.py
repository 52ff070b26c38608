"""Examine the exact runtime's elementary functions on all 2³² float32 inputs, by shards; can be stopped and resumed.

Two questions, asked of every input. ``rounding``: is the module's float32 the correctly rounded value of the function?
Decided in three steps, each for what the one before left open: float64 and then double-double arithmetic with proven
errors, 120 digits (prove_rounding.py); what is not is listed. ``oracle``: are the module's bits those of the NumPy
oracle? A shard is all inputs with the same last eight bits, so that it is a sample of every sign and binade. Results
are dated, and kept by what the functions are compiled from and what the question is decided by.

    python scripts/prove_exact.py [--functions exp,log] [--shards 0-255] [--questions rounding,oracle]
                                  [--out build/prove] [--report docs/proof.md]
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from time import process_time
from types import ModuleType

import numpy as np
import prove_rounding
from build_kernels import SOURCES, compiler, flags
from numpy.typing import NDArray
from prove_rounding import DOUBTFUL, WRONG

from bittrue.exact import functions
from bittrue.exact.engine import ExactModel, module_sha256
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.functions import FUNCTIONS
from bittrue.exact.oracle import canonical
from bittrue.exact.plan import Input, Named, Operation, Plan

SHARDS, EACH = 256, 1 << 24
CHUNK = 1 << 16
"""Inputs at a time: enough to outweigh the calls, few enough for the caches."""
QUESTIONS = ("rounding", "oracle")
COMPUTED_BY = ("functions.c", "tables.h")
LISTED = 1000
"""Exceptions that are named; beyond, their number alone is kept."""

Bits = NDArray[np.uint32]


@dataclass
class Findings:
    """Of some inputs: how many, how many of them float64 left to double-doubles and those to many digits, how many are
    wrong, and the bits of those; of how many shards, by which modules, in how many seconds of one core."""

    inputs: int = 0
    refined: int = 0
    decided: int = 0
    wrong: int = 0
    exceptions: list[str] = field(default_factory=list)
    shards: int = 0
    modules: list[str] = field(default_factory=list)
    seconds: float = 0.0
    date: str = ""

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.inputs + other.inputs,
            self.refined + other.refined,
            self.decided + other.decided,
            self.wrong + other.wrong,
            (self.exceptions + other.exceptions)[:LISTED],
            self.shards + other.shards,
            sorted({*self.modules, *other.modules}),
            self.seconds + other.seconds,
            max(self.date, other.date),
        )


def rounding(name: str, bits: Bits, found: Bits) -> Findings:
    """For which of these inputs what was found is not correctly rounded."""
    verdicts, refined = prove_rounding.verdicts(name, bits, found)
    doubtful = np.flatnonzero(verdicts == DOUBTFUL)
    undone = [at for at in doubtful if not prove_rounding.is_right(name, int(bits[at]), int(found[at]))]
    wrong = sorted([*np.flatnonzero(verdicts == WRONG), *undone])
    return Findings(bits.size, refined, doubtful.size, len(wrong), _named(bits, wrong))


def oracle(name: str, bits: Bits, found: Bits) -> Findings:
    """For which of these inputs the oracle gives other bits than those found."""
    with np.errstate(all="ignore"):
        x = bits.view(np.float32).astype(np.float64)
        wanted = canonical(np.asarray(FUNCTIONS[name](x)).astype(np.float32))
    wrong = np.flatnonzero(found != wanted.view(np.uint32))
    return Findings(inputs=bits.size, wrong=wrong.size, exceptions=_named(bits, wrong))


def _named(bits: Bits, places: Iterable[int]) -> list[str]:
    return [f"{int(bits[at]):08x}" for at in islice(places, LISTED)]


ASKED = {"rounding": rounding, "oracle": oracle}


def model_of(name: str) -> ExactModel:
    """The module with that one operation."""
    plan = Plan(name, (Input("x", (None,), "float32"),), (), (Operation(name, (0,)),), (Named("y", 1),))
    return ExactModel(ExactFile(plan, {}, digest(plan, {})))


def shard(questions: Iterable[str], name: str, number: int) -> dict[str, Findings]:
    """Of all inputs whose last eight bits are ``number``, by question. The module computes them once."""
    model, totals, began = model_of(name), {question: Findings() for question in questions}, process_time()
    for start in range(0, EACH, CHUNK):
        bits = np.arange(start, min(start + CHUNK, EACH), dtype=np.uint32) * np.uint32(SHARDS) + np.uint32(number)
        found = model.predict(bits.view(np.float32)).view(np.uint32)
        for question in totals:
            totals[question] += ASKED[question](name, bits, found)
    for total in totals.values():
        total.shards, total.modules, total.date = 1, [module_sha256()], f"{datetime.now(UTC):%Y-%m-%d}"
        total.seconds = (process_time() - began) / len(totals)
    return totals


@cache
def source() -> str:
    """What the functions are compiled from, as a hash: the C, the flags and the compiler. While it stays, so do their
    results, whatever else is in the module."""
    texts = [(SOURCES / "exact" / name).read_text(encoding="utf-8") for name in COMPUTED_BY]
    return hashlib.sha256(json.dumps([texts, flags("exact"), compiler()]).encode()).hexdigest()


@cache
def decider(question: str) -> str:
    """What decides the question, as a hash: the C and Python but for their comments and layout."""
    if question == "oracle":
        return hashlib.sha256(_bare(functions).encode()).hexdigest()
    texts = [re.sub(r"//.*", "", path.read_text(encoding="utf-8")).split() for path in prove_rounding.SOURCES]
    return hashlib.sha256(json.dumps([_bare(prove_rounding), texts]).encode()).hexdigest()


def _bare(module: ModuleType) -> str:
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [
                part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
    return ast.unparse(tree)


def place(folder: Path, question: str, name: str, number: int) -> Path:
    """Where the findings of a shard are kept."""
    return folder / source()[:16] / f"{question}-{decider(question)[:8]}" / f"{name}-{number:03d}.json"


def examine(folder: Path, questions: Iterable[str], name: str, number: int) -> None:
    """Ask of a shard what was not asked before, and keep the findings."""
    missing = [question for question in questions if not place(folder, question, name, number).is_file()]
    if not missing:
        return
    for question, found in shard(missing, name, number).items():
        path = place(folder, question, name, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")  # another process may be at the same shard
        partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
        partial.replace(path)


def stored(folder: Path, question: str, name: str, number: int) -> Findings:
    """The findings of a shard; none if it was not examined."""
    path = place(folder, question, name, number)
    return Findings(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Findings()


def kept(folder: Path) -> dict[tuple[str, str], Findings]:
    """All that was found so far, by question and function."""
    return {
        (question, name): sum((stored(folder, question, name, n) for n in range(SHARDS)), start=Findings())
        for question in QUESTIONS
        for name in sorted(FUNCTIONS)
    }


def report(found: Mapping[tuple[str, str], Findings]) -> Iterator[str]:
    """docs/proof.md."""
    yield INTRODUCTION
    everything = sum(found.values(), start=Findings())
    modules = ", ".join(f"`{name}`" for name in everything.modules) or "none"
    yield f"Last examined on {everything.date or 'no day'}. What the functions are compiled from: `{source()}`."
    yield f"SHA-256 of the module: {modules}."
    yield f"The tables took {everything.seconds / 3600:.1f} hours of one core."
    yield "\n## Correctly rounded\n"
    yield "| function | inputs examined | share of 2³² | by double-doubles | by 120 digits | not correctly rounded |"
    yield "|---|--:|--:|--:|--:|---|"
    for name in sorted(FUNCTIONS):
        one = found["rounding", name]
        yield f"| {name} | {_share(one)} | {one.refined:,} | {one.decided:,} | {one.wrong or 'none'} |"
    for name in sorted(FUNCTIONS):
        if found["rounding", name].wrong:
            yield f"\n{name}, {_exceptions(found['rounding', name])}. {_distance(name, found['rounding', name])}"
    yield "\n## The same bits as the oracle\n"
    yield "| function | inputs examined | share of 2³² | other bits |"
    yield "|---|--:|--:|---|"
    for name in sorted(FUNCTIONS):
        yield f"| {name} | {_share(found['oracle', name])} | {found['oracle', name].wrong or 'none'} |"
    for name in sorted(FUNCTIONS):
        if found["oracle", name].wrong:
            yield f"\n{name}, {_exceptions(found['oracle', name])}."


INTRODUCTION = """# The exact runtime's elementary functions, examined

Made by `make prove`, which goes through all 2³² float32 inputs by 256 shards and can be stopped and resumed. A shard is
the 2²⁴ inputs with the same last eight bits: every sign, every exponent, every 256th mantissa. The tables say how many
were examined so far; nothing is claimed of the others.

*Correctly rounded*: the float32 is the one nearest to the function's value, ties to even. That is decided in up to
three steps, each for what the one before left open. Float64 with a relative error below 2⁻⁴³ (`scripts/prove_quick.c`)
encloses the value between two numbers; where both round to the float32 that the module gave, it is right. Double-double
arithmetic with a relative error below 2⁻⁷⁰ (`scripts/prove_rounding.c`) decides the others, `rsqrt` without any error,
except values within 2⁻⁶⁶ of the middle between two float32 numbers, which 120 decimal digits decide. The bounds are
derived in these files, which share neither code nor tables with the module. How many inputs reached the second and the
third step is counted. The module computes in float64 and rounds once: a value that lies nearer to a middle than float64
can tell may go to the wrong side. Those inputs are named, and how far off their results are.

*Oracle*: `src/bittrue/exact/functions.py`, written from the specification, in NumPy. A sample of every sign and
exponent is examined in every run of the tests.
"""


def _share(found: Findings) -> str:
    return f"{found.inputs:,} | {found.inputs / 2**32:.1%}"


def _exceptions(found: Findings) -> str:
    more = f" and {found.wrong - len(found.exceptions)} more" if found.wrong > len(found.exceptions) else ""
    return f"inputs of these bits: {' '.join(f'`{word}`' for word in found.exceptions)}{more}"


def _distance(name: str, found: Findings) -> str:
    bits = np.array([int(word, 16) for word in found.exceptions], np.uint32)
    given = model_of(name).predict(bits.view(np.float32)).view(np.uint32)
    near = (
        any(prove_rounding.is_right(name, int(word), (int(result) + off) % 2**32) for off in (-1, 1))
        for word, result in zip(bits, given, strict=True)
    )
    if np.all(np.isfinite(bits.view(np.float32))) and all(near):
        return "Each result is the other of the two float32 between which the value lies."
    return "Not every result is one of the two float32 between which the value lies."


def main() -> int:
    """0 if the module is the oracle; 1 otherwise. Exceptions of rounding are listed, no failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", default=",".join(sorted(FUNCTIONS)))
    parser.add_argument("--shards", default=f"0-{SHARDS - 1}")
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    parser.add_argument("--out", type=Path, default=Path("build") / "prove")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    questions = given.questions.split(",")
    first, _, last = given.shards.partition("-")
    for number in range(int(first), int(last or first) + 1):
        for name in given.functions.split(","):
            examine(given.out, questions, name, number)
            for question in questions:
                print(f"{question} {name} {number}: {stored(given.out, question, name, number)}", flush=True)
    found = kept(given.out)
    text = "\n".join(report(found))
    print(text)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")
    return int(any(one.wrong for (question, _), one in found.items() if question == "oracle"))


if __name__ == "__main__":
    raise SystemExit(main())
