"""The JSON of a result follows its published schema and says what was compared."""

from __future__ import annotations

import io
import json
from importlib.resources import files

import jsonschema

from bittrue.report.data import ReportData
from bittrue.report.json import JsonReporter, as_data

SCHEMA = json.loads(files("bittrue.report").joinpath("result-1.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_a_schema_and_the_result_follows_it(data: ReportData) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    out = io.StringIO()
    JsonReporter().report(data, out)
    jsonschema.validate(json.loads(out.getvalue(), parse_constant=lambda name: 1 / 0), SCHEMA)


def test_every_property_of_a_layer_is_in_the_schema(data: ReportData) -> None:
    layer = as_data(data)["targets"][0]["layers"][0]
    known = set(SCHEMA["$defs"]["pair"]["properties"]) | set(SCHEMA["$defs"]["layer"]["properties"])
    assert set(layer) <= known


def test_a_layer_carries_the_documents_figures_and_the_worst_element(data: ReportData) -> None:
    a, b = as_data(data)["targets"][0]["layers"]
    ulp = 2.0**-22  # spacing of float32 at 2
    assert (a["name"], a["different_values"], a["max_ulp"]) == ("a", 1, 1)
    assert a["average_difference"] == ulp / 3
    assert b["max_abs_to_scale"] == 2 * ulp / 8
    assert a["worst"]["index"] == [0, 1]
    assert (a["worst"]["reference"], a["worst"]["candidate"]) == (2.0, 2.0 + ulp)
    assert a["float64"]["average_difference"] == ulp / 3
    assert a["reference_float64"]["average_difference"] == 0


def test_inputs_are_not_layers_and_identical_means_every_bit(data: ReportData) -> None:
    webgl, wasm, *_ = as_data(data)["targets"]
    assert [layer["name"] for layer in wasm["layers"]] == ["a", "b"]
    assert (webgl["identical"], wasm["identical"]) == (False, True)
    assert {pair["kind"] for pair in wasm["others"]} == {"input"}


def test_failures_keep_their_sentence_and_their_facts(data: ReportData) -> None:
    died, absent = as_data(data)["targets"][2:]
    assert (died["status"], died["error"]["after"]) == ("failed", "a")
    assert (absent["status"], absent["error"]["remedy"]) == ("absent", "install it")
    assert died["identical"] is None
