"""Copy the pinned files of others out of node_modules into the package: ``python scripts/vendor_tfjs.py``.

The files are build artefacts, never committed: ``src/bittrue/_vendor/tfjs/<version>/`` receives TensorFlow.js's three
bundles, the WebAssembly binaries of the wasm backend, and the licences of what the bundles contain,
``src/bittrue/_vendor/uplot/`` the plotting library that reports carry. Run
``npm ci`` first. Only the standard library is used, so that a build of the wheel can run this in isolation.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "src" / "bittrue" / "_vendor" / "tfjs"
PLOTS = ROOT / "src" / "bittrue" / "_vendor" / "uplot"

FILES = {
    "@tensorflow/tfjs": ("tf.min.js",),
    "@tensorflow/tfjs-backend-wasm": (
        "tf-backend-wasm.min.js",
        "tfjs-backend-wasm.wasm",
        "tfjs-backend-wasm-simd.wasm",
        "tfjs-backend-wasm-threaded-simd.wasm",
    ),
    "@tensorflow/tfjs-backend-webgpu": ("tf-backend-webgpu.min.js",),
}
"""What is taken from the folder ``dist`` of each package."""

LICENSES = {
    "core-js": "LICENSE",
    "long": "LICENSE",
    "regenerator-runtime": "LICENSE",
    "seedrandom": "README.md",
}
"""Packages compiled into tf.min.js, and the file that holds the licence of each."""


PLOT_FILES = ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE")
"""What is taken of uPlot."""


class VendorError(Exception):
    """The files cannot be vendored; the message says what to do."""


def pinned_version() -> str:
    """The one version of TensorFlow.js that package.json pins for all three packages."""
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    versions = {wanted[package] for package in FILES}
    if len(versions) != 1:
        raise VendorError(f"package.json pins TensorFlow.js to several versions, {sorted(versions)}: pin one")
    return str(versions.pop())


def missing(version: str) -> list[Path]:
    """Files of ``version`` that the package lacks."""
    wanted = [VENDOR / version / name for names in FILES.values() for name in names]
    wanted += [PLOTS / Path(name).name for name in PLOT_FILES]
    return [path for path in wanted if not path.is_file()]


def vendor(node_modules: Path = ROOT / "node_modules") -> Path:
    """Copy everything into a fresh folder and put it in place whole. Returns the folder."""
    version = pinned_version()
    _check_installed(node_modules, version)
    PLOTS.mkdir(parents=True, exist_ok=True)
    for name in PLOT_FILES:
        shutil.copyfile(node_modules / "uplot" / name, PLOTS / Path(name).name)
    VENDOR.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=VENDOR))
    try:
        _copy(node_modules, fresh)
        fresh.chmod(0o755)
        target = VENDOR / version
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _check_installed(node_modules: Path, version: str) -> None:
    for package in FILES:
        manifest = node_modules / package / "package.json"
        found = json.loads(manifest.read_text(encoding="utf-8"))["version"] if manifest.is_file() else "nothing"
        if found != version:
            raise VendorError(f"{package} {version} is wanted but {found} is installed: run 'npm ci' first")


def _copy(node_modules: Path, folder: Path) -> None:
    for package, names in FILES.items():
        for name in names:
            shutil.copyfile(node_modules / package / "dist" / name, folder / name)
    licenses = folder / "licenses"
    licenses.mkdir()
    shutil.copyfile(ROOT / "LICENSE", licenses / "tfjs-LICENSE.txt")  # Apache-2.0, as TensorFlow.js itself
    for package, name in LICENSES.items():
        shutil.copyfile(node_modules / package / name, licenses / f"{package}-{Path(name).stem}.txt")


if __name__ == "__main__":
    try:
        print(f"vendored into {vendor().relative_to(ROOT)}")
    except VendorError as error:
        sys.exit(str(error))
