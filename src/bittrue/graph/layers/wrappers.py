"""Layers around another layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bittrue.ops import Concat

from ..formula import Formula, Value
from ..masks import uses_mask
from ..model import Call, LayerNode, TensorRef, Weight
from .registry import expand_within, expands

__all__: list[str] = []

_ALONG_THE_LAST_AXIS = frozenset({"Dense", "Dropout", "Identity", "LeakyReLU", "ReLU"})


def _inside(formula: Formula, key: str, weights: Sequence[Weight]) -> LayerNode:
    """The layer serialised in option ``key``."""
    given = formula.options.raw(key, None)
    if not isinstance(given, Mapping) or not isinstance(given.get("config"), Mapping):
        raise formula.options.refused(key, "is not a layer")
    module, config = str(given.get("module")), given["config"]
    name = f"{formula.layer.name}/{config.get('name', key)}"
    return LayerNode(name, str(given.get("class_name")), module, config, tuple(weights), ())


def _called(
    formula: Formula, layer: LayerNode, x: Value, first_weight: int, named: Mapping[str, Any]
) -> tuple[Value, ...]:
    """What ``layer`` returns for ``x`` and the tensors ``named``."""
    values: list[Value] = [x]

    def ref(item: Any) -> Any:
        if isinstance(item, list | tuple):
            return [ref(inner) for inner in item]
        if not isinstance(item, Value):
            return item
        values.append(item)
        return TensorRef("", 0, len(values) - 1)

    call = Call((TensorRef(""),), {name: ref(item) for name, item in named.items()})
    return expand_within(formula.inner(layer, call, values, first_weight))


@expands("Bidirectional")
def bidirectional(formula: Formula) -> tuple[Value, ...]:
    """A recurrent layer forwards and another one backwards, their outputs merged, then the states of both."""
    weights = formula.layer.weights
    half = len(weights) // 2
    if [weight.name for weight in weights[:half]] != [weight.name for weight in weights[half:]]:
        raise formula.refused("its two layers have different weights")
    x, mask = formula.argument(0, "sequences"), formula.mask()
    initial = formula.argument(1, "initial_state")
    each = [None, None] if initial is None else [initial[: len(initial) // 2], initial[len(initial) // 2 :]]
    results, sequences = [], False
    for at, key in enumerate(("layer", "backward_layer")):
        layer = _inside(formula, key, weights[at * half : (at + 1) * half])
        sequences = bool(layer.config.get("return_sequences"))
        results.append(_called(formula, layer, x, at * half, {"mask": mask, "initial_state": each[at]}))
    (forward, *states), (backward, *more) = results
    backward = backward.sliced(1, None, None, -1) if sequences else backward
    return (*_merged(formula, forward, backward), *states, *more)


def _merged(formula: Formula, a: Value, b: Value) -> tuple[Value, ...]:
    mode = formula.options.raw("merge_mode", "concat")
    match mode:
        case None:
            return a, b
        case "concat":
            return (formula.apply(Concat(-1), a, b),)
        case "sum":
            return (a + b,)
        case "mul":
            return (a * b,)
        case "ave":
            return ((a + b) / 2.0,)
        case _:
            raise formula.options.refused("merge_mode", "is none of concat, sum, mul, ave")


@expands("TimeDistributed")
def time_distributed(formula: Formula) -> Value:
    """A layer applied to every step: to all steps as one batch."""
    x, mask = formula.x, formula.mask()
    layer = _inside(formula, "layer", formula.layer.weights)
    if mask is not None and uses_mask(layer):
        raise formula.refused(f"its layer, a {layer.class_name}, computes with the mask it is given")
    if layer.class_name in _ALONG_THE_LAST_AXIS:
        return _single(formula, _called(formula, layer, x, 0, {}))
    batch, steps, *rest = (x.size(axis) for axis in range(x.rank))
    if None in rest or (steps is None and batch is None):
        raise formula.refused("the number of its steps or the sizes of a step are not known")
    y = _single(formula, _called(formula, layer, x.reshaped([-1, *map(int, filter(None, rest))], keep=0), 0, {}))
    sizes = [y.size(axis) for axis in range(1, y.rank)]
    if None in sizes:
        raise formula.refused("the sizes that its layer returns are not known")
    outer = [-1, steps] if steps is not None else [batch, -1]
    return y.reshaped([size for size in (*outer, *sizes) if size is not None], keep=0)


def _single(formula: Formula, results: tuple[Value, ...]) -> Value:
    if len(results) != 1:
        raise formula.refused(f"its layer returns {len(results)} tensors")
    return results[0]


@expands("SpectralNormalization")
def spectral_normalization(formula: Formula) -> Value:
    """The layer inside, whose kernel training has left normalised."""
    formula.options.inert("power_iterations")
    layer = _inside(formula, "layer", formula.layer.weights)  # theirs lie on both sides of the vector of training
    return _single(formula, _called(formula, layer, formula.x, 0, {}))
