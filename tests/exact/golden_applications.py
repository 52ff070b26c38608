"""Every architecture of keras.applications as an exact model with weights and images of our own, and its golden hash.

The hash covers the result of every operation and the outputs, for three images. Weights are drawn so that what one
layer gives has about the size of what it is given. ``python tests/exact/golden_applications.py [NAME …]`` writes
golden_applications.json anew, by the oracle, which changes only with the semantics or with what is lowered.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from drawn import kernel, uniform
from golden_models import Built
from subjects import by_oracle, described, fingerprint

from bittrue.traces import Array

__all__ = ["APPLICATIONS", "GOLDEN", "Application", "built", "golden", "sane"]

GOLDEN = Path(__file__).with_name("golden_applications.json")
IMAGES = 3
_SQUARES = 4  # on a side


@dataclass(frozen=True)
class Application:
    """An architecture. ``side``: of its images, in pixels. ``scale``: of the factors by which its normalizations
    multiply; less than 1 where branches are added up, so that sums of many do not grow without end."""

    side: int
    scale: float


def _all(prefix: str, names: Iterable[object], side: int = 64, scale: float = 1.0) -> dict[str, Application]:
    return {f"{prefix}{name}": Application(side, scale) for name in names}


APPLICATIONS: dict[str, Application] = {
    **_all("ConvNeXt", ("Tiny", "Small", "Base", "Large", "XLarge")),
    **_all("DenseNet", (121, 169, 201)),
    **_all("EfficientNetB", range(8), scale=0.85),
    **_all("EfficientNetV2", ("B0", "B1", "B2", "B3", "S", "M", "L"), scale=0.7),
    **_all("Inception", ("ResNetV2", "V3"), side=75),
    **_all("MobileNet", ("", "V2", "V3Small")),
    **_all("MobileNet", ("V3Large",), scale=0.7),
    **_all("NASNet", ("Mobile", "Large"), scale=0.5),
    **_all("ResNet", (50, 101, 152), scale=0.5),
    **_all("ResNet", ("50V2", "101V2", "152V2"), scale=0.5),
    **_all("VGG", (16, 19)),
    **_all("Xception", ("",), side=71, scale=0.5),
}


def model_of(name: str) -> Any:
    """The architecture as Keras builds it, with our weights."""
    import keras

    chosen = APPLICATIONS[name]
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(chosen.side, chosen.side, 3))
    for at, variable in enumerate(model.weights):
        variable.assign(_weight(f"{name}/{at}", variable, chosen.scale))
    return model


def _weight(name: str, variable: Any, scale: float) -> Array:
    shape = tuple(variable.shape)
    if "float" not in str(variable.dtype):
        return np.zeros(shape, str(variable.dtype))  # a count that no prediction reads
    if "variance" in variable.name:
        return uniform(name, shape, 0.5, 1.5)
    if variable.name == "gamma":
        return uniform(name, shape, 0.5 * scale, 1.5 * scale)
    if len(shape) < 2:
        return uniform(name, shape, -0.2, 0.2)
    depthwise = len(shape) == 4 and shape[3] == 1
    return kernel(name, shape, shape[0] * shape[1] if depthwise else int(np.prod(shape[:-1])), 2.0)


def images(name: str, model: Any) -> Array:
    """Coarse squares under fine noise: 0 to 255 where the model rescales them itself, else -1 to 1."""
    side = APPLICATIONS[name].side
    squares = uniform(f"{name}/squares", (IMAGES, _SQUARES, _SQUARES, 3), -0.75, 0.75)
    coarse = squares.repeat(-(-side // _SQUARES), axis=1).repeat(-(-side // _SQUARES), axis=2)[:, :side, :side]
    drawn = coarse + uniform(f"{name}/noise", coarse.shape, -0.25, 0.25)
    rescales = any(type(layer).__name__ == "Rescaling" for layer in model._flatten_layers())
    return (drawn + 1) * np.float32(127.5) if rescales else drawn


def built(name: str) -> Built:
    """The plan of an architecture, its constants and inputs."""
    import keras

    from bittrue.exact.export import lowered
    from bittrue.model.reading import graph_of

    keras.backend.clear_session()
    model = model_of(name)
    x = images(name, model)
    plan, constants = lowered(graph_of(model))
    del model
    gc.collect()
    return plan, constants, {plan.inputs[0].name: x}


def sane(name: str, tensors: list[Array], outputs: int) -> None:
    """All numbers are finite, and the probabilities of no two images are alike. Raises ValueError."""
    if not all(np.isfinite(tensor).all() for tensor in tensors if tensor.dtype == np.float32):
        raise ValueError(f"{name}: numbers are not finite")
    for output in tensors[-outputs:]:
        if output.max() > 0.9 or any(np.mean(output[at] == output[at - 1]) > 0.1 for at in range(len(output))):
            raise ValueError(f"{name}: its outputs say the same of two images, or hardly anything: change its scale")


@cache
def golden() -> dict[str, str]:
    """The hash of every architecture."""
    found: dict[str, str] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def main(names: list[str]) -> None:
    """Write the golden file, or the entries of ``names``."""
    for name in names or APPLICATIONS:
        begun = time.monotonic()
        plan, constants, inputs = built(name)
        tensors = by_oracle(plan, constants, inputs)
        sane(name, tensors, len(plan.outputs))
        known = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
        known[name] = fingerprint(map(described, tensors))
        GOLDEN.write_text(json.dumps(dict(sorted(known.items())), indent=0) + "\n", encoding="utf-8")
        print(f"{name}: {known[name]} after {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
