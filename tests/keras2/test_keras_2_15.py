"""What Keras 2.15 itself saved is what Bittrue reads: weights, and what the models answer. ``make keras2``.

The files are those that ``write_models.py`` wrote under Keras 2.15, in the folder that BITTRUE_KERAS2 names.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bittrue.conversion.tfjs import convert
from bittrue.errors import ModelError
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.traces import Key

FOLDER = Path(os.environ.get("BITTRUE_KERAS2", ""))
pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.skipif("BITTRUE_KERAS2" not in os.environ, reason="needs what Keras 2.15 wrote: make keras2"),
]
NAMES = ("attention", "masked", "nested", "recurrent", "sequential", "shared", "stacked", "upsampled")


@pytest.mark.parametrize("name", NAMES)
def test_the_exact_answer_is_what_keras_2_computed(name: str, tmp_path: Path) -> None:
    graph = open_model(FOLDER / f"{name}.h5").graph
    known = np.load(FOLDER / f"{name}.npz")
    inputs = {spec.name: known[f"input_{at}"] for at, spec in enumerate(graph.inputs)}
    truth = evaluate(graph, inputs)
    for at, ref in enumerate(graph.outputs):
        exact = truth[Key("output", ref.layer, ref.call, ref.output)].load()
        assert np.allclose(exact, known[f"output_{at}"], rtol=2e-5, atol=2e-6)
    assert convert(graph, tmp_path / "out").format in ("layers-model", "graph-model")


def test_its_own_archive_is_refused_with_the_remedy() -> None:
    with pytest.raises(ModelError, match=r"archive of Keras 2\.15\.\d.*save it there with model\.save"):
        open_model(FOLDER / "nested.keras")


def test_it_was_keras_2_that_wrote_them() -> None:
    assert (FOLDER / "version.txt").read_text(encoding="utf-8").startswith("Keras 2.")
