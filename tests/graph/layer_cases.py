"""Layers to compare with Keras: class, options, input shapes. Every option that moves the numbers, twice at least."""

from __future__ import annotations

from itertools import product
from typing import Any

from bittrue.graph.layers.activations import ACTIVATIONS

Case = tuple[str, dict[str, Any], tuple[tuple[int, ...], ...]]

FIRST = "channels_first"
SPATIAL = {1: (9,), 2: (9, 8), 3: (6, 5, 7)}


def _activations() -> list[Case]:
    named: list[Case] = [("Activation", {"activation": name}, ((5, 8),)) for name in sorted(ACTIVATIONS)]
    return [
        *named,
        ("Activation", {"activation": "softmax"}, ((2, 3, 4, 5),)),
        ("ReLU", {}, ((4, 9),)),
        ("ReLU", {"max_value": 1.5}, ((4, 9),)),
        ("ReLU", {"max_value": 6.0}, ((4, 9),)),
        ("ReLU", {"negative_slope": 0.3}, ((4, 9),)),
        ("ReLU", {"threshold": 0.7}, ((4, 9),)),
        ("ReLU", {"negative_slope": 0.3, "threshold": 0.0, "max_value": 1.2}, ((4, 9),)),
        ("ReLU", {"negative_slope": 0.3, "threshold": 0.7, "max_value": 1.2}, ((4, 9),)),
        ("LeakyReLU", {}, ((4, 9),)),
        ("LeakyReLU", {"negative_slope": 0.1}, ((4, 9),)),
        ("PReLU", {}, ((2, 5, 4, 3),)),
        ("PReLU", {"shared_axes": [1, 2]}, ((2, 5, 4, 3),)),
        ("ELU", {}, ((4, 9),)),
        ("ELU", {"alpha": 0.3}, ((4, 9),)),
        ("Softmax", {}, ((3, 4, 5),)),
        ("Softmax", {"axis": 1}, ((3, 4, 5),)),
        ("Softmax", {"axis": [1, 2]}, ((3, 4, 5),)),
    ]


def _core() -> list[Case]:
    return [
        ("Dense", {"units": 7}, ((3, 5),)),
        ("Dense", {"units": 7, "use_bias": False, "activation": "tanh"}, ((3, 5),)),
        ("Dense", {"units": 7, "activation": "relu"}, ((2, 4, 3, 5),)),
        ("Dense", {"units": 7, "lora_rank": 2}, ((3, 5),)),
        ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 6, "bias_axes": "c"}, ((3, 5),)),
        (
            "EinsumDense",
            {"equation": "abc,cde->abde", "output_shape": (None, 2, 4), "lora_rank": 3, "lora_alpha": 5},
            ((3, 5, 6),),
        ),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "lora_rank": 2, "lora_alpha": 1}, ((2, 6, 5, 3),)),
        ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 4), "bias_axes": "de"}, ((3, 5, 6),)),
        ("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 4, "activation": "relu"}, ((3, 5, 6),)),
        ("Masking", {}, ((3, 4, 2),)),
        ("Dropout", {"rate": 0.5}, ((3, 4),)),
        ("SpatialDropout2D", {"rate": 0.5}, ((3, 4, 4, 2),)),
        ("GaussianNoise", {"stddev": 1.0}, ((3, 4),)),
        ("GaussianDropout", {"rate": 0.3}, ((3, 4),)),
        ("AlphaDropout", {"rate": 0.3}, ((3, 4),)),
        ("ActivityRegularization", {"l2": 0.1}, ((3, 4),)),
        ("Identity", {}, ((3, 4),)),
    ]


