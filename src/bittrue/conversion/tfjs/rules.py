"""What TensorFlow.js's layers must be told differently from Keras 3's: one table, by class.

A configuration key is written if TensorFlow.js reads it and means the same, renamed if it goes by another name
there, and left out if it does nothing at inference. A key that TensorFlow.js never reads is left out as well,
but only at the values at which that makes no difference; at any other value the layer is refused. A class or a
key that is not in the table is refused: nothing is written in the hope that it will be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["ACTIVATIONS", "INERT", "INERT_ENDINGS", "RULES", "Rule"]

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """One way to write a Keras class.

    ``tfjs``: the class to write. ``keep``: keys with the same name and meaning. ``rename``: Keras's key to
    TensorFlow.js's. ``only``: the values that a key may have; it is left out unless it is kept as well. A list
    of equal numbers counts as the number. ``ignore``: keys left out at any value. ``activations``: keys that name
    an activation. ``fixed``: what is written besides. ``weights``: names of weights that differ.
    """

    tfjs: str
    keep: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, Values] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


INERT = frozenset(
    {"activity_regularizer", "seed", "noise_shape", "momentum", "synchronized", "renorm_momentum", "autocast"}
)
"""Keys that do nothing at inference, in any class."""

INERT_ENDINGS = ("_initializer", "_regularizer", "_constraint")
"""The same, by their ending. A constraint would even change the weights while they are loaded."""

ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {
        "linear": "linear",
        "relu": "relu",
        "relu6": "relu6",
        "sigmoid": "sigmoid",
        "tanh": "tanh",
        "softmax": "softmax",
        "log_softmax": "logSoftmax",
        "elu": "elu",
        "selu": "selu",
        "softplus": "softplus",
        "softsign": "softsign",
        "silu": "swish",
        "swish": "swish",
        "mish": "mish",
        "gelu": "gelu",
    }
)
"""Keras's activations that TensorFlow.js computes alike, by the name it has there.

