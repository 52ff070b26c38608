"""Which convention an image was resized by: libraries disagree on where the centres of pixels lie.

For n output pixels from m input pixels, output i reads the input at (i + ½)·m/n - ½ (half-pixel centres: TensorFlow 2,
Keras, browsers' canvas), at i·m/n (the default of ``tf.image.resizeBilinear`` in TensorFlow.js, and TensorFlow 1) or at
i·(m - 1)/(n - 1) (``alignCorners``). Pillow widens its filters when it shrinks, which none of the others does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bittrue.traces import Array

from .preprocessing import InputTransform, explain_inputs

__all__ = ["Resizing", "explain_resizing"]

_CONVENTIONS: dict[str, Callable[[Array, int, int], Array]] = {
    "half-pixel centres (TensorFlow 2, halfPixelCenters=true)": lambda i, m, n: (i + 0.5) * m / n - 0.5,
    "top left corners (tf.image.resizeBilinear's default)": lambda i, m, n: i * m / n,
    "aligned corners (alignCorners=true)": lambda i, m, n: i * (m - 1) / max(n - 1, 1),
}
_FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True)
class Resizing:
    """How the candidate was resized from the image, and what else was done to it."""

    convention: str
    transform: InputTransform

    def __str__(self) -> str:
        return f"resized by {self.convention}; {self.transform}"


def explain_resizing(image: Array, candidate: Array) -> Resizing | None:
    """The convention by which ``image`` became ``candidate``, None where none that is known comes near.

    ``image`` is (batch, height, width, channels) as decoded, ``candidate`` of the same batch and channels in another
    size. The one that leaves least is returned.
    """
    if image.ndim != 4 or candidate.ndim != 4 or image.shape[0] != candidate.shape[0] or not candidate.size:
        return None
    found: Resizing | None = None
    for convention, resized in _resized(image, candidate.shape[1:3]):
        transform = explain_inputs(resized, candidate)
        if transform is not None and (found is None or _rank(transform) < _rank(found.transform)):
            found = Resizing(convention, transform)
    return found


def _rank(transform: InputTransform) -> tuple[float, float]:
    return -transform.close / transform.values, transform.residual


def _resized(image: Array, size: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    for words, place in _CONVENTIONS.items():
        for kind, sample in (("bilinear", _linear), ("nearest", _nearest)):
            rows = place(np.arange(size[0]), image.shape[1], size[0])
            columns = place(np.arange(size[1]), image.shape[2], size[1])
            yield f"{kind}, {words}", sample(sample(image.astype(np.float64), rows, 1), columns, 2).astype(np.float32)
    yield from _by_pillow(image, size)


def _linear(image: Array, places: Array, axis: int) -> Array:
    last = image.shape[axis] - 1
    places = np.clip(places, 0, last)
    low = np.floor(places).astype(np.int64)
    weight = (places - low).reshape(-1, *(1,) * (image.ndim - axis - 1))
    below, above = np.take(image, low, axis), np.take(image, np.minimum(low + 1, last), axis)
    return np.asarray(below * (1 - weight) + above * weight)


def _nearest(image: Array, places: Array, axis: int) -> Array:
    chosen = np.clip(np.floor(places + 0.5), 0, image.shape[axis] - 1).astype(np.int64)
    return np.take(image, chosen, axis)


def _by_pillow(image: Array, size: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Pillow's filters, channel by channel: in float, or on 8 bits where the image has no more."""
    from PIL import Image

    eight = bool(np.all((image >= 0) & (image <= 255) & (image == np.rint(image))))
    for name in _FILTERS:
        chosen = Image.Resampling[name.upper()]
        planes = [
            np.asarray(Image.fromarray(plane).resize((size[1], size[0]), chosen), np.float32)
            for example in image
            for plane in np.moveaxis(example.astype(np.uint8 if eight else np.float32), -1, 0)
        ]
        stacked = np.stack(planes).reshape(image.shape[0], image.shape[3], *size)
        yield f"Pillow's {name} filter", np.moveaxis(stacked, 1, -1)
