"""All conformance cases and all of keras.applications, in every way, in every place, against the golden files.

``python scripts/bits.py [UNIT …]``. A unit is a group of cases or one architecture, computed in a process of its own.
Its result is kept, dated, as build/bits/<unit>.json, and made anew only if it found a difference or is of something
else: other golden hashes, modules, sources or versions. docs/bits.md is written from all that is kept.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import golden_applications
import golden_cases
from bits_page import page
from everywhere import PLACES, computed_in, expected_ways, written
from golden_applications import APPLICATIONS
from npm_package import KERNELS, WEB
from setup import find_deno
from subjects import Subject, Ways, differences, fingerprint, in_python, rows

from bittrue.exact.plan import codes
from bittrue.runtimes.discovery import find_browser, find_node

__all__ = ["Unit", "examine", "is_current", "main", "units"]

ROOT = Path(__file__).resolve().parents[2]
KEPT, PAGE = ROOT / "build" / "bits", ROOT / "docs" / "bits.md"
GROUP = 50  # cases
THREADS = (2, 3)
PATIENCE = 1800.0  # seconds for one unit in one place
MODULES = {"one thread": "exact.wasm", "several threads": "exact-threads.wasm"}
SOURCES = ("everywhere.mjs", "everywhere.html", "everywhere.py", "subjects.py")

Result = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """Cases, or one architecture, by their names."""

    name: str
    members: tuple[str, ...]

    @property
    def golden(self) -> dict[str, str]:
        """Their golden hashes."""
        known = golden_applications.golden() if self.name in APPLICATIONS else golden_cases.golden()[0]
        return {member: known[member] for member in self.members}

    def subjects(self) -> dict[str, Subject]:
        """What is computed."""
        if self.name in APPLICATIONS:
            return {self.name: Subject(*golden_applications.built(self.name), worker=True, threads=THREADS)}
        whole_only = golden_cases.golden()[1]
        return {
            label: Subject(*golden_cases.built(label), splits=label not in whole_only, worker=True, threads=THREADS)
            for label in self.members
        }


def units() -> list[Unit]:
    """All there are: the cases, then the architectures."""
    labels = golden_cases.LABELS
    groups = [labels[start : start + GROUP] for start in range(0, len(labels), GROUP)]
    found = [Unit(f"cases-{number:02d}", members) for number, members in enumerate(groups, start=1)]
    return found + [Unit(name, (name,)) for name in APPLICATIONS]


@cache
def versions() -> dict[str, str]:
    """By place what computes there; a place that is absent here is missing."""
    found = {"python": f"wasmtime {version('wasmtime')}"}
    node, deno = find_node(), find_deno()
    if node:
        found["node"] = f"{node.name} {node.version}"
    if deno:
        said = subprocess.run([str(deno), "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
        found["deno"] = f"Deno {said.split()[1]}"
    for engine in ("chrome", "firefox"):
        browser = find_browser(engine)
        if browser:
            found[engine] = f"{browser.name} {browser.version}"
    return found


@cache
def modules() -> dict[str, str]:
    """SHA-256 of the modules."""
    return {name: hashlib.sha256((KERNELS / file).read_bytes()).hexdigest() for name, file in MODULES.items()}


@cache
def _sources() -> str:
    paths = [*(Path(__file__).with_name(name) for name in SOURCES), *sorted((WEB / "exact").glob("*.js"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def key(unit: Unit) -> str:
    """What a result is of: while it stays, the unit need not be computed again."""
    stated = [unit.golden, sorted(golden_cases.golden()[1]), THREADS, modules(), versions(), _sources()]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:32]


def is_current(result: Mapping[str, Any], unit: Unit) -> bool:
    """Whether the result is of what there is now."""
    return bool(result["key"] == key(unit))


def examine(unit: Unit) -> Result:
    """Compute the unit everywhere, and compare."""
    begun = time.monotonic()
    subjects = unit.subjects()
    found: dict[str, dict[str, Ways]] = {"python": {name: in_python(one) for name, one in subjects.items()}}
    facts = {name: _facts(one) for name, one in subjects.items()}
    with tempfile.TemporaryDirectory(prefix="bits-") as name:
        folder = written(Path(name), subjects)
        subjects = {label: replace(one, constants={}) for label, one in subjects.items()}
        gc.collect()  # the weights of the largest take more than a gigabyte
        for place in (place for place in PLACES if place in versions()):
            try:
                found[place] = computed_in(place, folder, PATIENCE)
            except (AssertionError, subprocess.SubprocessError) as error:
                found[place] = {label: {"error": [str(error)[:500]]} for label in subjects}
    members = {label: {**facts[label], **_judged(unit, label, one, found)} for label, one in subjects.items()}
    return {
        "unit": unit.name,
        "key": key(unit),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": versions(),
        "absent": [place for place in PLACES if place not in versions()],
        "modules": modules(),
        "known_operations": len(codes()),
        "seconds": round(time.monotonic() - begun),
        "members": members,
    }


def _facts(one: Subject) -> dict[str, Any]:
    return {
        "parameters": sum(array.size for array in one.constants.values()),
        "operations": len(one.plan.operations),
        "names": sorted({step.name for step in one.plan.operations}),
        "inputs": [list(x.shape) for x in one.inputs.values()],
        "examples": rows(one.inputs),
        "splits": one.splits,
    }


def _judged(unit: Unit, label: str, one: Subject, found: Mapping[str, Mapping[str, Ways]]) -> dict[str, Any]:
    """The hash, and by place how many numbers were compared in which ways, and what differs."""
    wanted = found["python"][label]["every"]
    right = unit.golden[label]
    problems, numbers = {}, {}
    for place, all_ways in found.items():
        ways = all_ways[label]
        said = differences(one, wanted, ways, expected_ways(one, place)) if "error" not in ways else list(ways["error"])
        if fingerprint(ways.get("every", ())) != right:
            said.insert(0, f"every: the hash is not the golden file's {right}")
        problems[place] = said
        numbers[place] = {way: sum(map(_size, lines)) for way, lines in ways.items() if way != "error"}
    return {"golden": right, "hash": fingerprint(wanted), "numbers": numbers, "problems": problems}


def _size(line: str) -> int:
    """How many numbers a tensor has, from its description."""
    count = 1
    for size in line[line.index("[") + 1 : line.index("]")].split(","):
        count *= int(size or 1)
    return count


def main(arguments: list[str]) -> int:
    """1 if anything differs or failed, else 0."""
    asked = _options(arguments)
    chosen = [unit for unit in units() if not asked.names or unit.name in asked.names]
    if asked.one:
        _keep(chosen[0])
        return 0
    index, count = (int(part) for part in asked.shard.split("/"))
    died = [unit.name for unit in chosen[index - 1 :: count] if not asked.report and not _done(unit, asked.again)]
    results = list(_current())
    PAGE.write_text(page(results, [unit.name for unit in units()]), encoding="utf-8", newline="\n")
    wrong = [line for result in results for line in _complaints(result)]
    print(*wrong, *(f"{name}: its process died" for name in died), sep="\n")
    return 1 if wrong or died else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="UNIT")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th unit, from the I-th on")
    parser.add_argument("--again", action="store_true", help="compute also what has been computed")
    parser.add_argument("--report", action="store_true", help="compute nothing; write the page")
    parser.add_argument("--one", action="store_true", help="compute the one unit named, in this process")
    return parser.parse_args(arguments)


def _file(unit: Unit) -> Path:
    return KEPT / f"{unit.name}.json"


def _stored(unit: Unit) -> Result | None:
    if not _file(unit).is_file():
        return None
    result: Result = json.loads(_file(unit).read_text(encoding="utf-8"))
    return result if is_current(result, unit) else None


def _current() -> Iterator[Result]:
    return (result for unit in units() if (result := _stored(unit)) is not None)


def _keep(unit: Unit) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    partial = _file(unit).with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(examine(unit), indent=1), encoding="utf-8")
    partial.replace(_file(unit))


def _in_own_process(name: str) -> None:
    """Compute a unit; what it took of memory goes with the process."""
    child = subprocess.Popen([sys.executable, str(ROOT / "scripts" / "bits.py"), "--one", name])
    try:
        child.wait()
    except KeyboardInterrupt:
        child.wait()  # it was interrupted as well, and puts its browser and its files away
        raise


def _done(unit: Unit, again: bool) -> bool:
    """Whether there is a result of the unit, which is computed if there is none or one with differences."""
    known = None if again else _stored(unit)
    if known is None or any(_complaints(known)):
        _in_own_process(unit.name)
        known = _stored(unit)
    if known is None:
        print(f"{unit.name}: no result", flush=True)
        return False
    wrong = list(_complaints(known))
    print(f"{unit.name}: {f'{len(wrong)} DIFFER' if wrong else 'the same bits'} after {known['seconds']} s", flush=True)
    return True


def _complaints(result: Mapping[str, Any]) -> Iterator[str]:
    for label, row in result["members"].items():
        for place, said in row["problems"].items():
            yield from (f"{label} in {place}: {line}" for line in said)
