"""Converting writes a whole artifact or nothing, and the same one every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_models import chain, dense, node

from bittrue.conversion.tfjs import convert, read_artifact
from bittrue.errors import Unsupported, UsageError

GRAPH = chain(dense("d", "entry"))
OTHER = chain(dense("other", "entry", units=2))
REFUSED = chain(node("Masking", "mask", "entry", mask_value=0.0))


def document(folder: Path) -> Any:
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_artifact_says_what_it_is(tmp_path: Path) -> None:
    artifact = convert(GRAPH, tmp_path / "out", version="1.7.2")
    written = document(tmp_path / "out")
    assert (artifact.format, artifact.version) == ("layers-model", "1.7.2")
    assert artifact == read_artifact(tmp_path / "out")
    assert written["format"] == "layers-model"
    assert written["generatedBy"] == "Keras"
    assert written["convertedBy"].startswith("Bittrue ")


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    assert convert(GRAPH, tmp_path / "a").files == convert(GRAPH, tmp_path / "b").files


def test_weights_are_little_endian_in_order_in_shards_of_4_mib(tmp_path: Path) -> None:
    first, second = dense("a", "entry"), dense("b", "a", units=500_000)
    second.weights[0].value[:] = np.arange(1_500_000, dtype=np.float32).reshape(3, -1)
    convert(chain(first, second), tmp_path / "out")
    (group,) = document(tmp_path / "out")["weightsManifest"]
    assert group["paths"] == [f"group1-shard{index}of2.bin" for index in (1, 2)]
    assert (tmp_path / "out" / group["paths"][0]).stat().st_size == 4 * 2**20
    data = b"".join((tmp_path / "out" / path).read_bytes() for path in group["paths"])
    assert data == b"".join(weight.value.astype("<f4").tobytes() for weight in first.weights + second.weights)
    assert [weight["name"] for weight in group["weights"]] == ["a/kernel", "a/bias", "b/kernel", "b/bias"]
    assert group["weights"][2] == {"name": "b/kernel", "shape": [3, 500_000], "dtype": "float32"}


def test_an_artifact_is_replaced_whole(tmp_path: Path) -> None:
    convert(chain(dense("d", "entry", units=500_000)), tmp_path / "out")
    convert(OTHER, tmp_path / "out")
    assert listed(tmp_path / "out") == ["group1-shard1of1.bin", "model.json"]
    assert listed(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    convert(GRAPH, tmp_path / "out")
    assert read_artifact(tmp_path / "out").format == "layers-model"


@pytest.mark.parametrize("foreign", ["notes.txt", "deep/notes.txt"])
def test_a_folder_with_other_files_is_left_alone(foreign: str, tmp_path: Path) -> None:
    convert(GRAPH, tmp_path / "out")
    (tmp_path / "out" / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / foreign).write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files than a converted model \(.*notes\.txt\)"):
        convert(OTHER, tmp_path / "out")
    assert (tmp_path / "out" / foreign).read_text() == "mine"
    assert "other" not in (tmp_path / "out" / "model.json").read_text()


def test_a_file_in_the_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="exists and is no folder"):
        convert(GRAPH, tmp_path / "out")


def test_a_refused_model_leaves_what_was_there(tmp_path: Path) -> None:
    before = convert(GRAPH, tmp_path / "out")
    with pytest.raises(Unsupported):
        convert(REFUSED, tmp_path / "out", form="layers-model")
    assert read_artifact(tmp_path / "out") == before
    assert listed(tmp_path) == ["out"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = convert(GRAPH, tmp_path / "out")

    def full(self: Path, *rest: Any, **named: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        convert(OTHER, tmp_path / "out")
    assert read_artifact(tmp_path / "out") == before
    assert listed(tmp_path) == ["out"]


def test_a_failed_move_puts_the_old_artifact_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = convert(GRAPH, tmp_path / "out")
    rename, moves = Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 2:
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(UsageError, match="Permission denied"):
        convert(OTHER, tmp_path / "out")
    assert read_artifact(tmp_path / "out") == before
    assert listed(tmp_path) == ["out"]


@pytest.mark.parametrize("version", ["4", "latest", "v4.22.0", "1.7.1", "0.15.3", ""])
def test_a_version_that_is_none_or_too_old_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no version|is too old"):
        convert(GRAPH, tmp_path / "out", version=version)
    assert listed(tmp_path) == []
