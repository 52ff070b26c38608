"""Faults of a converted model: its weights, its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .plan import Plan
from .registry import Array, Draw, kind, one

__all__: list[str] = []

KERNELS = ("kernel", "recurrent_kernel", "depthwise_kernel", "embeddings")


def _weight(plan: Plan, draw: Draw, change: Callable[[Array], Array | None], *endings: str) -> str | None:
    """Change one weight, of those that the change makes another of."""
    names = plan.named(*(endings or KERNELS))
    for at in draw.permutation(len(names)):
        before = plan.weights[names[at]]
        made = change(before)
        if made is not None and made.shape == before.shape and np.any(made != before):
            plan.weights[names[at]] = np.ascontiguousarray(made, np.float32)
            return str(names[at].partition("/")[0])
    return None


def _config(plan: Plan, draw: Draw, change: Callable[[str, dict[str, Any]], bool]) -> str | None:
    """Change the configuration of one layer, of those that the change takes."""
    layers = plan.layers()
    for at in draw.permutation(len(layers)):
        if change(layers[at]["class_name"], layers[at]["config"]):
            return str(layers[at]["config"]["name"])
    return None


@kind("artifact", "weights-rearranged")
def kernel_transposed(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: np.swapaxes(w, -1, -2) if w.ndim >= 2 and w.shape[-1] == w.shape[-2] else None)


@kind("artifact", "weights-rearranged")
def output_channels_permuted(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: w[..., draw.permutation(w.shape[-1])])


@kind("artifact", "weights-rearranged")
def input_channels_permuted(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: w[..., draw.permutation(w.shape[-2]), :] if w.shape[-2] > 1 else None)


@kind("artifact", "weights-rearranged")
def kernel_in_another_layout(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: np.moveaxis(w, -1, 0).reshape(w.shape))


@kind("artifact", "weights-rearranged")
def kernel_mirrored(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: np.flip(w, tuple(range(w.ndim - 2))) if w.ndim >= 3 else None)


@kind("artifact", "weights-rearranged")
def weights_shifted_by_one(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: np.roll(w, 1))


@kind("artifact", "weights-of-another")
def weights_of_another_layer(plan: Plan, draw: Draw) -> str | None:
    shapes: dict[tuple[int, ...], list[str]] = {}
    for name in plan.named(*KERNELS):
        shapes.setdefault(plan.weights[name].shape, []).append(name)
    group = one(draw, [names for names in shapes.values() if len(names) > 1])
    if group is None:
        return None
    first, second = (group[at] for at in draw.permutation(len(group))[:2])
    if first.partition("/")[0] == second.partition("/")[0]:
        return None
    plan.weights[first] = plan.weights[second].copy()
    return str(first.partition("/")[0])


@kind("artifact", "weights-of-another")
def gamma_for_beta(plan: Plan, draw: Draw) -> str | None:
    name = one(draw, plan.named("gamma"))
    if name is None:
        return None
    layer = name.rpartition("/")[0]
    gamma, beta = f"{layer}/gamma", f"{layer}/beta"
    plan.weights[gamma], plan.weights[beta] = plan.weights[beta], plan.weights[gamma]
    return str(layer.partition("/")[0]) if np.any(plan.weights[gamma] != plan.weights[beta]) else None


def _affine(value: Array, steps: int) -> Array:
    low, high = value.min(), value.max()
    scale = (np.float64(high) - low) / steps
    return np.asarray(np.rint((value - np.float64(low)) / scale) * scale + low, np.float32)


@kind("artifact", "weights-quantised")
def quantised_to_uint8(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: _affine(w, 255) if w.size > 16 else None)


@kind("artifact", "weights-quantised")
def quantised_to_uint16(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: _affine(w, 65535) if w.size > 16 else None)


@kind("artifact", "weights-quantised")
def quantised_to_float16(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: w.astype(np.float16).astype(np.float32))


@kind("artifact", "weights-truncated", "reduced-precision")
def cut_to_bfloat16(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: (w.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32))


@kind("artifact", "weights-truncated")
def file_cut_short(plan: Plan, draw: Draw) -> str | None:
    def ended(w: Array) -> Array:
        flat = w.reshape(-1).copy()
        flat[int(draw.integers(flat.size // 2, flat.size - 1)) :] = 0
        return flat.reshape(w.shape)

    return _weight(plan, draw, ended)


@kind("artifact", "weights-unset")
def bias_never_set(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, np.zeros_like, "bias", "beta")


@kind("artifact", "weights-differ")
def another_weight_file(plan: Plan, draw: Draw) -> str | None:
    return _weight(plan, draw, lambda w: draw.normal(size=w.shape).astype(np.float32) * w.std())


@kind("artifact", "weights-differ", subtle=True)
def one_bit_of_a_weight(plan: Plan, draw: Draw) -> str | None:
    def flipped(w: Array) -> Array:
        raw = w.copy().view(np.uint32).reshape(-1)
        raw[int(draw.integers(raw.size))] ^= np.uint32(1 << int(draw.integers(12, 23)))
        return raw.view(np.float32).reshape(w.shape)

    return _weight(plan, draw, flipped)


@kind("artifact", "gate-order")
def gates_in_another_order(plan: Plan, draw: Draw) -> str | None:
    names = [
        name
        for name in plan.named("recurrent_kernel")
        if plan.weights[name].shape[1] >= 3 * plan.weights[name].shape[0]
    ]
    names = [name for name in names if name.count("/") == 1]
    chosen = one(draw, names)
    if chosen is None:
        return None
    layer = chosen.rpartition("/")[0]
    gates = plan.weights[chosen].shape[1] // plan.weights[chosen].shape[0]
    order = [1, 0, *range(2, gates)] if gates == 3 else [0, 2, 1, 3]
    for short in ("kernel", "recurrent_kernel", "bias"):
        parts = np.split(plan.weights[f"{layer}/{short}"], gates, axis=-1)
        plan.weights[f"{layer}/{short}"] = np.concatenate([parts[at] for at in order], axis=-1)
    return str(layer)


_OTHER = {
    "relu": "linear",
    "tanh": "sigmoid",
    "sigmoid": "tanh",
    "elu": "relu",
    "selu": "elu",
    "softplus": "relu",
    "linear": "relu",
    "softmax": "sigmoid",
    "hard_sigmoid": "sigmoid",
}


def _set(config: dict[str, Any], key: str, value: Any) -> bool:
    if key not in config or config[key] == value:
        return False
    config[key] = value
    return True


@kind("artifact", "option")
def another_activation(plan: Plan, draw: Draw) -> str | None:
    return _config(
        plan, draw, lambda _, c: c.get("activation") in _OTHER and _set(c, "activation", _OTHER[c["activation"]])
    )


@kind("artifact", "other-formula", "option")
def hard_sigmoid_of_keras_2(plan: Plan, draw: Draw) -> str | None:
    return _config(
        plan, draw, lambda _, c: "recurrent_activation" in c and _set(c, "recurrent_activation", "hard_sigmoid")
    )


@kind("artifact", "option", "option-value")
def another_epsilon(plan: Plan, draw: Draw) -> str | None:
    chosen = float(draw.choice([1e-1, 1e-2, 3e-3, 2e-2]))
    return _config(plan, draw, lambda name, c: "Normalization" in name and _set(c, "epsilon", chosen))


@kind("artifact", "option", "option-value")
def another_slope(plan: Plan, draw: Draw) -> str | None:
    chosen = float(draw.choice([0.3, 0.2, 0.01, 0.17]))
    return _config(plan, draw, lambda name, c: name == "LeakyReLU" and _set(c, "alpha", chosen))


@kind("artifact", "option")
def dilation_dropped(plan: Plan, draw: Draw) -> str | None:
    return _config(plan, draw, lambda _, c: c.get("dilation_rate") == [2, 2] and _set(c, "dilation_rate", [1, 1]))


@kind("artifact", "option", "other-definition")
def another_interpolation(plan: Plan, draw: Draw) -> str | None:
    return _config(
        plan, draw, lambda _, c: c.get("interpolation") == "nearest" and _set(c, "interpolation", "bilinear")
    )


@kind("artifact", "option")
def ceiling_forgotten(plan: Plan, draw: Draw) -> str | None:
    def change(name: str, config: dict[str, Any]) -> bool:
        return name == "ReLU" and config.get("max_value") is not None and _set(config, "max_value", None)

    return _config(plan, draw, change)


@kind("artifact", "option", "input-rearranged")
def the_other_direction(plan: Plan, draw: Draw) -> str | None:
    return _config(plan, draw, lambda name, c: name == "LSTM" and _set(c, "go_backwards", not c.get("go_backwards")))


@kind("artifact")
def maximum_for_average(plan: Plan, draw: Draw) -> str | None:
    for item in plan.layers():
        if item["class_name"] == "AveragePooling2D":
            item["class_name"] = "MaxPooling2D"
            return str(item["config"]["name"])
    return None
