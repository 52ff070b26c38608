"""The end of the demo: the outputs of the exact model, hash beside hash, and what is said of them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from tests.diagnosis.runs import chain, run, x_of

from bittrue.cli.screen import Screen
from bittrue.errors import TraceError
from bittrue.report.data import ExactProof, ReportData
from bittrue.report.html import HtmlReporter
from bittrue.report.json import as_data
from bittrue.report.proof import write_proof
from bittrue.report.saved import report_of
from bittrue.report.text import TextReporter
from bittrue.tracefile import write_trace

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


class _Rows(HTMLParser):
    """The cells of the table in the section about the exact model, row by row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.title = ""
        self._inside = self._cell = self._heading = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = self._inside or (tag == "section" and ("id", "exact") in attrs)
        self._heading = self._inside and (tag == "h2" or (self._heading and tag == "span"))
        if self._inside and tag == "tr":
            self.rows.append([])
        if self._inside and tag in ("th", "td"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "section"
        self._cell = self._cell and tag not in ("th", "td")
        self._heading = self._heading and tag != "h2"

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data
        if self._heading:
            self.title += data


def panel(data: ReportData, proof: ExactProof | None) -> _Rows:
    out = io.StringIO()
    HtmlReporter().report(replace(data, exact=proof), out)
    return _Rows(out.getvalue())


def test_the_page_has_hash_beside_hash(data: ReportData) -> None:
    equal = panel(data, EQUAL)
    assert equal.rows[1:] == [["python:exact", "equal", ONE], ["node:exact", "equal", ONE]]
    assert "the same bits in 2 of 2 places" in equal.title
    different = panel(data, DIFFERENT)
    assert different.rows[1:] == [["python:exact", "equal", ONE], ["node:exact", "other bits", OTHER]]
    assert "not the same bits everywhere" in different.title
    assert panel(data, FAILED).rows[2] == ["node:exact", "failed", "node:exact died"]
    assert panel(data, None).rows == []


def test_a_notebook_has_them_too(data: ReportData) -> None:
    shown_there = replace(data, exact=EQUAL)._repr_html_()
    assert "the same bits in 2 of 2 places" in shown_there
    assert shown_there.count(ONE) == 2
    assert ONE not in data._repr_html_()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The saved runs of a reference and one target."""
    write_trace(run(chain(), x_of(), "keras:tensorflow"), tmp_path / "reference.safetensors")
    write_trace(run(chain(), x_of(), "node:cpu"), tmp_path / "node-cpu.safetensors")
    return tmp_path


def test_a_report_from_files_alone_has_the_proof_of_their_model(saved: Path) -> None:
    assert report_of(saved).exact is None
    write_proof(DIFFERENT, run(chain(), x_of(), "keras:tensorflow"), saved)
    assert report_of(saved).exact == DIFFERENT


def test_the_proof_of_another_input_is_passed_over(saved: Path) -> None:
    write_proof(EQUAL, run(chain(), x_of(5), "keras:tensorflow"), saved)
    assert report_of(saved).exact is None


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "bittrue/exact-proof/2"}', "[1]"])
def test_a_damaged_proof_is_named(saved: Path, text: str) -> None:
    (saved / "exact.json").write_text(text, encoding="utf-8")
    with pytest.raises(TraceError, match=r"exact\.json"):
        report_of(saved)
