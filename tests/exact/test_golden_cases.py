"""The golden files name every case, their numbers can be drawn by anybody, and no difference is passed over."""

from __future__ import annotations

import json

import golden_cases
import numpy as np
import pytest
from drawn import bits, kernel, splitmix64, truths, uniform, whole
from golden_models import GOLDEN, MODELS
from subjects import Subject, described, differences, every_value, fingerprint, in_python

from bittrue.exact.plan import Input, Named, Operation, Plan


def test_the_generator_is_splitmix64() -> None:
    # The first numbers from the seed 1234567, as published with its reference implementation.
    wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix64(1234567, 0, 4).tolist() == wanted
    assert splitmix64(1234567, 2, 4).tolist() == wanted[2:]


def test_streams_do_not_depend_on_how_much_is_drawn() -> None:
    assert bits("a", 5, 9).tolist() == bits("a", 0, 300_000)[5:9].tolist()
    assert uniform("a", (2, 3)).ravel().tolist() == uniform("a", (200_000,))[:6].tolist()
    assert bits("a", 0, 4).tolist() != bits("b", 0, 4).tolist()


def test_what_is_drawn_has_the_range_and_the_variance_that_were_asked_for() -> None:
    drawn = uniform("range", (100_000,), -3, 5)
    assert drawn.dtype == np.float32
    assert -3 <= drawn.min() < -2.99
    assert 4.99 < drawn.max() < 5
    assert set(whole("whole", (1000,), 4).tolist()) == {0, 1, 2, 3}
    assert 400 < truths("truths", (1000,)).sum() < 600
    assert kernel("kernel", (50, 2000), 50, 2.0).var() == pytest.approx(2 / 50, rel=0.02)


def test_every_case_has_a_hash_and_no_other_has_one() -> None:
    hashes, inseparable = golden_cases.golden()
    assert sorted(hashes) == sorted(golden_cases.LABELS), "python tests/exact/golden_cases.py writes the file anew"
    assert inseparable <= set(hashes)
    assert len(set(hashes.values())) > 0.9 * len(hashes)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_both_files_say_the_same_of_the_same_model(name: str) -> None:
    hashes = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    found = in_python(Subject(*MODELS[name](), splits=False))
    assert [line.split()[1] for line in found["every"]] == hashes * 2  # as operations, and as outputs
    assert fingerprint(found["every"]) == golden_cases.golden()[0][f"model/{name}"]


def doubled() -> Subject:
    steps = (Operation("add", (0, 0), layer="twice"), Operation("negative", (1,), layer="minus"))
    plan = Plan("doubled", (Input("x", (None, 2), "float32"),), (), steps, (Named("y", 2),))
    return Subject(plan, {}, {"x": np.float32([[1, 2], [3, 4], [5, 6]])}, threads=(2,))


WAYS = ["every", "whole", "parts", "alone", "2 threads"]


def test_python_computes_every_way() -> None:
    found = in_python(doubled())
    y = described(np.float32([[-2, -4], [-6, -8], [-10, -12]]))
    assert found == {"every": [described(np.float32([[2, 4], [6, 8], [10, 12]])), y, y]} | {
        way: [y] for way in WAYS[1:]
    }
    assert differences(doubled(), found["every"], found, WAYS) == []
    assert every_value(doubled().plan) == [1, 2, 2]


@pytest.mark.parametrize("way", WAYS)
def test_a_difference_is_named_with_its_way_and_its_operation(way: str) -> None:
    found = in_python(doubled())
    wrong = {**found, way: [found[way][0][:-1] + "x", *found[way][1:]]}
    (said,) = differences(doubled(), found["every"], wrong, WAYS)
    where = "operation 0 (add, layer 'twice')" if way == "every" else "output 'y'"
    assert said.startswith(f"{way}: 1 of {len(found[way])} tensors differ, first {where}: float32[3,2] ")


@pytest.mark.parametrize("way", WAYS)
def test_what_was_not_computed_is_a_difference(way: str) -> None:
    found = in_python(doubled())
    absent = {name: lines for name, lines in found.items() if name != way}
    assert differences(doubled(), found["every"], absent, WAYS) == [f"{way}: it is missing"]
    (said,) = differences(doubled(), found["every"], {**found, way: []}, WAYS)
    assert said.startswith(f"{way}: 0 tensors for ")


def test_a_hash_covers_dtype_shape_and_bits() -> None:
    x = np.float32([[0, 1]])
    others = [x.T, x.view(np.int32), -x, np.float32([[0, 1.0000001]]), x.astype(bool)]
    assert len({fingerprint([described(one)]) for one in (x, *others)}) == 6
    assert described(x).startswith("float32[1,2] ")
    assert len(fingerprint([described(x)])) == 32
