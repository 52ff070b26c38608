"""Three trained networks that people use, on a real photograph, in Python and everywhere else that is found here.

The P-, R- and O-Net of the package ``mtcnn`` find faces one after another; the photograph is scikit-image's
``astronaut``. Their inputs are prepared by the package itself: the photograph at the scale of its pyramid at which
P-Net is surest of a face, the 24x24 patches of all boxes that P-Net proposes at any scale, and the 48x48 patches of
the boxes that R-Net keeps.

    python examples/mtcnn_faces.py [--in TARGET …] [--out DIR]

leaves each network (``pnet.keras``) and its input (``pnet.npz``) in DIR, so that

    bittrue check DIR/pnet.keras --input DIR/pnet.npz

says more about any of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bittrue.errors import BittrueError
from bittrue.pipeline import Run, check
from bittrue.report.data import ReportData, TargetOutcome
from bittrue.report.text import short
from bittrue.tracefile import read_trace
from bittrue.traces import Key

Array = NDArray[Any]

LANDMARKS = ("left eye", "right eye", "nose", "mouth left", "mouth right")


@dataclass(frozen=True)
class Network:
    """One network as a Functional model of one input called ``image``.

    ``image`` is (batch, height, width, 3) float32, as the package prepares it. ``boxes`` are the corners of the
    patches in the photograph, (batch, 6) as the package keeps them; None where the whole photograph is fed.
    """

    name: str
    title: str
    model: Any = field(repr=False)
    image: Array = field(repr=False)
    boxes: Array | None = field(repr=False, default=None)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``<name>.keras`` and ``<name>.npz`` and return their paths."""
        model, inputs = folder / f"{self.name}.keras", folder / f"{self.name}.npz"
        self.model.save(model)
        np.savez(inputs, image=self.image)
        return model, inputs


def networks() -> tuple[Network, Network, Network]:
    """The three networks with their trained weights, each with what it is fed for the photograph."""
    from mtcnn.stages import StageONet, StagePNet, StageRNet
    from mtcnn.utils.images import extract_patches, standarize_batch
    from skimage.data import astronaut

    photograph, shapes, _ = standarize_batch([astronaut()])
    proposing, refining, final = StagePNet(), StageRNet(), StageONet()
    proposed = proposing(images_normalized=photograph, images_oshapes=shapes, bboxes_batch=None)
    kept = refining(images_normalized=photograph, bboxes_batch=proposed)
    scaled = _surest_scale(proposing.model, photograph)
    small = np.asarray(extract_patches(photograph, proposed, expected_size=(24, 24)))
    large = np.asarray(extract_patches(photograph, kept, expected_size=(48, 48)))
    whole = f"P-Net on the whole photograph at {scaled.shape[2]}x{scaled.shape[1]}"
    return (
        Network("pnet", whole, functional(proposing.model, (None, None, 3), "pnet"), scaled),
        Network("rnet", _patches("R-Net", small), functional(refining.model, (24, 24, 3), "rnet"), small, proposed),
        Network("onet", _patches("O-Net", large), functional(final.model, (48, 48, 3), "onet"), large, kept),
    )


def functional(network: Any, shape: tuple[int | None, ...], name: str) -> Any:
    """The subclassed ``network`` as a Functional model of the same layers and weights."""
    import keras

    entry = keras.Input(shape, name="image")
    return keras.Model(entry, network.call(entry), name=name)


def _surest_scale(network: Any, photograph: Array) -> Array:
    """The photograph at the scale of the package's pyramid at which P-Net gives a face its highest probability."""
    from mtcnn.utils.images import build_scale_pyramid, scale_images

    _, height, width, _ = photograph.shape
    scales = build_scale_pyramid(width, height, min_face_size=20, scale_factor=0.709)
    scaled = [scale_images(photograph, scale) for scale in scales]
    _, best = max((float(np.max(network(image)[1][..., 1])), place) for place, image in enumerate(scaled))
    return np.asarray(scaled[best])


def _patches(name: str, patches: Array) -> str:
    count, height, width, _ = patches.shape
    return f"{name} on {count} patches of {width}x{height}"


@dataclass(frozen=True)
class Face:
    """What O-Net says of its best patch.

    ``probability`` of a face; ``landmarks``, five points (x, y) relative to the patch, as O-Net returns them;
    ``points``, the same in pixels of the photograph; ``size`` of the patch in those pixels (width, height).
    """

    probability: np.float32
    landmarks: Array
    points: Array
    size: Array

    def apart(self, other: Face) -> float:
        """The largest distance of a coordinate of a landmark from the other's, in pixels; 0 only if all are equal."""
        difference = self.landmarks.astype(np.float64) - other.landmarks.astype(np.float64)
        return float(np.abs(difference * self.size).max())


