"""Layers that vary images in training, and those of their kind that act at inference as well."""

from __future__ import annotations

import numpy as np

from ..formula import Formula, Value
from .operations_elementwise import as_float
from .registry import expands

__all__: list[str] = []

_VARYING = (
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
)


_OF_TRAINING = (
    *("addition_factor", "all_ops", "alpha", "brightness_factor", "chain_depth", "contrast_factor", "data_format"),
    *("factor", "fill_mode", "fill_value", "height", "height_factor", "hue_factor", "interpolation", "kernel_size"),
    *("mode", "num_chains", "num_ops", "saturation_factor", "scale", "seed", "sigma", "threshold_factor"),
    *("value_range", "width", "width_factor", "x_factor", "y_factor", "bounding_box_format"),
)


@expands(*_VARYING)
def unvaried(formula: Formula) -> Value:
    """x itself, as a floating-point tensor: the layer acts in training alone, and so do its options."""
    formula.options.inert(*_OF_TRAINING)
    return as_float(formula.x)


@expands("AutoContrast")
def auto_contrast(formula: Formula) -> Value:
    """Each channel stretched from its own extremes to those of ``value_range``; a flat one as it is."""
    options, original = formula.options, as_float(formula.x)
    options.inert("data_format", "factor", "bounding_box_format")
    low, high = (float(number) for number in options.raw("value_range", (0, 255)))
    x = (original - low) / (high - low) * 255.0
    darkest, brightest = x.reduced("min", [1, 2]), x.reduced("max", [1, 2])
    scale = formula.constant(np.float64(255.0)) / (brightest - darkest)
    stretched = (x * scale + -darkest * scale).clipped(0.0, 255.0)
    result = stretched / 255.0 * (high - low) + low
    return (brightest - darkest > 0.0).where(result, original)  # else Keras divides 0 by 0 and puts the original back
