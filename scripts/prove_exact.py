"""Examine the exact runtime's elementary functions on all 2³² float32 inputs, by shards; can be stopped and resumed.

Two questions, asked of every input. ``rounding``: is the module's float32 the correctly rounded value of the function?
Decided by double-double arithmetic with a proven error, by 120 digits where that leaves doubt (prove_rounding.py); what
is not is listed. ``oracle``: are the module's bits those of the NumPy oracle? A shard is all inputs with the same last
eight bits, so that it is a sample of every sign and binade. Results are kept by what the functions are compiled from,
and are dated.

    python scripts/prove_exact.py [--functions exp,log] [--shards 0-255] [--questions rounding,oracle]
                                  [--out build/prove] [--report docs/proof.md]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import prove_rounding
from build_kernels import SOURCES, compiler, flags
from numpy.typing import NDArray
from prove_rounding import DOUBTFUL, WRONG

from bittrue.exact.engine import ExactModel, module_sha256
from bittrue.exact.file import ExactFile, digest
from bittrue.exact.functions import FUNCTIONS
from bittrue.exact.oracle import canonical
from bittrue.exact.plan import Input, Named, Operation, Plan

SHARDS = 256
CHUNK = 1 << 18
QUESTIONS = ("rounding", "oracle")
COMPUTED_BY = ("functions.c", "tables.h")
LISTED = 100
"""Exceptions that a shard names; beyond, their number alone is kept."""

Bits = NDArray[np.uint32]


@dataclass
class Findings:
    """Of some inputs: how many, how many were decided with many digits, how many are wrong, and the bits of those."""

    inputs: int = 0
    decided: int = 0
    wrong: int = 0
    exceptions: list[str] = field(default_factory=list)
    shards: int = 0
    modules: list[str] = field(default_factory=list)
    date: str = ""

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.inputs + other.inputs,
            self.decided + other.decided,
            self.wrong + other.wrong,
            (self.exceptions + other.exceptions)[:LISTED],
            self.shards + other.shards,
            sorted({*self.modules, *other.modules}),
            max(self.date, other.date),
        )


def rounding(name: str, bits: Bits, model: ExactModel) -> Findings:
    """Which of these inputs the module does not round correctly."""
    found = model.predict(bits.view(np.float32)).view(np.uint32)
    verdicts = prove_rounding.verdicts(name, bits, found)
    doubtful = np.flatnonzero(verdicts == DOUBTFUL)
    undone = [at for at in doubtful if not prove_rounding.is_right(name, int(bits[at]), int(found[at]))]
    wrong = sorted([*np.flatnonzero(verdicts == WRONG), *undone])
    return Findings(bits.size, doubtful.size, len(wrong), [f"{int(bits[at]):08x}" for at in wrong[:LISTED]])


def oracle(name: str, bits: Bits, model: ExactModel) -> Findings:
    """For which of these inputs the module gives other bits than the oracle."""
    x = bits.view(np.float32)
    with np.errstate(all="ignore"):
        wanted = canonical(np.asarray(FUNCTIONS[name](x.astype(np.float64))).astype(np.float32))
    wrong = np.flatnonzero(model.predict(x).view(np.uint32) != wanted.view(np.uint32))
    return Findings(bits.size, 0, wrong.size, [f"{int(bits[at]):08x}" for at in wrong[:LISTED]])


ASKED = {"rounding": rounding, "oracle": oracle}


def model_of(name: str) -> ExactModel:
    """The module with that one operation."""
    plan = Plan(name, (Input("x", (None,), "float32"),), (), (Operation(name, (0,)),), (Named("y", 1),))
    return ExactModel(ExactFile(plan, {}, digest(plan, {})))


def shard(question: str, name: str, number: int) -> Findings:
    """All inputs whose last eight bits are ``number``."""
    model, found = model_of(name), Findings()
    for start in range(0, 1 << 24, CHUNK):
        bits = np.arange(start, start + CHUNK, dtype=np.uint32) * np.uint32(SHARDS) + np.uint32(number)
        found += ASKED[question](name, bits, model)
    found.shards, found.modules, found.date = 1, [module_sha256()], f"{datetime.now(UTC):%Y-%m-%d}"
    return found


@cache
def source() -> str:
    """What the functions are compiled from, as a hash: the C, the flags and the compiler. While it stays, so do their
    results, whatever else is in the module."""
    texts = [(SOURCES / "exact" / name).read_text(encoding="utf-8") for name in COMPUTED_BY]
    return hashlib.sha256(json.dumps([texts, flags("exact"), compiler()]).encode()).hexdigest()


def place(folder: Path, question: str, name: str, number: int) -> Path:
    """Where the findings of a shard are kept."""
    return folder / source()[:16] / f"{question}-{name}-{number:03d}.json"


def stored(folder: Path, question: str, name: str, number: int) -> Findings:
    """The findings of a shard, computed if they are not there."""
    path = place(folder, question, name, number)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(asdict(shard(question, name, number))), encoding="utf-8")
        partial.replace(path)
    return Findings(**json.loads(path.read_text(encoding="utf-8")))


def kept(folder: Path) -> dict[tuple[str, str], Findings]:
    """All that was found so far, by question and function."""
    return {
        (question, name): sum(
            (stored(folder, question, name, n) for n in range(SHARDS) if place(folder, question, name, n).is_file()),
            start=Findings(),
        )
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
    for question, title, column in (
        ("rounding", "Correctly rounded", "not correctly rounded"),
        ("oracle", "The same bits as the oracle", "other bits"),
    ):
        yield f"\n## {title}\n"
        yield f"| function | inputs examined | share of 2³² | decided by 120 digits | {column} |"
        yield "|---|--:|--:|--:|---|"
        for name in sorted(FUNCTIONS):
            one = found[question, name]
            yield f"| {name} | {one.inputs:,} | {one.inputs / 2**32:.1%} | {one.decided:,} | {_exceptions(one)} |"


INTRODUCTION = """# The exact runtime's elementary functions, examined

