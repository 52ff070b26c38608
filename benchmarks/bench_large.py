"""A model of more than 2 GiB of weights: what converting it takes, and what a page and Node say of it.

One Embedding with almost all of the weights and a Dense layer, as a .keras and as an .h5 file, which are made of a
small model's by putting a larger table in the place of its own. Not run by `make bench`: it takes minutes and several
GiB of disk, ``python benchmarks/run.py large`` runs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from bench_convert import IDLE, _cost
from harness import MIB, output_of, table, verdict

WIDTH = 1024
ROWS = 550_000  # of 4,096 bytes: 2.1 GiB
WRITTEN = (0, 1, 300_001, ROWS - 1)
"""The rows that hold numbers; the others are 0, which costs the .h5 file no room on the disk."""
PATIENCE = 900.0  # seconds
TARGETS = ("node:cpu", "chrome:wasm")
SMALL = """
import sys, keras
x = keras.Input((4,), dtype="int32", name="ids")
table = keras.layers.Embedding(8, int(sys.argv[2]), name="table")
model = keras.Model(x, keras.layers.Dense(3, name="head")(keras.layers.Flatten()(table(x))))
model.save(sys.argv[1] + ".keras")
model.save(sys.argv[1] + ".h5")
"""


def main() -> None:
    """Print the section."""
    print("## More than 2 GiB of weights\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        output_of([sys.executable, "-c", SMALL, str(folder / "model"), str(WIDTH)], dict(os.environ), PATIENCE)
        made = {".keras": grown_archive(folder / "model.keras"), ".h5": grown_h5(folder / "model.h5")}
        idle = _cost([sys.executable, "-c", IDLE])
        rows, ratios = [], []
        for kind, model in made.items():
            out = folder / f"web{kind}"
            cost = _cost([sys.executable, "-m", "bittrue", "convert", "--quiet", str(model), str(out)])
            nbytes = checked(out)
            ratios.append((cost.peak - idle.peak) / nbytes)
            rows.append([kind, f"{nbytes / MIB:,.0f} MiB", f"{cost.wall:.1f} s", f"{cost.peak / MIB:,.0f} MiB"])
            model.unlink()
        print(table(["file", "weights", "wall time", "peak memory"], rows))
        print(
            "Every shard has the size and the hash that model.json gives, and the rows that were written their bits.\n"
        )
        most = ", ".join(f"{ratio:.2f} times" for ratio in ratios)
        print(verdict(max(ratios) <= 2, "no more memory than twice the weights, over a Python that does nothing", most))
        print("What `bittrue trace` says of it where it is loaded:\n")
        print(table(["target", "said"], [[target, said(folder, target)] for target in TARGETS]))


def grown_archive(path: Path) -> Path:
    """The archive at ``path`` with `ROWS` rows in its table."""
    large, weights = path.with_name("large.keras"), path.with_name("model.weights.h5")
    with zipfile.ZipFile(path) as small:
        config = json.loads(small.read("config.json"))
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Embedding":
                layer["config"]["input_dim"] = ROWS
        weights.write_bytes(small.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            _grow(file)
        with zipfile.ZipFile(large, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr("metadata.json", small.read("metadata.json"))
            archive.writestr("config.json", json.dumps(config))
            archive.write(weights, "model.weights.h5")
    weights.unlink()
    return large


def grown_h5(path: Path) -> Path:
    """The whole-model file at ``path`` with `ROWS` rows in its table."""
    large = path.with_name("large.h5")
    shutil.copy(path, large)
    with h5py.File(large, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Embedding":
                layer["config"]["input_dim"] = ROWS
        file.attrs["model_config"] = json.dumps(config)
        _grow(file)
    return large


def _grow(file: h5py.File) -> None:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if getattr(item, "shape", None) == (8, WIDTH) else None)
    (name,) = names
    del file[name]
    made = file.create_dataset(name, (ROWS, WIDTH), np.float32, fillvalue=0.0)
    for row in WRITTEN:
        made[row] = numbers(row)


def numbers(row: int) -> np.ndarray:
    """What a row of the table holds."""
    return np.random.default_rng(row).normal(size=WIDTH).astype(np.float32)


def checked(folder: Path) -> int:
    """The bytes of the weights in ``folder``, all of whose files are what model.json says. Raises RuntimeError."""
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    ((group),) = document["weightsManifest"]
    hashes = document["userDefinedMetadata"]["bittrue"]["sha256"]
    wanted = sum(4 * int(np.prod(weight["shape"])) for weight in group["weights"])
    sizes = [(folder / name).stat().st_size for name in group["paths"]]
    for name in group["paths"]:
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != hashes[name]:
                raise RuntimeError(f"{name} is not what its hash says")
    if sum(sizes) != wanted or len(set(sizes[:-1])) != 1:
        raise RuntimeError(f"{sum(sizes)} bytes in place of {wanted}")
    _check_rows(folder, group, sizes[0])
    return wanted


def _check_rows(folder: Path, group: dict[str, list[Any]], size: int) -> None:
    begins = 0
    for weight in group["weights"]:
        if weight["shape"] == [ROWS, WIDTH]:
            break
        begins += 4 * int(np.prod(weight["shape"]))
    for row in WRITTEN:
        found, at = b"", begins + row * 4 * WIDTH
        while len(found) < 4 * WIDTH:
            with (folder / group["paths"][at // size]).open("rb") as file:
                file.seek(at % size)
                piece = file.read(4 * WIDTH - len(found))
            found, at = found + piece, at + len(piece)
        if found != numbers(row).astype("<f4").tobytes():
            raise RuntimeError(f"row {row} has other bits")


def said(folder: Path, target: str) -> str:
    """The first line that tracing the converted model on ``target`` says."""
    np.save(folder / "ids.npy", np.array([[*WRITTEN]], np.int32))
    command = [sys.executable, "-m", "bittrue", "trace", str(folder / "web.h5"), "--in", target]
    command += ["--input", str(folder / "ids.npy"), "-o", str(folder / "trace.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1].replace(str(folder), "…").replace("|", "/") if lines else f"exit {done.returncode}"


if __name__ == "__main__":
    main()
