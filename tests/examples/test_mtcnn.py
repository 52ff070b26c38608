"""The example of three trained networks: the same networks as the package's, and the same answers everywhere."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from examples import mtcnn_faces
from rich.console import Console

pytestmark = [
    pytest.mark.skipif(
        not (find_spec("mtcnn") and find_spec("skimage")), reason="needs the packages mtcnn and scikit-image"
    ),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def networks() -> dict[str, mtcnn_faces.Network]:
    return {network.name: network for network in mtcnn_faces.networks()}


@pytest.mark.parametrize(("name", "stage"), [("pnet", "StagePNet"), ("rnet", "StageRNet"), ("onet", "StageONet")])
def test_functional_twin_predicts_what_the_package_predicts(
    networks: dict[str, mtcnn_faces.Network], name: str, stage: str
) -> None:
    import mtcnn.stages

    network = networks[name]
    expected = getattr(mtcnn.stages, stage)().model(network.image)
    for left, right in zip(expected, network.model(network.image), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_onet_sees_the_astronaut(networks: dict[str, mtcnn_faces.Network]) -> None:
    onet = networks["onet"]
    _, _, scores = onet.model(onet.image)
    best = int(np.argmax(np.asarray(scores)[:, 1]))
    _, left, top, right, bottom, _ = onet.boxes[best]
    assert float(scores[best, 1]) > 0.99
    assert left < 224 < right  # the astronaut's nose is near (224, 120)
    assert top < 120 < bottom


def test_saved_input_is_what_was_fed(networks: dict[str, mtcnn_faces.Network], tmp_path: Path) -> None:
    _, inputs = networks["rnet"].save(tmp_path)
    with np.load(inputs) as saved:
        np.testing.assert_array_equal(saved["image"], networks["rnet"].image)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("target", "names"),
    [
        pytest.param("node:wasm", ("pnet", "rnet", "onet"), marks=pytest.mark.needs("node")),
        pytest.param(
            "chrome:wasm", ("onet",), marks=pytest.mark.needs("chrome")
        ),  # the others have the same bits there
    ],
)
def test_faces_are_the_same_on_a_target(
    networks: dict[str, mtcnn_faces.Network], target: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    text = io.StringIO()
    chosen = [networks[name] for name in names]
    reports = mtcnn_faces.run([target], tmp_path, Console(file=text, width=110), chosen)
    for data in reports:
        [outcome] = data.targets
        assert outcome.failure is None
        assert not outcome.comparison.unmatched_reference
        assert not outcome.comparison.unmatched_candidate
        assert [check.name for check in outcome.checks if check.passed is False] == []
        assert all(pair.metrics.identical for pair in outcome.weights)
        assert all(row.pair.metrics.max_abs_to_scale < 1e-5 for row in data.rows(outcome))
    here = mtcnn_faces.face(networks["onet"], reports[-1].targets[0].saved)
    there = mtcnn_faces.face(networks["onet"], tmp_path / "onet" / "reference.safetensors")
    assert here.apart(there) < 1e-3
    assert "The face in Keras" in text.getvalue()
