"""``bittrue certify``: do several targets compute the same bits?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bittrue.errors import UsageError

from .edge import DONE, FAILED_COMPARISON, edge
from .options import in_targets, json_file, quietly, run_of, running, tfjs_version, trusting
from .screen import Screen, write_json
from .words import TargetCommand

__all__ = ["certify"]

_LARGEST = 256 * 2**20  # bytes of a certificate that is read


@click.command(cls=TargetCommand)
@click.argument("model", type=click.Path(path_type=Path))
@in_targets
@click.option(
    "--input",
    "inputs",
    metavar="FILE|ones|random:SEED",
    help="The examples, as for check. Default: ones and random examples in batches of several sizes.",
)
@click.option(
    "--examples", type=click.IntRange(1), default=32, show_default=True, help="Examples where no --input is given."
)
@click.option("-o", "--out", metavar="FILE", help="Write the certificate (JSON) to FILE.")
@click.option(
    "--same-as",
    type=click.Path(path_type=Path),
    metavar="CERTIFICATE",
    help="Exit with 1 unless every hash is that of an earlier certificate of the model.",
)
@tfjs_version
@running
@trusting
@json_file
@quietly
@edge
def certify(**options: Any) -> int:
    """Certify that MODEL gives the same bits on every TARGET: all layers, many inputs, one hash a tensor.

    Exits with 1 if any bit differs.
    """
    from bittrue.pipeline import certify as run_certify
    from bittrue.report.certificate import as_data, lines, unlike

    screen = Screen(options["quiet"], options["json_path"] or options["out"])
    earlier = _read(options["same_as"]) if options["same_as"] else None
    with screen.progress() as progress:
        found = run_certify(
            options["model"],
            options["targets"],
            inputs=options["inputs"],
            examples=options["examples"],
            run=run_of(options, progress),
        )
    data = as_data(found.certificate, found.model_data, found.made)
    for path in filter(None, (options["out"], options["json_path"])):
        write_json(path, data)
    for line in lines(found.certificate, found.model_data):
        screen.say(line)
    other = unlike(data, earlier) if earlier is not None else None
    if earlier is not None:
        screen.say(f"Other bits than {options['same_as']}: {other}" if other else f"The bits of {options['same_as']}.")
    failed = other or not found.certificate.identical or found.certificate.failed_checks
    return FAILED_COMPARISON if failed else DONE


def _read(path: Path) -> dict[str, Any]:
    """An earlier certificate. Raises UsageError for anything else."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        data = json.loads(path.read_text(encoding="utf-8"))
        sound = data["schema"] == "bittrue/certificate/1" and isinstance(data["inputs"], list)
        if not sound or not all(
            {"kind", "layer", "call", "index", "sha256"} <= tensor.keys() for tensor in data["hashes"]
        ):
            raise ValueError("it is of another kind")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no certificate that bittrue certify wrote ({error})") from error
    return data  # type: ignore[no-any-return]
