"""Runs the benchmarks and writes docs/benchmarks.md: ``python benchmarks/run.py [NAME …]``.

Each benchmark is a script ``bench_<name>.py`` that prints its section as Markdown and nothing else; it runs in a
process of its own. Sections that are not run anew are kept as they are.
"""

from __future__ import annotations

import os
import re
import sys
import time

from harness import HERE, ROOT, machine, output_of

REPORT = ROOT / "docs" / "benchmarks.md"
NAMES = ("document_method", "socket", "compare", "budget", "explain", "startup", "convert", "exact", "accuracy")
ON_REQUEST = ("large",)
"""Those that take much disk or time: they run where they are named."""
PATIENCE = 1800.0  # seconds for one benchmark; one fetches an environment first
HEAD = """# Benchmarks

Written by `make bench`; every figure below was measured by it, each section in one run on the machine that it names.
Absolute times are those of that machine, ratios carry over.
"""


def main(names: list[str]) -> int:
    """Run ``names`` (all if there are none) and put their sections in place. Returns how many failed."""
    unknown = set(names) - set(NAMES) - set(ON_REQUEST)
    if unknown:
        known = ", ".join(NAMES + ON_REQUEST)
        print(f"no benchmark is called {', '.join(sorted(unknown))}: there are {known}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or NAMES:
        begun = time.monotonic()
        section = measure(name)
        failed += section is None
        if section is not None:
            text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else HEAD
            REPORT.write_text(with_section(text, name, section), encoding="utf-8", newline="\n")
        print(f"{name}: {'failed' if section is None else 'done'} after {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if failed else 0


def measure(name: str) -> str | None:
    """The section that one benchmark prints, None if it failed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    try:
        return output_of([sys.executable, str(HERE / f"bench_{name}.py")], environment, PATIENCE)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return None


def with_section(text: str, name: str, section: str) -> str:
    """``text`` with the section ``name`` put in the place of an older one, or in its place among the others."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    new = f"{begin}\n{section.strip()}\n\n{machine().strip()}\n{end}"
    old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: new, text)
    order = NAMES + ON_REQUEST
    for later in order[order.index(name) + 1 :]:
        mark = f"<!-- begin {later} -->"
        if mark in text:
            return text.replace(mark, f"{new}\n\n{mark}")
    return f"{text.rstrip()}\n\n{new}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
