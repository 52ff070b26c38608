"""The examination of all inputs, on a sample; and that it would notice what it looks for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import prove_exact as prove
import prove_rounding
import pytest
from test_functions import stratified

from bittrue.exact.functions import FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def found_by(name: str, bits: prove.Bits) -> prove.Bits:
    """The bits that the module gives for the inputs with these bits."""
    return np.asarray(prove.model_of(name).predict(bits.view(np.float32))).view(np.uint32)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_sample_of_all_exponents_is_correctly_rounded_and_is_the_oracle(name: str) -> None:
    bits = stratified(32, seed=7).view("u4")
    found = found_by(name, bits)
    one = prove.rounding(name, bits, found)
    assert (one.inputs, one.wrong, one.exceptions) == (bits.size, 0, [])
    assert one.refined < 20  # float64 suffices but for a few zeros and middles
    assert not np.any(prove_rounding.carefully(name, bits, found))  # and the second step says the same of all
    assert prove.oracle(name, bits, found).wrong == 0


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_planted_wrong_result_is_named(name: str) -> None:
    bits = np.random.default_rng(4).uniform(0.01, 0.99, 100).astype(np.float32).view("u4")
    found = found_by(name, bits)
    found[37] += 1
    found[61] = 0x7FC00000
    for ask in prove.ASKED.values():
        one = ask(name, bits, found)
        assert (one.wrong, one.exceptions) == (2, [f"{int(bits[37]):08x}", f"{int(bits[61]):08x}"])


BEYOND = {"erf": 4, "exp": 110, "expm1": 110, "sigmoid": 110, "softplus": 110, "tanh": 50}
"""Where float64 evaluates the function at this number instead: there the two need only round to the same float32."""


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_float64_errs_less_than_is_proven(name: str) -> None:
    generator = np.random.default_rng(5)
    nearest = np.float32(16367173 * 2.0**72)  # of all float32 the nearest to a multiple of π/2
    x = np.concatenate([[nearest, -nearest], stratified(4, seed=9), generator.uniform(-4, 4, 400)]).astype(np.float32)
    y = prove_rounding.doubles(name, x.view("u4"))
    places = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (np.abs(x) < BEYOND.get(name, np.inf)))
    with localcontext() as context:
        context.prec = prove_rounding.DIGITS
        for at in [*places[:2], *generator.choice(places, 60)]:
            wanted = prove_rounding.precise(name, Decimal(float(x[at])))
            assert abs(Decimal(float(y[at])) - wanted) <= abs(wanted) * Decimal(2) ** -43
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(np.isnan(y), np.isnan(FUNCTIONS[name](x.astype(np.float64))))


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
def test_the_float32_beside_is_right_in_no_step(name: str, off: int) -> None:
    x = np.random.default_rng(3).uniform(0.01, 0.99, 30).astype(np.float32)
    right = found_by(name, x.view("u4"))
    beside = (right.astype(np.int64) + off).astype("u4")
    assert np.all(prove_rounding.quickly(name, x.view("u4"), beside) == prove_rounding.DOUBTFUL)
    assert np.all(prove_rounding.carefully(name, x.view("u4"), beside) == prove_rounding.WRONG)
    for judged in (prove_rounding.quickly, prove_rounding.carefully):
        assert np.all(judged(name, x.view("u4"), right) == prove_rounding.RIGHT)
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
    assert not prove_rounding.verdicts(name, x.view("u4"), wanted.view("u4"))[0].any()
    other = np.where(np.isnan(wanted), np.float32(1), np.float32(np.nan)).view("u4")
    assert np.all(prove_rounding.verdicts(name, x.view("u4"), other)[0] == prove_rounding.WRONG)


def test_doubt_is_decided_with_many_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = np.array([0.3, 0.7], np.float32).view("u4")
    found = found_by("exp", bits)
    monkeypatch.setattr(prove_rounding, "verdicts", lambda *_: (np.full(2, prove_rounding.DOUBTFUL, np.uint8), 2))
    one = prove.rounding("exp", bits, found)
    assert (one.refined, one.decided, one.wrong) == (2, 2, 0)
    monkeypatch.setattr(prove_rounding, "is_right", lambda name, word, found: word != int(bits[1]))
    assert prove.rounding("exp", bits, found).exceptions == [f"{int(bits[1]):08x}"]


def test_a_value_beside_a_middle_goes_through_all_steps() -> None:
    """sigmoid(x) = 1/2 + x/4 - x³/48 + ...: at 1.5 2⁻²² the middle between two float32 less 2⁻⁶⁹, which float64 cannot
    tell from the middle. The module and the oracle give the one above; right is the one below."""
    x = np.array([1.5 * 2**-22] * 2, np.float32).view("u4")
    below_above = np.array([0.5 + 2**-24, 0.5 + 2**-23], np.float32).view("u4")
    for judged in (prove_rounding.quickly, prove_rounding.carefully):
        assert np.all(judged("sigmoid", x, below_above) == prove_rounding.DOUBTFUL)
    one = prove.rounding("sigmoid", x, below_above)
    assert (one.refined, one.decided, one.wrong) == (2, 2, 1)
    assert found_by("sigmoid", x).tolist() == [int(below_above[1])] * 2
    assert prove.oracle("sigmoid", x, below_above).wrong == 1


def test_an_oracle_of_other_bits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "FUNCTIONS", {"exp": lambda x: FUNCTIONS["exp"](x) * (1 + 2.0**-26)})
    bits = stratified(16).view("u4")
    assert prove.oracle("exp", bits, found_by("exp", bits)).wrong > 100


class Broken:
    """A module that gives the float32 above at one input."""

    def __init__(self, model: prove.ExactModel, at: int) -> None:
        self.model, self.at = model, at

    def predict(self, x: np.ndarray) -> np.ndarray:
        return (self.model.predict(x).view("u4") + (x.view("u4") == self.at)).astype("u4").view("f4")


def test_a_shard_is_asked_both_questions_of_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    at, model_of = (5000 << 8) + 3, prove.model_of
    monkeypatch.setattr(prove, "EACH", 9000)
    monkeypatch.setattr(prove, "CHUNK", 4096)
    monkeypatch.setattr(prove, "model_of", lambda name: Broken(model_of(name), at))
    for one in prove.shard(prove.QUESTIONS, "log", 3).values():
        assert (one.inputs, one.wrong, one.exceptions, one.shards) == (9000, 1, [f"{at:08x}"], 1)
    assert prove.shard(prove.QUESTIONS, "log", 4)["rounding"].wrong == 0


def test_findings_are_kept_and_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = prove.Findings(7, 3, 1, 1, ["34c00000"], 1, ["abc"], 1800.0, "2001-02-03")
    monkeypatch.setattr(prove, "shard", lambda questions, *_: dict.fromkeys(questions, found))
    prove.examine(tmp_path, ["rounding"], "sigmoid", 5)
    monkeypatch.setattr(prove, "shard", None)  # what is there is not computed again
    prove.examine(tmp_path, ["rounding"], "sigmoid", 5)
    text = "\n".join(prove.report(prove.kept(tmp_path)))
    assert "2001-02-03" in text
    assert "0.5 hours" in text
    assert "| sigmoid | 7 | 0.0% | 3 | 1 | 1 |" in text
    assert "`34c00000`. Each result is the other of the two float32" in text
    found = replace(found, exceptions=["3f800000"])  # where the module is right, its neighbours are not
    assert "Not every result" in "\n".join(prove.report({**prove.kept(tmp_path), ("rounding", "sigmoid"): found}))


def test_findings_go_with_what_decided_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {question: prove.place(tmp_path, question, "exp", 5) for question in prove.QUESTIONS}
    changed = tmp_path / "quick.c"
    text = prove_rounding.SOURCES[-1].read_text(encoding="utf-8")
    monkeypatch.setattr(prove_rounding, "SOURCES", (*prove_rounding.SOURCES[:-1], changed))
    for addition, same in (("// a comment\n", True), ("int more;\n", False)):
        changed.write_text(addition + text, encoding="utf-8")
        prove.decider.cache_clear()
        assert (prove.place(tmp_path, "rounding", "exp", 5) == places["rounding"]) is same
        assert prove.place(tmp_path, "oracle", "exp", 5) == places["oracle"]
    prove.decider.cache_clear()
