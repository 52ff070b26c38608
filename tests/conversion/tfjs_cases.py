"""Layers to run in TensorFlow.js beside those of the float64 evaluation: what only its layers could get wrong."""

from __future__ import annotations

from itertools import product
from typing import Any

__all__ = ["CASES", "MUST_BE_WRITTEN"]

Case = tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]

_IMAGE, _VOLUME, _SERIES = (8, 9, 4), (6, 7, 5, 3), (9, 4)
_PADDINGS, _STRIDES = ("valid", "same"), (1, 2, 3)


def _windows() -> list[Case]:
    cases: list[Case] = []
    for padding, strides in product(_PADDINGS, _STRIDES):
        moved: dict[str, Any] = {"padding": padding, "strides": strides}
        cases += [
            ("Conv1D", {"filters": 5, "kernel_size": 3, **moved}, (_SERIES,)),
            ("Conv2D", {"filters": 5, "kernel_size": [2, 3], "activation": "relu", **moved}, (_IMAGE,)),
            ("Conv3D", {"filters": 5, "kernel_size": 2, **moved}, (_VOLUME,)),
            ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, **moved}, (_IMAGE,)),
            ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2, **moved}, (_IMAGE,)),
            *(("Conv2DTranspose", {"filters": 5, "kernel_size": size, **moved}, (_IMAGE,)) for size in (2, 3)),
        ]
        cases += [("Conv3DTranspose", {"filters": 4, "kernel_size": size, **moved}, (_VOLUME,)) for size in (2, 3)]
        for kind, (axes, shape) in product(("Max", "Average"), ((1, _SERIES), (2, _IMAGE), (3, _VOLUME))):
            cases.append((f"{kind}Pooling{axes}D", {"pool_size": 2, **moved}, (shape,)))
    return cases


def _shapes() -> list[Case]:
    return [
        *(("Concatenate", {"axis": axis}, ((4, 5, 3), (4, 5, 3))) for axis in (-1, -2, -3, 1, 2, 3)),
        *(("BatchNormalization", {"axis": axis}, (_IMAGE,)) for axis in (-1, 1, 3)),
        *(("LayerNormalization", {"axis": axis}, (_IMAGE,)) for axis in (-1, 1, [2, 3])),
        *(("Softmax", {"axis": axis}, ((4, 5),)) for axis in (-1, 1, 2)),
        *(
            (kind, {}, (shape,))
            for kind in ("BatchNormalization", "LayerNormalization")
            for shape in ((6,), (5, 6), _VOLUME)
        ),
        *(("Flatten", {}, (shape,)) for shape in ((5,), _IMAGE)),
        *(("Reshape", {"target_shape": shape}, ((3, 4, 4),)) for shape in ([6, -1], [48], [2, 2, 12])),
        *(("Dense", {"units": 6}, (shape,)) for shape in ((7,), (5, 7), (3, 5, 7))),
        *((kind, {}, ((4, 5), (1, 5))) for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
        *(("Dot", {"axes": axes}, shapes) for axes, shapes in _DOTS),
        *(
            (f"Global{kind}Pooling{axes}D", {"keepdims": True}, (shape,))
            for kind, (axes, shape) in product(("Max", "Average"), ((1, _SERIES), (2, _IMAGE), (3, _VOLUME)))
        ),
        *(("Dot", {"axes": axes, "normalize": True}, shapes) for axes, shapes in _DOTS),
        ("Add", {}, ((4, 5), (5,))),
        ("UpSampling2D", {"size": [2, 3]}, (_IMAGE,)),
        ("Rescaling", {"scale": [0.1, 0.2, 0.3, 0.4], "offset": [1.0, 2.0, 3.0, 4.0]}, (_IMAGE,)),
        ("Dense", {"units": 3, "kernel_regularizer": "l2", "activity_regularizer": "l1"}, ((7,),)),
        ("Dense", {"units": 3, "kernel_initializer": "lecun_normal", "kernel_constraint": "non_neg"}, ((7,),)),
    ]


_DOTS: list[tuple[Any, tuple[tuple[int, ...], ...]]] = [
    (1, ((5,), (5,))),
    ([2, 1], ((3, 5), (5, 4))),
    ([1, 1], ((5, 3), (5, 4))),
    ([2, 2], ((3, 5), (4, 5))),
    ([1, 2], ((5, 3), (4, 5))),
    ([2, 1], ((3, 5), (5,))),
    ([1, 1], ((5,), (5, 3))),
    (-1, ((3, 5), (4, 5))),
]

CASES: list[Case] = [*_windows(), *_shapes()]
"""Class, options and the shapes of its inputs, batch left out."""

MUST_BE_WRITTEN = frozenset(
    {
        *("Activation", "Add", "AlphaDropout", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        *(
            "BatchNormalization",
            "Concatenate",
            "Conv1D",
            "Conv2D",
            "Conv2DTranspose",
            "Conv3D",
            "Cropping2D",
            "Dense",
        ),
        *("DepthwiseConv2D", "Dot", "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise"),
        *(
            "GlobalAveragePooling1D",
            "GlobalAveragePooling2D",
            "GlobalMaxPooling1D",
            "GlobalMaxPooling2D",
            "Identity",
        ),
        *("LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum"),
        *("Multiply", "PReLU", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "SeparableConv2D", "Softmax"),
        *("UpSampling2D", "ZeroPadding2D"),
    }
)
"""Classes that at least one case must get through: a refusal of everything would pass every comparison."""