def _convolutions() -> list[Case]:
    found: list[Case] = []
    windows = [{"padding": p, "strides": s} for p, s in product(("valid", "same"), (1, 2, 3))]
    windows += [{"padding": p, "dilation_rate": 2} for p in ("valid", "same")]
    for n, spatial in SPATIAL.items():
        shape = ((2, *spatial, 4),)
        for window in windows:
            found.append((f"Conv{n}D", {"filters": 6, "kernel_size": 3, **window}, shape))
            if not (n == 3 and "dilation_rate" in window):
                found.append((f"Conv{n}DTranspose", {"filters": 3, "kernel_size": 3, **window}, shape))
        found.append((f"Conv{n}D", {"filters": 6, "kernel_size": 2, "groups": 2, "activation": "relu"}, shape))
        found.append((f"Conv{n}D", {"filters": 6, "kernel_size": 1, "use_bias": False}, shape))
        for size, strides in ((4, 2), (2, 3), (5, 3), (1, 2)):
            options = {"filters": 3, "kernel_size": size, "strides": strides, "padding": "same"}
            found.append((f"Conv{n}DTranspose", options, shape))
            found.append((f"Conv{n}DTranspose", {**options, "padding": "valid"}, shape))
            found.append((f"Conv{n}DTranspose", {**options, "output_padding": strides - 1}, shape))
    found += [
        ("Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal", **w}, ((2, 9, 4),))
        for w in ({}, {"dilation_rate": 2}, {"strides": 2})
    ]
    for n in (1, 2):
        shape = ((2, *SPATIAL[n], 4),)
        for window in windows:
            if window.get("dilation_rate", 1) == 1 or n == 2:
                found.append((f"DepthwiseConv{n}D", {"kernel_size": 3, **window}, shape))
                found.append((f"SeparableConv{n}D", {"filters": 5, "kernel_size": 3, **window}, shape))
        found.append((f"DepthwiseConv{n}D", {"kernel_size": 2, "depth_multiplier": 3, "activation": "tanh"}, shape))
        found.append((f"SeparableConv{n}D", {"filters": 5, "kernel_size": 2, "depth_multiplier": 2}, shape))
    found += [
        ("Conv2D", {"filters": 5, "kernel_size": (2, 3), "strides": (2, 1)}, ((2, 9, 8, 3),)),
        ("Conv2D", {"filters": 5, "kernel_size": (3, 1), "dilation_rate": (2, 1)}, ((2, 9, 8, 3),)),
        (
            "DepthwiseConv2D",
            {"kernel_size": (3, 2), "strides": 2, "padding": "same", "use_bias": False},
            ((2, 9, 8, 3),),
        ),
    ]
    return found


def _pooling() -> list[Case]:
    found: list[Case] = []
    for kind, (n, spatial) in product(("Max", "Average"), SPATIAL.items()):
        shape = ((2, *spatial, 3),)
        for size, strides, padding in product((2, 3), (None, 1, 2), ("valid", "same")):
            options = {"pool_size": size, "strides": strides, "padding": padding}
            found.append((f"{kind}Pooling{n}D", options, shape))
        found.append((f"{kind}Pooling{n}D", {"pool_size": 2, "data_format": FIRST}, ((2, 3, *spatial),)))
        for keepdims in (False, True):
            found.append((f"Global{kind}Pooling{n}D", {"keepdims": keepdims}, shape))
        found.append((f"Global{kind}Pooling{n}D", {"data_format": FIRST}, shape))
    return found


def _normalizations() -> list[Case]:
    switches = [{}, {"epsilon": 0.1}, {"center": False}, {"scale": False}, {"center": False, "scale": False}]
    found: list[Case] = []
    for options in switches:
        found.append(("BatchNormalization", options, ((3, 5, 4, 6),)))
        found.append(("LayerNormalization", options, ((3, 5, 6),)))
        found.append(("GroupNormalization", {"groups": 3, **options}, ((3, 5, 4, 6),)))
    return [
        *found,
        ("BatchNormalization", {"axis": 1}, ((3, 5, 4),)),
        ("LayerNormalization", {"axis": 1}, ((3, 5, 6),)),
        ("LayerNormalization", {"axis": [1, 2]}, ((3, 5, 6),)),
        ("LayerNormalization", {"axis": [2, 1]}, ((3, 5, 6),)),
        ("LayerNormalization", {"rms_scaling": True}, ((3, 5, 6),)),
        ("GroupNormalization", {"groups": -1}, ((3, 5, 4, 6),)),
        ("GroupNormalization", {"groups": 1}, ((3, 5, 6),)),
        ("GroupNormalization", {"groups": 2, "axis": 1}, ((3, 6, 4, 5),)),
        ("RMSNormalization", {}, ((3, 5, 6),)),
        ("RMSNormalization", {"epsilon": 0.1}, ((3, 5, 6),)),
        ("RMSNormalization", {"axis": [1, 2]}, ((3, 5, 6),)),
        ("RMSNormalization", {"axis": 1}, ((3, 6, 6),)),
        ("UnitNormalization", {}, ((3, 5, 6),)),
        ("UnitNormalization", {"axis": [1, 2]}, ((3, 5, 6),)),
        ("Normalization", {}, ((3, 5, 6),)),
        ("Normalization", {"axis": 1}, ((3, 5, 6),)),
        ("Normalization", {"axis": None}, ((3, 5, 6),)),
        ("Normalization", {"axis": (1, 2)}, ((3, 5, 6),)),
        ("Normalization", {"mean": 1.5, "variance": 2.5}, ((3, 6),)),
        ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [0.1, 2.0, 4.0], "invert": True}, ((4, 3),)),
        ("Rescaling", {"scale": 1 / 255, "offset": -0.5}, ((3, 5),)),
        ("Rescaling", {"scale": [0.1, 0.2, 0.3]}, ((3, 5, 3),)),
    ]


