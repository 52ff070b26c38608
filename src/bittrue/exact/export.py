"""From a graph to an exact model: every call of every layer, expanded into ops, lowered to a plan, and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.graph.expansion import Constant as GraphConstant
from bittrue.graph.expansion import Expansion, InputRef, NodeRef, Ref, WeightRef, constant_dtype
from bittrue.graph.explicit_masks import with_masks
from bittrue.graph.layers import expand
from bittrue.graph.masks import passes_mask, uses_mask
from bittrue.graph.model import Graph, InputSpec, LayerCall
from bittrue.graph.traversal import traverse
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .drafting import Draft, Tensor, finished
from .engine import ExactModel
from .file import ExactFile, digest, write
from .lowering import lower
from .plan import DTYPES, Input, Named, Plan
from .quantized import Quantized

__all__ = ["Quantize", "exact_model", "export", "lowered"]


Quantize = Callable[[Mapping[str, Array]], Mapping[str, Quantized]]
"""Which of the float32 constants are stored in fewer bits, and how."""


def export(graph: Graph, path: Path, *, quantize: Quantize | None = None) -> Plan:
    """Write ``graph`` as an exact model to ``path`` and return its plan.

    ``quantize``: the constants that it returns are stored so, and computed with as the float32 numbers that they then
    are.

    Raises Unsupported, naming the layer and what is missing, for what the exact runtime cannot compute.
    """
    plan, constants = lowered(graph)
    if quantize:
        made = quantize({name: array for name, array in constants.items() if array.dtype == np.float32})
        changed = [
            replace(item, affine=made[item.name].affine) if item.name in made else item for item in plan.constants
        ]
        plan = replace(plan, constants=tuple(changed))
        constants |= {name: one.stored for name, one in made.items()}
    write(path, plan, constants)
    return plan


def exact_model(graph: Graph) -> ExactModel:
    """``graph`` as an exact model without a file. Raises as `export` does."""
    plan, constants = lowered(graph)
    return ExactModel(ExactFile(plan, constants, digest(plan, constants)))


def lowered(graph: Graph) -> tuple[Plan, dict[str, Array]]:
    """The plan of ``graph`` and its constants by name."""
    fed = [_Value(_given(spec)) for spec in graph.inputs]
    visitor = _Lowering({call.name for call in graph.calls()})
    results = traverse(with_masks(graph), fed, visitor)
    inputs = [(_input(spec, value.tensor), value.tensor) for spec, value in zip(graph.inputs, fed, strict=True)]
    names = _output_names(graph)
    outputs = [(Named(name, 0), value.tensor) for name, value in zip(names, results, strict=True)]
    return finished(graph.name, inputs, outputs, visitor.made_by_layers)


def _given(spec: InputSpec) -> Tensor:
    whole = spec.dtype.kind in "iu"
    dtype = np.dtype(np.int32) if whole else spec.dtype
    if dtype.name not in DTYPES:
        raise Unsupported(f"input {spec.name!r} is of {spec.dtype}: the exact runtime has float32, int32 and bool only")
    return Tensor(TensorSpec(spec.shape, dtype))


def _input(spec: InputSpec, tensor: Tensor) -> Input:
    return Input(spec.name, spec.shape, tensor.dtype)


def _output_names(graph: Graph) -> list[str]:
    """The outputs by the layer they come from, numbered where one layer gives several."""
    names: list[str] = []
    for ref in graph.outputs:
        name = ref.layer if not (ref.call or ref.output) else f"{ref.layer}:{ref.call}:{ref.output}"
        names.append(name)
    return names


@dataclass(frozen=True)
class _Value:
    """A tensor on its way, and whether Keras would send a mask along that no call names."""

    tensor: Tensor
    masked: bool = False


class _Lowering:
    """Lowers one call after the other."""

    def __init__(self, recorded: set[str]) -> None:
        self.made_by_layers: list[tuple[Named, Tensor]] = []
        self._recorded = recorded

    def visit(self, call: LayerCall, operands: Sequence[_Value]) -> Sequence[_Value]:
        masked = any(value.masked for value in operands)
        kwargs = call.layer.calls[call.nodes[-1]].kwargs if call.layer.calls else {}
        if masked and uses_mask(call.layer) and not any(name.endswith("mask") for name in kwargs):
            raise Unsupported(
                f"layer {call.name!r} cannot be exported: Keras computes it with the mask of the model that it is in",
                layer=call.name,
            )
        tensors = [value.tensor for value in operands]
        expansion = expand(call.layer, [tensor.spec for tensor in tensors], call.nodes[-1])
        made = _lowered_call(call, expansion, tensors)
        return [_Value(tensor, masked and passes_mask(call.layer)) for tensor in made]

    def entered(self, call: LayerCall, operands: Sequence[_Value], masks: Sequence[_Value]) -> Sequence[_Value]:
        masked = bool(masks) or any(value.masked for value in operands)
        return [_Value(value.tensor, masked) for value in operands]

    def missing(self, call: LayerCall, operands: Sequence[_Value]) -> _Value:
        raise ModelError(f"layer {call.name!r} returns fewer tensors than the model reads")

    def made(self, call: LayerCall, results: Sequence[_Value]) -> None:
        if call.name in self._recorded:
            for index, value in enumerate(results):
                self.made_by_layers.append((Named(call.name, 0, call.call, index), value.tensor))


def _lowered_call(call: LayerCall, expansion: Expansion, tensors: Sequence[Tensor]) -> list[Tensor]:
    draft = Draft(call.name)
    values: list[Tensor] = []
    weights: dict[int, Tensor] = {}

    def operand(ref: Ref, dtype: str) -> Tensor:
        match ref:
            case InputRef(index):
                return tensors[index]
            case NodeRef(index):
                return values[index]
            case WeightRef(index, name):
                if index not in weights:
                    weights[index] = draft.constant(call.layer.weights[index].value, f"{call.name}/{name}")
                return weights[index]
            case GraphConstant(value):
                return draft.constant(value.astype(dtype) if value.dtype.kind == "f" else value)

    for node in expansion.nodes:
        specs = tuple(None if isinstance(ref, GraphConstant) else operand(ref, "float32").spec for ref in node.inputs)
        dtype = constant_dtype(specs)
        values.append(lower(draft, node.op, [operand(ref, dtype) for ref in node.inputs]))
    return [operand(ref, "float32") for ref in expansion.outputs]
