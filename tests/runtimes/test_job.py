"""The job as docs/protocol.md writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import chain

from bittrue.conversion.tfjs import Artifact
from bittrue.errors import UsageError
from bittrue.runtimes.base import TraceOptions
from bittrue.runtimes.job import Job, flag_value
from bittrue.runtimes.target import Target

ARTIFACT = Artifact(Path("a"), "layers-model", "4.22.0", {"model.json": "00ff"})


def job(target: str = "chrome:webgl", **options: Any) -> dict[str, Any]:
    made = Job.of(
        Target.parse(target), chain("a"), ARTIFACT, ("4.22.0", "t/", ("tf.min.js",)), "a/", TraceOptions(**options)
    )
    return made.header()["job"]


def test_it_has_the_fields_of_the_protocol():
    assert job("chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true", runs=3, budget=99) == {
        "target": "chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true",
        "runtime": {"name": "tfjs", "version": "4.22.0", "base": "t/", "scripts": ["tf.min.js"]},
        "artifact": {"format": "layers-model", "base": "a/", "document": "model.json"},
        "hashes": {"model.json": "00ff"},
        "backend": "webgl",
        "flags": {"WEBGL_FORCE_F16_TEXTURES": True},
        "inputs": ["x"],
        "calls": [{"path": ["x"], "nodes": [0]}, {"path": ["a"], "nodes": [0]}],
        "layers": None,
        "weights": True,
        "capture": True,
        "runs": 3,
        "batch": True,
        "budget": 99,
    }


def test_other_batch_positions_are_tried_where_repeatability_is_asked_for():
    assert (job(runs=1)["batch"], job(runs=2)["batch"]) == (False, True)


def test_layers_are_passed_on_and_unknown_ones_refused_with_the_nearest():
    assert job(layers=["a"])["layers"] == ["a"]
    with pytest.raises(UsageError, match="no layer 'aa' to capture: did you mean 'a'"):
        job(layers=["aa"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("FALSE", False), ("4", 4), ("0.5", 0.5), ("high", "high"), ("null", "null"), ("NaN", "NaN")],
)
def test_a_flag_is_the_value_it_looks_like(text: str, value: object):
    assert flag_value(text) == value
    assert type(flag_value(text)) is type(value)
