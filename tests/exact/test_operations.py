"""Every operation of the module against the oracle, bit for bit, on random shapes and special values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import SPECIAL, assert_same_bits, computed, expected

from bittrue.exact.plan import Operation, codes
from bittrue.traces import Array

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 9)
few = settings(max_examples=12, deadline=None)
BINARY = ("add", "divide", "maximum", "minimum", "multiply", "subtract")
RELATIONS = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")


def floats(seed: int, *shape: int, special: bool = True) -> Array:
    """Ordinary numbers; one in ten is special."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=shape).astype(np.float32)
    odd = generator.random(shape) < (0.1 if special else 0)
    return np.where(odd, generator.choice(SPECIAL, size=shape), x).astype(np.float32)


def wholes(seed: int, *shape: int) -> Array:
    generator = np.random.default_rng(seed)
    values = generator.integers(-(2**31), 2**31, size=shape)
    return np.where(generator.random(shape) < 0.5, values, values % 7 - 3).astype(np.int32)


def check(name: str, operands: Sequence[Array], attributes: Sequence[int] = (), constant: bool = False) -> None:
    assert_same_bits(computed(name, operands, attributes, constant), expected(name, operands, attributes))


def broadcast_pair(seed: int, ones: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast."""
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 7, size=generator.integers(1, 5))
    a, b = shape.copy(), shape.copy()
    a[generator.random(len(shape)) < ones / 3] = 1
    b[generator.random(len(shape)) < ones / 3] = 1
    return tuple(map(int, a)), tuple(map(int, b[generator.integers(0, len(b)) :]))


@pytest.mark.parametrize("name", [*BINARY, "power", *RELATIONS])
@few
@given(seed=seeds, ones=st.integers(0, 2))
def test_pairs_of_floats(name: str, seed: int, ones: int) -> None:
    a, b = broadcast_pair(seed, ones)
    check(name, [floats(seed, *a), floats(seed + 1, *b)])


@pytest.mark.parametrize("name", ["add", "maximum", "minimum", "multiply", "subtract", *RELATIONS])
@few
@given(seed=seeds, ones=st.integers(0, 2))
def test_pairs_of_whole_numbers(name: str, seed: int, ones: int) -> None:
    a, b = broadcast_pair(seed, ones)
    check(name, [wholes(seed, *a), wholes(seed + 1, *b)])


@pytest.mark.parametrize("name", ["abs", "negative", "relu", "sign", "square"])
def test_functions_of_whole_numbers(name: str) -> None:
    check(name, [wholes(3, 5, 7)])


@pytest.mark.parametrize("name", [*BINARY[2:4], "equal", "less"])
def test_every_pair_of_special_values(name: str) -> None:
    x, y = (grid.reshape(-1) for grid in np.meshgrid(SPECIAL, SPECIAL))
    check(name, [x, y])


@pytest.mark.parametrize("name", ["and", "or", "xor", "not"])
def test_connectives(name: str) -> None:
    truths = [wholes(at, 4, 5) % 2 == 0 for at in range(1 if name == "not" else 2)]
    check(name, truths)


@few
@given(seed=seeds, ones=st.integers(0, 2))
def test_select_affine_and_normalize(seed: int, ones: int) -> None:
    a, b = broadcast_pair(seed, ones)
    check("select", [wholes(seed, *a) > 0, floats(seed, *b), floats(seed + 1, *a)])
    check("affine", [floats(seed, *a), floats(seed + 1, *b), floats(seed + 2, *b)])
    statistics = [floats(seed + at, *b) for at in range(1, 5)]
    check("normalize", [floats(seed, *a), *statistics, np.float32(1e-3).reshape(())])


@pytest.mark.parametrize("to", ["float32", "int32", "bool"])
def test_casts(to: str) -> None:
    halves = np.array([0.5, -0.5, 1.5, 2147483520, 2147483648, -2147483648, -2147483904, 16777217], np.float32)
    for x in (np.concatenate([SPECIAL, halves, floats(1, 50) * 100]), wholes(2, 60), wholes(3, 60) > 0):
        check(f"cast_{to}", [x])


@few
@given(seed=seeds, m=st.integers(1, 11), k=st.integers(0, 40), n=st.integers(1, 40), biased=st.booleans())
def test_matrix_products(seed: int, m: int, k: int, n: int, biased: bool) -> None:
    bias = [floats(seed + 2, n)] if biased else []
    a, b = floats(seed, m, k), floats(seed + 1, k, n)
    check("matmul", [a, b, *bias])
    check("matmul", [a, b, *bias], constant=True)
    check("matmul", [floats(seed, 2, 3, k), b, *bias], constant=True)
    check("matmul", [floats(seed, k), b])


@few
@given(seed=seeds, ones=st.integers(0, 2), m=st.integers(1, 6), k=st.integers(1, 9), n=st.integers(1, 20))
def test_products_of_many_matrices(seed: int, ones: int, m: int, k: int, n: int) -> None:
    a, b = broadcast_pair(seed, ones)
    check("matmul", [floats(seed, *a, m, k), floats(seed + 1, *b, k, n)])


@pytest.mark.parametrize(
    ("m", "k", "n"), [(200, 900, 17), (97, 384, 8), (1, 2000, 100), (5, 385, 33), (6, 257, 530), (3, 700, 20)]
)
def test_products_longer_than_what_the_cache_takes_at_once(m: int, k: int, n: int) -> None:
    check("matmul", [floats(1, m, k, special=False), floats(2, k, n, special=False), floats(3, n)], constant=True)


def window_attributes(draw: st.DrawFn, spatial: int) -> tuple[list[int], list[int], list[int], list[int], int]:
    """Sizes, taps, strides, dilations, and whether the padding is "same"."""
    several = st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)
    taps, strides, dilations = draw(several), draw(several), draw(several)
    most = 12 if spatial == 1 else 8
    fits = [
        st.integers((tap - 1) * step + 1, max(most, (tap - 1) * step + 1))
        for tap, step in zip(taps, dilations, strict=True)
    ]
    return [draw(size) for size in fits], taps, strides, dilations, draw(st.integers(0, 1))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=seeds, spatial=st.integers(1, 3), groups=st.integers(1, 3), constant=st.booleans())
def test_convolutions(data: st.DataObject, seed: int, spatial: int, groups: int, constant: bool) -> None:
    shape, taps, strides, dilations, same = window_attributes(data.draw, spatial)
    depth, filters = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9)) * groups
    widths = (
        [0] * (2 * spatial)
        if same
        else data.draw(st.lists(st.integers(0, 2), min_size=2 * spatial, max_size=2 * spatial))
    )
    x, kernel = floats(seed, 2, *shape, depth * groups), floats(seed + 1, *taps, depth, filters)
    attributes = [spatial, groups, same, *strides, *dilations, *widths]
    check("conv", [x, kernel, floats(seed + 2, filters)], attributes, constant)
    check("conv", [x, kernel], attributes, constant)


@pytest.mark.parametrize("channels", [60, 300])
def test_convolutions_longer_than_what_the_cache_takes_at_once(channels: int) -> None:
    x, kernel = floats(1, 1, 5, 6, channels, special=False), floats(2, 3, 2, channels, 9, special=False)
    check("conv", [x, kernel, floats(3, 9)], [2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0], constant=True)
    check("conv_transpose", [x, kernel, floats(3, 9)], [2, 2, 1, 1, 1, 0, 1, 0, 0], constant=True)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=seeds, spatial=st.integers(1, 3), channels=st.integers(1, 19))
def test_depthwise_convolutions(data: st.DataObject, seed: int, spatial: int, channels: int) -> None:
    shape, taps, strides, dilations, same = window_attributes(data.draw, spatial)
    attributes = [spatial, channels, same, *strides, *dilations, *([0] * (2 * spatial))]
    x, kernel = floats(seed, 2, *shape, channels), floats(seed + 1, *taps, 1, channels)
    check("conv", [x, kernel, floats(seed + 2, channels)], attributes)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), seed=seeds, spatial=st.integers(1, 3), channels=st.integers(1, 5), filters=st.integers(1, 9))
def test_transposed_convolutions(data: st.DataObject, seed: int, spatial: int, channels: int, filters: int) -> None:
    shape, taps, strides, dilations, _ = window_attributes(data.draw, spatial)
    crop = data.draw(st.lists(st.integers(-2, 1), min_size=2 * spatial, max_size=2 * spatial))
    lengths = [
        (n - 1) * stride + (tap - 1) * step + 1
        for n, stride, tap, step in zip(shape, strides, taps, dilations, strict=True)
    ]
    crop = [min(width, 0) if lengths[at // 2] < 3 else width for at, width in enumerate(crop)]
    x, kernel = floats(seed, 2, *shape, channels), floats(seed + 1, *taps, channels, filters)
    check("conv_transpose", [x, kernel, floats(seed + 2, filters)], [spatial, *strides, *dilations, *crop])


@settings(max_examples=30, deadline=None)
@given(data=st.data(), seed=seeds, spatial=st.integers(1, 3), channels=st.integers(1, 9))
@pytest.mark.parametrize("name", ["pool_max", "pool_average"])
def test_pooling(name: str, data: st.DataObject, seed: int, spatial: int, channels: int) -> None:
    shape, window, strides, _, same = window_attributes(data.draw, spatial)
    x = floats(seed, 2, *[max(n, size) for n, size in zip(shape, window, strict=True)], channels)
    check(name, [x], [spatial, same, *window, *strides, *([0] * (2 * spatial))])


@few
@given(seed=seeds, shape=st.lists(sizes, min_size=1, max_size=4), keepdims=st.booleans(), data=st.data())
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "any", "all"])
def test_reductions(name: str, seed: int, shape: list[int], keepdims: bool, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), max_size=len(shape)))
    x = floats(seed, *shape)
    if name in ("any", "all"):
        return check(f"reduce_{name}", [x > 0.5], [keepdims, *axes])
    if name != "mean":
        check(f"reduce_{name}", [wholes(seed, *shape)], [keepdims, *axes])
    return check(f"reduce_{name}", [x], [keepdims, *axes])


@few
@given(seed=seeds, shape=st.lists(sizes, min_size=1, max_size=4), data=st.data())
def test_along_one_axis(seed: int, shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    check("softmax", [floats(seed, *shape)], [axis])
    check("softmax", [floats(seed, *shape, special=False) * 20], [axis])
    check("argmax", [floats(seed, *shape)], [axis])
    check("argmax", [wholes(seed, *shape) % 3], [axis])
    check("position", [floats(seed, *shape)], [axis])
    check("repeat", [floats(seed, *shape)], [axis, 3])
    check("concat", [floats(seed + at, *shape) for at in range(3)], [axis])


@few
@given(seed=seeds, shape=st.lists(sizes, min_size=1, max_size=4), data=st.data())
def test_moves(seed: int, shape: list[int], data: st.DataObject) -> None:
    x, rank = floats(seed, *shape), len(shape)
    check("transpose", [x], data.draw(st.permutations(range(rank))))
    check("reshape", [x], [-1, shape[-1]])
    check("reshape", [x, floats(seed, shape[0], 2)], [-2 - 8, -1])
    check("broadcast", [x], [2, 3, *shape])
    widths = data.draw(st.lists(st.integers(0, 3), min_size=2 * rank, max_size=2 * rank))
    check("pad", [x, floats(seed + 1)], widths)
    index = np.random.default_rng(seed).integers(0, shape[0], size=(2, 5)).astype(np.int32)
    check("gather", [x, index])


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(sizes, min_size=1, max_size=3),
    ends=st.tuples(*[st.one_of(st.none(), st.integers(-12, 12))] * 2),
    step=st.integers(-4, 4).filter(bool),
    data=st.data(),
)
def test_slices(shape: list[int], ends: tuple[int | None, int | None], step: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    written = [word for end in ends for word in (int(end is not None), end or 0)]
    check("slice", [floats(1, *shape)], [axis, *written, step])


@few
@given(seed=seeds, shape=st.lists(sizes, min_size=1, max_size=3), data=st.data())
@pytest.mark.parametrize("name", ["resize_linear", "resize_nearest"])
def test_resizing(name: str, seed: int, shape: list[int], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(1, 14), min_size=len(shape), max_size=len(shape)))
    x = floats(seed, 2, *shape, 3)
    check(name, [x], [len(shape), 0, *wanted])
    check(name, [x], [len(shape), 1, *[1 + size % 3 for size in wanted]])


def test_every_operation_is_tested() -> None:
    here = Path(__file__)
    text = "".join(path.read_text(encoding="utf-8") for path in (here, here.with_name("test_scan.py")))
    functions = {name for name, (code, _) in codes().items() if code == 0}
    families = ("cast_", "reduce_", "pool_", "resize_")
    missing = [
        name
        for name in codes()
        if name not in functions and not name.startswith(families) and text.count(f'"{name}"') == 0
    ]
    assert missing == []


def test_operations_are_numbered_without_gaps() -> None:
    found = sorted(codes().values())
    assert len(set(found)) == len(found)
    assert sorted({code for code, _ in found}) == list(range(26))
    assert Operation("exp", (3,), ()).words() == [0, 4, 1, 0, 3]
