"""The elementary functions: the module against the oracle bit for bit, and both against other implementations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from running import SPECIAL, assert_same_bits, computed, expected

from bittrue.exact.functions import FUNCTIONS
from bittrue.ops.unary import FUNCTIONS as MEANT

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow and NaN are what is tested

UNARY = sorted({*FUNCTIONS, "abs", "ceil", "floor", "negative", "relu", "round", "sign", "sqrt", "square"})


def stratified(each: int = 96, seed: int = 0) -> np.ndarray:
    """Bit patterns from every sign and exponent."""
    generator = np.random.default_rng(seed)
    mantissas = generator.integers(0, 1 << 23, size=(512, each), dtype=np.uint32)
    bits = (np.arange(512, dtype=np.uint32)[:, None] << 23) | mantissas
    return np.concatenate([SPECIAL, bits.reshape(-1).view(np.float32)])


@pytest.mark.parametrize("name", UNARY)
def test_the_module_gives_the_bits_of_the_oracle(name: str) -> None:
    x = stratified()
    assert_same_bits(computed(name, [x]), expected(name, [x]))


@pytest.mark.parametrize("name", UNARY)
def test_around_the_joints_of_the_pieces(name: str) -> None:
    joints = np.array([0.0, 0.29, 0.35, 0.41, 0.5, 1, 2, 4, 8, 11, 22, 44, 88.7, 103.9, 709, 2**25], np.float32)
    near = [
        np.float32(joint) + np.arange(-40, 41, dtype=np.float32) * np.spacing(np.float32(joint)) for joint in joints
    ]
    eighths = np.arange(1, 40, dtype=np.float32) / 8
    x = np.concatenate([*near, eighths, np.nextafter(eighths, np.float32(0))]).astype(np.float32)
    x = np.concatenate([x, -x])
    assert_same_bits(computed(name, [x]), expected(name, [x]))


ORACLES: dict[str, Callable[[float], float]] = {
    "cos": math.cos,
    "erf": math.erf,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sin": math.sin,
    "tanh": math.tanh,
}


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_float64_results_are_those_of_the_c_library_but_for_a_few_ulps(name: str) -> None:
    x = stratified(8).astype(np.float64)
    x = x[np.isfinite(x) & (np.abs(x) < (80 if name in ("exp", "expm1") else np.inf))]
    x = x[np.abs(x) < 4] if name == "erf" else x  # beyond, it is 1 to within a float32
    x = x[x > (0 if name == "log" else -1 if name == "log1p" else -np.inf)]
    wanted = np.array([ORACLES[name](value) for value in x])
    found = FUNCTIONS[name](x)
    # Arguments of sin and cos near multiples of π lose what 2/π to 128 bits cannot give.
    allowed = np.maximum(np.abs(wanted) * 2.0**-50, 2.0**-58 if name in ("sin", "cos") else 0)
    assert np.all(np.abs(found - wanted) <= allowed)


@pytest.mark.parametrize("name", ["rsqrt", "sigmoid", "softplus"])
def test_the_others_are_what_the_op_means(name: str) -> None:
    x = stratified(8).astype(np.float64)
    x = np.abs(x[np.isfinite(x)]) if name == "rsqrt" else x[np.abs(x) < 700]
    with np.errstate(all="ignore"):
        found, wanted = FUNCTIONS[name](x), MEANT[name](x)
    np.testing.assert_allclose(found, wanted, rtol=2.0**-49)


def test_powers_follow_ieee_754_in_every_special_case() -> None:
    values = np.concatenate([SPECIAL, np.array([2, -2, 3, -3, 0.5, -0.5, 1e9, -1e9, 16777217], np.float32)])
    x, y = (grid.reshape(-1) for grid in np.meshgrid(values, values))
    found = computed("power", [x, y])
    assert_same_bits(found, expected("power", [x, y]))
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(wanted[~np.isnan(found)]))
    np.testing.assert_allclose(found, wanted, rtol=3e-7)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_the_oracle_takes_a_single_large_number(name: str) -> None:
    x = np.array(1e30, np.float32)
    wanted = ORACLES[name](float(x))
    assert float(expected(name, [x])) == pytest.approx(wanted, rel=1e-7)


def test_powers_of_random_numbers() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 5000)).astype(np.float32) * np.float32(5)
    assert_same_bits(computed("power", [np.abs(x), y]), expected("power", [np.abs(x), y]))
    assert_same_bits(computed("power", [x, np.rint(y)]), expected("power", [x, np.rint(y)]))