Not among them: ``hard_sigmoid`` (relu6(x + 3) / 6 in Keras 3, clip(0.2x + 0.5, 0, 1) in TensorFlow.js).
"""

_LAST: dict[str, Values] = {"data_format": ("channels_last", None)}
_CONV: dict[str, Values] = {**_LAST, "groups": (1,)}
_STRIDED = ("kernel_size", "strides", "padding", "use_bias")
_GLOBAL: dict[str, Values] = {**_LAST, "keepdims": (False,)}
_NORM = ("axis", "epsilon", "center", "scale")


def _same(tfjs: str, *keep: str, **only: Values) -> tuple[Rule, ...]:
    return (Rule(tfjs, keep, only=only),)


def _pool(tfjs: str) -> tuple[Rule, ...]:
    return (Rule(tfjs, ("pool_size", "strides", "padding"), only=_LAST),)


def _global(kind: str, axes: int) -> tuple[Rule, ...]:
    """With the axes kept, it is a pooling whose window is everything: the fitting fills the window in."""
    windowed = Rule(f"{kind}Pooling{axes}D", only={**_LAST, "keepdims": (True,)}, fixed={"padding": "valid"})
    return (windowed,) if axes == 3 else (Rule(f"Global{kind}Pooling{axes}D", only=_GLOBAL), windowed)


def _conv(tfjs: str, *keep: str, **only: Values) -> tuple[Rule, ...]:
    return (Rule(tfjs, ("filters", *_STRIDED, *keep), only={**_CONV, **only}, activations=("activation",)),)


_NOTHING = (Rule("Activation", fixed={"activation": "linear"}),)
_NOISE: dict[str, tuple[Rule, ...]] = {
    "Dropout": _same("Dropout", "rate"),
    "SpatialDropout1D": _same("SpatialDropout1D", "rate"),
    "SpatialDropout2D": (Rule("Dropout", ("rate",), only=_LAST),),
    "SpatialDropout3D": (Rule("Dropout", ("rate",), only=_LAST),),
    "GaussianDropout": _same("GaussianDropout", "rate"),
    "GaussianNoise": _same("GaussianNoise", "stddev"),
    "AlphaDropout": _same("AlphaDropout", "rate"),
    "Identity": _NOTHING,
    "ActivityRegularization": (Rule("Activation", fixed={"activation": "linear"}, ignore=("l1", "l2")),),
}

_ACTIVATING: dict[str, tuple[Rule, ...]] = {
    "Activation": (
        Rule("Activation", activations=("activation",)),
        Rule("LeakyReLU", only={"activation": ("leaky_relu",)}, fixed={"alpha": 0.2}),
    ),
    "ReLU": (
        Rule("ReLU", ("max_value",), only={"negative_slope": (0, None), "threshold": (0, None)}),
        Rule("LeakyReLU", rename={"negative_slope": "alpha"}, only={"max_value": (None,), "threshold": (0, None)}),
        Rule(
            "ThresholdedReLU", rename={"threshold": "theta"}, only={"max_value": (None,), "negative_slope": (0, None)}
        ),
    ),
    "LeakyReLU": (Rule("LeakyReLU", rename={"negative_slope": "alpha"}),),
    "PReLU": _same("PReLU", "shared_axes"),
    "ELU": _same("ELU", alpha=(1,)),
    "Softmax": _same("Softmax", "axis"),
}

_CONVOLVING: dict[str, tuple[Rule, ...]] = {
    "Conv1D": (
        Rule(
            "Conv1D",
            ("filters", *_STRIDED, "dilation_rate"),
            only={**_CONV, "padding": ("valid", "same")},
            activations=("activation",),
        ),
    ),
    "Conv2D": _conv("Conv2D", "dilation_rate"),
    "Conv3D": _conv("Conv3D", dilation_rate=(1,)),
    "Conv2DTranspose": _conv("Conv2DTranspose", dilation_rate=(1,), output_padding=(None,)),
    "Conv3DTranspose": _conv("Conv3DTranspose", dilation_rate=(1,), output_padding=(None,)),
    "SeparableConv2D": _conv("SeparableConv2D", "depth_multiplier", dilation_rate=(1,)),
    "DepthwiseConv2D": (
        Rule(
            "DepthwiseConv2D",
            (*_STRIDED, "depth_multiplier"),
            only={**_LAST, "dilation_rate": (1,)},
            activations=("activation",),
            weights={"kernel": "depthwise_kernel"},
        ),
    ),
}

_POOLING: dict[str, tuple[Rule, ...]] = {
    **{name: _pool(name) for kind in ("Max", "Average") for name in (f"{kind}Pooling{d}D" for d in (1, 2, 3))},
    **{f"Global{kind}Pooling{d}D": _global(kind, d) for kind in ("Max", "Average") for d in (1, 2, 3)},
}

_SHAPING: dict[str, tuple[Rule, ...]] = {
    "Flatten": (Rule("Flatten", only=_LAST),),
    "Reshape": _same("Reshape", "target_shape"),
    "Permute": _same("Permute", "dims"),
    "RepeatVector": _same("RepeatVector", "n"),
    "ZeroPadding2D": (Rule("ZeroPadding2D", ("padding",), only=_LAST),),
    "Cropping2D": (Rule("Cropping2D", ("cropping",), only=_LAST),),
    "UpSampling2D": (Rule("UpSampling2D", ("size", "interpolation"), only={**_LAST, "interpolation": ("nearest",)}),),
}

_RUNNING = ("units", "use_bias", "return_sequences", "return_state", "go_backwards")
_TRAINED = ("dropout", "recurrent_dropout", "unit_forget_bias", "implementation")
_MANNER = ("unroll", "use_cudnn", "zero_output_for_mask")


def _recurrent(tfjs: str, *activations: str, **only: Values) -> tuple[Rule, ...]:
    """Unrolling is how it is computed, not what; and where a mask would reach the layer, it is refused for that."""
    limits: dict[str, Values] = {"stateful": (False,), **only}
    return (Rule(tfjs, _RUNNING, only=limits, ignore=(*_TRAINED, *_MANNER), activations=activations),)


_RECURRENT: dict[str, tuple[Rule, ...]] = {
    "SimpleRNN": _recurrent("SimpleRNN", "activation"),
    "LSTM": _recurrent("LSTM", "activation", "recurrent_activation"),
    "GRU": _recurrent("GRU", "activation", "recurrent_activation", reset_after=(False,)),
}

_MERGING: dict[str, tuple[Rule, ...]] = {
    **{name: _same(name) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")},
    "Concatenate": _same("Concatenate", "axis"),
    "Dot": _same("Dot", "axes", "normalize"),
}

RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "InputLayer": (
            Rule(
                "InputLayer",
                ("dtype",),
                rename={"batch_shape": "batch_input_shape"},
                only={"sparse": (False,), "ragged": (False,), "optional": (False,)},
            ),
        ),
        "Dense": (Rule("Dense", ("units", "use_bias"), activations=("activation",)),),
        "Embedding": (Rule("Embedding", ("input_dim", "output_dim"), ignore=("mask_zero",)),),
        "BatchNormalization": (Rule("BatchNormalization", _NORM, only={"renorm": (False,)}),),
        "LayerNormalization": (Rule("LayerNormalization", _NORM, only={"rms_scaling": (False,)}),),
        "Rescaling": _same("Rescaling", "scale", "offset"),
        **_NOISE,
        **_ACTIVATING,
        **_CONVOLVING,
        **_POOLING,
        **_SHAPING,
        **_RECURRENT,
        **_MERGING,
    }
)
"""For each Keras class the ways to write it; the first that fits is taken."""
