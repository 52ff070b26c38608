"""Several threads on one prediction: the bits of one, errors as ever, and no thread left behind."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from golden_models import GOLDEN, MODELS, hashes

from bittrue.errors import InputError, UsageError
from bittrue.exact.engine import ExactModel
from bittrue.exact.file import ExactFile, digest, write
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

WANTED = json.loads(GOLDEN.read_text(encoding="utf-8"))
TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)
ROWS = Plan(
    "rows",
    (Input("x", (None,), "int32"),),
    (Constant("table", (3, 2), "float32"),),
    (Operation("gather", (1, 0)),),
    (Named("y", 2),),
)


def model(plan: Plan, constants: dict[str, np.ndarray], threads: int) -> ExactModel:
    return ExactModel(ExactFile(plan, constants, digest(plan, constants)), threads=threads)


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("bittrue-exact")]


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_number_of_threads_moves_no_bit(name: str, threads: int) -> None:
    plan, constants, inputs = MODELS[name]()
    shared = model(plan, constants, threads)
    for _ in range(5):
        made = shared.predict(inputs)
        assert hashes(made if isinstance(made, list) else [made]) == WANTED[name]


def test_threads_end_with_their_model() -> None:
    shared = model(ROWS, {"table": TABLE}, 3)
    assert len(alive()) == 2
    shared.predict(np.int32([1]))
    del shared
    gc.collect()
    assert alive() == []


@pytest.mark.parametrize("bad", [0, 4, 9])
def test_an_index_that_is_no_row_is_found_by_whichever_thread_has_it(bad: int) -> None:
    index = np.ones(10, np.int32)
    index[bad] = 3
    shared = model(ROWS, {"table": TABLE}, 2)
    with pytest.raises(InputError, match="no row of the table"):
        shared.predict(index)
    assert shared.predict(np.int32([2, 0])).tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize("threads", [0, -1, 65])
def test_an_impossible_number_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 64"):
        model(ROWS, {"table": TABLE}, threads)


def test_a_program_that_ends_with_threads_ends_well(tmp_path: Path) -> None:
    write(tmp_path / "rows.safetensors", ROWS, {"table": TABLE})
    code = (
        "import numpy as np; from bittrue.exact import load; "
        "model = load('rows.safetensors', threads=2); print(model.predict(np.int32([2])).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[[4.0, 5.0]]", "")
