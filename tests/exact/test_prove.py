"""The examination of all inputs, on a sample; and that it would notice what it looks for."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import prove_exact as prove
import prove_rounding
import pytest
from test_functions import stratified

from bittrue.exact.functions import FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_sample_of_all_exponents_is_correctly_rounded(name: str) -> None:
    bits = stratified(32, seed=7).view("u4")
    found = prove.rounding(name, bits, prove.model_of(name))
    assert (found.inputs, found.wrong, found.exceptions) == (bits.size, 0, [])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_sample_has_the_bits_of_the_oracle(name: str) -> None:
    assert prove.oracle(name, stratified(8, seed=8).view("u4"), prove.model_of(name)).wrong == 0


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"rsqrt"}))
def test_the_double_doubles_err_less_than_is_proven(name: str) -> None:
    generator = np.random.default_rng(2)
    x = np.concatenate([stratified(4, seed=9), generator.uniform(-4, 4, 400).astype(np.float32)])
    high, low = prove_rounding.double_doubles(name, x[np.isfinite(x)].astype(np.float64))
    places = generator.choice(np.flatnonzero(~np.isnan(high)), 40)
    with localcontext() as context:
        context.prec = prove_rounding.DIGITS
        for at in places:
            wanted = prove_rounding.precise(name, Decimal(float(x[np.isfinite(x)][at])))
            assert abs(Decimal(float(high[at])) + Decimal(float(low[at])) - wanted) <= abs(wanted) * Decimal(2) ** -70


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("off", [1, -1])
def test_the_float32_beside_is_wrong_in_both_judgements(name: str, off: int) -> None:
    x = np.random.default_rng(3).uniform(0.01, 0.99, 30).astype(np.float32)
    right = prove.model_of(name).predict(x).view("u4")
    beside = (right.astype(np.int64) + off).astype("u4")
    assert np.all(prove_rounding.verdicts(name, x.view("u4"), beside) == prove_rounding.WRONG)
    assert np.all(prove_rounding.verdicts(name, x.view("u4"), right) == prove_rounding.RIGHT)
    for word, good, bad in zip(x.view("u4")[:4], right, beside, strict=False):
        assert prove_rounding.is_right(name, int(word), int(good))
        assert not prove_rounding.is_right(name, int(word), int(bad))


SPECIAL = {
    "cos": [np.nan, 1, 1, np.nan],
    "erf": [-1, -0.0, 0, 1],
    "exp": [0, 1, 1, np.inf],
    "expm1": [-1, -0.0, 0, np.inf],
    "log": [np.nan, -np.inf, -np.inf, np.inf],
    "log1p": [np.nan, -0.0, 0, np.inf],
    "rsqrt": [np.nan, -np.inf, np.inf, 0],
    "sigmoid": [0, 0.5, 0.5, 1],
    "sin": [np.nan, -0.0, 0, np.nan],
    "softplus": [0, np.log(2), np.log(2), np.inf],
    "tanh": [-1, -0.0, 0, 1],
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_infinities_and_zeros_are_what_ieee_754_says(name: str) -> None:
    x = np.array([-np.inf, -0.0, 0.0, np.inf], np.float32)
    wanted = np.array(SPECIAL[name], np.float32)
    assert prove.model_of(name).predict(x).tobytes() == wanted.tobytes()
    assert not prove_rounding.verdicts(name, x.view("u4"), wanted.view("u4")).any()


def test_doubt_is_decided_with_many_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = np.array([0.3, 0.7], np.float32).view("u4")
    monkeypatch.setattr(prove_rounding, "verdicts", lambda *_: np.full(2, prove_rounding.DOUBTFUL, np.uint8))
    found = prove.rounding("exp", bits, prove.model_of("exp"))
    assert (found.decided, found.wrong) == (2, 0)
    monkeypatch.setattr(prove_rounding, "is_right", lambda name, word, found: word != int(bits[1]))
    assert prove.rounding("exp", bits, prove.model_of("exp")).exceptions == [f"{int(bits[1]):08x}"]


def test_an_oracle_of_other_bits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "FUNCTIONS", {"exp": lambda x: FUNCTIONS["exp"](x) * (1 + 2.0**-26)})
    assert prove.oracle("exp", stratified(16).view("u4"), prove.model_of("exp")).wrong > 100


def test_findings_are_kept_and_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "shard", lambda *_: prove.Findings(7, 1, 1, ["3f800000"], 1, ["abc"], "2001-02-03"))
    prove.stored(tmp_path, "rounding", "exp", 5)
    monkeypatch.setattr(prove, "shard", None)  # what is there is not computed again
    text = "\n".join(prove.report(prove.kept(tmp_path)))
    assert "2001-02-03" in text
    assert "| exp | 7 | 0.0% | 1 | 3f800000 |" in text