def _merging() -> list[Case]:
    found: list[Case] = []
    for name in ("Add", "Average", "Maximum", "Minimum", "Multiply"):
        found.append((name, {}, ((3, 4, 5),) * 3))
        found.append((name, {}, ((3, 4, 5), (3, 1, 5))))
    return [
        *found,
        ("Add", {}, ((3, 4, 5), (3, 5))),
        ("Subtract", {}, ((3, 4), (3, 4))),
        ("Subtract", {}, ((3, 4, 5), (3, 5))),
        ("Concatenate", {}, ((3, 4), (3, 5), (3, 1))),
        ("Concatenate", {"axis": 1}, ((3, 4, 2), (3, 5, 2))),
        ("Dot", {"axes": 1}, ((3, 4), (3, 4))),
        ("Dot", {"axes": -1}, ((3, 4, 5), (3, 6, 5))),
        ("Dot", {"axes": (2, 1)}, ((3, 4, 5), (3, 5, 6))),
        ("Dot", {"axes": (1, 2), "normalize": True}, ((3, 5, 4), (3, 6, 5))),
        ("Dot", {"axes": (1, 1)}, ((3, 5), (3, 5, 2))),
    ]


def _reshaping() -> list[Case]:
    found: list[Case] = []
    for n, spatial in SPATIAL.items():
        shape, first = ((2, *spatial, 3),), {} if n == 1 else {"data_format": FIRST}
        pairs = [[i, i + 1] for i in range(n)]
        found += [
            (f"ZeroPadding{n}D", {"padding": 2}, shape),
            (f"ZeroPadding{n}D", {"padding": pairs[0] if n == 1 else pairs}, shape),
            (f"ZeroPadding{n}D", {"padding": 1, "data_format": FIRST}, shape),
            (f"Cropping{n}D", {"cropping": 1}, shape),
            (f"Cropping{n}D", {"cropping": pairs[0] if n == 1 else pairs, **first}, ((2, *spatial, 9),)),
            (f"UpSampling{n}D", {"size": 2}, shape),
            (f"UpSampling{n}D", {"size": 3 if n == 1 else tuple(range(1, n + 1)), **first}, shape),
        ]
    return [
        *found,
        ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, ((2, 5, 4, 3),)),
        ("UpSampling2D", {"interpolation": "bilinear", "data_format": FIRST}, ((2, 3, 5, 4),)),
        ("Resizing", {"height": 7, "width": 3}, ((2, 5, 6, 3),)),
        ("Resizing", {"height": 3, "width": 9, "data_format": FIRST}, ((2, 3, 5, 6),)),
        ("Resizing", {"height": 7, "width": 3, "interpolation": "nearest"}, ((2, 5, 7, 3),)),
        ("Resizing", {"height": 10, "width": 4, "interpolation": "nearest"}, ((2, 5, 6, 3),)),
        ("CenterCrop", {"height": 3, "width": 4}, ((2, 6, 5, 3),)),
        ("CenterCrop", {"height": 2, "width": 4, "data_format": FIRST}, ((2, 3, 5, 4),)),
        ("Flatten", {}, ((2, 3, 4, 5),)),
        ("Flatten", {"data_format": FIRST}, ((2, 3, 4, 5),)),
        ("Flatten", {}, ((2,),)),
        ("Reshape", {"target_shape": (6, 2)}, ((2, 3, 4),)),
        ("Reshape", {"target_shape": (-1, 2)}, ((2, 3, 4),)),
        ("Permute", {"dims": (3, 1, 2)}, ((2, 3, 4, 5),)),
        ("RepeatVector", {"n": 3}, ((2, 5),)),
    ]


CASES: tuple[Case, ...] = (
    *_activations(),
    *_core(),
    *_convolutions(),
    *_pooling(),
    *_normalizations(),
    *_merging(),
    *_reshaping(),
)


def label(case: Case) -> str:
    """The case in one word, for the test's name."""
    name, options, shapes = case
    return "-".join([name, *(f"{key}={value}" for key, value in options.items()), "+".join(map(str, shapes))]).replace(
        " ", ""
    )
