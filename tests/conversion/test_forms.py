"""Which form is written, and that the artifact says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_models import chain, dense, input_layer, model, node

from bittrue.conversion.tfjs import convert
from bittrue.conversion.tfjs.quantization import Quantize
from bittrue.errors import Unsupported

PLAIN = chain(dense("d", "entry"))
ODD = chain(dense("d", "entry", activation="hard_sigmoid"))


def test_a_layers_model_is_written_where_every_layer_can_be_one(tmp_path: Path) -> None:
    artifact = convert(PLAIN, tmp_path / "out")
    assert (artifact.format, artifact.reason) == ("layers-model", None)


def test_else_a_graph_model_which_says_which_layer_decided(tmp_path: Path) -> None:
    artifact = convert(ODD, tmp_path / "out")
    assert artifact.format == "graph-model"
    assert artifact.reason is not None
    assert "'d'" in artifact.reason
    assert "hard_sigmoid" in artifact.reason


def test_the_form_asked_for_is_written_or_refused(tmp_path: Path) -> None:
    assert convert(PLAIN, tmp_path / "graph", form="graph-model").format == "graph-model"
    with pytest.raises(Unsupported, match="hard_sigmoid"):
        convert(ODD, tmp_path / "layers", form="layers-model")


def test_what_neither_form_has_is_refused_with_both_reasons(tmp_path: Path) -> None:
    policy = model(input_layer("entry", 3), dense("d", "entry", dtype="int8", activation="hard_sigmoid"))
    with pytest.raises(Unsupported, match=r"'d'.*int8"):
        convert(policy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_weights_are_quantised(tmp_path: Path) -> None:
    artifact = convert(
        chain(node("Rescaling", "r", "entry", scale=0.3), dense("d", "r")),
        tmp_path / "out",
        form="graph-model",
        quantize=[Quantize("uint8")],
    )
    (group,) = json.loads((artifact.folder / "model.json").read_text(encoding="utf-8"))["weightsManifest"]
    quantised = {weight["name"] for weight in group["weights"] if "quantization" in weight}
    assert quantised == {"d/kernel", "d/bias"}


def test_nodes_carry_the_path_of_their_layer(tmp_path: Path) -> None:
    artifact = convert(ODD, tmp_path / "out")
    nodes = json.loads((artifact.folder / "model.json").read_text(encoding="utf-8"))["modelTopology"]["node"]
    assert {one["name"] for one in nodes if one["op"] not in ("Const", "Placeholder")} >= {"d/MatMul", "d/AddV2"}
    assert all(one["name"].startswith("d/") for one in nodes if one["op"] not in ("Const", "Placeholder"))
