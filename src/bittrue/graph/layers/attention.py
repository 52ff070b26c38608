"""Attention: weighted means of values, the weights a softmax of how queries fit keys."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bittrue.errors import ModelError
from bittrue.ops import Einsum, Position

from ..formula import Formula, Value
from .operations_elementwise import as_truth, required
from .registry import expands, expands_operation

__all__: list[str] = []

_LEAST = float(np.float32(-0.7 * float(np.finfo(np.float32).max)))
"""What Keras's fused attention puts in place of a logit that a mask leaves out."""

_LETTERS = "ABCDEFG"
_OUTPUT = "UVWXYZ"


@expands("Attention", "AdditiveAttention")
def attention(formula: Formula) -> Value | tuple[Value, ...]:
    """softmax(scores) @ value, scores from query and key by product or by a sum of tanh."""
    options = formula.options
    options.inert("dropout", "seed")
    inputs = formula.argument(0, "inputs")
    if not isinstance(inputs, list | tuple) or not 2 <= len(inputs) <= 3:
        raise formula.refused("it is not called on a list of query, value and perhaps key")
    query, value, key = (*inputs, inputs[1])[:3]
    masks = formula.keyword("mask") or (None, None)
    query_mask, value_mask = (None if mask is None else as_truth(mask) for mask in masks[:2])
    scores = _scores(formula, query, key)
    kept = None if value_mask is None else value_mask.expanded(-2)
    if formula.keyword("use_causal_mask", False):
        causal = _causal(scores)
        kept = causal if kept is None else kept & causal
    if kept is not None:
        # Keras subtracts, so that a row without any place left keeps the order of its scores.
        scores = kept.where(scores, scores - 1e9)
    weights = scores.softmax(-1)
    y = weights @ value
    if query_mask is not None:
        y = query_mask.expanded(-1).where(y, 0.0)
    return (y, weights) if formula.keyword("return_attention_scores", False) else y


def _scores(formula: Formula, query: Value, key: Value) -> Value:
    additive = formula.layer.class_name == "AdditiveAttention"
    scaled = formula.options.flag("use_scale", additive)
    if not additive and formula.options.choice("score_mode", "dot", "dot", "concat") == "dot":
        scores = query @ key.moved(-1, -2)
        return scores * formula.weight("scale") if scaled else scores
    sums = query.expanded(-2) + key.expanded(-3)
    if additive:
        fits = sums.function("tanh")
        return (formula.weight("scale") * fits if scaled else fits).reduced("sum", [-1], keepdims=False)
    fits = (formula.weight("scale") * sums if scaled else sums).function("tanh")
    return formula.weight("concat_score_weight") * fits.reduced("sum", [-1], keepdims=False)


def _causal(scores: Value) -> Value:
    """Where a key stands no later than the query, for scores (…, queries, keys)."""
    rows, columns = (scores.formula.apply(Position(axis), scores) for axis in (-2, -1))
    return rows.at_least(columns)


@expands("MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention")
def multi_head_attention(formula: Formula) -> Value | tuple[Value, ...]:
    """Attention of several heads: query, key and value projected, the heads' results projected together.

    Attention runs along all axes between batch and features at once.
    """
    options = formula.options
    query, value = formula.argument(0, "query"), formula.argument(1, "value")
    key = formula.argument(2, "key")
    key = value if key is None else key
    _check_axes(formula, query)
    gated, biased = options.flag("use_gate", False), options.flag("use_bias", True)
    sources = [query, key, query, value] if gated else [query, key, value]
    projected = [_projected(formula, source, at, biased) for at, source in enumerate(sources)]
    q, k, v = (_flattened(item) for item in (projected[0], projected[1], projected[-1]))
    repeats = _repeats(formula)
    k, v = k.repeated(2, repeats), v.repeated(2, repeats)
    logits = formula.apply(Einsum("btnh,bsnh->bnts"), q, k) * (1 / math.sqrt(_head_size(formula)))
    kept, scored = _kept(formula, logits), bool(formula.keyword("return_attention_scores", False))
    explicit = options.number("dropout", 0.0) > 0 or scored or query.rank != 3
    weights = _masked_softmax(logits, kept, explicit)
    y = formula.apply(Einsum("bnts,bsnh->btnh"), weights, v)
    y = _unflattened(y, query)
    y = y * projected[2].function("sigmoid") if gated else y
    out = _joined(formula, y, len(sources), biased)
    return (out, weights) if scored else out


def _check_axes(formula: Formula, query: Value) -> None:
    formula.options.inert("num_heads", "key_dim", "value_dim", "head_dim", "output_shape", "seed", "flash_attention")
    axes = formula.options.raw("attention_axes", None)
    if axes is not None and [axis % (query.rank - 1) for axis in axes] != list(range(1, query.rank - 1)):
        raise ModelError(
            f"layer {formula.layer.name!r} attends along axes {axes} of {query.rank}, which is not expressed"
        )
    if query.rank not in (3, 4):
        raise ModelError(f"layer {formula.layer.name!r} takes tensors of 3 or 4 axes, but is given {query.rank}")


def _head_size(formula: Formula) -> int:
    return formula.options.whole("key_dim" if "key_dim" in formula.layer.config else "head_dim")


