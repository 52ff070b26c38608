"""Where Keras passes a mask beside a tensor, and which layers compute with it."""

from __future__ import annotations

from .model import LayerNode

__all__ = ["makes_mask", "passes_mask", "uses_mask"]

_USERS = frozenset(
    {
        "AdditiveAttention",
        "Attention",
        "Bidirectional",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "GRU",
        "GlobalAveragePooling1D",
        "GroupQueryAttention",
        "LSTM",
        "MultiHeadAttention",
        "RNN",
        "SimpleRNN",
        "Softmax",
        "TimeDistributed",
    }
)

# Keras passes a mask on unless compute_mask says otherwise; these return none.
_ENDERS = frozenset({"Dot", "GlobalAveragePooling1D", "ReversibleEmbedding"})
_SEQUENCE_USERS = frozenset(
    {"Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"}
)


def makes_mask(layer: LayerNode) -> bool:
    """Whether the layer's output carries a mask of its own making."""
    if layer.class_name == "Embedding":
        return bool(layer.config.get("mask_zero"))
    return layer.class_name == "Masking"


def uses_mask(layer: LayerNode) -> bool:
    """Whether the layer computes something else when its input carries a mask."""
    return layer.class_name in _USERS


def passes_mask(layer: LayerNode) -> bool:
    """Whether a mask on the layer's input may be on its output too. Layers that are not known pass it."""
    if layer.class_name in _SEQUENCE_USERS:
        return bool(layer.config.get("return_sequences", True))
    return layer.class_name not in _ENDERS
