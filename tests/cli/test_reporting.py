"""``bittrue report``: from saved files alone to the page and the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.diagnosis.runs import chain, run, x_of

from bittrue.cli import main
from bittrue.graph.stored import write_graph
from bittrue.tracefile import write_trace
from bittrue.traces import Array


def up(y: Array) -> Array:
    return y + np.float32(1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The runs of a reference, of a target like it, and of one with a layer that is off by one."""
    folder = tmp_path / "saved"
    folder.mkdir()
    write_graph(chain(), folder / "graph.json")
    write_trace(run(chain(), x_of(), "keras:tensorflow"), folder / "reference.safetensors")
    write_trace(run(chain(), x_of(), "node:cpu"), folder / "node-cpu.safetensors")
    write_trace(run(chain(), x_of(), "node:wasm", faults={"d1": up}), folder / "node-wasm.safetensors")
    return folder


def report(*words: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


def test_the_page_and_the_verdict_come_from_files_alone(saved: Path, tmp_path: Path):
    done = report(saved, "-o", tmp_path / "r.html", "--json", tmp_path / "r.json", "--fail-on", "bug")
    assert done.exit_code == 1, done.output
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Do not ship" in page
    assert "node:wasm" in page
    data = json.loads((tmp_path / "r.json").read_text())
    verdicts = {target["target"]: target["verdict"] for target in data["targets"]}
    assert verdicts["node:wasm"] == "bug"
    assert verdicts["node:cpu"] in ("identical", "rounding")


def test_the_screen_is_brief_unless_everything_is_asked_for(saved: Path, tmp_path: Path):
    brief = report(saved, "-o", tmp_path / "r.html").stdout
    whole = report(saved, "-o", tmp_path / "r.html", "--verbose").stdout
    assert brief.lstrip().startswith("bug  node:wasm")
    assert len(brief.splitlines()) < 30
    assert "average" not in brief
    assert "average" in whole


def test_without_a_graph_it_compares_and_says_nothing_of_faults(saved: Path, tmp_path: Path):
    (saved / "graph.json").unlink()
    assert report(saved, "-o", tmp_path / "r.html").exit_code == 0
    assert "Compared" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("missing", "said"), [("reference.safetensors", "holds no reference"), ("node-*.safetensors", "holds nothing to")]
)
def test_what_is_missing_is_named(saved: Path, tmp_path: Path, missing: str, said: str):
    for path in saved.glob(missing):
        path.unlink()
    done = report(saved, "-o", tmp_path / "r.html")
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")
    assert not (tmp_path / "r.html").exists()


def test_a_place_that_cannot_be_written_is_named_before_anything_is_read(tmp_path: Path):
    done = report(tmp_path / "nowhere", "-o", tmp_path / "no" / "r.html")
    assert done.exit_code == 2
    assert "--report" in done.output or "-o" in done.output
