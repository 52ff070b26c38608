"""Recurrent layers, wrappers and attention to compare with Keras: what is built, and the inputs' shapes.

A shape may be followed by a dtype, as in the cases of operations.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from operation_cases import BOOL, INT, Case

CELLS = ("LSTM", "GRU", "SimpleRNN")
SEQUENCE = (3, 5, 4)


def _recurrent() -> list[Case]:
    options: list[dict[str, Any]] = [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"use_bias": False},
        {"activation": "relu"},
        {"activation": "softsign", "unroll": True},
        {"dropout": 0.3, "recurrent_dropout": 0.3},
    ]
    found = [_layer(name, given) for name in CELLS for given in options]
    gated: list[dict[str, Any]] = [
        {"recurrent_activation": "hard_sigmoid"},
        {"recurrent_activation": "tanh", "activation": "elu"},
    ]
    found += [_layer(name, given) for name in CELLS[:2] for given in gated]
    found += [_layer("GRU", {"reset_after": False, **given}) for given in ({}, {"use_bias": False}, *gated)]
    return found + [_stateful(name) for name in CELLS] + _stacked()


def _layer(name: str, options: dict[str, Any], shape: tuple[int, ...] = SEQUENCE) -> Case:
    def build(k: Any, x: Any) -> Any:
        return getattr(k.layers, name)(3, **options)(x)

    return _label(name, options), build, (shape,)


def _label(name: str, options: dict[str, Any]) -> str:
    return "-".join([name, *(f"{key}={value}" for key, value in options.items())])


def _stateful(name: str) -> Case:
    def build(k: Any, x: Any, h: Any, c: Any) -> Any:
        states = [h, c] if name == "LSTM" else h
        return getattr(k.layers, name)(3, return_state=True)(x, initial_state=states)

    return f"{name}-initial_state", build, (SEQUENCE, (3, 3), (3, 3))


def _stacked() -> list[Case]:
    def one(k: Any, x: Any) -> Any:
        return k.layers.RNN(k.layers.GRUCell(3), return_sequences=True, return_state=True)(x)

    def several(k: Any, x: Any) -> Any:
        cells = [k.layers.LSTMCell(3), k.layers.GRUCell(2, use_bias=False), k.layers.LSTMCell(4)]
        return k.layers.RNN(cells, return_sequences=True)(x)

    def masked(k: Any, x: Any, m: Any) -> Any:
        cells = [k.layers.SimpleRNNCell(3), k.layers.LSTMCell(4)]
        return k.layers.RNN(cells, return_sequences=True)(x, mask=m)

    return [("RNN", one, (SEQUENCE,)), ("RNN-stacked", several, (SEQUENCE,)), ("RNN-mask", masked, _MASKED)]


_MASKED = (SEQUENCE, (3, 5, BOOL))


def _masked() -> list[Case]:
    options = [
        {"return_sequences": sequences, "go_backwards": backwards, "zero_output_for_mask": zero, "return_state": True}
        for sequences, backwards, zero in product((False, True), repeat=3)
    ]
    found = [_with_mask(name, given) for name in CELLS for given in options]
    found += [_with_mask("LSTM", {"unroll": True, "return_sequences": True})]
    # Before the first step that counts, the output is 0, whatever the state is.
    found += [_masked_with_state(name) for name in CELLS[1:]]
    return [*found, *_of_masks()]


def _masked_with_state(name: str) -> Case:
    def build(k: Any, x: Any, h: Any, m: Any) -> Any:
        late = k.ops.concatenate([k.ops.zeros_like(m[:, :1]), m[:, 1:]], axis=1)
        return getattr(k.layers, name)(3, return_sequences=True)(x, initial_state=h, mask=late)

    return f"{name}-mask-initial_state", build, (SEQUENCE, (3, 3), (3, 5, BOOL))


def _with_mask(name: str, options: dict[str, Any]) -> Case:
    def build(k: Any, x: Any, m: Any) -> Any:
        return getattr(k.layers, name)(3, **options)(x, mask=m)

    return _label(f"{name}-mask", options), build, _MASKED


def _of_masks() -> list[Case]:
    def embedded(k: Any, x: Any, *layers: Any) -> Any:
        y = k.layers.Embedding(4, 6, mask_zero=True)(x)
        for layer in layers:
            y = layer(y)
        return y

    def joined(k: Any, x: Any, join: Any) -> Any:
        layer = k.layers.Embedding(4, 6, mask_zero=True)
        return k.layers.GRU(3)(join([layer(x), k.layers.Masking()(k.layers.Embedding(4, 6, mask_zero=True)(x))]))

    ids = ((3, 5, INT),)
    return [
        ("mask-lstm", lambda k, x: embedded(k, x, k.layers.LSTM(3)), ids),
        ("mask-unused", lambda k, x: embedded(k, x, k.layers.BatchNormalization(), k.layers.Dense(3)), ids),
        (
            "mask-kept",
            lambda k, x: embedded(k, x, k.layers.BatchNormalization(), k.layers.GRU(3, return_sequences=True)),
            ids,
        ),
        ("mask-pool", lambda k, x: embedded(k, x, k.layers.Dropout(0.5), k.layers.GlobalAveragePooling1D()), ids),
        ("mask-concatenated", lambda k, x: joined(k, x, k.layers.Concatenate()), ids),
        ("mask-added", lambda k, x: joined(k, x, k.layers.Add()), ids),
        ("Masking", lambda k, x: k.layers.LSTM(3)(k.layers.Masking(1.0)(k.ops.cast(x > 0, "float32"))), ((3, 5, 2),)),
        ("Softmax-mask", lambda k, x, m: k.layers.Softmax()(x, mask=m), ((3, 5), (3, 5, BOOL))),
        (
            "pool-mask-first",
            lambda k, x, m: k.layers.GlobalAveragePooling1D(data_format="channels_first", keepdims=True)(x, mask=m),
            ((3, 4, 5), (3, 5, BOOL)),
        ),
    ]


def _wrapped() -> list[Case]:
    found = [_both(name, mode, False) for name in CELLS for mode in ("concat", "sum", "mul", "ave", None)]
    found += [_both(name, "concat", True) for name in CELLS]
    return [
        *found,
        (
            "Bidirectional-mask",
            lambda k, x, m: k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True))(x, mask=m),
            _MASKED,
        ),
        (
            "Bidirectional-initial_state",
            lambda k, x, a, b: k.layers.Bidirectional(k.layers.GRU(3))(x, initial_state=[a, b]),
            (SEQUENCE, (3, 3), (3, 3)),
        ),
        ("TimeDistributed-Dense", lambda k, x: k.layers.TimeDistributed(k.layers.Dense(3))(x), (SEQUENCE,)),
        (
            "TimeDistributed-Conv2D",
            lambda k, x: k.layers.TimeDistributed(k.layers.Conv2D(3, 2))(x),
            ((2, 3, 5, 4, 2),),
        ),
        (
            "TimeDistributed-BatchNormalization",
            lambda k, x: k.layers.TimeDistributed(k.layers.BatchNormalization())(x),
            (SEQUENCE,),
        ),
        (
            "TimeDistributed-LSTM",
            lambda k, x: k.layers.TimeDistributed(k.layers.LSTM(3))(x),
            ((2, 3, 4, 5),),
        ),
    ]


def _both(name: str, mode: str | None, states: bool) -> Case:
    def build(k: Any, x: Any) -> Any:
        layer = getattr(k.layers, name)(3, return_sequences=mode != "ave", return_state=states)
        return k.layers.Bidirectional(layer, merge_mode=mode)(x)

    return f"Bidirectional-{name}-{mode}-{states}", build, (SEQUENCE,)


def _attention() -> list[Case]:
    pair, own = ((3, 5, 4), (3, 6, 4)), ((3, 5, 4),)
    found: list[Case] = [_heads({}, {}, pair), _heads({"value_dim": 5}, {}, pair)]
    options: list[dict[str, Any]] = [
        {"use_bias": False},
        {"output_shape": 7},
        {"dropout": 0.2},
        {"use_gate": True},
        {"sliding_window": 2},
        {"attention_axes": (1,)},
    ]
    found += [_heads(given, {}, own) for given in options]
    calls: list[dict[str, Any]] = [
        {"use_causal_mask": True},
        {"return_attention_scores": True},
        {"use_causal_mask": True, "return_attention_scores": True},
    ]
    found += [_heads({}, given, own) for given in calls]
    found += [_heads({"dropout": 0.1}, {"use_causal_mask": True}, own), _heads({}, {}, ((2, 3, 4, 5),))]
    return [*found, *_masked_heads(), *_grouped(), *_plain_attention(), *_fused()]


def _heads(options: dict[str, Any], call: dict[str, Any], shapes: tuple[tuple[int, ...], ...]) -> Case:
    def build(k: Any, x: Any, *rest: Any) -> Any:
        return k.layers.MultiHeadAttention(2, 3, **options)(x, rest[0] if rest else x, **call)

    return _label("MultiHeadAttention", {**options, **call, "rank": len(shapes[0])}), build, shapes


def _masked_heads() -> list[Case]:
    def block(k: Any, x: Any) -> Any:
        y = k.layers.Embedding(4, 6, mask_zero=True)(x)
        z = k.layers.MultiHeadAttention(2, 3)(y, y, use_causal_mask=True)
        z = k.layers.LayerNormalization()(k.layers.Add()([y, z]))
        z = k.layers.Add()([z, k.layers.Dense(6)(k.layers.Dense(8, activation="gelu")(z))])
        return k.layers.GlobalAveragePooling1D()(k.layers.LayerNormalization()(z))

    def given(k: Any, x: Any, m: Any) -> Any:
        return k.layers.MultiHeadAttention(2, 3)(x, x, attention_mask=m)

    def keyword(k: Any, x: Any, y: Any) -> Any:
        return k.layers.MultiHeadAttention(2, 3)(query=x, value=y, key=y + 1.0)

    def twice(k: Any, x: Any, own: Any) -> Any:
        y = k.layers.Embedding(4, 6, mask_zero=True)(x)
        return k.layers.Concatenate()([k.layers.LSTM(3)(y, training=False), own(k, y)])

    def with_state(k: Any, y: Any) -> Any:
        return k.layers.LSTM(3)(y, initial_state=[y[:, 0, :3], y[:, 1, :3]])

    def attended(k: Any, y: Any) -> Any:
        return k.layers.GRU(3)(k.layers.Attention()([y, y]), training=False)

    def grouped(k: Any, y: Any) -> Any:
        return k.layers.GRU(3)(k.layers.GroupQueryAttention(3, 2, 1)(y, y), training=False)

    def overwritten(k: Any, x: Any, m: Any) -> Any:
        return k.layers.MultiHeadAttention(2, 3)(x, x, query_mask=m, value_mask=m)

    return [
        ("MultiHeadAttention-query_mask", overwritten, ((3, 5, 4), (3, 5, BOOL))),
        ("mask-unseen-state", lambda k, x: twice(k, x, with_state), ((3, 5, INT),)),
        ("mask-unseen-attention", lambda k, x: twice(k, x, attended), ((3, 5, INT),)),
        ("mask-unseen-grouped", lambda k, x: twice(k, x, grouped), ((3, 5, INT),)),
        ("transformer block", block, ((3, 5, INT),)),
        ("MultiHeadAttention-attention_mask", given, (SEQUENCE, (3, 5, 5, BOOL))),
        ("MultiHeadAttention-key", keyword, (SEQUENCE, (3, 6, 4))),
    ]


def _grouped() -> list[Case]:
    def build(options: dict[str, Any], call: dict[str, Any]) -> Callable[..., Any]:
        return lambda k, x: k.layers.GroupQueryAttention(3, 4, 2, **options)(x, x, **call)

    return [
        ("GroupedQueryAttention", build({}, {}), (SEQUENCE,)),
        ("GroupedQueryAttention-causal", build({"use_bias": False}, {"use_causal_mask": True}), (SEQUENCE,)),
        ("GroupedQueryAttention-scores", build({"use_gate": True}, {"return_attention_scores": True}), (SEQUENCE,)),
    ]


def _plain_attention() -> list[Case]:
    three = ((3, 5, 4), (3, 6, 4), (3, 6, 4))
    masks = (*three[:2], (3, 5, BOOL), (3, 6, BOOL))
    named: list[tuple[str, dict[str, Any]]] = [
        ("Attention", {}),
        ("Attention", {"use_scale": True}),
        ("Attention", {"score_mode": "concat"}),
        ("Attention", {"score_mode": "concat", "use_scale": True}),
        ("AdditiveAttention", {}),
        ("AdditiveAttention", {"use_scale": False}),
    ]
    found = [_of_two(name, options, {}, three[:2]) for name, options in named]
    found += [_of_two(name, {}, {}, three) for name in ("Attention", "AdditiveAttention")]
    found += [
        _of_two("Attention", {}, {"use_causal_mask": True}, three[:2]),
        _of_two("Attention", {}, {"return_attention_scores": True}, three[:2]),
    ]
    for name in ("Attention", "AdditiveAttention"):
        found.append(
            (
                f"{name}-mask",
                lambda k, q, v, a, b, name=name: getattr(k.layers, name)()(
                    [q, v], mask=[a, k.ops.logical_or(b, k.ops.ones_like(b))]
                ),
                masks,
            )
        )
    found.append(
        (
            "Attention-causal-mask",
            lambda k, q, v, a, b: k.layers.Attention()(
                [q, v], mask=[None, b | (v[:, :, 0] > -9)], use_causal_mask=True
            ),
            masks,
        )
    )
    return found


def _of_two(name: str, options: dict[str, Any], call: dict[str, Any], shapes: tuple[tuple[int, ...], ...]) -> Case:
    def build(k: Any, *inputs: Any) -> Any:
        return getattr(k.layers, name)(**options)(list(inputs), **call)

    return _label(name, {**options, **call, "inputs": len(shapes)}), build, shapes


def _fused() -> list[Case]:
    heads, few = (2, 5, 4, 3), (2, 6, 2, 3)
    return [
        ("dot_product_attention", lambda k, q, v: k.ops.dot_product_attention(q, v, v), (heads, few)),
        (
            "dot_product_attention-causal",
            lambda k, q: k.ops.dot_product_attention(q, q, q, scale=0.5, is_causal=True),
            (heads,),
        ),
        (
            "dot_product_attention-mask",
            lambda k, q, b, m: k.ops.dot_product_attention(q, q, q, bias=b, mask=m),
            (heads, (2, 4, 5, 5), (2, 1, 5, 5, BOOL)),
        ),
    ]


CASES: tuple[Case, ...] = (*_recurrent(), *_masked(), *_wrapped(), *_attention())
