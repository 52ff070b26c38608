"""What a file brings along is not executed: it is read as JSON first, and refused by name."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bittrue.errors import UntrustedCode
from bittrue.model import open_model
from bittrue.model.trust import refuse_foreign_code

WHERE = Path("model.keras")


def layer(class_name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any) -> Any:
    named = {"name": "suspect", **config}
    return {"module": module, "class_name": class_name, "config": named, "registered_name": registered}


def function(name: str, module: str | None, registered: str | None = None) -> Any:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered or name}


REFUSED = {
    "lambda": (layer("Lambda"), "layer 'suspect' (Lambda)"),
    "registered lambda": (layer("Mine>Lambda"), "carries Python code"),
    "lambda in a wrapper": (layer("TimeDistributed", layer=layer("Lambda")), "(Lambda)"),
    "lambda in a model": (layer("Functional", "keras.src.models.functional", layers=[layer("Lambda")]), "(Lambda)"),
    "marshalled code": (layer("Dense", activation={"class_name": "__lambda__", "config": {}}), "marshalled"),
    "custom class": (layer("Dense", "mine", "Dense"), "custom class of mine"),
    "class of a script": (layer("Mine", None, "Mine"), "custom class of an unknown module"),
    "registered class": (layer("Mine", "keras.layers", "Package>Mine"), "Package>Mine is a custom class"),
    "look-alike module": (layer("Dense", "keras_evil.layers"), "custom class of keras_evil.layers"),
    "helper of Keras": (layer("get_file", "keras.utils"), "custom class of keras.utils"),
    "call of a helper": (layer("Dense", activation=function("get_file", "keras.utils")), "no function of Keras's own"),
    "call of a shell": (layer("Dense", activation=function("system", "os")), "no function of Keras's own"),
    "custom function": (layer("Dense", activation=function("f", "builtins", "P>f")), "custom function"),
    "saved model": (layer("TFSMLayer"), "runs a SavedModel"),
    "pickle": (layer("TorchModuleWrapper"), "unpickles"),
    "another file": (layer("StringLookup", vocabulary="/etc/passwd"), "path of another file"),
}


@pytest.mark.parametrize(("config", "says"), REFUSED.values(), ids=REFUSED)
def test_foreign_code_is_refused_by_name(config: Any, says: str) -> None:
    with pytest.raises(UntrustedCode) as caught:
        refuse_foreign_code({"class_name": "Functional", "module": "keras", "config": {"layers": [config]}}, WHERE)
    assert says in str(caught.value)
    assert str(WHERE) in str(caught.value)


def test_keras_own_objects_pass() -> None:
    own = [
        layer("Dense", activation="relu", kernel_initializer=layer("Zeros", "keras.initializers")),
        layer("Dense", activation=function("relu", "builtins")),
        layer("Multiply", "keras.src.ops.numpy", "Multiply"),
        {"class_name": "Dense", "config": {"name": "of Keras 2"}},
        layer("StringLookup", vocabulary=["a", "b"]),
        layer("LayerScale", "keras.src.applications.convnext", "LayerScale"),
    ]
    refuse_foreign_code(own, WHERE)


def _poisoned(path: Path, marker: Path) -> Path:
    """A real archive whose Dense has a module that leaves a mark when it is imported."""
    import keras_models

    keras_models.sequential().save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1]["module"] = marker.stem
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.needs("tensorflow")
def test_a_refused_file_has_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "poison_for_a_test.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    path = _poisoned(tmp_path / "model.keras", tmp_path / "poison_for_a_test.py")
    with pytest.raises(UntrustedCode, match="poison_for_a_test"):
        open_model(path)
    assert "poison_for_a_test" not in sys.modules


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_lambda_opens_only_when_trusted(name: str, tmp_path: Path) -> None:
    import keras

    entry = keras.Input((2,), name="entry")
    keras.Model(entry, keras.layers.Lambda(lambda x: x * 2, name="double")(entry)).save(tmp_path / name)
    with pytest.raises(UntrustedCode, match=r"layer 'double' \(Lambda\)"):
        open_model(tmp_path / name)
    assert open_model(tmp_path / name, trust=True).graph.layer("double").class_name == "Lambda"


@pytest.mark.needs("tensorflow")
def test_a_custom_loss_does_not_matter(tmp_path: Path) -> None:
    import keras
    import keras_models

    model = keras_models.sequential()
    model.compile("sgd", loss=lambda y, p: keras.ops.mean(y - p))
    model.save(tmp_path / "model.keras")
    assert open_model(tmp_path / "model.keras").graph.name == "steps"
