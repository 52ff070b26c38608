"""What was done to an input is found and named, for every way in which images are mistreated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bittrue.diagnosis.preprocessing import explain_inputs

PIXELS = np.random.default_rng(5).integers(0, 256, (2, 8, 6, 3)).astype(np.float32)


def test_equal_tensors_need_no_transform():
    found = explain_inputs(PIXELS, PIXELS.copy())
    assert found is not None
    assert found.is_identity
    assert found.equal == found.values == PIXELS.size


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (PIXELS / np.float32(255), "divided by 255"),
        (PIXELS / np.float32(127.5) - 1, "divided by 127.5, then plus -1"),
        (PIXELS * np.float32(1 / 255), "multiplied by 1/255"),
        (PIXELS - np.float32([103.939, 116.779, 123.68]), "plus (-103.939, -116.779, -123.68) by channel"),
        (PIXELS[..., ::-1], "channels reversed (BGR for RGB)"),
        (PIXELS[..., [1, 2, 0]], "channels in the order [1, 2, 0]"),
        (PIXELS[:, :, ::-1], "mirrored along axis 2"),
        (np.moveaxis(PIXELS, -1, 1), "channel axis moved first"),
        (np.swapaxes(PIXELS, 1, 2), "height and width swapped"),
        ((PIXELS[..., ::-1] / 255).astype(np.float32), "(BGR for RGB), then divided by 255"),
    ],
)
def test_each_mistake_is_named_and_proven(candidate: np.ndarray, said: str):
    found = explain_inputs(PIXELS, candidate)
    assert found is not None
    assert said in str(found)
    assert found.proven


def test_normalisation_by_channel_is_named():
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    unit = PIXELS / np.float32(255)
    found = explain_inputs(unit, (unit - mean) / std)
    assert found is not None
    assert found.proven
    assert found.scale == pytest.approx(1 / np.float64([0.229, 0.224, 0.225]))


def test_rounding_to_eight_bits_is_named():
    smooth = PIXELS + np.float32(0.3) * np.random.default_rng(1).uniform(-1, 1, PIXELS.shape).astype(np.float32)
    found = explain_inputs(smooth, np.rint(smooth))
    assert found is not None
    assert found.eight_bit
    assert found.equal == found.values


def test_unrelated_tensors_are_not_explained():
    other = np.random.default_rng(6).integers(0, 256, PIXELS.shape).astype(np.float32)
    assert explain_inputs(PIXELS, other) is None
    assert explain_inputs(PIXELS, PIXELS[:1]) is None
    assert explain_inputs(PIXELS, np.full_like(PIXELS, np.nan)) is None


@pytest.mark.parametrize("candidate", [np.ones_like(PIXELS), PIXELS * np.float32([0, 1, 1]) + np.float32([5, 0, 0])])
def test_what_is_constant_is_no_transform_of_everything(candidate: np.ndarray):
    found = explain_inputs(PIXELS, candidate)
    assert found is None or "divided" not in str(found)


def test_a_small_error_is_not_called_proven():
    wrong = PIXELS / np.float32(255)
    wrong[0, 0, 0, 0] += np.float32(0.01)
    found = explain_inputs(PIXELS, wrong)
    assert found is not None
    assert not found.proven
    assert found.values - found.close == 1


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 1000), st.floats(-500, 500), st.permutations([0, 1, 2]))
def test_any_affine_map_and_order_is_found(scale: float, offset: float, order: list[int]):
    candidate = PIXELS[..., order] * np.float32(scale) + np.float32(offset)
    found = explain_inputs(PIXELS, candidate)
    assert found is not None
    assert found.scale == pytest.approx([scale] * 3, rel=1e-4)
    assert found.close == found.values
