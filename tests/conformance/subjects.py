"""How each class of keras.layers is put to use: what it must be given, and the tensors that it takes.

A class that is not here is used with no options on a vector; the driver says which classes are not, so that a new
one is looked at. ``values`` are further values of options, where the general table does not suit the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.cases import Feed, Made, Shared

__all__ = ["ABSENT", "NO_LAYERS", "SUBJECTS", "Subject", "spatial"]

_VECTOR, _SERIES = Feed((7,)), Feed((10, 6))
_IMAGE, _VOLUME = Feed((8, 9, 6)), Feed((6, 7, 6, 4))
_SPATIAL = {1: _SERIES, 2: _IMAGE, 3: _VOLUME}
_PHOTO = Feed((8, 9, 3), "image")
_IDS = Feed((6,), "below", 7)
_MASK = Feed((5,), "steps")
_SEQUENCE = Feed((5, 4))
_FILM = {1: Feed((2, 6, 4)), 2: Feed((2, 6, 7, 4)), 3: Feed((2, 4, 5, 4, 3))}


@dataclass(frozen=True)
class Subject:
    """What a class needs. ``calls`` are arguments of its call, each with its values; ``more`` the tensors they name.

    The tensors are handed over as one list where they are ``joined``; ``also`` are other tensors to call it on,
    ``other`` a tensor, options and arguments that go together alone.
    """

    feeds: tuple[Feed, ...] = (_VECTOR,)
    required: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    calls: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    more: tuple[Feed, ...] = ()
    joined: bool = False
    also: tuple[tuple[Feed, ...], ...] = ()
    other: tuple[tuple[Feed, Mapping[str, Any], Mapping[str, Any]], ...] = ()


def spatial(class_name: str) -> int:
    """The number of spatial axes that a class names, 0 if none."""
    return int(class_name[-2]) if class_name[-2:] in ("1D", "2D", "3D") else 0


def _windowed() -> dict[str, Subject]:
    found: dict[str, Subject] = {}
    for axes, feed in _SPATIAL.items():
        kernel, other = {1: (3, 2), 2: (3, (2, 3)), 3: (2, (1, 2, 2))}[axes]
        # It is no size of the images: Keras called eagerly adds a bias of channels_first along an axis of its size.
        wide: dict[str, Any] = {"filters": 22, "kernel_size": kernel}
        sizes: dict[str, tuple[Any, ...]] = {"kernel_size": (other,)}
        causal = {**sizes, "padding": ("same", "causal")} if axes == 1 else sizes
        found[f"Conv{axes}D"] = Subject((feed,), wide, causal)
        found[f"Conv{axes}DTranspose"] = Subject((feed,), wide, sizes)
        if axes < 3:
            found[f"DepthwiseConv{axes}D"] = Subject((feed,), {"kernel_size": kernel}, sizes)
            found[f"SeparableConv{axes}D"] = Subject((feed,), wide, sizes)
        states = Shared((1, 2))
        film, mask = _FILM[axes], Feed((_FILM[axes].shape[0],), "steps")
        before = Feed((*film.shape[1:-1], 4))
        same: dict[str, tuple[Any, ...]] = {"padding": ("same",), "activation": ("relu",), "kernel_size": (3,)}
        calls: dict[str, tuple[Any, ...]] = {"initial_state": (states,), "mask": (Shared((3,)),)}
        required = {"filters": 4, "kernel_size": 2}
        found[f"ConvLSTM{axes}D"] = Subject((film,), required, same, calls, (_valid(before), _valid(before), mask))
        for kind in ("Max", "Average"):
            pool = {} if kind == "Max" else {"pool_size": 2}
            found[f"{kind}Pooling{axes}D"] = Subject((feed,), pool, {"pool_size": (3, (1, 2, 3)[:axes])})
            found[f"Global{kind}Pooling{axes}D"] = Subject((feed,))
            even = {1: (2, 3), 2: (2, (4, 3)), 3: (2, (3, 2, 4))}[axes]
            found[f"Adaptive{kind}Pooling{axes}D"] = Subject(
                (feed,), {"output_size": even[0]}, {"output_size": even[1:]}
            )
        found[f"Cropping{axes}D"] = Subject((feed,), {}, {"cropping": (1, *_edges(axes)[1:])})
        found[f"ZeroPadding{axes}D"] = Subject((feed,), {}, {"padding": _edges(axes)})
        found[f"SpatialDropout{axes}D"] = Subject((feed,), {"rate": 0.5})
        found[f"UpSampling{axes}D"] = Subject(
            (feed,), {}, {"size": (3, (2, 1, 3)[:axes])} if axes > 1 else {"size": (3,)}
        )
    found["UpSampling2D"] = Subject((_IMAGE,), {}, {"size": (3, (2, 1)), "interpolation": ("bilinear", "bicubic")})
    found["GlobalAveragePooling1D"] = Subject((_SERIES,), {}, {}, {"mask": (Shared((1,)),)}, (Feed((10,), "steps"),))
    return found


def _valid(feed: Feed) -> Feed:
    """The states of a convolution with a window of 2 and no padding."""
    return Feed((*(size - 1 for size in feed.shape[:-1]), feed.shape[-1]))


def _edges(axes: int) -> tuple[Any, ...]:
    return (2, (0, 1)) if axes == 1 else (2, tuple((at, 2 - at) for at in range(axes)))


def _recurrent() -> dict[str, Subject]:
    one = {"initial_state": (Shared((1,)),), "mask": (Shared((3,)),)}
    two = {"initial_state": (Shared((1, 2)),), "mask": (Shared((3,)),)}
    tensors = (Feed((3,)), Feed((3,)), _MASK)
    gru, lstm, plain = (Made(f"{name}Cell", {"units": 3}) for name in ("GRU", "LSTM", "SimpleRNN"))
    return {
        "LSTM": Subject((_SEQUENCE,), {"units": 3}, {}, two, tensors),
        "GRU": Subject((_SEQUENCE,), {"units": 3}, {}, one, tensors),
        "SimpleRNN": Subject((_SEQUENCE,), {"units": 3}, {}, one, tensors),
        "RNN": Subject(
            (_SEQUENCE,),
            {"cell": gru},
            {"cell": (lstm, Made("StackedRNNCells", {"cells": (plain, gru)}))},
            {"mask": (Shared((1,)),), "initial_state": (Shared((2,)),)},
            (_MASK, Feed((3,))),
        ),
        "LSTMCell": Subject((Feed((4,)),), {"units": 3}, {}, {"states": (Shared((1, 2)),)}, (Feed((3,)), Feed((3,)))),
        "GRUCell": Subject((Feed((4,)),), {"units": 3}, {}, {"states": (Shared((1,)),)}, (Feed((3,)),)),
        "SimpleRNNCell": Subject((Feed((4,)),), {"units": 3}, {}, {"states": (Shared((1,)),)}, (Feed((3,)),)),
        "StackedRNNCells": Subject(
            (Feed((4,)),),
            {"cells": (plain, gru)},
            {"cells": ((gru, plain),)},
            {"states": (Shared((1, 2)),)},
            (Feed((3,)), Feed((3,))),
        ),
    }


def _wrapping() -> dict[str, Subject]:
    inner: dict[str, tuple[Any, ...]] = {
        "layer": (Made("GRU", {"units": 3}), Made("SimpleRNN", {"units": 3, "return_sequences": True})),
        "backward_layer": (Made("LSTM", {"units": 3, "go_backwards": True, "activation": "relu"}),),
    }
    return {
        "Bidirectional": Subject(
            (_SEQUENCE,),
            {"layer": Made("LSTM", {"units": 3})},
            inner,
            {"mask": (Shared((1,)),), "initial_state": (Shared((2, 3, 4, 5)),)},
            (_MASK, *(Feed((3,)),) * 4),
        ),
        "TimeDistributed": Subject(
            (_SEQUENCE,),
            {"layer": Made("Dense", {"units": 3})},
            {"layer": (Made("LayerNormalization"), Made("Activation", {"activation": "gelu"}))},
        ),
        "SpectralNormalization": Subject(
            (_SEQUENCE,),
            {"layer": Made("Dense", {"units": 3})},
            {"layer": (Made("Conv1D", {"filters": 3, "kernel_size": 2}),)},
        ),
        "Pipeline": Subject(
            (_VECTOR,),
            {"layers": (Made("Rescaling", {"scale": 0.5}), Made("ReLU"))},
            {"layers": ((Made("Dense", {"units": 3}), Made("Softmax")),)},
        ),
    }


def _attention() -> dict[str, Subject]:
    pair = (Feed((5, 4)), Feed((6, 4)))
    scores: dict[str, tuple[Any, ...]] = {"return_attention_scores": (True,), "use_causal_mask": (True,)}
    masks = {**scores, "mask": (Shared((2, 3)),)}
    both = (Feed((5,), "steps"), Feed((6,), "steps"))
    heads: dict[str, Any] = {"num_heads": 2, "key_dim": 3}
    grouped: dict[str, Any] = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
    named: dict[str, tuple[Any, ...]] = {
        **scores,
        "key": (Shared((2,)),),
        "attention_mask": (Shared((3,)),),
        "query_mask": (Shared((4,)),),
        "value_mask": (Shared((5,)),),
        "key_mask": (Shared((5,)),),
    }
    more = (Feed((6, 4)), Feed((5, 6), "truth"), *both)
    return {
        "MultiHeadAttention": Subject(pair, heads, {"num_heads": (1,), "attention_axes": ((1,),)}, named, more),
        "GroupQueryAttention": Subject(pair, grouped, {"num_key_value_heads": (4,)}, named, more),
        "Attention": Subject(pair, {}, {}, masks, both, joined=True),
        "AdditiveAttention": Subject(pair, {}, {}, masks, both, joined=True),
    }


def _merging() -> dict[str, Subject]:
    pair, three = (Feed((4, 5)), Feed((4, 5))), (Feed((4, 5)),) * 3
    found = {
        name: Subject(pair, joined=True, also=(three, (Feed((4, 5)), Feed((1, 5))), (Feed((4, 5)), Feed((5,)))))
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply")
    }
    found["Subtract"] = Subject(pair, joined=True, also=((Feed((4, 5)), Feed((1, 5))),))
    found["Concatenate"] = Subject(pair, {}, {"axis": (1, -2, 2)}, joined=True, also=(three,))
    found["Dot"] = Subject(pair, {"axes": 2}, {"axes": (1, -1, (2, 2))}, joined=True)
    return found


def _preprocessing() -> dict[str, Subject]:
    words = Feed((4,), "words")
    terms = ("red", "green", "blue")
    tokens = Feed((4,), "below", 6)
    weights = {"count_weights": (Shared((1,)),)}
    coded = ("int", "one_hot", "multi_hot", "count")
    lookup: dict[str, tuple[Any, ...]] = {"output_mode": coded[1:], "num_oov_indices": (2,), "mask_token": (4,)}
    return {
        "CategoryEncoding": Subject(
            (tokens,),
            {"num_tokens": 6},
            {"output_mode": ("count",)},
            weights,
            (Feed((4,)),),
            also=((Feed((1,), "below", 6),),),
        ),
        "Discretization": Subject(
            (_VECTOR,), {"bin_boundaries": (-1.0, 0.0, 1.5)}, {"output_mode": coded[1:], "bin_boundaries": ((0.25,),)}
        ),
        "Hashing": Subject((tokens,), {"num_bins": 5}, {"num_bins": (3,)}),
        "HashedCrossing": Subject(
            (Feed((1,), "below", 6), Feed((1,), "below", 6)), {"num_bins": 5}, {"num_bins": (3,)}, joined=True
        ),
        "IntegerLookup": Subject((tokens,), {"vocabulary": (1, 3, 5)}, lookup),
        "StringLookup": Subject((words,), {"vocabulary": terms}, {}),
        "TextVectorization": Subject((Feed((1,), "words"),), {"vocabulary": terms}, {}),
        "Normalization": Subject(
            (_SERIES,), {"mean": 1.5, "variance": 2.0}, {"mean": (-0.25,), "variance": (0.5,), "axis": (None, 1)}
        ),
        "Rescaling": Subject((_PHOTO,), {"scale": 1 / 127.5}, {"scale": (0.01, (0.1, 0.2, 0.3)), "offset": (-1.0,)}),
        "MelSpectrogram": Subject(
            (Feed((300,)),),
            {"fft_length": 64, "sequence_stride": 32, "sampling_rate": 1000, "num_mel_bins": 8, "min_freq": 20.0},
            {"num_mel_bins": (5,), "fft_length": (128,)},
        ),
        "STFTSpectrogram": Subject(
            (Feed((40, 36)),),
            {"frame_length": 16, "fft_length": 16},
            {"mode": ("magnitude", "psd", "real", "imag", "angle"), "frame_length": (12,)},
        ),
    }


def _images() -> dict[str, Subject]:
    return {
        "CenterCrop": Subject((_PHOTO,), {"height": 4, "width": 5}, {"height": (11,), "width": (12,)}),
        "Resizing": Subject(
            (_PHOTO,), {"height": 5, "width": 6}, {"interpolation": ("nearest", "bicubic", "lanczos3")}
        ),
        "RandomCrop": Subject((_PHOTO,), {"height": 4, "width": 5}, {"height": (11,)}),
    }


def _augmenting() -> dict[str, Subject]:
    plain = (
        "AugMix",
        "CutMix",
        "MixUp",
        "RandAugment",
        "RandomColorJitter",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomInvert",
        "RandomPerspective",
        "RandomShear",
        "AutoContrast",
        "Equalization",
        "Solarization",
        "ContrastLimitedAdaptiveHistogramEqualization",
    )
    factored = (
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomContrast",
        "RandomHue",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
    )
    found = {name: Subject((_PHOTO,)) for name in plain}
    found |= {name: Subject((_PHOTO,), {"factor": 4 if "Poster" in name else 0.3}) for name in factored}
    found["RandomTranslation"] = Subject((_PHOTO,), {"height_factor": 0.2, "width_factor": 0.2})
    found["RandomZoom"] = Subject((_PHOTO,), {"height_factor": 0.2})
    found["Solarization"] = Subject((_PHOTO,), {}, {"threshold_factor": (0.4,), "addition_factor": (0.2,)})
    return found


def _others() -> dict[str, Subject]:
    scale = {"axis": (1, (1, 2)), "epsilon": (0.1,)}
    last = {"axis": (3, (2, 3)), "epsilon": (0.1,)}
    return {
        "Activation": Subject((_SERIES,), {"activation": "tanh"}),
        "Dense": Subject((_VECTOR,), {"units": 5}, {"units": (1,)}, also=((Feed((3, 7)),), (Feed((2, 3, 7)),))),
        "EinsumDense": Subject(
            (_SERIES,), {"equation": "abc,cd->abd", "output_shape": (None, 5)}, {"bias_axes": ("d",)}
        ),
        "Embedding": Subject((_IDS,), {"input_dim": 7, "output_dim": 4}),
        "ReversibleEmbedding": Subject((_IDS,), {"input_dim": 7, "output_dim": 4}, other=_reversed()),
        "Masking": Subject((_SERIES,), {}, {"mask_value": (1.0,)}),
        "BatchNormalization": Subject((_IMAGE,), {}, {"axis": (1, 2), "epsilon": (0.1,)}),
        "LayerNormalization": Subject((_IMAGE,), {}, scale),
        "GroupNormalization": Subject((_IMAGE,), {"groups": 2}, {"groups": (-1, 3), "axis": (3,), "epsilon": (0.1,)}),
        "RMSNormalization": Subject((_IMAGE,), {}, last),
        "UnitNormalization": Subject((_IMAGE,), {}, {"axis": (1, (1, 2))}),
        "Softmax": Subject(
            (Feed((4, 5)),), {}, {"axis": (1, (1, 2))}, {"mask": (Shared((1,)),)}, (Feed((4, 5), "truth"),)
        ),
        "ReLU": Subject((_SERIES,), {}, {"max_value": (1.0,), "negative_slope": (0.2,), "threshold": (0.5,)}),
        "LeakyReLU": Subject((_SERIES,), {}, {"negative_slope": (0.1, 0.0)}),
        "ELU": Subject((_SERIES,), {}, {"alpha": (0.3,)}),
        "PReLU": Subject((_SERIES,), {}, {"shared_axes": ((1,), (1, 2))}),
        "Flatten": Subject((_SERIES,), also=((_VECTOR,), (_IMAGE,))),
        "Reshape": Subject((_SERIES,), {"target_shape": (12, 5)}, {"target_shape": ((-1, 4), (3, 2, 10))}),
        "Permute": Subject((_IMAGE,), {"dims": (2, 1, 3)}, {"dims": ((3, 1, 2),)}),
        "RepeatVector": Subject((_VECTOR,), {"n": 3}, {"n": (1,)}),
        "Dropout": Subject((_VECTOR,), {"rate": 0.4}),
        "AlphaDropout": Subject((_VECTOR,), {"rate": 0.4}),
        "GaussianDropout": Subject((_VECTOR,), {"rate": 0.4}),
        "GaussianNoise": Subject((_VECTOR,), {"stddev": 0.4}),
        "ActivityRegularization": Subject(),
        "Identity": Subject(),
        "InputLayer": Subject(),
    }


def _reversed() -> tuple[tuple[Feed, Mapping[str, Any], Mapping[str, Any]], ...]:
    options: tuple[Mapping[str, Any], ...] = ({}, {"tie_weights": False}, {"logit_soft_cap": 2.0})
    return tuple((Feed((6, 4)), given, {"reverse": True}) for given in options)


SUBJECTS: Mapping[str, Subject] = {
    **_windowed(),
    **_recurrent(),
    **_wrapping(),
    **_attention(),
    **_merging(),
    **_preprocessing(),
    **_images(),
    **_augmenting(),
    **_others(),
}
"""By the class's name in keras.layers."""

ABSENT: Mapping[str, str] = {
    "FlaxLayer": "it wraps a module of Flax, which is another framework's program and no description",
    "JaxLayer": "it wraps a function of JAX, which is another framework's program and no description",
    "Lambda": "it wraps a function of Python, whose meaning no configuration holds",
    "MaxNumBoundingBoxes": "it works on dictionaries of bounding boxes, which no model of tensors takes",
    "TFSMLayer": "it runs a SavedModel from a folder, and has no meaning without the folder",
    "TorchModuleWrapper": "it wraps a module of PyTorch, which is another framework's program and no description",
}
"""Classes that no configuration describes, and why."""

NO_LAYERS: Mapping[str, str] = {
    "InputSpec": "describes what a layer takes",
    "Layer": "the base of all layers, computes nothing",
    "Wrapper": "the base of wrappers, computes nothing",
}
"""Classes in keras.layers that are no layers to use."""
