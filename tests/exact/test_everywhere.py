"""The same bits in Python, Node, Deno, Chrome and Firefox, for any split of a batch, and those of the golden files."""

from __future__ import annotations

import json
from pathlib import Path

import golden_architectures
import golden_cases
import numpy as np
import pytest
from everywhere import PLACES, computed_in, expected_ways, written
from golden_models import Numbers
from subjects import Subject, Ways, differences, fingerprint, in_python
from test_conformance import SAMPLE

from bittrue.exact.file import read
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

EVERYWHERE = [pytest.param(place, marks=pytest.mark.needs(place)) for place in PLACES]
Known = tuple[dict[str, Subject], dict[str, Ways]]


def subjects() -> dict[str, Subject]:
    """Operations and small architectures in every way; of the layers of Keras a sample, as a whole."""
    hashes, inseparable = golden_cases.golden()
    found = {
        label: Subject(*golden_cases.built(label), splits=label not in inseparable, worker=at == 0, threads=(2, 3))
        for at, label in enumerate(label for label in hashes if label not in golden_cases.KERAS)
    }
    found |= {name: Subject(*one, threads=(2,)) for name, one in golden_architectures.all_built().items()}
    return found | {label: Subject(*golden_cases.built(label), splits=False) for label in SAMPLE}


@pytest.fixture(scope="module")
def known() -> Known:
    """The subjects, and what Python makes of them."""
    made = subjects()
    return made, {name: in_python(one) for name, one in made.items()}


@pytest.fixture(scope="module")
def folder(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("everywhere"), known[0])


def disagreements(known: Known, found: dict[str, Ways], place: str) -> list[str]:
    return [
        f"{name}: {said}"
        for name, one in known[0].items()
        for said in found[name].get("error")
        or differences(one, known[1][name]["every"], found[name], expected_ways(one, place))
    ]


@pytest.mark.needs("tensorflow")
def test_python_gives_the_bits_it_always_gave(known: Known) -> None:
    hashes, _ = golden_cases.golden()
    assert {name: fingerprint(known[1][name]["every"]) for name in known[0] if name in hashes} == {
        name: hashes[name] for name in known[0] if name in hashes
    }
    architectures = json.loads(golden_architectures.GOLDEN.read_text(encoding="utf-8"))
    found = {name: [line.split()[1] for line in known[1][name]["whole"]] for name in architectures}
    assert found == architectures


@pytest.mark.needs("tensorflow")
def test_python_gives_one_set_of_bits(known: Known) -> None:
    assert disagreements(known, known[1], "python") == []


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("place", EVERYWHERE)
def test_the_same_bits(place: str, known: Known, folder: Path) -> None:
    assert disagreements(known, computed_in(place, folder), place) == []


@pytest.mark.needs("node")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_weights_in_fewer_bits(dtype: str, tmp_path: Path) -> None:
    draw = Numbers(9)
    stored = draw(6, 4).astype(np.float16) if dtype == "float16" else (np.abs(draw(6, 4)) * 255).astype(dtype)
    affine = None if dtype == "float16" else (0.0123456789, -1.1)
    kernel = Constant("kernel", (6, 4), "float32", affine)
    steps = (Operation("matmul", (0, 1)),)
    plan = Plan("few", (Input("x", (None, 6), "float32"),), (kernel,), steps, (Named("y", 2),))
    few = Subject(plan, {"kernel": stored}, {"x": draw(3, 6)}, threads=(2,))
    folder = written(tmp_path, {"few": few})
    file = read(folder / "models" / "0.safetensors")
    wanted = in_python(Subject(file.plan, dict(file.constants), few.inputs))["every"]
    found = computed_in("node", folder)["few"]
    assert differences(few, wanted, found, expected_ways(few, "node")) == []
