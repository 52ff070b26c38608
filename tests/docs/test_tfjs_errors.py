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

from bittrue.errors import TargetUnavailable
from bittrue.runtimes.discovery import find_node
from bittrue.runtimes.tfjs import BUNDLED, tfjs_files
from tests.conversion.in_node import predict
from tests.docs.keras3 import as_saved
from tests.docs.pages import DOCS, blocks, commands, fits

PAGES = sorted(path for path in (DOCS / "errors").glob("*.md") if path.name != "index.md")
pytestmark = [pytest.mark.browser, pytest.mark.needs("node", "tensorflow")]


def model_of(page: Path) -> Any:
    """The model that the page's Python makes, which it saves as ``model.keras`` into the current folder."""
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


def complaint(saved: dict[str, Any], version: str) -> str | None:
    try:
        files = tfjs_files(version)
    except TargetUnavailable as error:
        pytest.skip(str(error))
    node = find_node()
    assert node is not None
    command = [str(node.path), str(Path(__file__).with_name("load_plain.mjs"))]
    asked = json.dumps({"tfjs": str(files.folder / "tf.min.js"), "models": [saved]}).encode()
    done = subprocess.run(command, input=asked, capture_output=True, timeout=120, check=True)
    (said,) = json.loads(done.stdout)
    return said  # type: ignore[no-any-return]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_text_is_what_tensorflow_js_throws(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repairs, version = conditions(page)
    said = complaint(as_saved(model_of(page), repairs), version)
    (text,) = blocks(page, "text")
    assert said is not None
    assert fits(said, text.text), said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_the_fix_writes_loads_and_predicts_the_same(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from bittrue.cli.app import main

    monkeypatch.chdir(tmp_path)
    model, (_, version) = model_of(page), conditions(page)
    (block,) = blocks(page, "console")
    for command, said in commands(block):
        done = CliRunner().invoke(main, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
        assert fits(done.output, said or ""), done.output
    fed = np.ones([2, *model.inputs[0].shape[1:]], np.dtype(str(model.inputs[0].dtype)))
    (output,) = predict(tmp_path / "web_model", [fed], tfjs_files(version).folder / "tf.min.js").outputs
    np.testing.assert_allclose(output, model.predict(fed, verbose=0), rtol=1e-5, atol=1e-6)


def test_every_page_is_listed_with_its_text() -> None:
    index = (DOCS / "errors" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"]({page.name})" in index
        assert blocks(page, "text")[0].text.split("…")[0].split(":")[0] in index.replace("`", "`")
