"""Images as input tensors, with a preprocessing that is written down and not guessed.

The grammar is ``step=value`` joined by commas, each step at most once, in any order::

    resize=WIDTHxHEIGHT       absent: the image has the right size already
    resample=FILTER           nearest, box, bilinear (default), hamming, bicubic or lanczos
    order=rgb|bgr|gray        default rgb; gray is ITU-R 601 luma (Pillow's mode L)
    scale=NUMBER              a number or a fraction such as 1/127.5; default 1
    offset=NUMBER             default 0; one number, or one a channel as in -103.939:-116.779:-123.68
    layout=last|first         where the channel axis stands; default last

What happens, in this order: Pillow decodes the file, turns it as its EXIF orientation says (as browsers do),
converts it to 8-bit RGB or gray (transparency is dropped), and resizes it with the filter, which widens its
support when shrinking and rounds to 8 bits. Then, in float32, ``value * scale + offset``: scale and offset
are rounded to float32 once, the product is rounded, the sum is rounded.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.errors import InputError, UsageError
from bittrue.traces import Array

__all__ = ["IMAGE_SUFFIXES", "Preprocessing", "image_files", "parse_preprocessing", "read_images"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_ORDERS = ("rgb", "bgr", "gray")
_LAYOUTS = ("last", "first")
_EXAMPLE = "resize=224x224,scale=1/127.5,offset=-1,order=rgb"


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a tensor.

    ``size`` is (width, height); ``scale`` and ``offset`` are one number, or one a channel.
    """

    size: tuple[int, int] | None = None
    resample: str = "bilinear"
    order: str = "rgb"
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    layout: str = "last"


def parse_preprocessing(text: str) -> Preprocessing:
    """A preprocessing from its text; see the module for the grammar. Raises UsageError."""
    fields: dict[str, Any] = {}
    for step in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = step.partition("=")
        if name not in _STEPS or not separator:
            near = difflib.get_close_matches(name, _STEPS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_STEPS)}"
            raise UsageError(f"{step!r} is no step of a preprocessing such as {_EXAMPLE}: {hint}")
        field, read = _STEPS[name]
        if field in fields:
            raise UsageError(f"the preprocessing {text!r} says {name} twice; say it once")
        fields[field] = read(name, value.strip())
    preprocessing = Preprocessing(**fields)
    _check_channels(preprocessing)
    return preprocessing


def _size(name: str, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", value)
    if match is None:
        raise UsageError(f"{name}={value!r} is no size in pixels; write WIDTHxHEIGHT, such as 224x224")
    return int(match[1]), int(match[2])


def _numbers(name: str, value: str) -> tuple[float, ...]:
    try:
        return tuple(_ratio(part) for part in value.split(":"))
    except (ValueError, ZeroDivisionError):
        message = f"{name}={value!r} is no number; write one such as 0.5 or 1/127.5, or one a channel as in 1:2:3"
        raise UsageError(message) from None


def _ratio(text: str) -> float:
    numerator, separator, denominator = text.partition("/")
    ratio = float(numerator) / (float(denominator) if separator else 1.0)
    if not math.isfinite(ratio):
        raise ValueError("not finite")
    return ratio


def _choice(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in choices:
            raise UsageError(f"{name}={value!r} is not one of {', '.join(choices)}")
        return value

    return read


_STEPS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "resize": ("size", _size),
    "resample": ("resample", _choice(_FILTERS)),
    "order": ("order", _choice(_ORDERS)),
    "scale": ("scale", _numbers),
    "offset": ("offset", _numbers),
    "layout": ("layout", _choice(_LAYOUTS)),
}


def _check_channels(preprocessing: Preprocessing) -> None:
    channels = 1 if preprocessing.order == "gray" else 3
    for name in ("scale", "offset"):
        count = len(getattr(preprocessing, name))
        if count not in (1, channels):
            raise UsageError(f"{name} has {count} numbers for {channels} channels; give one or {channels}")


def image_files(path: Path) -> list[Path]:
    """The image at ``path``, or the images in that folder in the order of their names. Raises InputError."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not found:
        raise InputError(f"the folder {path} holds no image ({', '.join(IMAGE_SUFFIXES)}); give one that does")
    return found


def read_images(files: list[Path], preprocessing: Preprocessing) -> Array:
    """The images as one float32 tensor, (count, height, width, channels) or channels second. Raises InputError."""
    images = [_tensor(file, preprocessing) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            message = f"{file} has the shape {image.shape} and {files[0]} {images[0].shape}; add resize=WIDTHxHEIGHT"
            raise InputError(message)
    return np.stack(images)


def _tensor(file: Path, preprocessing: Preprocessing) -> Array:
    pixels = _pixels(file, preprocessing).astype(np.float32)
    scale, offset = (np.array(numbers, np.float32) for numbers in (preprocessing.scale, preprocessing.offset))
    tensor = pixels * scale + offset
    return np.ascontiguousarray(np.moveaxis(tensor, -1, 0)) if preprocessing.layout == "first" else tensor


def _pixels(file: Path, preprocessing: Preprocessing) -> Array:
    """8-bit pixels, (height, width, channels)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            if opened.mode.startswith(("I", "F")):
                raise InputError(f"{file} has more than 8 bits a channel ({opened.mode}); give the tensor as .npy")
            image = ImageOps.exif_transpose(opened).convert("L" if preprocessing.order == "gray" else "RGB")
            if preprocessing.size is not None:
                image = image.resize(preprocessing.size, Image.Resampling[preprocessing.resample.upper()])
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} is not an image that Pillow can read: {error}") from error
    pixels = np.asarray(image)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    return pixels[..., ::-1] if preprocessing.order == "bgr" else pixels
