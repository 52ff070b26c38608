"""The convention of a resize is told from its result; TensorFlow and Pillow are the oracles."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bittrue.diagnosis.resizing import explain_resizing

IMAGE = np.random.default_rng(2).integers(0, 256, (1, 20, 30, 3)).astype(np.float32)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("size", [(9, 13), (33, 41)])
@pytest.mark.parametrize(
    ("half", "corners", "said"),
    [(True, False, "half-pixel centres"), (False, False, "top left corners"), (False, True, "aligned corners")],
)
def test_tensorflows_conventions(size: tuple[int, int], half: bool, corners: bool, said: str):
    import tensorflow as tf

    resized = tf.raw_ops.ResizeBilinear(images=IMAGE, size=size, half_pixel_centers=half, align_corners=corners)
    found = explain_resizing(IMAGE, resized.numpy() / np.float32(127.5) - 1)
    assert found is not None
    assert said in str(found)
    assert "127.5" in str(found)


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box"])
def test_pillows_filters(name: str):
    pixels = Image.fromarray(IMAGE[0].astype(np.uint8)).resize((11, 7), Image.Resampling[name.upper()])
    found = explain_resizing(IMAGE, np.asarray(pixels, np.float32)[None])
    assert found is not None
    assert f"Pillow's {name} filter" in found.convention
    assert found.transform.is_identity


def test_another_image_is_not_explained():
    assert explain_resizing(IMAGE, np.random.default_rng(3).uniform(0, 1, (1, 7, 11, 3)).astype(np.float32)) is None
