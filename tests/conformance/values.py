"""Which values an option is tried with, by its name; and which options cannot change the numbers, and why.

The options themselves are read off the signatures in Keras (`tests.conformance.signatures`). One that is in neither
table is a gap, and is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ALONE", "VALUES", "conflicts", "inert_reason"]

VALUES: Mapping[str, tuple[Any, ...]] = {
    "activation": ("relu", "hard_sigmoid"),
    "alpha": (0.3,),
    "antialias": (True,),
    "axis": (1,),
    "center": (False,),
    "crop_to_aspect_ratio": (True,),
    "data_format": ("channels_first",),
    "depth_multiplier": (2,),
    "dilation_rate": (2,),
    "epsilon": (0.1,),
    "expand_dims": (True,),
    "fft_length": (128,),
    "fill_value": (1.5,),
    "frame_step": (5,),
    "go_backwards": (True,),
    "groups": (2,),
    "interpolation": ("nearest",),
    "invert": (True,),
    "keepdims": (True,),
    "mag_exp": (1.0,),
    "mask_zero": (True,),
    "min_power": (0.1,),
    "sequence_length": (40,),
    "bins": (64,),
    "clip_limit": (2.0,),
    "tile_grid_size": ((4, 4),),
    "max_freq": (400.0,),
    "merge_mode": ("sum", "mul", "ave", None),
    "normalize": (True,),
    "num_mel_bins": (5,),
    "num_oov_indices": (2,),
    "offset": (-1.0,),
    "output_mode": ("multi_hot",),
    "output_padding": (1,),
    "output_shape": (6,),
    "pad_to_aspect_ratio": (True,),
    "padding": ("same",),
    "periodic": (True,),
    "power_to_db": (False,),
    "recurrent_activation": ("hard_sigmoid", "tanh"),
    "reset_after": (False,),
    "return_sequences": (True,),
    "return_state": (True,),
    "scale": (False,),
    "scaling": ("spectrum",),
    "score_mode": ("concat",),
    "shared_axes": ((1,),),
    "sliding_window": (2,),
    "stateful": (True,),
    "strides": (2,),
    "tie_weights": (False,),
    "top_db": (20.0,),
    "unroll": (True,),
    "use_bias": (False,),
    "use_gate": (True,),
    "use_scale": (True,),
    "value_dim": (5,),
    "window": ("hamming",),
    "zero_output_for_mask": (True,),
    # of functions
    "approximate": (True,),
    "b": (2.0,),
    "c": (1.0,),
    "default_value": (0.5,),
    "max_value": (1.0,),
    "negative_slope": (0.1,),
    "threshold": (0.3,),
}
"""Values beside the default, where the subject names none of its own."""

ALONE = frozenset({"stateful", "interpolation", "recurrent_activation"})
"""Options that are tried by themselves alone."""

_ENDINGS = {
    "_initializer": "says how weights begin, and the case brings its own",
    "_regularizer": "adds to the loss, in training alone",
    "_constraint": "changes weights, in training alone",
}

_INERT = {
    "autocast": "says in which dtype inputs arrive; the policy is float32 throughout",
    "dropout": "acts in training alone",
    "dtype": "the dtype policy; the campaign is about float32",
    "encoding": "of text, which TensorFlow.js models do not take",
    "fill_mode": "Keras takes constant alone",
    "flash_attention": "how it is computed, not what",
    "gptq_unpacked_column_size": "of quantised weights",
    "idf_weights": "read in the mode tf_idf alone",
    "implementation": "how it is computed, not what",
    "input_tensor": "wires the input, changes nothing",
    "batch_shape": "the shape of the input, which every case chooses",
    "batch_size": "the shape of the input, which every case chooses",
    "shape": "the shape of the input, which every case chooses",
    "sparse": "the kind of the tensors returned; sparse ones do not leave Keras",
    "ragged": "the kind of the tensors returned; ragged ones do not leave Keras",
    "optional": "says that an input may be left out",
    "logit_soft_cap": "read where the layer is called in reverse, which cases of their own are",
    "value_range": "the range of the images, which every case has from 0 to 255",
    "ref_power": "another constant in the place of min_power",
    "lora_alpha": "of low-rank adapters, in training",
    "lora_rank": "of low-rank adapters, in training",
    "max_tokens": "limits what adapt() learns",
    "momentum": "acts in training alone",
    "name": "a name",
    "noise_shape": "acts in training alone",
    "pad_to_max_tokens": "pads what adapt() left short",
    "power_iterations": "acts in training alone",
    "quantization_config": "of quantised weights",
    "rate": "acts in training alone",
    "recurrent_dropout": "acts in training alone",
    "renorm": "acts in training, and makes more statistics there",
    "renorm_clipping": "acts in training alone",
    "renorm_momentum": "acts in training alone",
    "reverse_dtype": "a dtype policy; the campaign is about float32",
    "seed": "acts in training alone",
    "stddev": "acts in training alone",
    "synchronized": "acts in training alone",
    "trainable": "acts in training alone",
    "unit_forget_bias": "says how weights begin, and the case brings its own",
    "use_cudnn": "how it is computed, not what",
    "mask_value": "of a hash, which is refused as a whole",
    "mask_token": "of text, which TensorFlow.js models do not take",
    "oov_token": "of text, or the number that inverting gives for none, which is -1 throughout",
    "standardize": "of text, which TensorFlow.js models do not take",
    "split": "of text, which TensorFlow.js models do not take",
    "ngrams": "of text, which TensorFlow.js models do not take",
    "output_sequence_length": "of text, which TensorFlow.js models do not take",
    "weights": "gives weights, and the case brings its own",
    "vocabulary_dtype": "the dtype of the table",
    "num_bins": "asks adapt() for bins",
    "oov_method": "read by adapt() and hashed words alone",
    "salt": "of a hash, which is refused as a whole",
    "l1": "adds to the loss, in training alone",
    "l2": "adds to the loss, in training alone",
}

_RANDOM = "acts in training alone, as the whole layer does"
_RANDOM_CLASSES = ("Random", "AugMix", "CutMix", "MixUp", "RandAugment")
_SIZES = frozenset({"height", "width"})


def inert_reason(class_name: str, option: str) -> str | None:
    """Why ``option`` cannot change what the class computes at inference; None if it can."""
    for ending, reason in _ENDINGS.items():
        if option.endswith(ending):
            return reason
    augments = class_name.startswith(_RANDOM_CLASSES)
    if augments and option not in _SIZES:
        return _RANDOM
    return _INERT.get(option)


def conflicts(class_name: str, options: Mapping[str, Any]) -> bool:
    """Whether Keras itself, or TensorFlow's CPU under it, refuses these options together."""
    strided, dilated = options.get("strides", 1) not in (1, None), options.get("dilation_rate", 1) != 1
    padded = "output_padding" in options
    if (strided and dilated) or (padded and dilated):
        return True
    if padded and not strided:
        return True  # the output's padding must be less than the stride
    if "zero_output_for_mask" in options and "mask" not in options:
        return True
    if "count_weights" in options and options.get("output_mode") != "count":
        return True
    if options.get("invert") and "output_mode" in options:
        return True
    return _between_sizes(class_name, options)


def _between_sizes(class_name: str, options: Mapping[str, Any]) -> bool:
    if class_name == "Resizing":
        both = "crop_to_aspect_ratio" in options and "pad_to_aspect_ratio" in options
        return both or ("fill_value" in options and "pad_to_aspect_ratio" not in options)
    if class_name == "GlobalAveragePooling1D":
        return "mask" in options and "data_format" in options  # Keras keeps the mask's steps where the channels are
    if class_name == "Bidirectional" and "backward_layer" in options:
        return "layer" in options
    if class_name.startswith("ConvLSTM") and options.get("initial_state") is not None:
        shaped = {"padding", "strides", "dilation_rate", "data_format", "kernel_size"}
        return bool(shaped & options.keys())
    if class_name in ("Bidirectional", "RNN") and "initial_state" in options:
        return bool({"layer", "cell", "backward_layer"} & options.keys())  # another number of states
    return "sliding_window" in options and "attention_axes" in options
