"""Pin everything anew: requirements/*.txt with hashes and no address, and npm's lock files: ``make lock``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import setup

FLAGS = (
    "--upgrade",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
)
SETS = {
    "dev": ("-c", "requirements/pins.in", "pyproject.toml", "requirements/dev.in"),
    "run": ("-c", "requirements/dev.txt", "pyproject.toml"),
    "bootstrap": ("-c", "requirements/dev.txt", "requirements/bootstrap.in"),
    "node": ("-c", "requirements/dev.txt", "requirements/node.in"),
    "bench": ("-c", "requirements/dev.txt", "requirements/bench.in"),
    "docs": ("-c", "requirements/dev.txt", "requirements/docs.in"),
    "keras2": ("requirements/keras2.in",),
    "official": ("requirements/official.in",),
}
"""The requirement files in the order in which they depend on one another, and what each is compiled from."""


def lock_python() -> None:
    """Compile every set; --upgrade looks at what is newest, not at what was pinned."""
    for name, sources in SETS.items():
        target = setup.ROOT / "requirements" / f"{name}.txt"
        if not setup.uv("compile", *FLAGS, "--output-file", str(target), *sources):
            raise setup.SetupError(f"requirements/{name}.txt could not be compiled: see what uv says above")


def lock_npm() -> None:
    """The lock files hold versions and integrity hashes, no address: each machine asks the registry it is set to."""
    npm = setup.tool("npm") or "npm"
    for folder in (setup.ROOT, *(path.parent for path in sorted(setup.ROOT.glob("requirements/npm/*/package.json")))):
        path = folder / "package-lock.json"
        command = [npm, "install", "--package-lock-only", "--ignore-scripts", "--loglevel=error"]
        setup.run([*command, "--prefix", str(folder)], f"{path} could not be written")
        path.write_text(json.dumps(without_addresses(path), indent=2) + "\n", encoding="utf-8")


def without_addresses(path: Path) -> dict[str, object]:
    """The lock file less the packages' appeals for funding and any address that they came from."""
    lock: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    packages = lock["packages"]
    if isinstance(packages, dict):
        for package in packages.values():
            package.pop("funding", None)
            package.pop("resolved", None)
    return lock


if __name__ == "__main__":
    try:
        lock_python()
        lock_npm()
    except (setup.SetupError, subprocess.SubprocessError) as error:
        sys.exit(f"lock: {error}")
