"""Each page on an error of TensorFlow.js: its model makes plain TensorFlow.js throw that text, its fix does not."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conversion.in_node import predict_all
from tests.docs.keras3 import as_saved
from tests.docs.pages import DOCS, blocks, commands, fits

from bittrue.errors import TargetUnavailable
from bittrue.runtimes.discovery import find_node
from bittrue.runtimes.tfjs import BUNDLED, tfjs_files

PAGES = sorted(path for path in (DOCS / "errors").glob("*.md") if path.name != "index.md")
pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


def model_of(page: Path) -> Any:
    """The model that the page's Python makes, which saves it as ``model.keras`` in the current folder."""
    import keras

    keras.backend.clear_session()
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(block.text, names)
    return names["model"]


def conditions(page: Path) -> tuple[list[str], str]:
    """Which repairs had been tried, and the version of TensorFlow.js."""
    found = re.search(r"<!-- repaired: ([a-z, ]+)(?:; tfjs: ([\d.]+))? -->", page.read_text(encoding="utf-8"))
    assert found, page
    return [word for word in found[1].split(", ") if word != "nothing"], found[2] or BUNDLED


def scripts(version: str) -> Path:
    """The one file of a version of TensorFlow.js; skips where it can neither be found nor fetched."""
    try:
        return tfjs_files(version).folder / "tf.min.js"
    except TargetUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """Each page's model, and the folder that it has saved it in."""
    found = {}
    for page in PAGES:
        folder = tmp_path_factory.mktemp(page.stem)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            found[page.stem] = (model_of(page), folder)
    return found


@pytest.fixture(scope="module")
def thrown(models: dict[str, tuple[Any, Path]]) -> dict[str, str | None]:
    """What TensorFlow.js of the bundled version says to the models of the pages that are on it."""
    on_it = {page.stem: conditions(page)[0] for page in PAGES if conditions(page)[1] == BUNDLED}
    said = complaints([as_saved(models[name][0], repairs) for name, repairs in on_it.items()], scripts(BUNDLED))
    return dict(zip(on_it, said, strict=True))


def complaints(saved: list[dict[str, Any]], tfjs: Path) -> list[str | None]:
    node = find_node()
    assert node is not None
    command = [str(node.path), str(Path(__file__).with_name("load_plain.mjs"))]
    asked = json.dumps({"tfjs": str(tfjs), "models": saved}).encode()
    done = subprocess.run(command, input=asked, capture_output=True, timeout=120, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_text_is_what_tensorflow_js_throws(
    page: Path, models: dict[str, tuple[Any, Path]], thrown: dict[str, str | None]
) -> None:
    repairs, version = conditions(page)
    saved = as_saved(models[page.stem][0], repairs)
    said = thrown[page.stem] if version == BUNDLED else complaints([saved], scripts(version))[0]
    (text,) = blocks(page, "text")
    assert said is not None
    assert fits(said, text.text), said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_fix_prints_what_the_page_says(
    page: Path, models: dict[str, tuple[Any, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from bittrue.cli.app import main

    monkeypatch.chdir(models[page.stem][1])
    (block,) = blocks(page, "console")
    for command, said in commands(block):
        done = CliRunner().invoke(main, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
        assert fits(done.output, said or ""), done.output


@pytest.mark.parametrize("version", sorted({conditions(page)[1] for page in PAGES}))
def test_what_the_fix_writes_loads_and_predicts_the_same(
    version: str, models: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    import bittrue

    names = [page.stem for page in PAGES if conditions(page)[1] == version]
    for name in names:
        bittrue.convert(models[name][1] / "model.keras", tmp_path / name, tfjs=version)
    fed = [np.ones([2, *(x := models[name][0].inputs[0]).shape[1:]], str(x.dtype)) for name in names]
    written = predict_all([(tmp_path / name, [x]) for name, x in zip(names, fed, strict=True)], scripts(version))
    for name, x, got in zip(names, fed, written, strict=True):
        assert got.error is None, f"{name}: {got.error}"
        expected = models[name][0].predict(x, verbose=0)
        np.testing.assert_allclose(got.outputs[0], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_every_page_is_listed_with_its_text() -> None:
    index = (DOCS / "errors" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"]({page.name})" in index
        assert re.split(r"[…:\n]", blocks(page, "text")[0].text)[0] in index
