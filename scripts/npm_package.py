"""Put together what the npm package in js/ is made of: its runtime and the WebAssembly module, into js/dist.

The agent and the package run the same modules, those of src/bittrue/web/exact. With ``--pack`` npm makes
dist/bittrue-<version>.tgz of it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from build_kernels import BuildError, build

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "js"
WEB = ROOT / "src" / "bittrue" / "web"
KERNELS = ROOT / "src" / "bittrue" / "_kernels"
MODULES = ("exact", "exact-threads")


def assemble(package: Path = PACKAGE) -> list[Path]:
    """Write ``package``/dist anew and return its files. The modules must have been built."""
    folder = package / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "exact").mkdir(parents=True)
    sources = [WEB / "sha256.js", *sorted((WEB / "exact").glob("*.js"))]
    written = [Path(shutil.copyfile(path, folder / path.relative_to(WEB))) for path in sources]
    names = [f"{name}.wasm" for name in MODULES]
    return [*written, *(Path(shutil.copyfile(KERNELS / name, folder / "exact" / name)) for name in names)]


def pack() -> None:
    """Make the archive that npm publishes. Raises CalledProcessError if npm does not."""
    target = ROOT / "dist"
    target.mkdir(exist_ok=True)
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("npm is not installed: install Node 18 or newer")
    subprocess.run([npm, "pack", str(PACKAGE), "--pack-destination", str(target), "--silent"], check=True, cwd=ROOT)


def main(arguments: list[str]) -> int:
    """0 if the package is there, 1 with a sentence if it is not."""
    try:
        for name in MODULES:
            build(name)
        print(f"js/dist: {len(assemble())} files")
        if "--pack" in arguments:
            pack()
    except (BuildError, subprocess.CalledProcessError) as error:
        print(f"npm_package: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
