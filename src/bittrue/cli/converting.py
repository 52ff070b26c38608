"""`bittrue convert`, `bittrue export` and `bittrue lint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .edge import DONE, FAILED_COMPARISON, edge
from .options import json_file, quietly, tfjs_version, trusting, with_custom
from .screen import Screen, write_json

if TYPE_CHECKING:
    from bittrue.conversion.tfjs import Artifact

__all__ = ["convert", "export", "lint"]


@click.command()
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
@click.option(
    "--shims",
    is_flag=True,
    help="A layers-model nonetheless: a small module beside it registers the layers that TensorFlow.js lacks.",
)
@trusting
@with_custom
@quietly
@edge
def convert(**options: Any) -> int:
    """Write MODEL for TensorFlow.js into the folder OUT."""
    from bittrue.pipeline import convert as run_convert

    given = ("tfjs", "form", "quantize", "shims", "trust", "custom")
    artifact = run_convert(options["model"], options["out"], **{name: options[name] for name in given})
    if not options["quiet"]:
        for line in _told(artifact, options["out"]):
            click.echo(line)
    return DONE


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--quantize",
    multiple=True,
    metavar="DTYPE[:PATTERN]",
    help="Store weights as float16, uint16 or uint8: those of two axes or more, or those whose name fits PATTERN (like "
    "'*/kernel'). Repeatable; of several that fit, the last.",
)
@trusting
@with_custom
@quietly
@edge
def export(**options: Any) -> int:
    """Write MODEL as the exact model OUT (safetensors), whose bits are the same in Python, browsers and Node."""
    from bittrue.pipeline import export as run_export

    given = ("quantize", "trust", "custom")
    done = run_export(options["model"], options["out"], **{name: options[name] for name in given})
    if not options["quiet"]:
        size = options["out"].stat().st_size
        click.echo(f"{options['out']}: {done.plan.semantics}, {len(done.plan.operations)} operations, {size:,} bytes")
        for note in done.notes:
            click.echo(note)
    return DONE


def _told(artifact: Artifact, out: Path) -> list[str]:
    """What was written, and what decided."""
    size = sum((artifact.folder / name).stat().st_size for name in artifact.files)
    files = f"{len(artifact.files)} files, {size:,} bytes"
    told = [f"{artifact.format} for TensorFlow.js {artifact.version}: {out} ({files})"]
    if artifact.reason and artifact.format == "graph-model":
        told.append(f"A graph-model, because {artifact.reason}")
    if artifact.reason and artifact.format == "layers-model":
        told.append(f"It needs {artifact.shims}, imported before it is loaded, because {artifact.reason}")
    return [*told, *artifact.notes]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@tfjs_version
@trusting
@with_custom
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
def lint(**options: Any) -> int:
    """What TensorFlow.js would reject or silently compute differently in MODEL, and what convert does about it."""
    from bittrue.cli.linting import lint_as_data, print_lint
    from bittrue.pipeline import lint as run_lint

    screen = Screen(options["quiet"], options["json_path"])
    result = run_lint(options["model"], **{name: options[name] for name in ("tfjs", "trust", "custom")})
    if options["json_path"]:
        write_json(options["json_path"], lint_as_data(result))
    if not options["quiet"]:
        print_lint(result, screen.out)
    return FAILED_COMPARISON if options["fail_on"] == "refused" and result.form is None else DONE
