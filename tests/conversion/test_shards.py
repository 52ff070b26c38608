"""Shards of any size, in memory that does not grow with the model."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_models import chain, dense

from bittrue.conversion.tfjs import convert, read_artifact
from bittrue.conversion.tfjs.shards import ShardWriter


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sizes=st.lists(st.integers(0, 40), max_size=6), shard=st.integers(1, 50))
def test_shards_hold_the_bytes_in_order(sizes: list[int], shard: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shards")
    arrays = [np.random.default_rng(size).normal(size=size).astype(np.float32) for size in sizes]
    expected = b"".join(array.tobytes() for array in arrays)
    writer = ShardWriter(folder, len(expected), shard)
    for array in arrays:
        writer.write(array)
    parts = [(folder / name).read_bytes() for name in writer.names]
    assert b"".join(parts) == expected
    assert all(len(part) == shard for part in parts[:-1])
    assert writer.hashes == {
        name: hashlib.sha256(part).hexdigest() for name, part in zip(writer.names, parts, strict=True)
    }


def test_more_than_two_gigabytes_are_counted_in_files_of_their_own(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 2**31 + 1, 2**20)
    assert len(writer.names) == 2**11 + 1
    assert writer.names[-1] == f"group1-shard{2**11 + 1}of{2**11 + 1}.bin"


def test_writing_takes_a_piece_of_memory_and_not_the_model(tmp_path: Path) -> None:
    layer = dense("d", "entry", units=8_000_000)
    rows = np.broadcast_to(np.float32(0.5), (3, 8_000_000))  # 96 MB that take four bytes
    object.__setattr__(layer.weights[0], "value", rows)
    tracemalloc.start()
    try:
        convert(chain(layer), tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes / 2
    assert next(value for name, value in read_artifact(tmp_path / "out").weights() if name == "d/kernel")[2, -1] == 0.5
