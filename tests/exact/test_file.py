"""Exact models as files: what is written is read; what is damaged, hostile or of another version is refused."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bittrue.errors import ArtifactError, BittrueError, ModelError
from bittrue.exact import load
from bittrue.exact.file import _HASH, _PLAN, digest, read, write
from bittrue.exact.plan import SEMANTICS, Constant, Input, Named, Operation, Plan

CONSTANTS = {
    "kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "mask": np.array([True, False, True]),
    "index": np.array([1, 0], np.int32),
}
PLAN = Plan(
    "small",
    (Input("x", (None, 2), "float32"),),
    (Constant("kernel", (2, 3), "float32"), Constant("mask", (3,), "bool"), Constant("index", (2,), "int32")),
    (
        Operation("matmul", (0, 1), (), "dense"),
        Operation("select", (2, 4, 4)),
    ),
    (Named("dense", 5),),
    (Named("dense", 4),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "model.safetensors", PLAN, CONSTANTS)
    return tmp_path / "model.safetensors"


def test_what_is_written_is_read(path: Path) -> None:
    found = read(path)
    assert found.plan == PLAN
    assert found.sha256 == digest(PLAN, CONSTANTS)
    for name, array in CONSTANTS.items():
        np.testing.assert_array_equal(found.constants[name], array)
    assert load(path).predict(np.float32([[1, 2]])).tolist() == [[6, 9, 12]]


def test_other_readers_of_safetensors_can_read_the_weights(path: Path) -> None:
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(load_file(path)["kernel"], CONSTANTS["kernel"])


def test_a_loop_survives_the_file() -> None:
    step = Operation("scan", (0, 1), (1, 1), "rnn", (Operation("add", (0, 1), (), "rnn"),), (2,))
    plan = Plan("m", (Input("x", (1, 2, 3), "float32"), Input("h", (1, 3), "float32")), (), (step,), (Named("y", 2),))
    assert Plan.from_json(plan.to_json(), {}) == plan


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", PLAN, dict(reversed(CONSTANTS.items())))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1, -20])
def test_a_file_that_was_cut_short_is_refused(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtifactError):
        load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_byte_that_was_changed_is_noticed(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    changed = path.with_name("changed")
    changed.write_bytes(content)
    try:
        found = load(changed)
    except BittrueError:
        return
    # Names and blanks of the header may change; what is computed may not.
    assert found.plan == PLAN
    assert found.predict(np.float32([[1, 2]])).tolist() == [[6, 9, 12]]


def rewritten(path: Path, change: Any) -> Path:
    """The file with its plan changed and a hash that fits."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    plan = json.loads(header["__metadata__"][_PLAN])
    plan = change(plan) or plan
    text = json.dumps(plan)
    header["__metadata__"] |= {_PLAN: text, _HASH: hashlib.sha256(text.encode() + content[8 + length :]).hexdigest()}
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + content[8 + length :])
    return path


def test_a_model_of_another_version_is_refused(path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=f"keeps to the semantics 'bittrue-exact-2', but this runtime to '{SEMANTICS}'"
    ):
        load(rewritten(path, lambda plan: plan.update(semantics="bittrue-exact-2")))


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["operations"][0].__setitem__(0, "sing"),
        lambda plan: plan["operations"][0].__setitem__(1, [0, 4]),
        lambda plan: plan["operations"][0].__setitem__(1, [0, -1]),
        lambda plan: plan["operations"][0].__setitem__(1, []),
        lambda plan: plan["operations"][0].__setitem__(2, [2**31]),
        lambda plan: plan["operations"][0].__setitem__(2, [0.5]),
        lambda plan: plan["operations"][0].append([]),
        lambda plan: plan["constants"].append("nothing"),
        lambda plan: plan["outputs"][0].__setitem__(1, 6),
        lambda plan: plan["outputs"].clear(),
        lambda plan: plan["inputs"][0].__setitem__(2, "float64"),
        lambda plan: plan["inputs"][0].__setitem__(1, [None] * 9),
        lambda plan: plan["inputs"].append(plan["inputs"][0]),
        lambda plan: plan.pop("layers"),
        lambda plan: [plan],
        lambda plan: plan["operations"].append(["scan", [5, 5], [1, 1], "", [["scan", [0], [], ""]], [0]]),
    ],
)
def test_a_plan_that_is_malformed_is_refused(path: Path, change: Any) -> None:
    with pytest.raises(ArtifactError, match=r"malformed|semantics"):
        load(rewritten(path, change))


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_a_file_that_cannot_be_read_is_a_model_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path / name)


def test_safetensors_of_something_else_are_no_exact_model(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(ArtifactError, match="no exact model: write one with bittrue export"):
        load(tmp_path / "weights.safetensors")


def test_a_truth_value_is_0_or_1(path: Path) -> None:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    data = content[8 + length : -1] + b"\2"  # the last byte is of the mask
    header = json.loads(content[8 : 8 + length])
    digest = hashlib.sha256(header["__metadata__"][_PLAN].encode() + data).hexdigest()
    header["__metadata__"][_HASH] = digest
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    with pytest.raises(ArtifactError, match="neither 0 nor 1"):
        load(path)
