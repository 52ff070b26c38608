"""The options that several commands share, and the `Run` that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import click

__all__ = [
    "batch_size",
    "failing_on",
    "image_preprocessing",
    "in_targets",
    "input_tensors",
    "json_file",
    "one_layer",
    "quietly",
    "reporting",
    "run_of",
    "running",
    "save_folder",
    "tfjs_version",
    "trusting",
    "verbosely",
    "with_custom",
]

P = ParamSpec("P")

in_targets = click.option(
    "--in",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="Where to run: engine:backend[@version][+FLAG=VALUE], e.g. chrome:webgl. Several: one after "
    "another, by commas, or repeated. Default: every browser and backend found here.",
)
tfjs_version = click.option("--tfjs", metavar="VERSION", help="TensorFlow.js version of all targets that name none.")
json_file = click.option(
    "--json", "json_path", metavar="FILE|-", help="Write the result as JSON to FILE, or - for standard output."
)


def reporting(command: Callable[P, Any]) -> Callable[P, Any]:
    """The options of a command that can write the report as HTML."""
    to_file = click.option(
        "--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the report as one HTML file."
    )
    opened = click.option("--open", "open_report", is_flag=True, help="Open the report in the default browser.")
    return to_file(opened(command))


quietly = click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors (and JSON, if asked).")
verbosely = click.option(
    "--verbose", "-v", is_flag=True, help="Print everything: each target's sentences in full, and its layers."
)
save_folder = click.option(
    "--save", type=click.Path(path_type=Path), metavar="DIR", help="Keep traces and converted models in DIR."
)
failing_on = click.option(
    "--fail-on",
    type=click.Choice(["bits", "never"]),
    default="never",
    show_default=True,
    help="Exit with 1 if any compared tensor differs in any bit.",
)
trusting = click.option(
    "--trust", is_flag=True, help="Let the model execute code that it brings along (Lambda layers)."
)
with_custom = click.option(
    "--custom",
    multiple=True,
    metavar="MODULE:CLASS",
    help="A layer, model or function of your own that MODEL names. Repeatable.",
)
input_tensors = click.option(
    "--input",
    "inputs",
    default="ones",
    show_default=True,
    metavar="FILE|ones|random:SEED",
    help="npy, npz (by input name), safetensors, an image or a folder of images; the first axis is the batch.",
)
image_preprocessing = click.option(
    "--preprocessing", metavar="STEPS", help="For images, e.g. resize=224x224,scale=1/127.5,offset=-1,order=rgb."
)
batch_size = click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Batch of ones and random inputs."
)


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 < value < math.inf:
        raise click.BadParameter(f"{value} is no number of seconds above 0.")
    return value


_RUNNING = (
    click.option(
        "--runs",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Repeat the prediction; all must agree.",
    ),
    click.option(
        "--budget",
        type=click.IntRange(1),
        metavar="MIB",
        help="Memory that capturing may add to the prediction alone, in MiB [512]: what does not fit is captured "
        "in several passes, and a budget that is too small is raised with a sentence.",
    ),
    click.option(
        "--timeout",
        type=float,
        default=120.0,
        callback=_finite,
        show_default=True,
        help="Seconds of silence after which a browser, Node or a Python process that was started counts as hung. "
        "It cannot end keras:tensorflow without flags, which runs in this process.",
    ),
    click.option(
        "--webdriver", metavar="URL", help="Open browsers through this remote WebDriver (a Selenium Grid, say)."
    ),
    click.option(
        "--listen",
        metavar="ADDRESS",
        help="The address of this machine that a device opens (--in device) [the only one in a private network].",
    ),
    click.option(
        "--wait",
        type=float,
        default=900.0,
        callback=_finite,
        show_default=True,
        help="Seconds that somebody has to start the run on a device.",
    ),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve on [any free one]."),
)


def running(command: Callable[P, Any]) -> Callable[P, Any]:
    """The options of every command that runs a model."""
    return _with(_RUNNING, command)


_LAYER = (
    click.argument("result", metavar="TRACE|RESULT", type=click.Path(path_type=Path)),
    click.argument("layer"),
    click.option(
        "--against",
        type=click.Path(path_type=Path),
        metavar="TRACE",
        help="The reference's trace [reference.safetensors beside TRACE].",
    ),
    click.option(
        "--model",
        type=click.Path(path_type=Path),
        help="The model that was run, where no graph.json stands beside TRACE.",
    ),
)


def one_layer(command: Callable[P, Any]) -> Callable[P, Any]:
    """What names a layer of a saved run, and where else to look for what belongs to it."""
    return _with(_LAYER, command)


def _with(options: Sequence[Callable[[Any], Any]], command: Callable[P, Any]) -> Callable[P, Any]:
    for option in reversed(options):
        command = option(command)
    return command


def run_of(options: dict[str, Any], progress: Any) -> Any:
    """The `Run` that a command's options ask for."""
    from bittrue.pipeline import Run
    from bittrue.runtimes.base import DEFAULT_BUDGET

    from .inviting import invite

    return Run(
        runs=options["runs"],
        budget=options["budget"] * 2**20 if options["budget"] else DEFAULT_BUDGET,
        timeout=options["timeout"],
        tfjs=options["tfjs"],
        save=options.get("save"),
        webdriver=options["webdriver"],
        port=options["port"],
        listen=options["listen"],
        wait=options["wait"],
        invite=invite,
        trust=options.get("trust", False),
        custom=options.get("custom", ()),
        explain=not options.get("no_explain", False),
        progress=progress,
    )