def _repeats(formula: Formula) -> int:
    """How many query heads share a key head."""
    if "num_key_value_heads" not in formula.layer.config:
        return 1
    return formula.options.whole("num_query_heads") // formula.options.whole("num_key_value_heads")


def _projected(formula: Formula, x: Value, occurrence: int, biased: bool) -> Value:
    """x (…, features) through the kernel (features, heads, size)."""
    lead = _LETTERS[: x.rank - 1]
    y = formula.apply(Einsum(f"{lead}d,dnh->{lead}nh"), x, formula.weight("kernel", occurrence))
    return y + formula.weight("bias", occurrence) if biased else y


def _joined(formula: Formula, y: Value, occurrence: int, biased: bool) -> Value:
    """y (…, heads, size) through the kernel (heads, size, output …)."""
    kernel = formula.weight("kernel", occurrence)
    lead, out = _LETTERS[: y.rank - 2], _OUTPUT[: kernel.rank - 2]
    joined = formula.apply(Einsum(f"{lead}nh,nh{out}->{lead}{out}"), y, kernel)
    return joined + formula.weight("bias", occurrence) if biased else joined


def _flattened(y: Value) -> Value:
    """(batch, places …, heads, size) with the places along one axis."""
    if y.rank == 4:
        return y
    sizes = [y.size(axis) for axis in (-2, -1)]
    return y.reshaped([-1, *(size for size in sizes if size is not None)])


def _unflattened(y: Value, query: Value) -> Value:
    if query.rank == 3:
        return y
    sizes = [*(query.size(axis) for axis in range(1, query.rank - 1)), y.size(-2), y.size(-1)]
    if None in sizes:
        raise query.formula.refused("it attends along several axes of unknown sizes")
    return y.reshaped([size for size in sizes if size is not None])


def _kept(formula: Formula, logits: Value) -> Value | None:
    """Where attention may go, to broadcast against logits (batch, heads, queries, keys); None for everywhere."""
    masks: list[Value] = []
    for name, axis in (("query_mask", -1), ("value_mask", -2), ("key_mask", -2)):
        mask = formula.keyword(name)
        if mask is not None:
            masks.append(as_truth(formula.value(mask, name)).expanded(axis).expanded(-3))
    if formula.keyword("use_causal_mask", False):
        masks.append(_causal(logits))
    window = formula.options.raw("sliding_window", None)
    if window is not None:
        rows, columns = (formula.apply(Position(axis), logits) for axis in (-2, -1))
        masks.append((rows - columns).function("abs") < formula.options.whole("sliding_window"))
    given = formula.keyword("attention_mask")
    if given is not None:
        masks.append(_to_four_axes(as_truth(formula.value(given, "attention_mask"))))
    if masks and _is_of_places(formula):
        raise formula.refused("it attends along several axes with a mask")
    return _all(masks)


def _is_of_places(formula: Formula) -> bool:
    query: Value = formula.argument(0, "query")
    return query.rank != 3


def _to_four_axes(mask: Value) -> Value:
    while mask.rank < 4:
        mask = mask.expanded(-3)
    return mask


def _all(masks: Sequence[Value]) -> Value | None:
    kept: Value | None = None
    for mask in masks:
        kept = mask if kept is None else kept & mask
    return kept


def _masked_softmax(logits: Value, kept: Value | None, explicit: bool) -> Value:
    """Softmax over the keys that are kept.

    A query that may attend nowhere: ``explicit`` weights are then 0; those inside Keras's fused attention are equal.
    """
    if kept is None:
        return logits.softmax(-1)
    if not explicit:
        return kept.where(logits, _LEAST).softmax(-1)
    return kept.where(kept.where(logits, -1e9).softmax(-1), 0.0)


@expands_operation("DotProductAttention")
def dot_product_attention(formula: Formula) -> Value:
    """softmax(query · key · scale + bias) · value, of tensors (batch, places, heads, size)."""
    formula.options.only("flash_attention", None, False)
    formula.options.only("attn_logits_soft_cap", None)
    query, key, value = (formula.operand(at, name) for at, name in enumerate(("query", "key", "value")))
    heads, shared = query.size(2), key.size(2)
    if heads is None or shared is None:
        raise formula.refused("the number of its heads is not known")
    key, value = key.repeated(2, heads // shared), value.repeated(2, heads // shared)
    bias, mask, scale = (formula.argument(at, name) for at, name in ((3, "bias"), (4, "mask"), (5, "scale")))
    if scale is None:
        size = query.size(3)
        if size is None:
            raise formula.refused("the size of its heads is not known")
        scale = 1 / math.sqrt(size)
    logits = formula.apply(Einsum("btnh,bsnh->bnts"), query, key) * formula.value(scale, "scale")
    logits = logits if bias is None else logits + formula.value(bias, "bias")
    masks = [] if mask is None else [as_truth(formula.value(mask, "mask"))]
    required(formula, "is_causal")
    masks += [_causal(logits)] if formula.options.flag("is_causal", False) else []
    weights = _masked_softmax(logits, _all(masks), explicit=False)
    return formula.apply(Einsum("bnts,bsnh->btnh"), weights, value)
