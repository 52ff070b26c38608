"""What a model is fed: made up, read, preprocessed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from bittrue.errors import InputError, UsageError
from bittrue.graph.model import Call, Graph, InputSpec, LayerNode, TensorRef
from bittrue.inputs import Preprocessing, describe_inputs, load_inputs, parse_preprocessing
from bittrue.tracefile import write_trace
from bittrue.traces import Key, Provenance, Record, Trace


def entry(name: str, *shape: int | None, dtype: str = "float32") -> InputSpec:
    return InputSpec(name, shape, np.dtype(dtype), TensorRef(name))


def graph_of(*inputs: InputSpec, layers: tuple[LayerNode, ...] = ()) -> Graph:
    return Graph("model", "Functional", layers, inputs, ())


ONE = graph_of(entry("x", None, 3))
TWO = graph_of(entry("left", None, 2), entry("right", None, 4, dtype="int32"))
PICTURE = graph_of(entry("image", None, 2, 4, 3))


def layer(name: str, kind: str, reads: str, subgraph: Graph | None = None, **config: Any) -> LayerNode:
    return LayerNode(name, kind, "keras.layers", config, (), (Call((TensorRef(reads),)),), subgraph)


# Made up


@pytest.mark.parametrize("spec", ["ones", None])
def test_ones_fill_the_batch(spec: str | None) -> None:
    loaded = load_inputs(spec, TWO, batch=5)
    assert list(loaded) == ["left", "right"]
    assert [(a.shape, a.dtype.name, a.min(), a.max()) for a in loaded.values()] == [
        ((5, 2), "float32", 1, 1),
        ((5, 4), "int32", 1, 1),
    ]


def test_a_fixed_batch_stays_what_it_is() -> None:
    assert load_inputs("ones", graph_of(entry("x", 7, 3)))["x"].shape == (7, 3)


def test_random_is_the_documented_stream() -> None:
    expected = np.random.Generator(np.random.PCG64(42)).standard_normal((2, 3), np.float32)
    np.testing.assert_array_equal(load_inputs("random:42", ONE, batch=2)["x"], expected)


def test_random_repeats_itself_and_differs_by_seed() -> None:
    one, again, other = (load_inputs(f"random:{seed}", ONE)["x"] for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_random_integers_are_small() -> None:
    drawn = load_inputs("random:0", TWO, batch=100)["right"]
    assert drawn.dtype == np.int32
    assert set(np.unique(drawn)) == set(range(10))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_random_stays_inside_an_embedding_even_in_a_nested_model(dtype: str) -> None:
    inner = Graph("inner", "Functional", (layer("e", "Embedding", "i", input_dim=3),), (entry("i", None, 50),), ())
    graph = graph_of(entry("x", None, 50, dtype=dtype), layers=(layer("inner", "Functional", "x", inner),))
    drawn = load_inputs("random:0", graph, batch=4)["x"]
    assert drawn.dtype == dtype
    assert set(np.unique(drawn)) == {0, 1, 2}


@pytest.mark.parametrize("spec", ["random", "random:", "random:x", "random:-1", "random:1.5"])
def test_a_seed_is_a_whole_number(spec: str) -> None:
    with pytest.raises(InputError, match="random:1"):
        load_inputs(spec, ONE)


@pytest.mark.parametrize("spec", ["ones", "random:1"])
def test_a_free_size_is_not_made_up(spec: str) -> None:
    with pytest.raises(InputError, match=r"\(batch, any, any, 3\)"):
        load_inputs(spec, graph_of(entry("x", None, None, None, 3)))


# Files


def test_npy_feeds_a_model_of_one_input(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", array)
    np.testing.assert_array_equal(load_inputs(str(tmp_path / "x.npy"), ONE)["x"], array)


def test_npy_cannot_feed_two_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 2)))
    with pytest.raises(InputError, match="'left', 'right'"):
        load_inputs(tmp_path / "x.npy", TWO)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_archives_feed_by_name_in_the_models_order(tmp_path: Path, suffix: str) -> None:
    arrays = {"right": np.arange(8, dtype=np.int32).reshape(2, 4), "left": np.ones((2, 2), np.float32)}
    path = tmp_path / f"x.{suffix}"
    np.savez(path, **arrays) if suffix == "npz" else save_file(arrays, path)
    loaded = load_inputs(str(path), TWO)
    assert list(loaded) == ["left", "right"]
    np.testing.assert_array_equal(loaded["right"], arrays["right"])


def test_a_saved_trace_feeds_its_inputs(tmp_path: Path) -> None:
    array = np.float32([[1, 2, 3]])
    records = [Record.of(Key("input", "x"), array), Record.of(Key("output", "dense"), array)]
    write_trace(Trace.of(Provenance("t", "r", "b", "v"), records), tmp_path / "t.safetensors")
    assert list(load_inputs(tmp_path / "t.safetensors", ONE)) == ["x"]


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([{"a": 1}], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(InputError, match="Python objects"):
            load_inputs(tmp_path / name, ONE)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors", "x.png", "x.json"])
def test_a_damaged_or_unknown_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00 not what it says")
    steps = Preprocessing() if name == "x.png" else None
    with pytest.raises(InputError, match=name):
        load_inputs(tmp_path / name, ONE, preprocessing=steps)


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-4])
    with pytest.raises(InputError):
        load_inputs(tmp_path / "x.npy", ONE)


def test_a_missing_file_is_said() -> None:
    with pytest.raises(InputError, match=r"gone\.npy does not exist"):
        load_inputs("gone.npy", ONE)


# Checks


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(InputError, match="did you mean 'left'") as caught:
        load_inputs({"lefft": np.ones((1, 2)), "right": np.ones((1, 4))}, TWO)
    assert caught.value.name == "lefft"


def test_a_missing_input_is_named() -> None:
    with pytest.raises(InputError, match=r"'right' is missing: give int32 of shape \(batch, 4\)"):
        load_inputs({"left": np.ones((1, 2), np.float32)}, TWO)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((3,), "batch as first axis"), ((2, 4), "check the sizes"), ((1, 3, 1), "check the sizes"), ((0, 3), "empty")],
)
def test_a_wrong_shape_is_said(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_inputs({"x": np.ones(shape, np.float32)}, ONE)


def test_axes_in_another_order_are_noticed() -> None:
    with pytest.raises(InputError, match="another order"):
        load_inputs({"image": np.ones((1, 3, 2, 4), np.float32)}, PICTURE)


def test_inputs_hold_equally_many_examples() -> None:
    with pytest.raises(InputError, match="'left' has 2, 'right' has 3"):
        load_inputs({"left": np.ones((2, 2), np.float32), "right": np.ones((3, 4), np.int32)}, TWO)


@pytest.mark.parametrize(
    "array",
    [
        np.float64([[0.5, -0.0, 1e10]]),
        np.int64([[1, -2, 2**24]]),
        np.uint8([[0, 255, 3]]),
        np.array([[True, False, True]]),
    ],
)
def test_another_dtype_is_fine_where_nothing_is_lost(array: np.ndarray[Any, Any]) -> None:
    loaded = load_inputs({"x": array}, ONE)["x"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded.astype(np.float64), array.astype(np.float64))
    assert np.signbit(loaded).tolist() == np.signbit(array.astype(np.float64)).tolist()


@pytest.mark.parametrize("values", [[0.1, 1, 2], [1e300, 1, 2], [2**24 + 1, 0, 0], [1e-60, 1, 2]])
def test_a_cast_that_loses_values_is_refused(values: list[float]) -> None:
    with pytest.raises(InputError, match=r"1 of the values exactly \(the first at \[0, 0\]\).*astype\('float32'\)"):
        load_inputs({"x": np.float64([values])}, ONE)


@pytest.mark.parametrize("value", [0.5, -1e20, 2.0**31])
def test_floats_that_are_no_integers_are_refused(value: float) -> None:
    right = np.float64([[value, 1, 2, 3]])
    with pytest.raises(InputError, match="int32"):
        load_inputs({"left": np.ones((1, 2), np.float32), "right": right}, TWO)


@pytest.mark.parametrize("array", [np.array([["a", "b", "c"]]), np.ones((1, 3)) * 1j, np.array([[None, 1, 2]])])
def test_what_is_no_number_is_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match="not numbers"):
        load_inputs({"x": array}, ONE)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinities_are_refused_unless_allowed(value: float, said: str) -> None:
    array = np.float32([[1, 2, value]])
    with pytest.raises(InputError, match=rf"{said} at \[0, 2\]"):
        load_inputs({"x": array}, ONE)
    assert load_inputs({"x": array}, ONE, allow_nan=True)["x"].tobytes() == array.tobytes()


def test_what_was_fed_is_described() -> None:
    assert [describe_inputs(s) for s in (None, "random:3", {"a": 1, "b": 2})] == [
        "ones",
        "random:3",
        "a, b given as arrays",
    ]


# Images


def save_image(path: Path, pixels: Any, mode: str = "RGB") -> Path:
    Image.fromarray(np.array(pixels, np.uint8)).convert(mode).save(path)
    return path


@pytest.fixture
def pixels() -> np.ndarray[Any, Any]:
    return np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10


def test_an_image_is_scaled_in_float32(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    file = save_image(tmp_path / "a.png", pixels)
    loaded = load_inputs(file, PICTURE, preprocessing=parse_preprocessing("scale=1/127.5,offset=-1"))["image"]
    expected = pixels.astype(np.float32) * np.float32(1 / 127.5) + np.float32(-1)
    assert loaded.tobytes() == expected.tobytes()


def test_channels_can_be_turned_and_shifted_each(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    file = save_image(tmp_path / "a.png", pixels)
    loaded = load_inputs(file, PICTURE, preprocessing=parse_preprocessing("order=bgr, offset=-1:-2:-3"))["image"]
    np.testing.assert_array_equal(loaded[0], pixels[..., ::-1].astype(np.float32) - [1, 2, 3])


def test_channels_can_come_first(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    file = save_image(tmp_path / "a.png", pixels)
    graph = graph_of(entry("image", None, 3, 2, 4))
    loaded = load_inputs(file, graph, preprocessing=parse_preprocessing("layout=first"))["image"]
    np.testing.assert_array_equal(loaded[0], pixels.transpose(2, 0, 1))


def test_gray_has_one_channel_and_drops_transparency(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", np.full((2, 4, 4), 7))
    loaded = load_inputs(file, graph_of(entry("i", None, 2, 4, 1)), preprocessing=parse_preprocessing("order=gray"))
    assert np.unique(loaded["i"]).tolist() == [7]


def test_resize_is_width_by_height(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", np.zeros((20, 10, 3)))
    loaded = load_inputs(file, PICTURE, preprocessing=parse_preprocessing("resize=4x2,resample=nearest"))["image"]
    assert loaded.shape == (1, 2, 4, 3)


def test_a_folder_is_a_batch_in_the_order_of_names(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1), ("c.bmp", 3)):
        save_image(tmp_path / name, np.full((2, 4, 3), value))
    (tmp_path / "notes.txt").write_text("not an image")
    loaded = load_inputs(tmp_path, PICTURE, preprocessing=Preprocessing())["image"]
    assert loaded[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_images_are_turned_as_their_camera_says(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise to show
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "a.png", exif=exif)
    loaded = load_inputs(tmp_path / "a.png", PICTURE, preprocessing=Preprocessing())["image"]
    np.testing.assert_array_equal(loaded[0], pixels)


def test_images_of_different_sizes_need_a_size(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.zeros((2, 4, 3)))
    save_image(tmp_path / "b.png", np.zeros((4, 2, 3)))
    with pytest.raises(InputError, match="add resize"):
        load_inputs(tmp_path, PICTURE, preprocessing=Preprocessing())


def test_images_need_a_stated_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preprocessing such as"):
        load_inputs(save_image(tmp_path / "a.png", np.zeros((2, 4, 3))), PICTURE)


def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        load_inputs(tmp_path, PICTURE, preprocessing=Preprocessing())


def test_sixteen_bit_images_are_not_squeezed_into_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 4), 40000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="more than 8 bits"):
        load_inputs(tmp_path / "a.png", PICTURE, preprocessing=Preprocessing())


def test_a_preprocessing_without_images_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 3)))
    with pytest.raises(InputError, match="no preprocessing applies"):
        load_inputs(tmp_path / "x.npy", ONE, preprocessing=Preprocessing())


def test_a_preprocessing_is_read_from_its_text() -> None:
    text = "resize=160x120, resample=bicubic,order=bgr,scale=1/127.5,offset=-1:0:0.5,layout=first"
    expected = Preprocessing((160, 120), "bicubic", "bgr", (1 / 127.5,), (-1.0, 0.0, 0.5), "first")
    assert parse_preprocessing(text) == expected
    assert parse_preprocessing("") == Preprocessing()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resise=2x2", "did you mean resize"),
        ("resize", "did you mean resize"),
        ("resize=2", "WIDTHxHEIGHT"),
        ("resize=0x2", "WIDTHxHEIGHT"),
        ("scale=1/0", "no number"),
        ("scale=nan", "no number"),
        ("scale=1e999", "no number"),
        ("offset=1:2", "2 numbers for 3 channels"),
        ("order=gray,scale=1:2:3", "3 numbers for 1 channels"),
        ("order=rbg", "rgb, bgr, gray"),
        ("scale=1,scale=2", "twice"),
    ],
)
def test_a_preprocessing_that_means_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_preprocessing(text)
