"""The table of defects: each is there in plain TensorFlow.js, and what is written instead is right."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conformance.in_page import Page, opened_page

from bittrue.conversion.tfjs.defects import DEFECTS, defect_of_layer, present
from bittrue.runtimes.discovery import find_node

_FOLDER = Path(__file__).with_name("defects")
_ON_GPU = sorted(name for name, defect in DEFECTS.items() if not {"cpu", "wasm"} & set(defect.backends))
_IN_NODE = sorted(name for name, defect in DEFECTS.items() if {"cpu", "wasm"} & set(defect.backends))


def _computed(name: str, backend: str, export: str = "compute") -> Any:
    node = find_node()
    assert node is not None
    command = [str(node.path), "--no-warnings", str(_FOLDER / "run.mjs"), str(_FOLDER / f"{name}.mjs"), backend, export]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return json.loads(done.stdout)


def _right(name: str) -> str:
    found = re.search(r'export const right = "(.+?)"', (_FOLDER / f"{name}.mjs").read_text(encoding="utf-8"))
    assert found
    return found[1]


def test_every_defect_has_a_repro_and_every_repro_a_defect() -> None:
    assert {path.stem for path in _FOLDER.glob("*.mjs")} - {"run"} == set(DEFECTS)


@pytest.mark.browser
@pytest.mark.needs("node", "npm")
@pytest.mark.parametrize("name", _IN_NODE)
def test_the_defect_is_there(name: str) -> None:
    right = _right(name)
    reference = _computed(name, right) if right in ("cpu", "wasm") else _computed(name, "cpu", "repeated")
    wrong = [backend for backend in DEFECTS[name].backends if backend in ("cpu", "wasm")]
    for backend in wrong:
        found = _computed(name, backend)
        same = found["shape"] == reference["shape"] and np.array_equal(found["values"], reference["values"])
        assert not same, f"{name} has been repaired on {backend}: say since when"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One page of Chromium for all repros."""
    with opened_page(_FOLDER) as page:
        yield page


@pytest.mark.browser
@pytest.mark.needs("chrome")
@pytest.mark.parametrize("name", _ON_GPU)
def test_the_defect_is_there_on_a_gpu(page: Page, name: str) -> None:
    reference = page.compute(name, _right(name))
    for backend in sorted({"webgl", "webgpu"} & set(DEFECTS[name].backends)):
        try:
            found = page.compute(name, backend)
        except AssertionError:
            continue  # it says so itself
        assert found["values"] != reference["values"], f"{name} has been repaired on {backend}: say since when"


def test_a_layer_with_a_defect_is_found_by_its_class() -> None:
    found = defect_of_layer("MaxPooling3D", (4, 22, 0))
    assert found is not None
    assert found[0] == "wasm-max-pool-3d"
    assert defect_of_layer("MaxPooling2D", (4, 22, 0)) is None


def test_a_defect_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        present("no-such-defect", (4, 22, 0))
