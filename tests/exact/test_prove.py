"""The examination of all inputs, on a sample; and that it would notice what it looks for."""

from __future__ import annotations

import prove_exact as prove
import pytest
from test_functions import stratified

from bittrue.exact.functions import FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_sample_of_all_exponents_is_correctly_rounded(name: str) -> None:
    bits = stratified(16, seed=7).view("u4")
    found = prove.examined(name, bits, prove.model_of(name))
    assert (found.inputs, found.different, found.far, found.exceptions) == (bits.size, 0, 0, [])


def test_a_function_that_is_a_little_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "FUNCTIONS", {"exp": lambda x: FUNCTIONS["exp"](x) * (1 + 2.0**-26)})
    found = prove.examined("exp", stratified(16).view("u4"), prove.model_of("exp"))
    assert found.different > 100
    assert found.far > 1000


def test_a_result_on_the_wrong_side_of_a_middle_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = stratified(64, seed=3).view("u4")
    monkeypatch.setattr(prove, "NEAR", 1.0)  # every result is decided with many digits
    monkeypatch.setattr(prove, "FUNCTIONS", {"exp": lambda x: FUNCTIONS["exp"](x) * (1 + 2.0**-28)})
    found = prove.examined("exp", bits[7698:8466], prove.model_of("exp"))
    assert found.exceptions
    assert found.decided > len(found.exceptions)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_many_digits_agree_with_few(name: str) -> None:
    from decimal import Decimal

    for x in (0.001, 0.3, 1.5, 3.0):
        assert float(prove.precise(name, Decimal(x))) == pytest.approx(float(prove.OTHERS[name](x)), rel=1e-14)
