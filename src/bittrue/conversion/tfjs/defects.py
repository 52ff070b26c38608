"""What backends of TensorFlow.js are known to compute wrongly, and what the converter writes instead.

Each has a repro in plain TensorFlow.js, ``tests/conformance/defects/<name>.mjs``, which is run beside a backend, or
another way of asking, that is right. A model is one artifact for all backends, so what any of them gets wrong is
written around for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .versions import Version

__all__ = ["DEFECTS", "Defect", "defect_of_layer", "present"]


@dataclass(frozen=True)
class Defect:
    """What ``backends`` do with ``op`` where ``condition`` holds, and what is written instead.

    ``layers``: the classes of TensorFlow.js's layers that run into it, which are written as a graph-model. ``seen`` is
    the release on which the repro was run, ``repaired`` the first that is right, None where none is known.
    """

    op: str
    condition: str
    backends: tuple[str, ...]
    effect: str
    rewriting: str
    layers: tuple[str, ...] = ()
    seen: str = "4.22.0"
    repaired: Version | None = None


DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "wasm-max-pool-3d": Defect(
            "MaxPool3D",
            "all numbers in a window are negative",
            ("wasm",),
            "the result is the smallest positive number",
            "maxima over two axes, then over the third",
            layers=("MaxPooling3D",),
        ),
        "wasm-conv3d-transpose": Defect(
            "Conv3DBackpropInputV2",
            "always",
            ("wasm",),
            "the products are added to memory that was never cleared",
            "a convolution of the input with zeros between its elements",
            layers=("Conv3DTranspose",),
        ),
        "wasm-strided-slice-int": Defect(
            "StridedSlice",
            "of whole numbers, with a step other than 1",
            ("wasm",),
            "they are read as float32",
            "a look-up of the places",
        ),
        "wasm-strided-slice-bool": Defect(
            "StridedSlice",
            "of truth values, with a step other than 1",
            ("wasm",),
            "four of them are read as one number",
            "a slice of them as numbers",
        ),
        "wasm-cast-bool": Defect(
            "Cast",
            "of fractions to truth values",
            ("wasm",),
            "the fraction is dropped first, and other whole numbers than 1 are kept",
            "a comparison with 0",
        ),
        "wasm-select-bool": Defect(
            "SelectV2",
            "of truth values",
            ("wasm",),
            "four bytes are written for each, over what lies behind the result",
            "the two conjunctions that say the same",
        ),
        "batch-mat-mul-broadcast": Defect(
            "BatchMatMul",
            "both operands are repeated along axes of their own",
            ("cpu", "wasm"),
            "matrices are paired wrongly",
            "both operands repeated beforehand",
        ),
        "webgpu-transpose-int": Defect(
            "Transpose",
            "of whole numbers or truth values of three axes or more, also inside of reductions",
            ("webgpu",),
            "the shader does not compile and zeros are left",
            "the same as float32 numbers, or a reshaping where only axes of size 1 move",
        ),
        "webgpu-cast-transpose": Defect(
            "Transpose",
            "of what was cast from whole numbers or truth values to float32",
            ("webgpu",),
            "the shader does not compile and zeros are left",
            "a product with 1 after the cast",
        ),
        "webgpu-vector-rank-5": Defect(
            "Add and every other operation of two tensors",
            "one is a vector and the other has five axes",
            ("webgpu",),
            "the shader does not compile and zeros are left",
            "the vector as a matrix of one row",
        ),
        "webgl-max-very-negative": Defect(
            "Max, and Softmax by it",
            "all numbers are below -1e20, as where a mask leaves nothing to attend to",
            ("webgl",),
            "the maximum is -1e20, and softmax divides by 0 or sums up to more than 1",
            "softmax of the numbers or -1e20, whichever is larger",
        ),
        "gpu-pad-rank-5": Defect(
            "PadV2",
            "of five axes",
            ("webgl", "webgpu"),
            "the shader does not compile; webgl says so, webgpu leaves zeros",
            "axis by axis, the others joined",
        ),
        "gpu-strided-slice-rank-5": Defect(
            "StridedSlice",
            "of five axes, with a step other than 1",
            ("webgl", "webgpu"),
            "the shader does not compile; webgl says so, webgpu leaves zeros",
            "all axes before and behind joined",
        ),
        "gpu-where-rank-5": Defect(
            "SelectV2",
            "of five axes",
            ("webgl", "webgpu"),
            "it says that it is not supported",
            "neighbouring axes joined that are treated alike",
        ),
        "layers-concatenate-negative-axis": Defect(
            "Concatenate, the layer",
            "the axis is negative and not the last one",
            ("cpu", "wasm", "webgl", "webgpu"),
            "it joins along the last axis",
            "the axis counted from the front",
        ),
    }
)
"""By name, the backend first where it is one backend's alone."""


def present(name: str, version: Version) -> bool:
    """Whether TensorFlow.js of ``version`` has the defect called ``name``, as far as is known. Raises KeyError."""
    repaired = DEFECTS[name].repaired
    return repaired is None or version < repaired


def defect_of_layer(tfjs_class: str, version: Version) -> tuple[str, Defect] | None:
    """The defect that keeps TensorFlow.js's layer ``tfjs_class`` from being written, with its name."""
    found = ((name, defect) for name, defect in DEFECTS.items() if tfjs_class in defect.layers)
    return next((item for item in found if present(item[0], version)), None)
