"""Faults of a page: layers that compute something else, in `page.js`."""

from __future__ import annotations

from typing import Any

from .plan import Plan
from .registry import Draw, kind, one

__all__: list[str] = []

_ANY = ("Dense", "Conv2D", "Conv1D", "LSTM", "BatchNormalization", "LayerNormalization", "DepthwiseConv2D", "PReLU")
_PRODUCTS = ("Dense", "Conv2D", "Conv1D", "DepthwiseConv2D")


def _page(plan: Plan, draw: Draw, classes: tuple[str, ...], fault: str, **facts: Any) -> str | None:
    """Make the page spoil one layer of ``classes`` (none: of any that gives floats)."""
    wanted = [
        item["config"]["name"]
        for item in plan.layers()
        if (item["class_name"] in classes if classes else item["class_name"] in _ANY)
    ]
    name = one(draw, wanted)
    if name is None:
        return None
    plan.page[name] = {"kind": fault, **facts}
    return str(name)


@kind("page", "output-rearranged", "weights-rearranged")
def channels_reversed_by_a_kernel(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("Conv2D", "BatchNormalization", "LayerNormalization"), "reversed")


@kind("page", "output-rearranged", "weights-rearranged")
def output_shifted(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "shifted")


@kind("page", "reduced-precision")
def half_float_texture(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "half")


@kind("page", "reduced-precision")
def half_float_inputs(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, _PRODUCTS, "halfInputs")


@kind("page", "not-computed")
def kernel_that_did_not_run(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "zeros")


@kind("page", "layer-skipped", "option")
def layer_left_out(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("BatchNormalization", "LayerNormalization", "LeakyReLU", "Softmax", "ReLU"), "skipped")


@kind("page")
def a_nan(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "nan", at=int(draw.integers(4)))


@kind("page")
def one_element_off(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "element", at=int(draw.integers(4)))


@kind("page", subtle=True)
def a_tenthousandth_too_large(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "scaled", factor=1.0001)


@kind("page")
def last_example_off(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "lastRow")


@kind("page")
def another_result_each_time(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "noisy")


@kind("page")
def a_coarse_approximation(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "approximate")


@kind("page")
def saturation(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, (), "ceiling")


@kind("page", "training-mode")
def training_mode(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("BatchNormalization", "Dropout"), "training")


@kind("page", "operands-swapped")
def operands_swapped(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("Concatenate",), "swapped")


@kind("page", "input-rearranged")
def rows_and_columns_exchanged(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("Flatten", "Conv2D"), "transposed") if _square(plan) else None


def _square(plan: Plan) -> bool:
    return all(x.ndim == 4 and x.shape[1] == x.shape[2] for x in plan.inputs.values())


@kind("page", "padding-side", "weights-rearranged", "input-rearranged")
def padding_at_the_other_end(plan: Plan, draw: Draw) -> str | None:
    wanted = [
        item["config"]["name"]
        for item in plan.layers()
        if item["class_name"] == "Conv2D"
        and item["config"].get("padding") == "same"
        and item["config"].get("strides") == [2, 2]
    ]
    name = one(draw, wanted)
    if name is not None:
        plan.page[name] = {"kind": "otherPadding"}
    return None if name is None else str(name)


@kind("page", "other-definition")
def resize_from_corners(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("UpSampling2D",), "corners")


@kind("page", "other-definition")
def resize_with_aligned_corners(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("UpSampling2D",), "aligned")


@kind("page", "other-definition")
def padding_counted_in_a_mean(plan: Plan, draw: Draw) -> str | None:
    return _page(plan, draw, ("AveragePooling2D",), "counted")
