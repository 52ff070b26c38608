"""The conformance campaign: ``python scripts/conformance.py [--shard I/N] [--in TARGETS] [--only CLASSES] [--again]``.

Every layer class and activation of Keras with every option that changes the numbers is converted, run on each target
and compared with the float64 evaluation. Results are appended as JSON lines, dated, to ``build/conformance``; a case
that is there already, for the same sources and targets, is not run again. ``--report`` writes ``docs/coverage.md``
from what is there. Exits with 1 if a case is silently wrong or fails. ``--float64`` runs the cases in Keras alone, in
float64, beside the exact answer; with ``--write`` into ``docs/truth.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; the exit code."""
    from tests.conformance import ledger
    from tests.conformance.coverage import write
    from tests.conformance.generation import campaign
    from tests.conformance.running import TARGETS

    asked = _parser().parse_args(arguments)
    folder = asked.folder or ROOT / "build" / "conformance"
    found = campaign()
    targets = asked.targets.split(",") if asked.targets else list(TARGETS)
    if asked.list:
        for case in found.cases:
            print(case.key, case.name)
    if asked.list or asked.gaps:
        return _print_gaps(found)
    if asked.float64:
        return _in_float64(found.cases, folder / "float64" / "all.jsonl", asked)
    if not asked.report:
        number, count = map(int, asked.shard.split("/"))
        wanted = asked.only.split(",") if asked.only else None
        cases = [case for case in found.cases if wanted is None or case.subject in wanted or case.key in wanted]
        _run(cases[number - 1 :: count], targets, folder / f"shard-{number}-of-{count}.jsonl", again=asked.again)
    results = ledger.read(folder)
    current = {case.key for case in found.cases}
    results = {key: row for key, row in results.items() if key in current}
    if asked.report or asked.write:
        write(found, results, ROOT / "docs" / "coverage.md")
    return ledger.summary(results, print)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th case, from the I-th")
    parser.add_argument("--in", dest="targets", default="", help="targets, by commas; else all four")
    parser.add_argument("--only", default="", help="names of classes or activations, by commas")
    parser.add_argument("--again", action="store_true", help="run also what has been run")
    parser.add_argument("--report", action="store_true", help="run nothing; write docs/coverage.md")
    parser.add_argument("--write", action="store_true", help="write docs/coverage.md after running")
    parser.add_argument("--list", action="store_true", help="print the cases and the gaps")
    parser.add_argument("--gaps", action="store_true", help="print the gaps")
    parser.add_argument("--float64", action="store_true", help="compare the exact answer with Keras in float64")
    parser.add_argument("--folder", type=Path, default=None, help="where results lie")
    return parser


def _in_float64(cases: list, place: Path, asked: argparse.Namespace) -> int:  # type: ignore[type-arg]
    from tests.conformance.truth_page import lines, read, run

    warnings.filterwarnings("ignore")
    if not asked.report:
        run(cases, place)
    known = read(place)
    rows = [known[case.key] for case in cases if case.key in known]
    if asked.report or asked.write:
        (ROOT / "docs" / "truth.md").write_text("\n".join(lines(rows)) + "\n", encoding="utf-8")
    wrong = [row["name"] for row in rows if row["state"] == "wrong"]
    print(*wrong or ["nothing disagrees"], sep="\n")
    return 1 if wrong else 0


def _run(cases: list, targets: list[str], place: Path, *, again: bool) -> None:  # type: ignore[type-arg]
    from tests.conformance import ledger
    from tests.conformance.running import prepare, run_all

    from bittrue.runtimes.host import Host

    warnings.filterwarnings("ignore")
    done = set() if again else ledger.done(place.parent, targets)
    left = [case for case in cases if case.key not in done]
    print(f"{len(left)} of {len(cases)} cases to run on {', '.join(targets)}", flush=True)
    with tempfile.TemporaryDirectory() as name, Host() as host, ledger.Ledger(place, targets) as book:
        folder = Path(name)
        for start in range(0, len(left), _AT_ONCE):
            prepared = [prepare(case, folder) for case in left[start : start + _AT_ONCE]]
            for item in prepared:
                if item.state != "ready":
                    book.enter(item, {})
            for item, outcomes in run_all(prepared, targets, host, folder):
                book.enter(item, outcomes)
            print(f"{min(start + _AT_ONCE, len(left))}/{len(left)}", flush=True)


_AT_ONCE = 120


def _print_gaps(found: object) -> int:
    gaps = [f"{owner}: {option}" for owner, option in found.gaps]  # type: ignore[attr-defined]
    unknown = [f"{name}: used with its defaults alone" for name in found.unknown]  # type: ignore[attr-defined]
    print(f"{len(found.cases)} cases, {len(gaps)} gaps")  # type: ignore[attr-defined]
    print(*gaps, *unknown, sep="\n")
    return 1 if gaps or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
