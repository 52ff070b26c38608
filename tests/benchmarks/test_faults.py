"""The benchmark of planted faults: what counts as found, named and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.plan import Plan
from benchmarks.faults.scoring import goals_missed, score, write


def fault(layer: str, *causes: tuple[str, bool]) -> dict[str, Any]:
    found = [{"cause": name, "proven": proven, "words": name} for name, proven in causes]
    return {"layer": layer, "verdict": "bug", "side": "candidate", "causes": found}


def row(*faults: dict[str, Any], layers: tuple[str, ...] = ("a",), clean: tuple[Any, ...] = ()) -> dict[str, Any]:
    def said(named: Any) -> dict[str, Any]:
        none = {"1e-3": None, "1e-5": None, "Polygraphy": None}
        return {"verdict": "bug", "faults": list(named), "seconds": 1.0, "tolerances": none, "layers": 3}

    return {
        "case": "k | f | 1 | t",
        "date": "2026-01-01",
        "kinds": ["kernel transposed"] * len(layers),
        "where": ["artifact"] * len(layers),
        "family": "f",
        "target": "t",
        "layers": list(layers),
        "causes": [["weights-rearranged"]] * len(layers),
        "beyond": [True] * len(layers),
        "clean": said(clean),
        "spoilt": said(faults),
    }


def test_a_fault_that_is_named_with_its_cause_counts_everywhere() -> None:
    total = score([row(fault("a", ("weights-rearranged", True)))])
    assert (total.beyond_named, total.beyond, total.explained, total.explicable) == (1, 1, 1, 1)
    assert (total.reported_rightly, total.reported, total.claims_right, total.claims) == (1, 1, 1, 1)
    assert goals_missed([row(fault("a", ("weights-rearranged", True)))]) == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (row(), "was not named"),
        (row(fault("a"), fault("b")), "nothing was done to b"),
        (row(fault("a"), clean=(fault("c"),)), "clean, and c"),
        (row(fault("a"), layers=("a", "b")), "b was not named"),
    ],
)
def test_what_breaks_a_promise_is_said(made: dict[str, Any], words: str) -> None:
    (missed,) = goals_missed([made])
    assert words in missed


def test_a_wrong_proof_counts_against_precision_and_an_offer_does_not() -> None:
    wrong = score([row(fault("a", ("mask", True)))])
    assert (wrong.claims_right, wrong.claims, wrong.explained) == (0, 1, 0)
    offered = score([row(fault("a", ("mask", False)))])
    assert (offered.claims, offered.explained) == (0, 0)


def test_the_page_never_rounds_to_everything(tmp_path: Path) -> None:
    rows = [row(fault("a"))] * 2999 + [row()]
    write(rows, tmp_path / "faults.md")
    text = (tmp_path / "faults.md").read_text(encoding="utf-8")
    assert "99.9 % (2999 of 3000)" in text
    assert "| 100 %" not in text.split("seconds for one")[0].split("(recall)")[1].split("\n")[0]


def plan(tmp_path: Path) -> Plan:
    layers = [
        {"class_name": "Dense", "config": {"name": name, "activation": "relu"}, "inbound_nodes": []} for name in "ab"
    ]
    document = {"modelTopology": {"model_config": {"config": {"layers": layers}}}, "weightsManifest": []}
    draw = np.random.default_rng(0)
    weights = {f"{name}/kernel": draw.normal(size=(4, 4)).astype(np.float32) for name in "ab"}
    return Plan(tmp_path, document, weights, {"x": np.ones((2, 4), np.float32)})


def test_a_kind_changes_one_layer_and_leaves_the_taken_ones_alone(tmp_path: Path) -> None:
    made = plan(tmp_path)
    made.taken.append("a")
    before = {name: value.copy() for name, value in made.weights.items()}
    assert KINDS["kernel transposed"].plant(made, np.random.default_rng(0)) == "b"
    np.testing.assert_array_equal(made.weights["a/kernel"], before["a/kernel"])
    np.testing.assert_array_equal(made.weights["b/kernel"], before["b/kernel"].T)


def test_a_model_without_a_place_is_said_to_have_none(tmp_path: Path) -> None:
    assert KINDS["gates in another order"].plant(plan(tmp_path), np.random.default_rng(0)) is None


def test_what_the_page_shall_do_stands_in_its_script(tmp_path: Path) -> None:
    made = plan(tmp_path)
    name = KINDS["half float texture"].plant(made, np.random.default_rng(0))
    script = made.script()
    assert script is not None
    text = (tmp_path / script).read_text()
    assert json.dumps({name: {"kind": "half"}}) in text


def test_there_are_enough_kinds_in_every_place() -> None:
    places = [kind.where for kind in KINDS.values()]
    assert len(places) >= 30
    assert min(map(places.count, ("artifact", "page", "input"))) >= 5
