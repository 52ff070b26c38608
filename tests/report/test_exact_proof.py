"""The end of the demo: the outputs of the exact model, hash beside hash, and what is said of them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from bittrue.cli.screen import Screen
from bittrue.report.data import ExactProof, ReportData
from bittrue.report.json import as_data
from bittrue.report.text import TextReporter

ONE, OTHER = "1" * 64, "2" * 64
SCHEMA = json.loads(files("bittrue.report").joinpath("result-1.schema.json").read_text(encoding="utf-8"))
EQUAL = ExactProof({"python:exact": ONE, "node:exact": ONE}, {}, 500)
DIFFERENT = ExactProof({"python:exact": ONE, "node:exact": OTHER}, {}, 500)
FAILED = ExactProof({"python:exact": ONE}, {"node:exact": "node:exact died"}, 500)


def shown(data: ReportData, proof: ExactProof | None) -> list[str]:
    out = io.StringIO()
    TextReporter(120).report(replace(data, exact=proof), out)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_equal_hashes_are_the_last_word(data: ReportData) -> None:
    assert shown(data, EQUAL)[-3:] == [
        f"python:exact  {ONE}",
        f"node:exact    {ONE}",
        "the same bits in 2 of 2 places (SHA-256 of all 500 values of its outputs)",
    ]


def test_other_bits_and_failures_are_said(data: ReportData) -> None:
    assert shown(data, DIFFERENT)[-1].startswith("not the same bits everywhere")
    assert shown(data, FAILED)[-1] == "node:exact    node:exact died"
    assert not any("exact" in line for line in shown(data, None))


@pytest.mark.parametrize("proof", [EQUAL, DIFFERENT, FAILED, None])
def test_the_json_follows_the_schema(data: ReportData, proof: ExactProof | None) -> None:
    result = as_data(replace(data, exact=proof))
    jsonschema.validate(json.loads(json.dumps(result)), SCHEMA)
    assert (result["exact"] or {}).get("identical") == (None if proof is None else proof is EQUAL)


@pytest.mark.parametrize(("proof", "code"), [(EQUAL, 0), (DIFFERENT, 1), (FAILED, 3)])
def test_a_proof_that_fails_is_no_success(data: ReportData, proof: ExactProof, code: int) -> None:
    fine = replace(data, targets=data.targets[:2], exact=proof)
    assert Screen(quiet=True, json_path=None).finish(fine, "never") == code
