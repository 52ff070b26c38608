"""Where Keras passes a mask beside a tensor, and which layers compute with it."""

from __future__ import annotations

from .model import LayerNode

__all__ = ["makes_mask", "passes_mask", "supports_mask", "uses_mask"]

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
        "GroupedQueryAttention",
        "LSTM",
        "MultiHeadAttention",
        "Multiply",
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


# What Keras 3.15 says of supports_masking: a layer that does not ends the mask, with a warning.
_SUPPORTING = frozenset(
    [
        "Activation",
        "ActivityRegularization",
        "Add",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "Average",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Dense",
        "Dropout",
        "ELU",
        "GRU",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "GroupQueryAttention",
        "GroupedQueryAttention",
        "Identity",
        "LSTM",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "Maximum",
        "Minimum",
        "MultiHeadAttention",
        "Multiply",
        "Normalization",
        "PReLU",
        "RNN",
        "ReLU",
        "Rescaling",
        "SimpleRNN",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "Subtract",
        "TimeDistributed",
        "UnitNormalization",
    ]
)
_ENDING = frozenset(
    [
        "AveragePooling1D",
        "AveragePooling2D",
        "AveragePooling3D",
        "Conv1D",
        "Conv1DTranspose",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "Dot",
        "EinsumDense",
        "Embedding",
        "Flatten",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GlobalMaxPooling3D",
        "MaxPooling1D",
        "MaxPooling2D",
        "MaxPooling3D",
        "Permute",
        "RMSNormalization",
        "RepeatVector",
        "Reshape",
        "SeparableConv1D",
        "SeparableConv2D",
        "UpSampling1D",
        "UpSampling2D",
        "UpSampling3D",
        "ZeroPadding1D",
        "ZeroPadding2D",
        "ZeroPadding3D",
    ]
)


def supports_mask(layer: LayerNode) -> bool | None:
    """Whether a mask on the layer's first input reaches its output; None for a class that is not known."""
    if layer.class_name in _SUPPORTING:
        return True
    return False if layer.class_name in _ENDING else None


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
