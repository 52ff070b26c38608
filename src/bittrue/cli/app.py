"""The commands. Each is a thin edge over the function of the same name in `bittrue.pipeline`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ParamSpec

import click

from bittrue import __version__
from bittrue.errors import UsageError

from .edge import DONE, FAILED_COMPARISON, TARGET_FAILED, edge
from .words import TargetCommand

__all__ = ["main"]

P = ParamSpec("P")

_in = click.option(
    "--in",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="Where to run: engine:backend[@version][+FLAG=VALUE], e.g. chrome:webgl. Several: one after "
    "another, by commas, or repeated. Default: every browser and backend found here.",
)
_tfjs = click.option("--tfjs", metavar="VERSION", help="TensorFlow.js version of all targets that name none.")
_json = click.option(
    "--json", "json_path", metavar="FILE|-", help="Write the result as JSON to FILE, or - for standard output."
)
_quiet = click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors (and JSON, if asked).")
_save = click.option(
    "--save", type=click.Path(path_type=Path), metavar="DIR", help="Keep traces and converted models in DIR."
)
_fail_on = click.option(
    "--fail-on",
    type=click.Choice(["bits", "never"]),
    default="never",
    show_default=True,
    help="Exit with 1 if any compared tensor differs in any bit.",
)
_trust = click.option("--trust", is_flag=True, help="Let the model execute code that it brings along (Lambda layers).")
_input = click.option(
    "--input",
    "inputs",
    default="ones",
    show_default=True,
    metavar="FILE|ones|random:SEED",
    help="npy, npz (by input name), safetensors, an image or a folder of images; the first axis is the batch.",
)
_preprocessing = click.option(
    "--preprocessing", metavar="STEPS", help="For images, e.g. resize=224x224,scale=1/127.5,offset=-1,order=rgb."
)
_batch = click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Batch of ones and random inputs."
)


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 < value < math.inf:
        raise click.BadParameter(f"{value} is no number of seconds above 0.")
    return value


def _running(command: Callable[P, Any]) -> Callable[P, Any]:
    """The options of every command that runs a model."""
    options = (
        click.option(
            "--runs",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Repeat the prediction; all must agree.",
        ),
        click.option("--budget", type=click.IntRange(1), metavar="MIB", help="Activations held at once, in MiB [512]."),
        click.option(
            "--timeout",
            type=float,
            default=120.0,
            callback=_finite,
            show_default=True,
            help="Seconds of silence that count as hung.",
        ),
        click.option(
            "--webdriver", metavar="URL", help="Open browsers through this remote WebDriver (a Selenium Grid, say)."
        ),
        click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve on [any free one]."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bittrue")
def main() -> None:
    """Same model, same numbers: a Keras model and its TensorFlow.js twin, compared layer by layer, bit by bit."""


@main.command(cls=TargetCommand)
@click.option("--depth", type=click.IntRange(1), default=10, show_default=True, help="Number of Dense layers.")
@click.option("--size", type=click.IntRange(1), default=50, show_default=True, help="Units of each layer.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bittrue-demo"),
    show_default=True,
    help="Folder for the models and traces.",
)
@_in
@_tfjs
@_running
@_fail_on
@_json
@_quiet
@edge
def demo(**options: Any) -> int:
    """The experiment that started the project: build it, convert it, run it everywhere, compare."""
    from bittrue.pipeline import demo as run_demo

    screen = _Screen(options["quiet"], options["json_path"])
    with screen.progress() as progress:
        data = run_demo(
            options["depth"],
            options["size"],
            options["targets"],
            out=options["out"],
            run=_run(options, progress),
            say=screen.say,
        )
    return screen.finish(data, options["fail_on"])


@main.command(cls=TargetCommand)
@click.argument("model", type=click.Path(path_type=Path))
@_input
@_preprocessing
@_batch
@_in
@click.option(
    "--against", default="keras:tensorflow", show_default=True, metavar="TARGET", help="What to compare with."
)
@_tfjs
@_running
@_save
@_trust
@_fail_on
@_json
@_quiet
@edge
def check(**options: Any) -> int:
    """Run MODEL (.keras or .h5) in Python and in browsers, and compare them layer by layer."""
    from bittrue.pipeline import check as run_check

    screen = _Screen(options["quiet"], options["json_path"])
    with screen.progress() as progress:
        data = run_check(
            options["model"],
            options["inputs"],
            options["targets"],
            against=options["against"],
            batch=options["batch"],
            preprocessing=options["preprocessing"],
            run=_run(options, progress),
        )
    return screen.finish(data, options["fail_on"])


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@_tfjs
@_trust
@_quiet
@edge
def convert(model: Path, out: Path, tfjs: str | None, trust: bool, quiet: bool) -> int:
    """Write MODEL as a TensorFlow.js layers-model into the folder OUT."""
    from bittrue.pipeline import convert as run_convert

    artifact = run_convert(model, out, tfjs=tfjs, trust=trust)
    if not quiet:
        size = sum((artifact.folder / name).stat().st_size for name in artifact.files)
        click.echo(
            f"{artifact.format} for TensorFlow.js {artifact.version}: {artifact.folder} "
            f"({len(artifact.files)} files, {size:,} bytes)"
        )
    return DONE


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--in", "target", required=True, metavar="TARGET", help="Where to run, e.g. chrome:wasm.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The trace (safetensors)."
)
@_input
@_preprocessing
@_batch
@_tfjs
@_running
@_trust
@_quiet
@edge
def trace(**options: Any) -> int:
    """Run MODEL on one target and save what every layer produced."""
    from bittrue.pipeline import trace as run_trace

    screen = _Screen(options["quiet"], None)
    with screen.progress() as progress:
        found = run_trace(
            options["model"],
            options["target"],
            options["out"],
            options["inputs"],
            batch=options["batch"],
            preprocessing=options["preprocessing"],
            run=_run(options, progress),
        )
    screen.say(f"{options['out']}: {len(found)} tensors, {found.nbytes:,} bytes, from {found.provenance.target}")
    return DONE


@main.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@_fail_on
@_json
@_quiet
@edge
def compare(reference: Path, candidate: Path, fail_on: str, json_path: str | None, quiet: bool) -> int:
    """Compare two saved runs: traces, or JSON as the document's script writes it."""
    from bittrue.pipeline import compare as run_compare

    screen = _Screen(quiet, json_path)
    return screen.finish(run_compare(reference, candidate), fail_on)


