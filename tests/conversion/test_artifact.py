"""An artifact may be hostile or damaged: it is refused in one sentence, and nothing outside its folder is opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bittrue.conversion.tfjs import read_artifact
from bittrue.errors import ArtifactError

SHARD = "group1-shard1of1.bin"
Change = Callable[[dict[str, Any]], Any]


def write(folder: Path, change: Change = lambda document: None, shard: bytes = bytes(20)) -> Path:
    """A sound artifact of 20 bytes of weights in a folder, after ``change``."""
    weights = [
        {"name": "d/kernel", "shape": [2, 2], "dtype": "float32"},
        {"name": "d/bias", "shape": [], "dtype": "float32"},
    ]
    document = {
        "format": "layers-model",
        "modelTopology": {"model_config": {}},
        "weightsManifest": [{"paths": [SHARD], "weights": weights}],
    }
    change(document)
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps(document))
    (folder / SHARD).write_bytes(shard)
    return folder


def paths(*names: Any) -> Change:
    return lambda document: document["weightsManifest"][0].update(paths=list(names))


def weight(**changes: Any) -> Change:
    return lambda document: document["weightsManifest"][0]["weights"][0].update(changes)


def test_a_sound_artifact_is_read_with_its_hashes(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    artifact = read_artifact(folder)
    assert (artifact.folder, artifact.format, artifact.version) == (folder, "layers-model", "")
    assert artifact.files[SHARD] == hashlib.sha256(bytes(20)).hexdigest()
    assert artifact.files["model.json"] == hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    assert read_artifact(folder / "model.json") == artifact


def test_a_graph_model_of_an_old_converter_is_told_by_its_topology(tmp_path: Path) -> None:
    def old(document: dict[str, Any]) -> None:
        del document["format"]
        document["modelTopology"] = {"node": []}

    assert read_artifact(write(tmp_path / "model", old)).format == "graph-model"


def test_quantised_weights_count_their_stored_bytes(tmp_path: Path) -> None:
    change = weight(quantization={"dtype": "uint8", "scale": 0.1, "min": 0.0})
    read_artifact(write(tmp_path / "model", change, bytes(4 + 4)))


CLIMBING = [
    "../secret.bin",
    "a/../../secret.bin",
    "/etc/passwd",
    "C:/secret.bin",
    "C:secret.bin",
    "\\\\server\\share",
    "..\\secret.bin",
    "http://example.org/secret.bin",
    "//example.org/secret.bin",
    "%2e%2e/secret.bin",
    "secret.bin?x",
    "secret.bin#x",
    "./../secret.bin",
    "a/./secret.bin",
    "a//b.bin",
    "..",
    ".",
    "a\x00.bin",
    "",
    7,
    None,
    ["a.bin"],
]


@pytest.mark.parametrize("path", CLIMBING, ids=repr)
def test_paths_that_may_leave_the_folder_are_refused(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(20))
    folder = write(tmp_path / "model", paths(path))
    opened: list[Path] = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *rest, **named: opened.append(self) or plain(self, *rest, **named))
    with pytest.raises(ArtifactError, match=r"is refused|names a file by"):
        read_artifact(folder)
    assert {file.parent for file in opened} <= {folder}


def test_a_dot_in_front_of_a_path_is_the_folder_itself(tmp_path: Path) -> None:
    artifact = read_artifact(write(tmp_path / "model", paths(f"./{SHARD}")))
    assert set(artifact.files) == {SHARD, "model.json"}
    assert [name for name, _ in artifact.weights()] == ["d/kernel", "d/bias"]


def test_a_file_named_with_and_without_a_dot_is_named_twice(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="twice"):
        read_artifact(write(tmp_path / "model", paths(f"./{SHARD}", SHARD)))


def test_an_altered_shard_of_the_right_length_is_refused(tmp_path: Path) -> None:
    noted = {"bittrue": {"sha256": {SHARD: hashlib.sha256(bytes(20)).hexdigest()}}}
    folder = write(tmp_path / "model", lambda document: document.update(userDefinedMetadata=noted))
    assert read_artifact(folder).files[SHARD] == noted["bittrue"]["sha256"][SHARD]
    (folder / SHARD).write_bytes(bytes(19) + b"!")
    with pytest.raises(ArtifactError, match=f"{SHARD} is not the one that was converted"):
        read_artifact(folder)


@pytest.mark.parametrize("noted", [None, 3, {"bittrue": []}, {"bittrue": {"sha256": "x"}}], ids=repr)
def test_metadata_of_others_is_left_alone(noted: Any, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", lambda document: document.update(userDefinedMetadata=noted))
    assert SHARD in read_artifact(folder).files


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("linked", [SHARD, "model.json"])
def test_a_link_that_leads_out_is_refused(linked: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    (folder / linked).rename(tmp_path / "outside")
    (folder / linked).symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError, match="leads out of the artifact's folder"):
        read_artifact(folder)


def affine(**changes: Any) -> dict[str, Any]:
    return {"dtype": "uint8", "scale": 1.0, "min": 0.0, **changes}


def twice(document: dict[str, Any]) -> None:
    document["weightsManifest"].append(document["weightsManifest"][0])


BROKEN: dict[str, tuple[Change, str]] = {
    "no topology": (lambda document: document.pop("modelTopology"), "describes no model"),
    "unknown format": (lambda document: document.update(format="onnx"), "has the format 'onnx'"),
    "manifest no list": (lambda document: document.update(weightsManifest={}), "not a list of groups"),
    "group without weights": (lambda document: document["weightsManifest"][0].pop("weights"), "not a list of groups"),
    "missing shard": (paths("gone.bin"), "the weight file gone.bin is missing"),
    "shard twice": (paths(SHARD, SHARD), "names the path .* twice"),
    "shard twice in another case": (paths(SHARD, SHARD.upper()), "names the path .* twice"),
    "model as shard": (paths("model.json"), "names the path .* twice"),
    "group twice": (twice, "twice"),
    "weight twice": (weight(name="d/bias"), "names the weight 'd/bias' twice"),
    "weight without name": (weight(name=None), "something that is no weight"),
    "unknown dtype": (weight(dtype="float8"), "has the dtype 'float8'"),
    "dtype no text": (weight(dtype=[]), r"has the dtype \[\]"),
    "text": (weight(dtype="string"), "has the dtype 'string'"),
    "unknown quantisation": (weight(quantization={"dtype": "float32"}), "has the dtype 'float32'"),
    "quantisation is text": (weight(quantization="uint8"), "is quantised, but has the dtype 'uint8'"),
    "quantisation is nothing": (weight(quantization=None), "is quantised, but has the dtype None"),
    "quantised truth": (weight(dtype="bool", quantization=affine()), "bool weights can be quantised not at all"),
    "halved whole numbers": (weight(dtype="int32", quantization={"dtype": "float16"}), "only as uint16, uint8"),
    "stored dtype for the weight's": (weight(dtype="uint8"), "has the dtype 'uint8'; known are float32"),
    "no scale": (weight(quantization={"dtype": "uint8", "min": 0}), "the scale 'None', which is no finite number"),
    "min is text": (weight(quantization=affine(min="0")), "the min '0', which is no finite number"),
    "scale is truth": (weight(quantization=affine(scale=True)), "the scale 'True', which is no finite number"),
    "scale beyond float64": (weight(quantization=affine(scale=10**400)), "which is no finite number"),
    "scale beyond float32": (weight(quantization=affine(scale=1e38)), "which leave float32's range"),
    "min beyond float32": (weight(quantization=affine(min=-1e300)), "which leave float32's range"),
    "min beyond int32": (weight(dtype="int32", quantization=affine(min=3e9)), "which leave int32's range"),
    "too many axes": (weight(shape=[1] * 65), "which is none"),
    "an endless shape": (weight(shape=[2**40] * 100_000), "which is none"),
    "negative shape": (weight(shape=[-2, -2]), "which is none"),
    "shape of text": (weight(shape=["2", 2]), "which is none"),
    "shape of fractions": (weight(shape=[2.0, 2]), "which is none"),
    "shape of truth": (weight(shape=[True, 4]), "which is none"),
    "shape no list": (weight(shape=4), "which is none"),
    "huge": (weight(shape=[2**40, 2**40]), "would take"),
    "huge and empty": (weight(shape=[2**70, 0]), "would take"),
}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_manifest_is_one_sentence(change: Change, says: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", change)
    with pytest.raises(ArtifactError, match=says) as caught:
        read_artifact(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "says"), [(19, "cut short"), (0, "cut short"), (21, "not what was converted")])
def test_shards_must_be_exactly_as_long_as_the_weights(size: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"hold {size} bytes, but the manifest's weights take 20: {says}"):
        read_artifact(write(tmp_path / "model", shard=bytes(size)))


NOT_JSON = [
    "",
    "{",
    "[" * 100_000,
    '{"a":' * 100_000,
    "\xff",
    "[]",
    "null",
    '{"a": NaN}',
    '{"a": -Infinity}',
    "9" * 5000,
]


@pytest.mark.parametrize("text", NOT_JSON, ids=[text[:5] for text in NOT_JSON])
def test_garbage_for_json_is_one_sentence(text: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    (folder / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(ArtifactError, match=r"not readable as JSON|describes no model"):
        read_artifact(folder)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not exist; give the folder"):
        read_artifact(tmp_path)


def test_a_json_bomb_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "model")
    with (folder / "model.json").open("ab") as file:
        file.truncate(64 * 2**20 + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(ArtifactError, match="larger than 64 MiB, which no model needs"):
        read_artifact(folder)


@pytest.mark.parametrize("stored", ["float16", "uint16", "uint8"])
def test_a_quantised_shard_that_is_cut_short_is_refused(stored: str, tmp_path: Path) -> None:
    size = 4 * (1 if stored == "uint8" else 2) + 4
    folder = write(tmp_path / "model", weight(quantization=affine(dtype=stored)), bytes(size))
    assert [name for name, _ in read_artifact(folder).weights()] == ["d/kernel", "d/bias"]
    write(folder, weight(quantization=affine(dtype=stored)), bytes(size - 1))
    with pytest.raises(
        ArtifactError, match=f"hold {size - 1} bytes, but the manifest's weights take {size}: cut short"
    ):
        read_artifact(folder)
