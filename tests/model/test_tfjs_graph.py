"""Graph-models, back again: what the converter wrote is what is read, and what is damaged is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conversion.sample_models import dense, input_layer, model, node

from bittrue.conversion.tfjs import convert, parse_quantize
from bittrue.conversion.tfjs.dequantised import dequantised_graph
from bittrue.errors import ArtifactError
from bittrue.graph.truth import evaluate
from bittrue.model import open_model
from bittrue.traces import Array, Key

X = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
CHAIN = model(
    input_layer("entry", 3),
    dense("first", "entry", units=5, activation="hard_sigmoid"),
    node("LayerNormalization", "rms", "first", weights={"gamma": np.arange(1, 6)}, rms_scaling=True, center=False),
    dense("last", "rms", given=5, units=2),
)


def final(graph: Any) -> Array:
    (output,) = graph.outputs
    trace = evaluate(graph, {"entry": X})
    assert trace.provenance.details["no_truth"] == {}
    found: Array = trace[Key("output", output.layer, 0, output.output)].load()
    return found


def written(folder: Path, **options: Any) -> Path:
    return convert(CHAIN, folder / "artifact", form="graph-model", **options).folder


def test_the_float64_answer_survives_the_round_trip(tmp_path: Path) -> None:
    opened = open_model(written(tmp_path))
    assert opened.format == "tfjs-graph"
    # The numbers of the configurations were rounded to float32 on the way, and nothing else.
    assert np.allclose(final(opened.graph), final(CHAIN), rtol=1e-6, atol=1e-7)


def test_layers_have_their_names_again(tmp_path: Path) -> None:
    assert [layer.name for layer in open_model(written(tmp_path)).graph.layers] == ["entry", "first", "rms", "last"]


def test_quantised_weights_are_those_that_tfjs_makes(tmp_path: Path) -> None:
    folder = written(tmp_path, quantize=[parse_quantize("uint8")])
    opened = open_model(folder)
    assert opened.artifact is not None
    assert np.allclose(final(opened.graph), final(dequantised_graph(CHAIN, opened.artifact)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["model.json", "face.json", "described"])
def test_the_file_itself_may_be_given_whatever_its_name(name: str, tmp_path: Path) -> None:
    described = (written(tmp_path) / "model.json").rename(tmp_path / "artifact" / name)
    opened = open_model(described)
    assert opened.format == "tfjs-graph"
    assert opened.artifact is not None
    assert opened.artifact.where == described
    assert set(opened.artifact.files) == {name, "group1-shard1of1.bin"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"weights": {}}, "it has no modelTopology"),
        ({"class_name": "Sequential", "config": {}}, "configuration without its weights; save the model with"),
    ],
)
def test_another_json_is_one_sentence(document: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ArtifactError, match=said):
        open_model(tmp_path / "other.json")


def in_topology(document: dict[str, Any]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = document["modelTopology"]["node"]
    return nodes


def cyclic(document: dict[str, Any]) -> None:
    products = [entry for entry in in_topology(document) if entry["op"] == "MatMul"]
    products[0]["input"][0] = products[1]["name"]


def dangling(document: dict[str, Any]) -> None:
    next(entry for entry in in_topology(document) if entry["op"] == "MatMul")["input"][0] = "nobody"


def twice(document: dict[str, Any]) -> None:
    in_topology(document).append(dict(in_topology(document)[-1]))


def without_weight(document: dict[str, Any]) -> None:
    in_topology(document)[-1]["input"][0] = "lost"
    in_topology(document).append({"name": "lost", "op": "Const", "attr": {}})


def climbing(document: dict[str, Any]) -> None:
    document["weightsManifest"][0]["paths"][0] = "../outside.bin"


def no_nodes(document: dict[str, Any]) -> None:
    document["modelTopology"]["node"] = {"name": "x"}


def odd_node(document: dict[str, Any]) -> None:
    in_topology(document)[3] = ["not a node"]  # type: ignore[call-overload]


def odd_signature(document: dict[str, Any]) -> None:
    document["signature"]["outputs"]["last"]["name"] = "elsewhere"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cyclic, "circle"),
        (dangling, "nobody"),
        (twice, "two of its nodes"),
        (without_weight, "lost"),
        (climbing, "outside the folder"),
        (no_nodes, "list of nodes"),
        (odd_node, "no node"),
        (odd_signature, "elsewhere"),
    ],
)
def test_what_is_damaged_is_one_sentence(tmp_path: Path, damage: Callable[[dict[str, Any]], None], said: str) -> None:
    folder = written(tmp_path)
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    damage(document)
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ArtifactError, match=said) as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


def test_a_shard_cut_short_is_one_sentence(tmp_path: Path) -> None:
    folder = written(tmp_path)
    shard = next(folder.glob("*.bin"))
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="cut short"):
        open_model(folder)


def test_an_unknown_node_leaves_the_others_their_answers(tmp_path: Path) -> None:
    folder = written(tmp_path)
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    last = [entry for entry in in_topology(document) if entry["op"] == "MatMul"][-1]
    last["op"] = "Frobnicate"
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    trace = evaluate(open_model(folder).graph, {"entry": X})
    assert list(trace.provenance.details["no_truth"]) == ["last"]
    assert "Frobnicate" in trace.provenance.details["no_truth"]["last"]
    assert Key("output", "rms") in trace.records
