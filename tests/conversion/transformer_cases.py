"""Transformer blocks, built of Keras layers as people build them. Keras is imported by whoever calls a builder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "inputs_of", "seeded"]

WORDS, LENGTH, WIDTH = 11, 6, 8


def tokens(name: str = "tokens") -> Any:
    import keras

    return keras.Input((LENGTH,), dtype="int32", name=name)


def embedded(entry: Any, masked: bool = False) -> Any:
    """Tokens and their positions."""
    import keras
    from keras import layers

    words = layers.Embedding(WORDS, WIDTH, mask_zero=masked)(entry)
    places = layers.Embedding(LENGTH, WIDTH)(keras.ops.expand_dims(keras.ops.arange(LENGTH), 0))
    return words + places


def fed_forward(x: Any, activation: Any = "gelu") -> Any:
    from keras import layers

    inner = layers.Dense(2 * WIDTH, activation=activation)(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dropout(0.1)(layers.Dense(WIDTH)(inner))])


def block(x: Any, **call: Any) -> Any:
    """Attention to itself, then a network on each place, both with a residual."""
    from keras import layers

    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, dropout=0.1)(y, y, **call)])
    return fed_forward(x)


def encoder() -> Any:
    import keras
    from keras import layers

    entry = tokens()
    x = block(block(embedded(entry)))
    return keras.Model(entry, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def padded_encoder() -> Any:
    """The mask of the padding reaches attention, and the mean over the places."""
    import keras
    from keras import layers

    entry = tokens()
    x = layers.Embedding(WORDS, WIDTH, mask_zero=True)(entry)
    y = layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    return keras.Model(entry, layers.GlobalAveragePooling1D()(layers.Dense(WIDTH, activation="relu")(x)))


def decoder() -> Any:
    """Each place sees those before it alone, and names the next word."""
    import keras
    from keras import layers

    entry = tokens()
    x = block(block(embedded(entry), use_causal_mask=True), use_causal_mask=True)
    return keras.Model(entry, layers.Dense(WORDS)(layers.LayerNormalization()(x)))


def translator() -> Any:
    """Encoder and decoder, the one attending to the other; two inputs, one of them padded."""
    import keras
    from keras import layers

    source, target = tokens("source"), tokens("target")
    memory = block(layers.Embedding(WORDS, WIDTH, mask_zero=True)(source))
    x = block(embedded(target), use_causal_mask=True)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, value_dim=3)(x, memory)])
    return keras.Model([source, target], layers.Dense(WORDS, activation="softmax")(fed_forward(x)))


def masked_by_hand() -> Any:
    """An attention mask as an input, its scores as an output."""
    import keras
    from keras import layers

    entry = keras.Input((LENGTH, WIDTH), name="entry")
    allowed = keras.Input((LENGTH, LENGTH), dtype="bool", name="allowed")
    y, scores = layers.MultiHeadAttention(2, 4)(entry, entry, attention_mask=allowed, return_attention_scores=True)
    return keras.Model([entry, allowed], [fed_forward(y), scores])


def grouped() -> Any:
    """Several queries to one key and value, normalised by the root of the mean square, gated."""
    import keras
    from keras import layers

    entry = keras.Input((LENGTH, WIDTH), name="entry")
    y = layers.RMSNormalization()(entry)
    attention = layers.GroupQueryAttention(4, num_query_heads=4, num_key_value_heads=2)
    x = layers.Add()([entry, attention(y, y, use_causal_mask=True)])
    gate, up = layers.Dense(2 * WIDTH, activation="silu")(x), layers.Dense(2 * WIDTH, use_bias=False)(x)
    return keras.Model(entry, layers.Add()([x, layers.Dense(WIDTH)(layers.Multiply()([gate, up]))]))


def dot_attention() -> Any:
    import keras
    from keras import layers

    query, value = keras.Input((LENGTH, WIDTH), name="query"), keras.Input((4, WIDTH), name="value")
    plain = layers.Attention(use_scale=True)([query, value])
    concat = layers.Attention(score_mode="concat")([query, value])
    return keras.Model([query, value], [plain, concat, layers.AdditiveAttention()([query, value])])


def causal_dot_attention() -> Any:
    import keras
    from keras import layers

    entry = tokens()
    x = layers.Embedding(WORDS, WIDTH, mask_zero=True)(entry)
    first = layers.Attention()([x, x], use_causal_mask=True)
    return keras.Model(entry, [first, layers.AdditiveAttention()([x, x], use_causal_mask=True)])


def einsum_heads() -> Any:
    """Attention written out with EinsumDense and keras.ops."""
    import keras
    from keras import layers, ops

    entry = keras.Input((LENGTH, WIDTH), name="entry")
    q, k, v = (layers.EinsumDense("abc,cde->abde", (LENGTH, 2, 4), bias_axes="de")(entry) for _ in range(3))
    scores = ops.einsum("aecd,abcd->acbe", k, q) / 2.0
    weights = layers.Softmax()(scores)
    y = layers.EinsumDense("abcd,cde->abe", (LENGTH, WIDTH), bias_axes="e")(ops.einsum("acbe,aecd->abcd", weights, v))
    return keras.Model(entry, layers.LayerNormalization()(layers.Add()([entry, y])))


def activations() -> Any:
    """Both forms of gelu, and what else such blocks are made with."""
    import keras
    from keras import layers, ops

    entry = keras.Input((LENGTH, WIDTH), name="entry")
    exact = layers.Dense(WIDTH, activation="gelu")(entry)
    rough = ops.gelu(layers.Dense(WIDTH)(entry), approximate=True)
    sharp = ops.gelu(layers.Dense(WIDTH)(entry), approximate=False)
    return keras.Model(entry, [exact, rough, sharp, layers.Activation("silu")(layers.Activation("mish")(entry))])


def vision() -> Any:
    """Patches of an image, positions learnt, a class token in front."""
    import keras
    from keras import layers

    entry = keras.Input((8, 8, 3), name="image")
    patches = layers.Reshape((-1, WIDTH))(layers.Conv2D(WIDTH, 4, strides=4)(entry))
    x = layers.Concatenate(axis=1)([layers.Reshape((1, WIDTH))(layers.GlobalMaxPooling1D()(patches)), patches])
    x = x + layers.Embedding(5, WIDTH)(keras.ops.arange(5))
    return keras.Model(entry, layers.Dense(4)(layers.LayerNormalization()(block(x)[:, 0])))


def convnext() -> Any:
    """A wide depthwise convolution, a network on each pixel, a learnt scale for each channel."""
    import keras
    from keras import layers
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    entry = keras.Input((8, 7, 4), name="image")
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(WIDTH, 2, strides=2)(entry))
    y = layers.Conv2D(WIDTH, 7, padding="same", groups=WIDTH)(x)
    y = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
    y = StochasticDepth(0.2)(LayerScale(1e-6, WIDTH)(layers.Dense(WIDTH)(y)))
    return keras.Model(entry, layers.GlobalAveragePooling2D()(layers.Add()([x, y])))


def attention_over_a_plane() -> Any:
    """Attention along two axes at once."""
    import keras
    from keras import layers

    entry = keras.Input((3, 4, WIDTH), name="plane")
    return keras.Model(entry, layers.MultiHeadAttention(2, 4, attention_axes=(1, 2))(entry, entry))


def recurrent_with_attention() -> Any:
    import keras
    from keras import layers

    entry = keras.Input((LENGTH, WIDTH), name="entry")
    x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(entry)
    return keras.Model(entry, layers.LSTM(5)(layers.MultiHeadAttention(1, 8)(x, x)))


def masked_products() -> Any:
    """What is padded counts as 1 in a product, and as 0 where all of it is."""
    import keras
    from keras import layers

    first, second = tokens("first"), tokens("second")
    x, y = (layers.Embedding(WORDS, WIDTH, mask_zero=True)(entry) for entry in (first, second))
    plain = layers.Dense(WIDTH)(layers.Embedding(WORDS, WIDTH)(first))
    both, one = layers.Multiply()([x, y]), layers.Multiply()([x, plain])
    return keras.Model([first, second], [both, one, layers.Add()([x, y])])


CASES: tuple[Callable[[], Any], ...] = (
    encoder,
    padded_encoder,
    decoder,
    translator,
    masked_by_hand,
    grouped,
    dot_attention,
    causal_dot_attention,
    einsum_heads,
    activations,
    vision,
    convnext,
    attention_over_a_plane,
    recurrent_with_attention,
    masked_products,
)


def seeded(model: Any, seed: int = 1) -> Any:
    """Weights of order one, none of them the zeros and ones that layers begin with; variances stay positive."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            size = rng.uniform(0.3, 0.9, variable.shape)
            variable.assign(size if "variance" in variable.name else size * rng.choice([-1, 1], variable.shape))
    return model


def inputs_of(graph: Any, seed: int = 0, batch: int = 2) -> dict[str, NDArray[Any]]:
    """Inputs by name: words with padding behind, which of the places may be seen, or numbers of order one."""
    rng = np.random.default_rng(seed)
    return {spec.name: _drawn(rng, spec, (batch, *(size or 5 for size in spec.shape[1:]))) for spec in graph.inputs}


def _drawn(rng: np.random.Generator, spec: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    if spec.dtype.kind == "b":
        return rng.random(shape) < 0.6
    if spec.dtype.kind in "iu":
        words = rng.integers(1, 5, shape, dtype=np.int64)
        words[..., shape[-1] - 2 :] *= rng.integers(0, 2, (shape[0], *(1,) * (len(shape) - 1)))
        return words.astype(spec.dtype)
    return rng.normal(size=shape).astype(spec.dtype)
