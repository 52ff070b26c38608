"""The same bits in Python, Node, Chrome and Firefox, for any split of a batch, and as the golden files have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import golden_architectures
import golden_models
import numpy as np
import pytest
from everywhere import PLACES, computed_in, computed_in_python, written
from golden_models import Built, Numbers, hashes
from running import SPECIAL

from bittrue.exact import load
from bittrue.exact.plan import Constant, Input, Named, Operation, Plan, codes

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

EVERYWHERE = [pytest.param(place, marks=pytest.mark.needs(place)) for place in PLACES]
BINARY = sorted(name for name, (code, _) in codes().items() if code in (1, 2))


def special_pairs() -> Built:
    """Every operation of two numbers on every pair of special values."""
    a, b = (np.array(side, np.float32) for side in zip(*product(SPECIAL, SPECIAL), strict=True))
    return golden_models.built("pairs", [a, b], [], [Operation(name, (0, 1)) for name in BINARY])


def special_sums() -> Built:
    """Products, windows and reductions over special values."""
    rows = np.stack([np.roll(SPECIAL, at) for at in range(len(SPECIAL))])
    kernel = np.stack([np.roll(SPECIAL, 3 * at) for at in range(5)], 1)
    steps = [
        Operation("matmul", (0, 1)),
        Operation("softmax", (0,), (-1,)),
        *(Operation(name, (0,), (1, 1)) for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")),
        Operation("argmax", (0,), (-1,)),
        Operation("cast_int32", (0,)),
    ]
    return golden_models.built("sums", [rows], [kernel], steps)


def random_shapes(seed: int) -> Built:
    """Products and convolutions of odd sizes, drawn by ``seed``."""
    draw, sizes = Numbers(seed), np.random.default_rng(seed).integers(1, 20, 8).tolist()
    batch, height, width, channels, filters, tap, stride, depth = (int(size) for size in sizes)
    tap, stride = 1 + tap % 4, 1 + stride % 3
    x, kernel = draw(batch, height, width, channels), draw(tap, tap, channels, filters)
    steps = [
        Operation("conv", (0, 1, 2), (2, 1, 1, stride, 1, 1, 1, 0, 0, 0, 0)),
        Operation("matmul", (4, 3)),
        Operation("tanh", (5,)),
        Operation("pool_average", (6,), (2, 1, 2, 3, 1, 2, 0, 0, 0, 0)),
        Operation("softmax", (7,), (-1,)),
    ]
    return golden_models.built(f"random{seed}", [x], [kernel, draw(filters), draw(filters, depth)], steps)


def operations() -> dict[str, Built]:
    found = {name: build() for name, build in golden_models.MODELS.items()}
    found |= {"pairs": special_pairs(), "sums": special_sums()}
    return found | {f"random{seed}": random_shapes(seed) for seed in range(12)}


Given = tuple[Mapping[str, list[str]], Path]


def prepared(models: Mapping[str, Built], folder: Path) -> Given:
    return computed_in_python(models), written(folder, models)


def agree(wanted: Mapping[str, list[str]], found: Mapping[str, Any]) -> None:
    """Whole, in parts, in a worker, by several threads: the bits of Python."""
    assert {name: one["whole"] for name, one in found.items()} == wanted
    assert {name: one["split"] for name, one in found.items()} == wanted
    assert all(hashes == wanted[name] for name, one in found.items() for hashes in one["threads"])
    first = next(iter(wanted))
    assert found[first]["worker"] == wanted[first]


@pytest.fixture(scope="module")
def known_operations(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return prepared(operations(), tmp_path_factory.mktemp("operations"))


@pytest.mark.parametrize("place", EVERYWHERE)
def test_operations(place: str, known_operations: Given) -> None:
    agree(known_operations[0], computed_in(place, known_operations[1]))


@pytest.fixture(scope="module")
def known_architectures(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return prepared(golden_architectures.all_built(), tmp_path_factory.mktemp("architectures"))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("place", EVERYWHERE)
def test_architectures(place: str, known_architectures: Given) -> None:
    agree(known_architectures[0], computed_in(place, known_architectures[1]))


def conformance() -> dict[str, Built]:
    """The sample of layers, operations and sequences that is held against the oracle elsewhere, all in one."""
    import keras
    import test_conformance as sample

    from bittrue.exact.export import lowered

    builds = [(sample.layer_build(case), sample.random_inputs(case[2])) for case in sample.layer_cases.CASES]
    for cases in (sample.operation_cases.CASES, sample.sequence_cases.CASES):
        builds += [(sample.built(case), sample.inputs_of(case)) for case in cases]
    found = {}
    for at, (build, inputs) in enumerate(builds[:: sample.STEP]):
        keras.utils.set_random_seed(at)
        plan, constants = lowered(sample.graph_of(sample.keras_model(build, inputs)))
        fed = {item.name: x.astype(item.dtype) for item, x in zip(plan.inputs, inputs, strict=True)}
        found[f"{at}.whole"] = plan, constants, fed
    return found


@pytest.fixture(scope="module")
def known_conformance(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return prepared(conformance(), tmp_path_factory.mktemp("conformance"))


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("place", EVERYWHERE)
def test_conformance_cases(place: str, known_conformance: Given) -> None:
    agree(known_conformance[0], computed_in(place, known_conformance[1]))


@pytest.mark.needs("tensorflow")
def test_architectures_give_the_bits_they_always_gave(known_architectures: Given) -> None:
    assert known_architectures[0] == json.loads(golden_architectures.GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.needs("node")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_weights_in_fewer_bits(dtype: str, tmp_path: Path) -> None:
    draw = Numbers(9)
    stored = draw(6, 4).astype(np.float16) if dtype == "float16" else (np.abs(draw(6, 4)) * 255).astype(dtype)
    affine = None if dtype == "float16" else (0.0123456789, -1.1)
    kernel = Constant("kernel", (6, 4), "float32", affine)
    steps = (Operation("matmul", (0, 1)),)
    plan = Plan("few", (Input("x", (None, 6), "float32"),), (kernel,), steps, (Named("y", 2),))
    x = draw(3, 6)
    folder = written(tmp_path, {"few": (plan, {"kernel": stored}, {"x": x})})
    wanted = hashes([load(folder / "models" / "few.safetensors").predict(x)])
    agree({"few": wanted}, computed_in("node", folder))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_python_splits_batches_without_moving_a_bit(batch: int) -> None:
    from bittrue.exact.engine import ExactModel
    from bittrue.exact.file import ExactFile, digest

    split: Callable[[Any], list[Any]] = lambda x: [x[at : at + batch] for at in range(0, len(x), batch)]  # noqa: E731
    for plan, constants, inputs in golden_architectures.all_built().values():
        model = ExactModel(ExactFile(plan, constants, digest(plan, constants)))
        parts = zip(*(split(x) for x in inputs.values()), strict=True)
        made = [model.predict(dict(zip(inputs, part, strict=True))) for part in parts]
        wanted = model.predict(inputs)
        for at, whole in enumerate(wanted if isinstance(wanted, list) else [wanted]):
            joined = np.concatenate([one[at] if isinstance(one, list) else one for one in made])
            assert joined.tobytes() == whole.tobytes()
