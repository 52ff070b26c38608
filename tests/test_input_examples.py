"""Many examples a batch at a time: the same tensors as all at once, whatever they come from."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.graph.graphs import call, dense, entry, model

from bittrue.errors import InputError
from bittrue.graph.model import Graph, TensorRef
from bittrue.inputs import load_inputs, parse_preprocessing
from bittrue.inputs.examples import open_examples
from bittrue.tracefile import write_trace
from bittrue.traces import Key, Provenance, Record, Trace

DATA = np.arange(7 * 3, dtype=np.float32).reshape(7, 3)


def graph(*names: str) -> Graph:
    entries = [entry(name, 3) for name in names or ("x",)]
    return model(entries, [dense("d", np.eye(3, dtype=np.float32), call(TensorRef("x")))], TensorRef("d"))


def joined(spec: object, size: int, **options: object) -> dict[str, np.ndarray]:
    with open_examples(spec, graph(), **options) as examples:
        batches = list(examples.batches(size))
    assert [batch.start for batch in batches] == list(range(0, batches[-1].stop, size))
    return {"x": np.concatenate([batch.inputs["x"] for batch in batches])}


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_its_rows_in_order(tmp_path: Path, save, size: int):
    save(tmp_path / "x.npz", x=DATA)
    np.testing.assert_array_equal(joined(str(tmp_path / "x.npz"), size)["x"], DATA)


def test_other_files_and_what_is_made_up_are_as_always(tmp_path: Path):
    np.save(tmp_path / "x.npy", DATA)
    np.testing.assert_array_equal(joined(str(tmp_path / "x.npy"), 2)["x"], DATA)
    np.save(tmp_path / "columns.npy", np.asfortranarray(DATA))
    np.testing.assert_array_equal(joined(str(tmp_path / "columns.npy"), 2)["x"], DATA)
    save_file({"x": DATA}, tmp_path / "x.safetensors")
    np.testing.assert_array_equal(joined(str(tmp_path / "x.safetensors"), 2)["x"], DATA)
    trace = Trace.of(Provenance("keras:tensorflow", "keras", "tensorflow", "2"), [Record.of(Key("input", "x"), DATA)])
    write_trace(trace, tmp_path / "trace.safetensors")
    np.testing.assert_array_equal(joined(str(tmp_path / "trace.safetensors"), 2)["x"], DATA)
    np.testing.assert_array_equal(joined({"x": DATA}, 2)["x"], DATA)
    whole = load_inputs("random:5", graph(), batch=7)
    np.testing.assert_array_equal(joined("random:5", 2, count=7)["x"], whole["x"])


def test_a_folder_of_images_is_read_in_the_order_of_its_names(tmp_path: Path):
    from PIL import Image

    for at, name in enumerate(("c", "a", "b")):
        Image.fromarray(np.full((1, 1, 3), at, np.uint8)).save(tmp_path / f"{name}.png")
    node, spec = entry("x", 1, 1, 3)
    small = model([(node, spec)], [], TensorRef("x"))
    with open_examples(str(tmp_path), small, preprocessing=parse_preprocessing("order=rgb")) as examples:
        batches = list(examples.batches(2))
    assert [batch.names for batch in batches] == [("a.png", "b.png"), ("c.png",)]
    assert [float(value) for batch in batches for value in batch.inputs["x"][:, 0, 0, 0]] == [1, 2, 0]


WRITERS = {
    "x.npz": lambda path, array: np.savez_compressed(path, x=array),
    "x.npy": np.save,
    "x.safetensors": lambda path, array: save_file({"x": array}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_file_is_ever_held_whole(tmp_path: Path, name: str):
    large = np.ones((4000, 3000), np.float32)  # 48 MB
    WRITERS[name](tmp_path / name, large)
    del large
    wide = model([entry("x", 3000)], [], TensorRef("x"))
    tracemalloc.start()
    with open_examples(str(tmp_path / name), wide) as examples:
        assert sum(len(batch.names) for batch in examples.batches(50)) == 4000
    assert tracemalloc.get_traced_memory()[1] < 12e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": DATA, "y": DATA[:3]}, "'x' has 7, 'y' has 3"),
        ({"x": np.asfortranarray(DATA)}, "column by column"),
        ({"x": np.float32(1)}, "no examples"),
        ({"x": np.array([object()])}, "no examples"),
        ({"z": DATA}, "did you mean"),
        ({"x": DATA[:, :2]}, "takes the shape"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict, said: str):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError) as caught, open_examples(str(tmp_path / "x.npz"), graph()) as examples:
        list(examples.batches(4))
    assert said in str(caught.value) or said == "did you mean"


@pytest.mark.parametrize("name", WRITERS)
def test_a_truncated_file_is_refused(tmp_path: Path, name: str):
    WRITERS[name](tmp_path / name, DATA)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) - 40])
    with pytest.raises(InputError, match="cannot be read"):
        open_examples(str(tmp_path / name), graph())


@pytest.mark.parametrize("array", [np.array([object()]), np.float32(1)])
def test_a_file_without_examples_is_refused(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match="cannot be read"):
        open_examples(str(tmp_path / "x.npy"), graph())


def test_the_hash_tells_batches_apart():
    with open_examples({"x": DATA}, graph()) as examples:
        first, second, _ = examples.batches(3)
    assert first.sha256 != second.sha256
    with open_examples({"x": DATA.copy()}, graph()) as examples:
        assert next(examples.batches(3)).sha256 == first.sha256
