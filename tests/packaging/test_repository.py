"""What the repository's own files promise: pinned with hashes, no address, no path of one machine, nothing built."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

SETS = ["bootstrap", "dev", "run", "node", "bench", "docs", "keras2", "official"]
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home)/\w")
LARGEST = 1_000_000  # bytes


def tracked(repository: Path) -> list[Path]:
    """Files that are committed, or would be by adding everything."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := repository / name).is_file()]


@pytest.mark.parametrize("name", SETS)
def test_every_requirement_is_pinned_and_has_hashes(name: str, repository: Path) -> None:
    text = (repository / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[\w.\[\]-]+==[\w.]+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("name", [f"requirements/{name}.txt" for name in SETS] + ["package-lock.json"])
def test_no_lock_file_names_an_address(name: str, repository: Path) -> None:
    assert "://" not in (repository / name).read_text(encoding="utf-8")


def test_every_npm_package_has_an_integrity_hash(repository: Path) -> None:
    packages = json.loads((repository / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if name and not package.get("integrity")] == []


def test_the_run_set_is_a_part_of_the_development_set(repository: Path) -> None:
    run, dev = ((repository / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in ("run", "dev"))
    pins = re.compile(r"^\S+==\S+", re.MULTILINE)
    assert set(pins.findall(run)) <= set(pins.findall(dev))


def test_no_file_names_a_path_of_one_machine_or_is_large(repository: Path) -> None:
    for path in tracked(repository):
        assert path.stat().st_size < LARGEST, path
        if path.suffix not in {".png", ".jpg", ".npz"}:
            found = MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{path}: {found and found[0]}"


def test_built_files_are_not_committed(repository: Path) -> None:
    built = {"_vendor", "_kernels", "node_modules", "dist", "build"}
    assert [path for path in tracked(repository) if built & set(path.relative_to(repository).parts)] == []
