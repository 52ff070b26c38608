"""Decisions in the JSON: what rounding may do to them to first order, or why that is not known."""

from __future__ import annotations

import json
from importlib.resources import files
from math import inf
from typing import Any

import jsonschema
import pytest

from bittrue.diagnosis import Decision, Diagnosis, FirstOrder, LayerShare, NearRow, Verdict
from bittrue.report.evidence import diagnosis_data
from bittrue.traces import Key

SCHEMA = json.loads(files("bittrue.report").joinpath("result-1.schema.json").read_text(encoding="utf-8"))
DECISION = {"$ref": "#/$defs/decision", "$defs": SCHEMA["$defs"]}
KEY = Key("output", "classes")


def written(first_order: FirstOrder | None) -> Any:
    decision = Decision(KEY, "argmax", 3, 0, 0, 0.5, 1e-6, inf, 0, first_order)
    (found,) = diagnosis_data(Diagnosis("node:cpu", Verdict.ROUNDING, "", (), (decision,)))["decisions"]
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), DECISION)
    return found["first_order"]


def test_both_sides_their_sum_and_the_layers_that_add_most() -> None:
    layers = (LayerShare(Key("output", "lstm", 1), 0.75), LayerShare(KEY, 0.125))
    found = written(FirstOrder(2, 0.5, 1e-7, 0.25, 0.5, layers))
    assert (found["row"], found["margin"], found["change"], found["obstacle"]) == (2, 0.5, 1e-7, None)
    assert (found["reference"], found["candidate"], found["bound"], found["inside"]) == (0.25, 0.5, 0.75, True)
    assert found["layers"][0] == {"name": "lstm", "call": 1, "share": 0.75}


def test_the_rows_that_were_followed_back_with_what_lies_inside() -> None:
    near = (NearRow(2, 0.5, 0.75), NearRow(0, 0.875, 0.75), NearRow(1, 1.0, None))
    found = written(FirstOrder(2, 0.5, 1e-7, 0.25, 0.5, nearest=near))
    assert found["nearest"] == [
        {"row": 2, "margin": 0.5, "bound": 0.75, "inside": True},
        {"row": 0, "margin": 0.875, "bound": 0.75, "inside": False},
        {"row": 1, "margin": 1.0, "bound": None, "inside": None},
    ]


def test_where_there_is_none_the_reason_stands_in_its_place() -> None:
    found = written(FirstOrder(0, 0.5, None, obstacle="the reverse pass ends at the layer 'x' (Strange): why"))
    assert {name: found[name] for name in ("bound", "inside", "reference", "candidate")} == dict.fromkeys(
        ("bound", "inside", "reference", "candidate")
    )
    assert found["layers"] == []
    assert "'x' (Strange)" in found["obstacle"]


@pytest.mark.parametrize("margin", [0.75, 0.8])
def test_a_margin_as_large_as_the_bound_lies_inside(margin: float) -> None:
    assert written(FirstOrder(0, margin, None, 0.25, 0.5))["inside"] is (margin == 0.75)


def test_what_was_not_followed_back_is_null() -> None:
    assert written(None) is None
