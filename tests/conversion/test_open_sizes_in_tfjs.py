"""Sizes that no one knows before the model runs, in every form: what is written for one size is right for another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import model_bounds
from in_node import predict_all
from test_models_in_tfjs import randomised

from bittrue.conversion.tfjs import convert
from bittrue.model import open_model

pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


def image() -> Any:
    """Convolutions and pooling over images of any size."""
    import keras
    from keras import layers

    entry = keras.Input((None, None, 3), name="entry")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(entry))
    x = layers.MaxPooling2D(2)(layers.SeparableConv2D(5, 3)(x))
    return keras.Model(entry, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def sequence() -> Any:
    """A convolution over sequences of any length, and one answer for each step."""
    import keras
    from keras import layers

    entry = keras.Input((None, 3), name="entry")
    x = layers.Conv1D(4, 3, padding="same", activation="tanh")(entry)
    return keras.Model(entry, layers.Dense(2)(layers.LayerNormalization()(x)))


def transformer() -> Any:
    """Attention over sequences of any length."""
    import keras
    from keras import layers

    entry = keras.Input((None, 4), name="entry")
    x = layers.Add()([entry, layers.MultiHeadAttention(2, 3)(entry, entry)])
    return keras.Model(entry, layers.LayerNormalization()(x))


def recurrent() -> Any:
    """Steps without end."""
    import keras
    from keras import layers

    entry = keras.Input((None, 4), name="entry")
    return keras.Model(entry, layers.Bidirectional(layers.GRU(3, return_sequences=True))(entry))


CASES: dict[str, tuple[Callable[[], Any], dict[str, Any], tuple[tuple[int, ...], ...]]] = {
    "image as layers": (image, {"form": "layers-model"}, ((13, 17, 3), (20, 12, 3))),
    "image as a graph": (image, {"form": "graph-model"}, ((13, 17, 3), (20, 12, 3))),
    "sequence as layers": (sequence, {"form": "layers-model"}, ((5, 3), (11, 3))),
    "sequence as a graph": (sequence, {"form": "graph-model"}, ((5, 3), (11, 3))),
    "transformer as a graph": (transformer, {"form": "graph-model"}, ((5, 4), (11, 4))),
    "transformer with shims": (transformer, {"shims": True}, ((5, 4), (11, 4))),
    "recurrent with shims": (recurrent, {"shims": True}, ((5, 4), (11, 4))),
}


@pytest.mark.parametrize("backend", ["cpu", "wasm"])
def test_two_sizes_are_both_within_rounding(backend: str, tmp_path: Path) -> None:
    jobs, known = [], []
    for at, (build, options, shapes) in enumerate(CASES.values()):
        graph = open_model(randomised(build())).graph
        convert(graph, tmp_path / str(at), **options)
        for shape in shapes:
            given = np.random.default_rng(len(jobs)).normal(size=(2, *shape)).astype(np.float32)
            jobs.append((tmp_path / str(at), [given]))
            known.append(model_bounds(graph, {"entry": given}))
    names = [f"{name} {shape}" for name, (_, _, shapes) in CASES.items() for shape in shapes]
    for name, found, ((exact, bound),) in zip(names, predict_all(jobs, backend=backend), known, strict=True):
        assert found.error is None, name
        assert found.outputs[0].shape == exact.shape, name
        assert np.all(np.abs(found.outputs[0] - exact) <= bound), name
