"""Files that are missing, damaged or no model get one sentence that names the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras_models
import make_legacy_h5 as legacy
import numpy as np
import pytest

from bittrue.errors import ModelError
from bittrue.model import open_model

Damage = Callable[[Path], Path]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return path


def h5(path: Path, **attributes: str) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
    return path


def weights_only(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        legacy.write_weights(file, {"dense": {"dense/kernel": np.zeros((2, 2), np.float32)}})
    return path


def linked(path: Path) -> Path:
    legacy.oldest(path)
    with h5py.File(path, "r+") as file:
        del file["model_weights/first/first/kernel:0"]
        file["model_weights/first/first/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/")
    return path


def external(path: Path) -> Path:
    legacy.oldest(path)
    with h5py.File(path, "r+") as file:
        del file["model_weights/first/first/bias:0"]
        group = file["model_weights/first/first"]
        group.create_dataset("bias:0", (3,), "f4", external=[("/etc/passwd", 0, 12)])
    return path


def empty_h5(path: Path) -> bytes:
    with h5py.File(path, "w"):
        pass
    return path.read_bytes()


def deep(path: Path) -> Path:
    return archive(path, config__json=b"[" * 100_000 + b"]" * 100_000, model__weights__h5=b"")


def bomb(path: Path) -> Path:
    config = json.dumps({"class_name": "Functional", "config": {}}).encode()
    return archive(path, config__json=config, model__weights__h5=bytes(100 * 2**20))


def climbing(path: Path) -> Path:
    config = json.dumps({"class_name": "Functional", "config": {}}).encode()
    return archive(path, config__json=config, model__weights__h5=b"", **{"../out": b"x"})


CASES: list[tuple[str, Damage, str]] = [
    ("gone.keras", lambda path: path, "does not exist"),
    ("folder", lambda path: (path.mkdir(), path)[1], "is a folder"),
    ("empty.keras", lambda path: write(path, b""), "is empty"),
    ("text.h5", lambda path: write(path, b"not a model"), "neither a .keras archive nor an HDF5 file"),
    ("cut.keras", lambda path: write(path, b"PK\x03\x04 and nothing more"), "damaged or truncated .keras archive"),
    ("cut.h5", lambda path: write(path, b"\x89HDF\r\n\x1a\n" + bytes(20)), "damaged or truncated HDF5"),
    ("other.zip", lambda path: archive(path, readme=b""), "holds no config.json and no model.weights.h5"),
    ("garbage.keras", lambda path: archive(path, config__json=b"{", model__weights__h5=b""), "not readable as JSON"),
    ("list.keras", lambda path: archive(path, config__json=b"[]", model__weights__h5=b""), "describes no model"),
    ("deep.keras", deep, "not readable as JSON"),
    ("bomb.keras", bomb, "zip bomb"),
    ("climb.keras", climbing, "outside the archive"),
    ("data.h5", h5, "holds no Keras model"),
    ("weights.h5", weights_only, "holds weights only"),
    ("unweighted.h5", lambda path: h5(path, model_config="{}"), "holds no weights"),
    ("linked.h5", linked, "links elsewhere"),
    ("external.h5", external, "lies in another file"),
]


@pytest.mark.parametrize(("name", "damage", "says"), CASES, ids=[name for name, _, _ in CASES])
def test_one_sentence_names_the_file(name: str, damage: Damage, says: str, tmp_path: Path) -> None:
    path = damage(tmp_path / name)
    with pytest.raises(ModelError, match=says) as caught:
        open_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.path is not None


@pytest.mark.parametrize("address", ["https://example.org/model.json", Path("https://example.org/m"), "s3://b/m.h5"])
def test_an_address_is_no_file(address: str | Path) -> None:
    with pytest.raises(ModelError, match=r"is an address; download the model first"):
        open_model(address)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_model_is_one_sentence(name: str, share: float, tmp_path: Path) -> None:
    keras_models.sequential().save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=name):
        open_model(tmp_path / name)
