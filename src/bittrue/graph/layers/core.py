"""Layers of matrix products and tables, and those that do nothing at inference."""

from __future__ import annotations

from bittrue.ops import Einsum, Gather

from ..formula import Formula, Value
from .activations import activated
from .registry import expands

__all__ = ["adapted", "refuse_quantized"]


def adapted(formula: Formula, name: str = "kernel") -> Value:
    """The weight ``name``, with what a low-rank adaptation (LoRA) adds to it: alpha / rank · a @ b."""
    weight, options = formula.weight(name), formula.options
    rank, alpha = options.raw("lora_rank", None), options.raw("lora_alpha", None)
    if rank is None:
        return weight
    scale = 1.0 if alpha is None else float(alpha) / int(rank)
    return weight + (formula.weight(f"lora_{name}_a") @ formula.weight(f"lora_{name}_b")) * scale


def refuse_quantized(formula: Formula) -> None:
    """Raises Unsupported for a layer that ``quantize`` has changed."""
    if formula.options.raw("quantization_config", None) is not None:
        raise formula.refused(
            "Keras has quantized it, and rounds what it is given as the model runs; convert the model as it was "
            "before, with --quantize if its weights are to be small"
        )


@expands("InputLayer")
def input_layer(formula: Formula) -> Value:
    """What the model is fed."""
    formula.options.inert("dtype", "sparse", "optional")
    formula.options.only("ragged", False)
    return formula.x


@expands("Dense")
def dense(formula: Formula) -> Value:
    """activation(x @ kernel + bias)."""
    options = formula.options
    options.inert("units")
    refuse_quantized(formula)
    y = formula.x @ adapted(formula)
    if options.flag("use_bias", True):
        y = y + formula.weight("bias")
    return activated(formula, y)


@expands("EinsumDense")
def einsum_dense(formula: Formula) -> Value:
    """activation(einsum(equation, x, kernel) + bias)."""
    options = formula.options
    options.inert("output_shape")
    refuse_quantized(formula)
    equation = str(options.raw("equation", "")).replace(" ", "")
    if "..." in equation:
        equation = _spelt_out(equation, formula.x.rank)
    y = formula.apply(Einsum(equation), formula.x, adapted(formula))
    if options.raw("bias_axes", None) is not None:
        y = y + formula.weight("bias")
    return activated(formula, y)


def _spelt_out(equation: str, rank: int) -> str:
    """The equation with letters in place of the ellipsis of an operand of ``rank`` axes."""
    named = len(equation.partition(",")[0].replace("...", ""))
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    return equation.replace("...", "".join(free[: rank - named]))


@expands("Embedding")
def embedding(formula: Formula) -> Value:
    """Rows of the table ``embeddings``. Where ``mask_zero`` makes a mask, its use is the consumer's."""
    options = formula.options
    options.inert("input_dim", "output_dim", "mask_zero", "input_length")
    refuse_quantized(formula)
    return formula.apply(Gather(), adapted(formula, "embeddings"), formula.x.cast("int32"))


@expands("Masking")
def masking(formula: Formula) -> Value:
    """0 at steps whose elements all equal ``mask_value``. The use of the mask is the consumer's."""
    x = formula.x
    kept = x.differs(formula.options.number("mask_value", 0.0)).reduced("any", [-1])
    return kept.where(x, 0.0)


@expands(
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StochasticDepth",
)
def identity(formula: Formula) -> Value:
    """x itself: these layers act in training alone."""
    formula.options.inert("rate", "seed", "noise_shape", "stddev", "l1", "l2", "data_format", "drop_path_rate")
    return formula.x
