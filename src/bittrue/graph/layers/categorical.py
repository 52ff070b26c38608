"""Layers that number or encode categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..formula import Formula, Value
from .operations_elementwise import as_float
from .registry import expands

__all__: list[str] = []

_MODES = ("int", "one_hot", "multi_hot", "count")


@expands("CategoryEncoding")
def category_encoding(formula: Formula) -> Value:
    """Whole numbers below ``num_tokens`` as vectors."""
    options = formula.options
    options.only("sparse", False)
    mode = options.choice("output_mode", "multi_hot", *_MODES[1:])
    weights = formula.argument(1, "count_weights")
    index = formula.inputs[0].cast("int32")
    return _encoded(formula, index, options.whole("num_tokens"), mode, weights)


@expands("Discretization")
def discretization(formula: Formula) -> Value:
    """The number of boundaries that are no larger than an element."""
    options = formula.options
    options.inert("num_bins", "epsilon")
    options.only("sparse", False)
    boundaries = options.raw("bin_boundaries", None)
    if not isinstance(boundaries, list | tuple) or not boundaries:
        raise formula.options.refused("bin_boundaries", "are not known: the layer was never adapted")
    limits = formula.constant(np.asarray(boundaries, np.float64))
    x = as_float(formula.x)
    index = x.expanded(-1).at_least(limits).cast("int32").reduced("sum", [-1], keepdims=False)
    mode = options.choice("output_mode", "int", *_MODES)
    return index if mode == "int" else _encoded(formula, index, len(boundaries) + 1, mode, None)


@expands("IntegerLookup")
def integer_lookup(formula: Formula) -> Value:
    """The place of a whole number in ``vocabulary``, behind those for the mask and for numbers that are not in it."""
    options = formula.options
    options.inert(
        "max_tokens", "pad_to_max_tokens", "idf_weights", "vocabulary_dtype", "vocabulary_size", "oov_method", "salt"
    )
    options.only("sparse", False)
    options.only("oov_token", -1)
    tokens = _vocabulary(formula)
    mode, masked = options.choice("output_mode", "int", *_MODES), options.raw("mask_token", None)
    special = ([] if masked is None or mode != "int" else [int(masked)]) + [-1] * options.whole("num_oov_indices", 1)
    x = formula.x.cast("int32")
    if options.flag("invert", False):
        return _tabled(formula, x, [*special, *tokens], list(range(len(special) + len(tokens))), default=-1)
    if special.count(-1) > 1:
        raise formula.options.refused("num_oov_indices", "is not expressed, only 0 or 1")
    known = [*([] if masked is None or mode != "int" else [int(masked)]), *tokens]
    places = [*([] if masked is None or mode != "int" else [0]), *range(len(special), len(special) + len(tokens))]
    index = _tabled(formula, x, places, known, default=special.index(-1) if -1 in special else 0)
    return index if mode == "int" else _encoded(formula, index, len(special) + len(tokens), mode, None)


def _vocabulary(formula: Formula) -> list[int]:
    given = formula.options.raw("vocabulary", None)
    if not isinstance(given, list | tuple) or not all(isinstance(item, int) for item in given):
        raise formula.options.refused("vocabulary", "is not a list of whole numbers that the model holds")
    return list(given)


def _tabled(formula: Formula, x: Value, results: Sequence[int], keys: Sequence[int], default: int) -> Value:
    """``results`` where x is the key at the same place, else ``default``."""
    hits = x.expanded(-1).equals(formula.constant(np.asarray(keys, np.int32))).cast("int32")
    shifts = formula.constant(np.asarray(results, np.int32) - np.int32(default))
    found = (hits * shifts).reduced("sum", [-1], keepdims=False)
    return found + formula.constant(np.asarray(default, np.int32)) if default else found


def _encoded(formula: Formula, index: Value, depth: int, mode: str, weights: Value | None) -> Value:
    """``index`` as vectors of ``depth``: each by itself, or those along the second axis together."""
    if index.rank < 2:
        raise formula.refused("it encodes a whole batch at once")
    if mode == "one_hot" and index.size(-1) == 1:
        index = index.squeezed(-1)
    numbers = formula.constant(np.arange(depth, dtype=np.int32))
    hot = index.expanded(-1).equals(numbers).cast("float32")
    if mode == "one_hot":
        return hot
    if weights is not None:
        hot = hot * weights.expanded(-1)
    return hot.reduced("max" if mode == "multi_hot" else "sum", [1], keepdims=False)
