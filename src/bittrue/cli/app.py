"""The commands. Each is a thin edge over the function of the same name in `bittrue.pipeline`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from bittrue import __version__
from bittrue.errors import UsageError

from .certifying import certify
from .converting import convert, export, lint
from .edge import DONE, edge
from .expecting import Expecting, expecting
from .explaining import check_explaining, explain, explaining
from .listening import listen
from .options import (
    batch_size,
    failing_on,
    image_preprocessing,
    in_targets,
    input_tensors,
    json_file,
    quietly,
    reporting,
    run_of,
    running,
    save_folder,
    tfjs_version,
    trusting,
    verbosely,
    with_custom,
)
from .reporting import report
from .reproducing import repro
from .screen import Screen, write_json
from .streaming import check_streamed, streaming
from .words import TargetCommand

__all__ = ["main"]


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
@in_targets
@tfjs_version
@running
@explaining
@reporting
@json_file
@quietly
@edge
def demo(**options: Any) -> int:
    """The experiment that started the project: build it, convert it, run it everywhere, compare."""
    from bittrue.pipeline import demo as run_demo

    check_explaining(options)
    screen = Screen(options["quiet"], options["json_path"], options["report"], options["open_report"])
    screen.report = options["report"] or options["out"] / "report.html"
    with screen.progress() as progress:
        data = run_demo(
            options["depth"],
            options["size"],
            options["targets"],
            out=options["out"],
            run=run_of(options, progress),
            say=screen.say,
        )
    return screen.finish(data, options["fail_on"])


@main.command(cls=TargetCommand)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="A",
    help="Instead of MODEL: compare two models that exist already, A with --candidate B.",
)
@click.option(
    "--candidate",
    type=click.Path(path_type=Path),
    metavar="B",
    help="The other model; it runs on every TARGET, or else where A does.",
)
@input_tensors
@image_preprocessing
@batch_size
@streaming
@in_targets
@click.option(
    "--against",
    metavar="TARGET",
    help="What to compare with [keras:tensorflow; tensorflow:cpu for SavedModels and graph-models].",
)
@tfjs_version
@running
@save_folder
@trusting
@with_custom
@explaining
@expecting
@reporting
@json_file
@verbosely
@quietly
@edge
def check(**options: Any) -> int:
    """Run MODEL (.keras, .h5, SavedModel or TensorFlow.js model) in Python and in browsers, compared layer by layer.

    A SavedModel is given by its folder, with #NAME behind it for another signature. With --reference A --candidate B,
    two models instead: each one of those, aligned by name, or by order and shape.
    """
    from bittrue.pipeline import check as run_check
    from bittrue.pipeline import check_models

    check_explaining(options)
    first, second = _models(options["model"], options["reference"], options["candidate"])
    held = Expecting.of(options)
    if options["batch_size"]:
        return check_streamed(options, first, second, held)
    screen = Screen(
        options["quiet"], options["json_path"], options["report"], options["open_report"], options["verbose"]
    )
    with screen.progress() as progress:
        run: Callable[..., Any] = partial(run_check, first) if second is None else partial(check_models, first, second)
        data = run(
            options["inputs"],
            options["targets"] or held.settings.targets,
            against=options["against"],
            batch=options["batch"],
            preprocessing=options["preprocessing"],
            run=run_of(options, progress),
        )
    return screen.finish(data, options["fail_on"], held.failed)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--in", "target", required=True, metavar="TARGET", help="Where to run, e.g. chrome:wasm.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The trace (safetensors)."
)
@input_tensors
@image_preprocessing
@batch_size
@tfjs_version
@running
@trusting
@with_custom
@quietly
@edge
def trace(**options: Any) -> int:
    """Run MODEL on one target and save what every layer produced."""
    from bittrue.pipeline import trace as run_trace

    screen = Screen(options["quiet"], None)
    with screen.progress() as progress:
        found = run_trace(
            options["model"],
            options["target"],
            options["out"],
            options["inputs"],
            batch=options["batch"],
            preprocessing=options["preprocessing"],
            run=run_of(options, progress),
        )
    for made in found.checks:
        if made.name == "budget":
            screen.say(made.detail)
    screen.say(f"{options['out']}: {len(found)} tensors, {found.nbytes:,} bytes, from {found.provenance.target}")
    return DONE


@main.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    metavar="PICTURE",
    help="The picture that both sides began with: finds how each resized it.",
)
@failing_on
@reporting
@json_file
@verbosely
@quietly
@edge
def compare(**options: Any) -> int:
    """Compare two saved runs: traces, recordings of a page, JSON as the document's script writes it, or .npz inputs."""
    from bittrue.pipeline import compare as run_compare

    screen = Screen(
        options["quiet"], options["json_path"], options["report"], options["open_report"], options["verbose"]
    )
    data = run_compare(options["reference"], options["candidate"], image=options["image"])
    return screen.finish(data, options["fail_on"])


@main.command()
@click.option(
    "--json", "json_path", metavar="FILE|-", help="Write the findings as JSON to FILE, or - for standard output."
)
@edge
def doctor(json_path: str | None) -> int:
    """What is found here: browsers, backends, adapters, versions, and what is missing with the remedy."""
    from bittrue.cli.findings import findings_as_data, print_findings
    from bittrue.pipeline import doctor as run_doctor

    screen = Screen(False, json_path)
    with screen.progress():
        findings = run_doctor()
    if json_path:
        write_json(json_path, findings_as_data(findings))
    if json_path != "-":
        print_findings(findings, sys.stdout)
    return DONE


def _models(model: Path | None, reference: Path | None, candidate: Path | None) -> tuple[Path, Path | None]:
    """The one model that was given, or the two. Raises UsageError for anything else."""
    if model is not None and reference is None and candidate is None:
        return model, None
    if model is None and reference is not None and candidate is not None:
        return reference, candidate
    raise UsageError("check takes either one MODEL or both --reference A and --candidate B")


main.add_command(certify)
main.add_command(explain)
main.add_command(listen)
main.add_command(report)
main.add_command(convert)
main.add_command(export)
main.add_command(lint)
main.add_command(repro)
