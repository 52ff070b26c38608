"""What a case must compute, how far rounding may lead from it, and what is said of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bittrue.diagnosis.axioms import ARITHMETICS
from bittrue.graph.evaluate import layer_bound
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.model import Graph, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.ops import Allowance, Axioms
from bittrue.ops.base import widened
from bittrue.traces import Array

__all__ = ["APPROXIMATIONS", "Judgement", "bounded", "gpu_axioms", "judge", "worst"]

Bounded = tuple[Array, Array]

_GPU_DIVISION = 5.0
"""WGSL 15.7.4 and the Vulkan precision table: 2.5 ULP for a quotient, that is 5 units of roundoff."""

APPROXIMATIONS: Mapping[str, Mapping[str, tuple[Allowance, str]]] = {
    "cpu": {},
    "wasm": {},
    "gpu": {
        "exp": (Allowance(3 + 2 * 40), "exp: 3 + 2·|x| ULP in WGSL and Vulkan, for |x| up to 40"),
        "expm1": (Allowance(3 + 2 * 40, 4), "expm1: as exp(x) - 1"),
        "log": (Allowance(4, 4), "log: 2⁻²¹ near 1 in WGSL and Vulkan"),
        "log1p": (Allowance(4, 8), "log1p: as log(1 + x)"),
        "pow": (Allowance(3 + 2 * 40), "pow: as exp2(y · log2(x)) in WGSL and Vulkan"),
        "sin": (Allowance(4, 2.0**12), "sin: 2⁻¹¹ in WGSL and Vulkan"),
        "cos": (Allowance(4, 2.0**12), "cos: 2⁻¹¹ in WGSL and Vulkan"),
        "tanh": (Allowance(4, 84), "tanh: 10⁻⁵ in WGSL, or by exp"),
        "sigmoid": (Allowance(3 + 2 * 40, 4), "sigmoid: 1 / (1 + exp(-x))"),
        "softplus": (Allowance(3 + 2 * 40, 8), "softplus: log(exp(x) + 1)"),
        "softmax": (Allowance(3 + 2 * 40), "softmax: by exp"),
        "erf": (Allowance(4, 8), "erf: 7.1.26 of Abramowitz and Stegun, 1.5·10⁻⁷"),
    },
}
"""What the functions of each kind of backend are documented to be off by, beyond an ordinary library's few ULP."""


@dataclass(frozen=True)
class Judgement:
    """``verdict``: ``rounding``, ``approximation`` (``named``) or ``wrong``.

    ``worst`` is the largest distance to the exact answer in parts of its bound, ``relative`` in parts of the tensor's
    largest element.
    """

    verdict: str
    worst: float
    relative: float
    named: str = ""


class _Bounds:
    """Bounds every call, given the bounds of what it is called on."""

    def __init__(self, axioms: Axioms) -> None:
        self._axioms = axioms

    def visit(self, call: LayerCall, operands: Sequence[Bounded]) -> Sequence[Bounded]:
        values, errors = [value for value, _ in operands], [error for _, error in operands]
        return layer_bound(call.layer, values, self._axioms, call.nodes[-1], errors)

    def entered(self, call: LayerCall, operands: Sequence[Bounded], masks: Sequence[Bounded]) -> Sequence[Bounded]:
        return operands

    def missing(self, call: LayerCall, operands: Sequence[Bounded]) -> Bounded:
        raise AssertionError(f"{call.name} returns less than is read")

    def made(self, call: LayerCall, results: Sequence[Bounded]) -> None:
        pass


def bounded(graph: Graph, inputs: Mapping[str, Array], axioms: Axioms) -> list[Bounded]:
    """For each output its exact value and a bound on the error of any computation under ``axioms``."""
    feeds = [
        (widened(inputs[spec.name].astype(spec.dtype)), np.zeros(inputs[spec.name].shape)) for spec in graph.inputs
    ]
    return traverse(with_masks(graph), feeds, _Bounds(axioms))


def gpu_axioms() -> Axioms:
    """An arithmetic that adds and multiplies as binary32 does and divides as GPUs promise."""
    return Axioms(division=_GPU_DIVISION)


def base_axioms(backend: str) -> Axioms:
    """What ``backend`` promises without approximations of its own."""
    return Axioms() if backend in ("cpu", "wasm") else gpu_axioms()


def judge(
    graph: Graph,
    inputs: Mapping[str, Array],
    outputs: Sequence[Array],
    backend: str,
    exact: Sequence[Bounded] | None = None,
) -> Judgement:
    """What ``outputs`` of ``backend`` are. ``exact`` are the bounds under its base axioms, where they are known."""
    axioms = base_axioms(backend)
    pairs = exact if exact is not None else bounded(graph, inputs, axioms)
    ratio, relative = worst(pairs, outputs)
    if ratio <= 1:
        return Judgement("rounding", ratio, relative)
    table = APPROXIMATIONS["cpu" if backend in ("cpu", "wasm") else "gpu"]
    for names in [*([name] for name in table), list(table)]:
        if not names:
            continue
        wider = replace(axioms, functions={**axioms.functions, **{name: table[name][0] for name in names}})
        if worst(bounded(graph, inputs, wider), outputs)[0] <= 1:
            named = table[names[0]][1] if len(names) == 1 else "several functions together, each as documented"
            return Judgement("approximation", ratio, relative, named)
    arithmetic = ARITHMETICS[f"tfjs:{backend}"]
    if worst(bounded(graph, inputs, arithmetic.axioms), outputs)[0] <= 1:
        return Judgement("approximation", ratio, relative, f"arithmetic: {arithmetic.source}")
    return Judgement("wrong", ratio, relative)


def worst(pairs: Sequence[Bounded], outputs: Sequence[Array]) -> tuple[float, float]:
    """The largest distance in bounds, and relative to the size of its tensor; infinite for another shape."""
    if len(pairs) != len(outputs):
        return np.inf, np.inf
    found = [_distance(exact, bound, output) for (exact, bound), output in zip(pairs, outputs, strict=True)]
    return max((ratio for ratio, _ in found), default=0.0), max((size for _, size in found), default=0.0)


def _distance(exact: Array, bound: Array, output: Array) -> tuple[float, float]:
    if exact.shape != output.shape:
        return np.inf, np.inf
    if not exact.size:
        return 0.0, 0.0
    wide: Any = widened(output).astype(np.float64)
    target = exact.astype(np.float64)
    with np.errstate(all="ignore"):
        off = np.where((wide == target) | (np.isnan(wide) & np.isnan(target)), 0.0, np.abs(wide - target))
        off = np.where(np.isnan(off), np.inf, off)
        ratio = np.where(off == 0, 0.0, off / np.maximum(bound, 1e-300))
        ratio = np.where(np.isnan(ratio), 0.0 if np.isinf(bound).all() else np.inf, ratio)
    size = max(float(np.max(np.abs(target[np.isfinite(target)]), initial=0.0)), 1e-30)
    return float(np.max(ratio)), float(np.max(off)) / size
