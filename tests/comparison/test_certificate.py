"""Certificates: identical means every bit of every tensor, and the first difference is the first."""

from __future__ import annotations

import numpy as np
import pytest

from bittrue.comparison.certificate import Certificate, Certifier, InputSet
from bittrue.errors import ComparisonError
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

ONES = InputSet.of("ones", {"x": np.ones((1, 2), np.float32)})


def trace(target: str, *layers: Array, checks: tuple[Check, ...] = ()) -> Trace:
    provenance = Provenance(target, "tfjs", target.partition(":")[2], "4.22.0")
    records = [Record.of(Key("output", f"d{number}"), array) for number, array in enumerate(layers)]
    return Trace.of(provenance, records, checks=checks)


def certify(*pairs: tuple[Trace, ...]) -> Certificate:
    names = [one.provenance.target for one in pairs[0]]
    certifier = Certifier(names)
    for traces in pairs:
        certifier.add(ONES, dict(zip(names, traces, strict=True)))
    return certifier.finish()


def test_equal_bits_are_identical_and_counted():
    x, y = np.float32([1, 2]), np.float32([[3]])
    found = certify((trace("a:cpu", x, y), trace("b:cpu", x, y)), (trace("a:cpu", y, x), trace("b:cpu", y, x)))
    assert found.identical
    assert (found.tensor_count, found.value_count) == (4, 6)
    assert len(set(found.digests.values())) == 1


@pytest.mark.parametrize(("left", "right"), [(0.0, -0.0), (1.0, 1.0000001), (np.nan, np.inf)])
def test_one_bit_is_a_difference(left: float, right: float):
    found = certify((trace("a:cpu", np.float32([5, left])), trace("b:cpu", np.float32([5, right]))))
    assert not found.identical
    assert found.first_difference is not None
    assert found.first_difference.index == (1,)
    assert "1 of 2 values differ" in found.first_difference.what
    assert len(set(found.digests.values())) == 2


def test_the_same_nan_is_the_same():
    x = np.float32([np.nan])
    assert certify((trace("a:cpu", x), trace("b:cpu", x.copy()))).identical


def test_the_first_difference_is_the_first_in_order_and_later_sets_do_not_replace_it():
    x, y = np.float32([1]), np.float32([2])
    found = certify(
        (trace("a:cpu", x, x, x), trace("b:cpu", x, y, y)), (trace("a:cpu", x, x, x), trace("b:cpu", y, x, x))
    )
    assert found.first_difference is not None
    assert found.first_difference.key == Key("output", "d1")
    assert [tensor.identical for tensor in found.tensors] == [False, False, False]


def test_a_third_target_is_compared_as_well():
    x, y = np.float32([1]), np.float32([2])
    found = certify((trace("a:cpu", x), trace("b:cpu", x), trace("c:cpu", y)))
    assert found.first_difference is not None
    assert found.first_difference.targets == ("a:cpu", "c:cpu")


@pytest.mark.parametrize("other", [np.float32([[1]]), np.int32([1]), np.float32([1, 1])])
def test_another_shape_or_dtype_is_a_difference(other: Array):
    found = certify((trace("a:cpu", np.float32([1])), trace("b:cpu", other)))
    assert not found.identical
    assert found.first_difference is not None
    assert found.first_difference.index is None


def test_a_tensor_that_one_target_lacks_is_a_difference():
    x = np.float32([1])
    found = certify((trace("a:cpu", x, x), trace("b:cpu", x)))
    assert not found.identical
    assert found.tensors[1].sha256["b:cpu"] is None
    assert found.first_difference is not None
    assert "b:cpu did not produce it" in found.first_difference.what


def test_a_failed_check_is_told():
    failed = Check("capture", False, "with and without capture differ")
    x = np.float32([1])
    found = certify((trace("a:cpu", x, checks=(failed,)), trace("b:cpu", x)))
    assert found.failed_checks == ("a:cpu, inputs ones: with and without capture differ",)


def test_one_target_or_no_layer_is_no_certificate():
    with pytest.raises(ComparisonError, match="two targets"):
        Certifier(["a:cpu"])
    with pytest.raises(ComparisonError, match="nothing can be certified"):
        certify((trace("a:cpu"), trace("b:cpu")))


def test_input_sets_are_told_apart_by_their_bits():
    other = InputSet.of("ones", {"x": np.float32([[1, -1]])})
    assert InputSet.of("ones", {"x": np.ones((1, 2), np.float32)}) == ONES
    assert ONES.sha256 != other.sha256