@main.command()
@click.option(
    "--json", "json_path", metavar="FILE|-", help="Write the findings as JSON to FILE, or - for standard output."
)
@edge
def doctor(json_path: str | None) -> int:
    """What is found here: browsers, backends, adapters, versions, and what is missing with the remedy."""
    from bittrue.cli.findings import findings_as_data, print_findings
    from bittrue.pipeline import doctor as run_doctor

    screen = _Screen(False, json_path)
    with screen.progress():
        findings = run_doctor()
    if json_path:
        _write_json(json_path, findings_as_data(findings))
    if json_path != "-":
        print_findings(findings, sys.stdout)
    return DONE


class _Screen:
    """Where a command prints: standard output, or standard error when the JSON goes to standard output."""

    def __init__(self, quiet: bool, json_path: str | None) -> None:
        self.quiet = quiet
        self.json_path = json_path
        self.out: IO[str] = sys.stderr if json_path == "-" else sys.stdout
        if json_path and json_path != "-":
            _check_writable(Path(json_path))  # before anything runs, and not when all is done

    def say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, file=self.out)

    def progress(self) -> Any:
        from bittrue.cli.progress import terminal_progress

        return terminal_progress(sys.stderr, quiet=self.quiet)

    @property
    def _unseen(self) -> bool:
        """Whether whoever reads standard error has not just read the report."""
        return self.quiet or not (self.out.isatty() and sys.stderr.isatty())

    def finish(self, data: Any, fail_on: str) -> int:
        """Print the report and say what to exit with."""
        from bittrue.report.json import as_data
        from bittrue.report.text import TextReporter

        if self.json_path and self.json_path != "-":
            _write_json(self.json_path, as_data(data))
        if not self.quiet:
            TextReporter().report(data, self.out)
        if self.json_path == "-":
            _write_json(self.json_path, as_data(data))
        if data.failures:
            for failed in data.failures if self._unseen else ():
                click.echo(f"bittrue: {failed.sentence}", err=True)
            return TARGET_FAILED
        differs = any(not outcome.identical for outcome in data.targets)
        return FAILED_COMPARISON if fail_on == "bits" and differs else DONE


def _run(options: dict[str, Any], progress: Any) -> Any:
    from bittrue.pipeline import Run
    from bittrue.runtimes.base import DEFAULT_BUDGET

    return Run(
        runs=options["runs"],
        budget=options["budget"] * 2**20 if options["budget"] else DEFAULT_BUDGET,
        timeout=options["timeout"],
        tfjs=options["tfjs"],
        save=options.get("save"),
        webdriver=options["webdriver"],
        port=options["port"],
        trust=options.get("trust", False),
        progress=progress,
    )


def _write_json(path: str, data: Any) -> None:
    import json

    from bittrue.tracefile import replacing

    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    if path == "-":
        click.echo(text, nl=False)
        return
    file = Path(path).resolve()
    if file.exists() and not file.is_file():  # a device or a pipe has no half-written state, and must not be replaced
        file.write_text(text, encoding="utf-8")
        return
    with replacing(file) as whole:
        whole.write(text.encode())


def _check_writable(file: Path) -> None:
    """Raise UsageError where the JSON could not be written to ``file``."""
    place = file if file.exists() and not file.is_file() else file.parent
    if file.is_dir():
        reason = "it is a folder"
    elif not file.parent.is_dir():
        reason = f"there is no folder {file.parent}"
    elif not os.access(place, os.W_OK):
        reason = f"{place} may not be written to"
    else:
        return
    raise UsageError(f"the JSON cannot be written to {file}, because {reason}; name another file with --json")