def face(network: Network, saved: str | Path) -> Face:
    """The face in the saved trace of an O-Net run."""
    import tensorflow as tf
    from mtcnn.utils.landmarks import adjust_landmarks

    assert network.boxes is not None, "only a network that is fed patches says where a face is"
    trace = read_trace(saved)
    scores = trace[Key("output", "fc6-3")].load()[:, 1]
    best = int(np.argmax(scores))
    landmarks = np.array(trace[Key("output", "fc6-2")].load())
    points = adjust_landmarks(tf.constant(landmarks), network.boxes)[best].reshape(2, 5).T
    left, top, right, bottom = network.boxes[best, 1:5]
    return Face(scores[best], landmarks[best].reshape(2, 5).T, points, np.array([right - left + 1, bottom - top + 1]))


def show(network: Network, data: ReportData, out: Path, console: Console) -> None:
    """The result of one network: a row for each target, then the face where the network has found one."""
    table = Table(title=network.title, title_justify="left", box=None, pad_edge=False)
    table.add_column("target")
    for heading in ("identical\nlayers", "identical\nnumbers", "largest\nrelative", "ULP median\noutputs"):
        table.add_column(heading, justify="right")
    table.add_column("answered by")
    for outcome in data.targets:
        table.add_row(*_row(network, data, outcome))
    console.print(table)
    for failed in data.failures:
        console.print(str(failed.failure), soft_wrap=True)
    if network.name == "onet":
        _show_faces(network, data, out, console)
    console.print()


def _row(network: Network, data: ReportData, outcome: TargetOutcome) -> list[str]:
    if outcome.comparison is None or outcome.provenance is None:
        return [outcome.target, outcome.status, "", "", "", ""]
    found = {row.key.layer: row.pair.metrics for row in data.rows(outcome) if row.pair.metrics is not None}
    metrics = list(found.values())
    last = [found[name] for name in network.model.output_names if name in found]
    size, different = sum(m.size for m in metrics), sum(m.different_bits for m in metrics)
    software = ", software adapter" if outcome.provenance.software else ""
    return [
        outcome.target,
        f"{sum(m.identical for m in metrics)} of {len(metrics)}",
        "all" if not different else f"{size - different:,} of {size:,}",
        short(max(m.max_abs_to_scale for m in metrics), 2),
        short(max((m.median_ulp for m in last if m.median_ulp is not None), default=None)),
        f"{outcome.provenance.runtime} {outcome.provenance.version}, {outcome.provenance.backend}{software}",
    ]


def _show_faces(network: Network, data: ReportData, out: Path, console: Console) -> None:
    reference = face(network, out / "reference.safetensors")
    spots = ", ".join(f"{name} ({x:.2f}, {y:.2f})" for name, (x, y) in zip(LANDMARKS, reference.points, strict=True))
    console.print(f"\nThe face in Keras: probability {reference.probability}; {spots}", soft_wrap=True)
    for outcome in data.targets:
        if outcome.saved is None or outcome.comparison is None:
            continue
        found = face(network, outcome.saved)
        same = "the same bits" if found.probability == reference.probability else f"{found.probability}"
        apart = found.apart(reference)
        lie = f"lie {apart:.1e} pixels from Keras's at most" if apart else "are the same in every bit"
        console.print(f"  {outcome.target}: probability {same}; the landmarks {lie}", soft_wrap=True)


def run(
    targets: Sequence[str], out: Path, console: Console, wanted: Iterable[Network] | None = None
) -> list[ReportData]:
    """Save and check every network; one ReportData each."""
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for network in wanted if wanted is not None else networks():
        model, inputs = network.save(out)
        traces = out / network.name
        data = check(model, str(inputs), targets, run=Run(save=traces))
        show(network, data, traces, console)
        found.append(data)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description="mtcnn's three networks on a photograph, in Python and in browsers")
    parser.add_argument(
        "--in", dest="targets", action="append", default=[], metavar="TARGET", help="default: all found"
    )
    parser.add_argument("--out", type=Path, default=Path("mtcnn-faces"), metavar="DIR", help="default: %(default)s")
    given = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    try:
        reports = run(given.targets, given.out, console)
    except BittrueError as error:
        print(f"mtcnn_faces: {error}", file=sys.stderr)
        return error.exit_code
    console.print(f"The models, their inputs and all traces are in {given.out}.", soft_wrap=True)
    return 3 if any(data.failures for data in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