Made by `make prove`, which goes through all 2³² float32 inputs by 256 shards and can be stopped and resumed. A shard is
the 2²⁴ inputs with the same last eight bits: every sign, every exponent, every 256th mantissa. The tables say how many
were examined so far; nothing is claimed of the others.

*Correctly rounded*: the float32 is the one nearest to the function's value, ties to even. It is decided by an
independent evaluation in double-double arithmetic with a relative error below 2⁻⁷⁰ (`scripts/prove_rounding.c`); an
input whose value lies within 2⁻⁶⁶ of the middle between two float32 numbers is decided by 120 decimal digits. `rsqrt`
is decided exactly. *Oracle*: `src/bittrue/exact/functions.py`, written from the specification. A sample of every sign
and exponent is examined in every run of the tests.
"""


def _exceptions(found: Findings) -> str:
    if not found.wrong:
        return "none"
    more = f" and {found.wrong - len(found.exceptions)} more" if found.wrong > len(found.exceptions) else ""
    return " ".join(found.exceptions) + more


def main() -> int:
    """0 if the module is the oracle; 1 otherwise. Exceptions of rounding are listed, no failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", default=",".join(sorted(FUNCTIONS)))
    parser.add_argument("--shards", default=f"0-{SHARDS - 1}")
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    parser.add_argument("--out", type=Path, default=Path("build") / "prove")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    first, _, last = given.shards.partition("-")
    for number in range(int(first), int(last or first) + 1):
        for question in given.questions.split(","):
            for name in given.functions.split(","):
                print(f"{question} {name} {number}: {stored(given.out, question, name, number)}", flush=True)
    found = kept(given.out)
    text = "\n".join(report(found))
    print(text)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")
    return int(any(one.wrong for (question, _), one in found.items() if question == "oracle"))


if __name__ == "__main__":
    raise SystemExit(main())
