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
from .edge import DONE, FAILED_COMPARISON, edge
from .options import (
    batch_size,
    failing_on,
    image_preprocessing,
    in_targets,
    input_tensors,
    json_file,
    quietly,
    run_of,
    running,
    save_folder,
    tfjs_version,
    trusting,
)
from .screen import Screen, write_json
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
@failing_on
@json_file
@quietly
@edge
def demo(**options: Any) -> int:
    """The experiment that started the project: build it, convert it, run it everywhere, compare."""
    from bittrue.pipeline import demo as run_demo

    screen = Screen(options["quiet"], options["json_path"])
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
@in_targets
@click.option(
    "--against", default="keras:tensorflow", show_default=True, metavar="TARGET", help="What to compare with."
)
@tfjs_version
@running
@save_folder
@trusting
@failing_on
@json_file
@quietly
@edge
def check(**options: Any) -> int:
    """Run MODEL (.keras, .h5 or a TensorFlow.js layers-model) in Python and in browsers, compared layer by layer.

    With --reference A --candidate B, two models instead: each one of those, aligned by name, or by order and shape.
    """
    from bittrue.pipeline import check as run_check
    from bittrue.pipeline import check_models

    first, second = _models(options["model"], options["reference"], options["candidate"])
    screen = Screen(options["quiet"], options["json_path"])
    with screen.progress() as progress:
        run: Callable[..., Any] = partial(run_check, first) if second is None else partial(check_models, first, second)
        data = run(
            options["inputs"],
            options["targets"],
            against=options["against"],
            batch=options["batch"],
            preprocessing=options["preprocessing"],
            run=run_of(options, progress),
        )
    return screen.finish(data, options["fail_on"])


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@tfjs_version
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "layers-model", "graph-model"]),
    default="auto",
    show_default=True,
    help="auto: a layers-model where every layer can be one faithfully, else a graph-model.",
)
@click.option(
    "--quantize",
    multiple=True,
    metavar="DTYPE[:PATTERN]",
    help="Store weights as float16, uint16 or uint8: all, or those whose name fits PATTERN (like '*/kernel'). "
    "Repeatable; of several that fit, the last.",
)
@trusting
@quietly
@edge
def convert(
    model: Path, out: Path, tfjs: str | None, form: Any, quantize: tuple[str, ...], trust: bool, quiet: bool
) -> int:
    """Write MODEL for TensorFlow.js into the folder OUT."""
    from bittrue.pipeline import convert as run_convert

    artifact = run_convert(model, out, tfjs=tfjs, form=form, quantize=quantize, trust=trust)
    if not quiet:
        size = sum((artifact.folder / name).stat().st_size for name in artifact.files)
        click.echo(
            f"{artifact.format} for TensorFlow.js {artifact.version}: {artifact.folder} "
            f"({len(artifact.files)} files, {size:,} bytes)"
        )
        if artifact.reason:
            click.echo(f"A graph-model, because {artifact.reason}")
    return DONE


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@tfjs_version
@trusting
@click.option(
    "--fail-on",
    type=click.Choice(["refused", "never"]),
    default="never",
    show_default=True,
    help="Exit with 1 if MODEL cannot be written faithfully, in either form.",
)
@json_file
@quietly
@edge
def lint(model: Path, tfjs: str | None, trust: bool, fail_on: str, json_path: str | None, quiet: bool) -> int:
    """What TensorFlow.js would reject or silently compute differently in MODEL, and what convert does about it."""
    from bittrue.cli.linting import lint_as_data, print_lint
    from bittrue.pipeline import lint as run_lint

    screen = Screen(quiet, json_path)
    result = run_lint(model, tfjs=tfjs, trust=trust)
    if json_path:
        write_json(json_path, lint_as_data(result))
    if not quiet:
        print_lint(result, screen.out)
    return FAILED_COMPARISON if fail_on == "refused" and result.form is None else DONE


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
    screen.say(f"{options['out']}: {len(found)} tensors, {found.nbytes:,} bytes, from {found.provenance.target}")
    return DONE


@main.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@failing_on
@json_file
@quietly
@edge
def compare(reference: Path, candidate: Path, fail_on: str, json_path: str | None, quiet: bool) -> int:
    """Compare two saved runs: traces, or JSON as the document's script writes it."""
    from bittrue.pipeline import compare as run_compare

    screen = Screen(quiet, json_path)
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
