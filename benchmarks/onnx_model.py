"""An exact model's plan as an ONNX file, so that onnxruntime computes the same graph; for the benchmark alone.

ONNX has channels first: images are turned round where a convolution or pooling meets them and stay so until another
operation needs them otherwise, as in a file that an exporter would write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bittrue.exact.plan import Operation, Plan
from bittrue.traces import Array

__all__ = ["write_onnx"]

_OPSET, _IR = 17, 8  # what onnxruntime and onnxruntime-web both read
_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class _Value:
    """A tensor of the ONNX graph. ``first``: whether it lies with its channels first; ``array``: of a constant."""

    name: str
    first: bool = False
    array: Array | None = None


def write_onnx(plan: Plan, constants: Mapping[str, Array], path: Path) -> None:
    """Write ``plan``, whose images have four axes, to ``path``. Raises ValueError for what has no row here."""
    from onnx import TensorProto, helper, save_model

    draft = _Draft()
    values = [_Value(item.name) for item in plan.inputs]
    values += [_Value(item.name, array=constants[item.name]) for item in plan.constants]
    for step in plan.operations:
        if step.name not in _TABLE:
            raise ValueError(f"{step.name} cannot be written as ONNX: add its row to benchmarks/onnx_model.py")
        values.append(_TABLE[step.name](draft, step, [values[number] for number in step.operands]))
    ends = [draft.last(values[item.value]).name for item in plan.outputs]
    fed = [helper.make_tensor_value_info(item.name, TensorProto.FLOAT, item.shape) for item in plan.inputs]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends]
    graph = helper.make_graph(draft.nodes, "model", fed, given, draft.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    save_model(model, str(path))


class _Draft:
    """The nodes and constants written so far."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, array: Array) -> _Value:
        from onnx import numpy_helper

        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return _Value(name, array=array)

    def node(self, kind: str, operands: list[_Value], first: bool = False, **attributes: Any) -> _Value:
        from onnx import helper

        named = [self.constant(x.array) if x.array is not None else x for x in operands]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [x.name for x in named], [name], **attributes))
        return _Value(name, first)

    def first(self, x: _Value) -> _Value:
        """``x`` with its channels first."""
        return x if x.first else self.node("Transpose", [x], True, perm=_TO_FIRST)

    def last(self, x: _Value) -> _Value:
        """``x`` as the plan has it."""
        return self.node("Transpose", [x], perm=_TO_LAST) if x.first else x

    def alike(self, operands: list[_Value]) -> tuple[bool, list[_Value]]:
        """Operands that broadcast: channels first if one of them is so."""
        if not any(x.first for x in operands):
            return False, operands
        return True, [self._beside_first(x) for x in operands]

    def _beside_first(self, x: _Value) -> _Value:
        if x.array is None:
            return self.first(x)
        return _Value(x.name, array=x.array.reshape(-1, 1, 1) if x.array.ndim == 1 else x.array)


_Row = Callable[[_Draft, Operation, list[_Value]], _Value]


def _same(kind: str) -> _Row:
    """An operation that ONNX has as well, element by element."""

    def write(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
        first, alike = draft.alike(operands)
        return draft.node(kind, alike, first)

    return write


def _square(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    return draft.node("Pow", [operands[0], draft.constant(np.float32(2))], operands[0].first)


def _affine(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    first, (x, scale, shift) = draft.alike(operands)
    return draft.node("Add", [draft.node("Mul", [x, scale], first), shift], first)


def _normalize(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    x, mean, variance, scale, shift, epsilon = operands
    deviation = draft.node("Sqrt", [draft.node("Add", [variance, epsilon])])
    unit = draft.node("Div", [draft.node("Sub", [x, mean]), deviation])
    return draft.node("Add", [draft.node("Mul", [unit, scale]), shift])


def _matmul(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    made = draft.node("MatMul", [draft.last(x) for x in operands[:2]])
    return draft.node("Add", [made, *operands[2:]]) if operands[2:] else made


def _padding(same: int, widths: tuple[int, ...]) -> dict[str, Any]:
    return {"auto_pad": "SAME_UPPER"} if same else {"pads": [*widths[::2], *widths[1::2]]}


def _conv(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    spatial, groups, same, *rest = step.attributes
    kernel = operands[1].array
    if kernel is None or spatial != 2:
        raise ValueError("only convolutions of images with constant kernels are written as ONNX")
    turned = draft.constant(np.transpose(kernel, (3, 2, 0, 1)))
    about = {"group": groups, "strides": rest[:2], "dilations": rest[2:4], **_padding(same, tuple(rest[4:]))}
    return draft.node("Conv", [draft.first(operands[0]), turned, *operands[2:]], True, **about)


def _pool_max(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    _, same, *rest = step.attributes
    about = {"kernel_shape": rest[:2], "strides": rest[2:4], **_padding(same, tuple(rest[4:]))}
    return draft.node("MaxPool", [draft.first(operands[0])], True, **about)


def _pad(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    widths = list(zip(step.attributes[::2], step.attributes[1::2], strict=True))
    x = operands[0]
    if len(widths) == 4:
        x, widths = draft.first(x), [widths[axis] for axis in _TO_FIRST]
    pads = draft.constant(np.array([low for low, _ in widths] + [high for _, high in widths], np.int64))
    return draft.node("Pad", [x, pads, operands[1]], x.first)


def _reduce_mean(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    keep, *axes = step.attributes
    x = operands[0]
    if x.first and (keep or 3 in axes):
        x = draft.last(x)
    axes = [_TO_FIRST.index(axis) for axis in axes] if x.first else axes
    return draft.node("ReduceMean", [x], axes=axes, keepdims=keep)


def _reshape(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    sizes = np.array([size if size >= 0 else -1 for size in step.attributes], np.int64)
    if (sizes < 0).sum() > 1:
        raise ValueError("a reshape with several unknown sizes cannot be written as ONNX")
    return draft.node("Reshape", [draft.last(operands[0]), draft.constant(sizes)])


def _transpose(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    return draft.node("Transpose", [draft.last(operands[0])], perm=step.attributes)


def _softmax(draft: _Draft, step: Operation, operands: list[_Value]) -> _Value:
    return draft.node("Softmax", [draft.last(operands[0])], axis=step.attributes[0])


_TABLE: dict[str, _Row] = {
    "add": _same("Add"),
    "affine": _affine,
    "conv": _conv,
    "erf": _same("Erf"),
    "matmul": _matmul,
    "minimum": _same("Min"),
    "multiply": _same("Mul"),
    "normalize": _normalize,
    "pad": _pad,
    "pool_max": _pool_max,
    "reduce_mean": _reduce_mean,
    "relu": _same("Relu"),
    "reshape": _reshape,
    "softmax": _softmax,
    "square": _square,
    "subtract": _same("Sub"),
    "transpose": _transpose,
}
