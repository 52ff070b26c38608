"""Bits that must never move: hashes of the outputs of fixed models, made by the oracle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden_models import GOLDEN, MODELS, by_oracle, hashes
from golden_models import main as write_models

from bittrue.exact import load
from bittrue.exact.engine import ExactModel
from bittrue.exact.file import ExactFile, digest

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

WANTED = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_module_gives_the_bits_it_always_gave(name: str) -> None:
    plan, constants, inputs = MODELS[name]()
    made = ExactModel(ExactFile(plan, constants, digest(plan, constants))).predict(inputs)
    assert hashes(made if isinstance(made, list) else [made]) == WANTED[name]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_so_does_the_oracle(name: str) -> None:
    assert by_oracle(name) == WANTED[name]


def test_the_models_can_be_written_for_other_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file

    monkeypatch.setattr("sys.argv", ["golden_models.py", str(tmp_path)])
    write_models()
    inputs = load_file(tmp_path / "attention.inputs.safetensors")
    assert hashes(load(tmp_path / "attention.safetensors").predict(inputs)) == WANTED["attention"]
