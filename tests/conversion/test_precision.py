"""Models of other precisions: written in float32, with a sentence on which side is the coarser one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_models import dense, input_layer, model

from bittrue.conversion.tfjs import convert
from bittrue.conversion.tfjs.lint import lint
from bittrue.errors import Unsupported
from bittrue.graph.model import Graph, Weight

REAL = np.array([[1.5, -0.1], [6e-8, -0.0], [65504.0, 3.0]])


def kept_in(dtype: Any, policy: Any, numbers: Any = REAL) -> Graph:
    """A Dense layer of ``policy`` whose kernel is kept as ``dtype``."""
    layer = dense("d", "entry", units=2, dtype=policy, use_bias=False)
    object.__setattr__(layer, "weights", (Weight("kernel", numbers.astype(dtype)),))
    return model(input_layer("entry", 3), layer)


def written(graph: Graph, folder: Path, form: Any = "auto") -> Any:
    ((_, value),) = convert(graph, folder, form=form).weights()
    return value


@pytest.mark.parametrize("form", ["layers-model", "graph-model"])
@pytest.mark.parametrize(("policy", "bits"), [("float16", 11), ("mixed_bfloat16", 8), ("mixed_float16", 11)])
def test_half_precision_is_written_and_said(policy: str, bits: int, form: Any, tmp_path: Path) -> None:
    serialised = {"class_name": "DTypePolicy", "config": {"name": policy}, "module": "keras", "registered_name": None}
    (note,) = convert(kept_in(np.float32, serialised), tmp_path / "out", form=form).notes
    assert f"{policy} of 1 layer" in note
    assert f"to {bits} significant bits" in note
    assert "Python is the coarser side" in note


@pytest.mark.parametrize("form", ["layers-model", "graph-model"])
def test_every_bit_of_a_half_is_kept(form: Any, tmp_path: Path) -> None:
    found = written(kept_in(np.float16, "float16"), tmp_path / "out", form)
    assert found.dtype == np.float32
    assert np.array_equal(found.astype(np.float16).view(np.uint16), REAL.astype(np.float16).view(np.uint16))


@pytest.mark.needs("tensorflow")
def test_every_bit_of_a_bfloat16_is_kept(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    value = REAL.astype(ml_dtypes.bfloat16)
    found = written(kept_in(ml_dtypes.bfloat16, "bfloat16"), tmp_path / "out")
    assert np.array_equal(found.view(np.uint32) >> 16, value.view(np.uint16))
    assert not np.any(found.view(np.uint32) & 0xFFFF)


def test_float64_that_fits_is_kept_and_what_does_not_is_counted(tmp_path: Path) -> None:
    whole = np.arange(6.0).reshape(3, 2)
    (note,) = convert(kept_in(np.float64, "float64", whole), tmp_path / "fits").notes
    assert "the browser is the coarser side; the weights' numbers are kept" in note
    (note,) = convert(kept_in(np.float64, "float64"), tmp_path / "rounded").notes
    assert "1 weight had to be rounded" in note


def test_float64_beyond_float32_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"'d'.*'kernel' reaches 1e\+300"):
        convert(kept_in(np.float64, "float64", np.full((3, 2), 1e300)), tmp_path / "out")


def test_float32_needs_no_note(tmp_path: Path) -> None:
    assert convert(kept_in(np.float32, "float32"), tmp_path / "out").notes == ()


@pytest.mark.parametrize(("policy", "side"), [("mixed_bfloat16", "Keras"), ("float64", "the browser")])
def test_lint_says_which_side_is_coarser(policy: str, side: str) -> None:
    (finding,) = (one for one in lint(kept_in(np.float32, policy)).findings if one.option == "dtype")
    assert (finding.layer, finding.kind, finding.remedy, finding.repaired) == (
        "d",
        "different",
        "written in float32",
        True,
    )
    assert f"{side} is the coarser side" in finding.why
