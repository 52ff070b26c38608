"""An option of the layer that the runtime ignored, or took for another value."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np

from bittrue.graph.evaluate import layer_truth
from bittrue.traces import Array

from ..evidence import Evidence
from ..experiments import attempt, first_proven, fits
from ..option_alternatives import Path, alternatives, numbers, with_option
from ..result import Finding
from .registry import cause

__all__ = ["OptionIgnored", "OptionOfAnotherValue"]


def _fix(option: str) -> str:
    return (
        f"make the runtime read {option}: convert again with 'bittrue convert', which writes it as TensorFlow.js reads "
        "it ('bittrue lint MODEL' lists what it would ignore), or put the model's value into model.json"
    )


@cause
class OptionIgnored:
    """The layer with one option at Keras's default, or at another value of its kind, must give what came out."""

    name: ClassVar[str] = "option"
    order: ClassVar[int] = 12

    def test(self, evidence: Evidence) -> Finding | None:
        found = first_proven(evidence, ((words, layer, None) for words, layer in alternatives(evidence.layer)))
        if found is None:
            return None
        words, reproduction = found
        option = words.partition("=")[0]
        sentence = f"the {evidence.side.name} computed {evidence.layer.name!r} with {words}"
        return reproduction.finding(self.name, sentence, _fix(option))


@cause
class OptionOfAnotherValue:
    """A number that no list holds: the one that brings the layer nearest to what came out, if that is near enough."""

    name: ClassVar[str] = "option-value"
    order: ClassVar[int] = 24

    def test(self, evidence: Evidence) -> Finding | None:
        for path, value in numbers(evidence.layer):
            fitted = fits(partial(_fitted, evidence, path, value))
            for number in _readable(fitted) if fitted is not None else ():
                found = attempt(evidence, with_option(evidence.layer, path, number))
                if found is not None and found.proven:
                    option = ".".join(key for key in path if key != "config")
                    sentence = f"the {evidence.side.name} computed with {option}={number!r} instead of {value!r}"
                    return found.finding(self.name, sentence, _fix(option))
        return None


_STEPS = 12


def _fitted(evidence: Evidence, path: Path, start: float) -> float | None:
    """The value of the option with the least squared distance: Gauss and Newton's steps, by differences.

    On the logarithm of the option where it is positive, so that it stays so.
    """
    y = np.concatenate([np.asarray(array, np.float64).ravel() for array in evidence.side.outputs])
    if not np.isfinite(y).all():
        return None
    logarithmic = start > 0
    place: Callable[[float], float] = (lambda t: float(np.exp(t))) if logarithmic else (lambda t: t)

    def residual(t: float) -> Array:
        values = layer_truth(with_option(evidence.layer, path, place(t)), evidence.side.inputs, evidence.node)
        return np.asarray(np.concatenate([np.asarray(value, np.float64).ravel() for value in values]) - y)

    t = float(np.log(start)) if logarithmic else start
    for _ in range(_STEPS):
        r = residual(t)
        slope = (residual(t + 1e-4) - r) / 1e-4
        steepness = float(slope @ slope)
        if steepness == 0 or not np.isfinite(steepness):
            return None
        step = float(np.clip(slope @ r / steepness, -4, 4))
        t -= step
        if abs(step) < 1e-9:
            break
    return place(t)


def _readable(value: float) -> list[float]:
    """``value`` in as few digits as people write, then in more."""
    return list(dict.fromkeys(float(f"{value:.{digits}g}") for digits in (1, 2, 3, 4, 6, 9)))
