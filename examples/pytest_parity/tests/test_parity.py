"""The classifier computes in the browser's TensorFlow.js what it computes in Python, but for rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def test_on_random_images(bittrue: Any, classifier: Path) -> None:
    bittrue.assert_parity(classifier, inputs="random:7", batch=2)


def test_on_an_image_of_zeros_every_decision_is_kept(bittrue: Any, classifier: Path) -> None:
    fed = {"image": np.zeros((1, 12, 12, 3), np.float32)}
    result = bittrue.assert_parity(classifier, fed, targets=["node:wasm"], at_most="rounding")
    assert all(decision.changed == 0 for decision in result.targets[0].diagnosis.decisions)
