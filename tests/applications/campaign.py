"""Every family of keras.applications in TensorFlow.js: ``python -m tests.applications.campaign [NAME …]``.

Each architecture is examined in a process of its own. Its result is kept in build/applications and not made again,
unless ``--again``; docs/applications.md is written anew from all that is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.applications.architectures import BLOCKS, Architecture, blocks
from tests.applications.page import page

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "applications"
PAGE = ROOT / "docs" / "applications.md"
SMALL = 15_000_000  # parameters up to which TensorFlow.js's own cpu backend is asked as well
LIMIT = 3600.0  # seconds for one architecture
_GRAPHICS = ("chrome:webgl", "chrome:webgpu")
CENSUS = "import json; from tests.applications.architectures import census; from dataclasses import asdict; "
CENSUS += "print(json.dumps([asdict(one) for one in census()]))"


def main(arguments: list[str]) -> int:
    """Examine what is asked for and write the page. Returns how many architectures failed."""
    options = _options(arguments)
    everyone = [*_census(), *blocks()]
    chosen = [one for one in everyone if not options.names or one.name in options.names]
    index, count = (int(part) for part in options.shard.split("/"))
    failed = 0
    for one in chosen[index - 1 :: count]:
        if options.again or not _file(one).exists():
            failed += not _examine(one, _targets(one, everyone))
    _write_page()
    return failed


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th architecture, from the I-th on")
    parser.add_argument("--again", action="store_true", help="examine what has been examined before as well")
    return parser.parse_args(arguments)


def _census() -> list[Architecture]:
    """What there is; counted once for each version of Keras."""
    kept = KEPT / f"census-{version('keras')}.json"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_text(_child(["-c", CENSUS]), encoding="utf-8")
    return [Architecture(**one) for one in json.loads(kept.read_text(encoding="utf-8"))]


def _targets(one: Architecture, everyone: list[Architecture]) -> list[str]:
    """wasm for all, cpu for the small ones, and the graphics backends for blocks and the smallest of each family."""
    if one.family == BLOCKS:
        return ["node:wasm", "node:cpu", *_GRAPHICS]
    smallest = min((other for other in everyone if other.family == one.family), key=lambda other: other.parameters)
    targets = ["node:wasm"]
    targets += ["node:cpu"] if one.parameters <= SMALL else []
    return [*targets, *_GRAPHICS] if one == smallest else targets


def _file(one: Architecture) -> Path:
    return KEPT / f"{one.name}.json"


def _examine(one: Architecture, targets: list[str]) -> bool:
    begun = time.monotonic()
    asked = json.dumps({"architecture": asdict(one), "targets": targets})
    try:
        result: dict[str, Any] = json.loads(_child(["-m", "tests.applications.one", asked]).splitlines()[-1])
    except (subprocess.SubprocessError, IndexError) as error:
        print(f"{one.name}: failed after {time.monotonic() - begun:.0f} s: {error}", flush=True)
        return False
    result |= {"date": f"{datetime.now(UTC):%Y-%m-%d}", "versions": _versions()}
    _file(one).write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"{one.name}: {_line(result)} after {time.monotonic() - begun:.0f} s", flush=True)
    return True


def _line(result: dict[str, Any]) -> str:
    if result["refusal"]:
        return f"refused: {result['refusal']}"
    found = [f"{target} {run['error'] or run['worst']}" for target, run in result["outcomes"].items()]
    return f"{result['form']}, {', '.join(found)}"


def _versions() -> str:
    from bittrue.runtimes.tfjs import BUNDLED

    named = f"Keras {version('keras')}, TensorFlow {version('tensorflow')}, TensorFlow.js {BUNDLED}"
    return f"{named}, {platform.system()} {platform.machine()}"


def _child(arguments: list[str]) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=LIMIT, check=True)
    return done.stdout.decode("utf-8")


def _write_page() -> None:
    kept = [path for path in sorted(KEPT.glob("*.json")) if not path.name.startswith("census")]
    results = [json.loads(path.read_text(encoding="utf-8")) for path in kept]
    if results:
        PAGE.write_text(page(results), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
