"""How each primitive op is written as operations of a plan: one row an op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from bittrue import ops
from bittrue.errors import Unsupported
from bittrue.ops import Op, TensorSpec
from bittrue.ops.window import Padding

from .drafting import Body, Draft, Tensor
from .einsum import einsum
from .plan import DTYPES

__all__ = ["lower"]

_PRODUCTS = ("matmul", "conv", "conv_transpose")


def lower(draft: Draft, op: Op, operands: Sequence[Tensor]) -> Tensor:
    """``op`` on ``operands``. Raises Unsupported, naming the layer, for what the exact runtime does not have."""
    spec = op.infer(*(operand.spec for operand in operands))[0]
    write = _TABLE.get(type(op))
    if write is None:
        raise _refused(draft, f"the exact runtime has no {op.name}")
    if spec.dtype.name not in DTYPES:
        raise _refused(draft, f"it computes in {spec.dtype}, the exact runtime in float32, int32 and bool")
    return write(draft, op, operands, spec)


def _refused(draft: Draft, because: str) -> Unsupported:
    return Unsupported(f"layer {draft.layer!r} cannot be exported: {because}", layer=draft.layer)


def _alike(draft: Draft, operands: Sequence[Tensor]) -> list[Tensor]:
    """Operands of one dtype: float32 if any is, else int32 if any is."""
    dtype = next(name for name in DTYPES if any(operand.dtype == name for operand in operands))
    return [draft.cast(operand, dtype) for operand in operands]


def _unary(draft: Draft, op: ops.Unary, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add(op.function, operands, spec=spec)


def _binary(draft: Draft, op: ops.Binary, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    a, b = _alike(draft, operands)
    biased = _biased(draft, a, b) or _biased(draft, b, a) if op.operation == "add" else None
    return biased or draft.add(op.operation, [a, b], spec=spec)


def _biased(draft: Draft, x: Tensor, bias: Tensor) -> Tensor | None:
    """A sum of products that starts at ``bias``, if ``x`` is one, or one whose last axis was split, without any."""
    step = x.step
    if step is None or bias.array is None or step.layer != draft.layer:
        return None
    if step.name in _PRODUCTS and len(x.operands) == 2 and bias.shape == x.shape[-1:]:
        return draft.add(step.name, [*x.operands, bias], step.attributes, x.spec)
    if step.name != "reshape" or not bias.array.ndim or x.shape[-bias.array.ndim :] != bias.shape:
        return None
    whole = x.operands[0]
    if whole.shape[-1:] != (bias.array.size,) or len(whole.shape) + bias.array.ndim - 1 != len(x.shape):
        return None
    flat = draft.constant(bias.array.reshape(-1), bias.name)
    inner = _biased(draft, whole, flat)
    return inner and draft.add("reshape", [inner, *x.operands[1:]], step.attributes, x.spec)


def _compare(draft: Draft, op: ops.Compare, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add(op.relation, _alike(draft, operands), spec=spec)


def _logical(draft: Draft, op: ops.Logical, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add(op.connective, operands, spec=spec)


def _select(draft: Draft, op: ops.Select, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add("select", [operands[0], *_alike(draft, operands[1:])], spec=spec)


def _cast(draft: Draft, op: ops.Cast, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.cast(operands[0], spec.dtype.name)


def _normalize(draft: Draft, op: ops.Normalize, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    x, *given = (draft.cast(operand, "float32") for operand in operands)
    arrays = [operand.array for operand in given]
    if any(array is None for array in arrays):
        return draft.add("normalize", [x, *given, draft.constant(np.asarray(op.epsilon, np.float32))], spec=spec)
    mean, variance, scale, shift = (np.asarray(array, np.float64) for array in arrays)
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + op.epsilon)
        folded = [np.asarray(factor, np.float32), np.asarray(shift - mean * factor, np.float32)]
    parts = [draft.constant(array, f"{draft.layer}/{name}") for array, name in zip(folded, _FOLDED, strict=True)]
    return draft.add("affine", [x, *parts], spec=spec)


_FOLDED = ("folded_scale", "folded_shift")


def _matmul(draft: Draft, op: ops.MatMul, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add("matmul", _floats(draft, operands), spec=spec)


def _floats(draft: Draft, operands: Sequence[Tensor]) -> list[Tensor]:
    """Products of integers are taken in float32, which is only right where they are exact."""
    if all(operand.dtype != "float32" for operand in operands):
        raise _refused(draft, "it multiplies matrices of whole numbers")
    return [draft.cast(operand, "float32") for operand in operands]


def _einsum(draft: Draft, op: ops.Einsum, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    a, b = _floats(draft, operands)
    return einsum(draft, op.equation, a, b, spec)


def _padding(padding: Padding, spatial: int) -> tuple[int, list[int]]:
    """Whether it is "same", and low and high of each axis."""
    if isinstance(padding, str):
        return int(padding == "same"), [0] * (2 * spatial)
    return 0, [width for pair in padding for width in pair]


def _conv(draft: Draft, op: ops.Conv, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    spatial = len(op.strides)
    same, widths = _padding(op.padding, spatial)
    attributes = [spatial, op.groups, same, *op.strides, *op.dilation, *widths]
    return draft.add("conv", _floats(draft, operands), attributes, spec)


def _conv_transpose(draft: Draft, op: ops.ConvTranspose, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    spatial = len(op.strides)
    x, kernel = _floats(draft, operands)
    order = (*range(spatial), spatial + 1, spatial)
    shape = tuple(kernel.shape[axis] for axis in order)
    turned = draft.add("transpose", [kernel], order, TensorSpec(shape, kernel.spec.dtype))
    crop = [width for pair in op.crop for width in pair]
    return draft.add("conv_transpose", [x, turned], [spatial, *op.strides, *op.dilation, *crop], spec)


def _pool(draft: Draft, op: ops.Pool, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    same, widths = _padding(op.padding, len(op.size))
    attributes = [len(op.size), same, *op.size, *op.strides, *widths]
    return draft.add(f"pool_{op.kind}", operands, attributes, spec)


def _reduce(draft: Draft, op: ops.Reduce, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add(f"reduce_{op.kind}", operands, [op.keepdims, *op.axes], spec)


def _reshape(draft: Draft, op: ops.Reshape, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    kept = [-2 - axis for axis in range(op.keep)]
    return draft.add("reshape", operands, [*kept, *op.shape], spec)


def _slice(draft: Draft, op: ops.Slice, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    ends = [word for end in (op.start, op.stop) for word in (int(end is not None), _clipped(end or 0))]
    return draft.add("slice", operands, [op.axis, *ends, op.step], spec)


def _clipped(place: int) -> int:
    """Places beyond every tensor are one."""
    return max(-(2**30), min(2**30, place))


def _concat(draft: Draft, op: ops.Concat, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add("concat", _alike(draft, operands), [op.axis], spec)


def _pad(draft: Draft, op: ops.Pad, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    value = draft.constant(np.asarray(op.value).astype(spec.dtype))
    return draft.add("pad", [operands[0], value], [width for pair in op.widths for width in pair], spec)


def _resize(draft: Draft, op: ops.Resize, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    given = op.size or op.factors
    return draft.add(f"resize_{op.kind}", operands, [len(given), int(not op.size), *given], spec)


def _with(name: str, attributes: Callable[[Any], Sequence[int]]) -> _Writer:
    """An op whose operation has the same operands."""
    return lambda draft, op, operands, spec: draft.add(name, operands, attributes(op), spec)


def _gather(draft: Draft, op: ops.Gather, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    return draft.add("gather", [operands[0], draft.cast(operands[1], "int32")], spec=spec)


def _scan(draft: Draft, op: ops.Scan, operands: Sequence[Tensor], spec: TensorSpec) -> Tensor:
    batch = operands[0].shape[0]
    first, second = op.sequences, op.sequences + op.states
    slices = [Tensor(TensorSpec((x.shape[0], *x.shape[2:]), x.spec.dtype)) for x in operands[:first]]
    initial = [_widened(draft, x, operands[0], spec) for x in operands[first:second]]
    states = [Tensor(TensorSpec((batch, *x.shape[1:]), x.spec.dtype)) for x in initial]
    shared = [x if x.array is not None else Tensor(x.spec) for x in operands[second:]]
    outside = [x for x in operands[second:] if x.array is None]
    values = [*slices, *states, *shared]
    for step in op.body:
        values.append(lower(draft, step.op, [values[place] for place in step.operands]))
    given = (*slices, *states, *(x for x in shared if x.array is None))
    body = Body(given, tuple(values[place] for place in op.results))
    return draft.scan([*operands[:first], *initial, *outside], (op.sequences, op.states), body, spec)


def _widened(draft: Draft, state: Tensor, sequence: Tensor, result: TensorSpec) -> Tensor:
    """An initial state with all its axes but the batch as wide as those of the states that the steps make."""
    middle = result.shape[2:-1]
    if state.shape[1:-1] == middle:
        return state
    # An unknown size is that of the sequence, whose second axis is time.
    codes = [-2 - 8 - (axis + 1) if size is None else size for axis, size in enumerate(middle, 1)]
    spec = TensorSpec((state.shape[0], *middle, state.shape[-1]), state.spec.dtype)
    return draft.add("broadcast", [state, sequence], [-2, *codes, -2 - (len(middle) + 1)], spec)


_Writer = Callable[[Draft, Any, Sequence[Tensor], TensorSpec], Tensor]

_TABLE: Mapping[type[Op], _Writer] = MappingProxyType(
    {
        ops.ArgMax: _with("argmax", lambda op: [op.axis]),
        ops.Binary: _binary,
        ops.Broadcast: _with("broadcast", lambda op: op.shape),
        ops.Cast: _cast,
        ops.Compare: _compare,
        ops.Concat: _concat,
        ops.Conv: _conv,
        ops.ConvTranspose: _conv_transpose,
        ops.Einsum: _einsum,
        ops.Gather: _gather,
        ops.Logical: _logical,
        ops.MatMul: _matmul,
        ops.Normalize: _normalize,
        ops.Pad: _pad,
        ops.Pool: _pool,
        ops.Position: _with("position", lambda op: [op.axis]),
        ops.Reduce: _reduce,
        ops.Repeat: _with("repeat", lambda op: [op.axis, op.times]),
        ops.Reshape: _reshape,
        ops.Resize: _resize,
        ops.Scan: _scan,
        ops.Select: _select,
        ops.Slice: _slice,
        ops.Softmax: _with("softmax", lambda op: [op.axis]),
        ops.Transpose: _with("transpose", lambda op: op.permutation),
        ops.Unary: _unary,
    }
)
"""What writes each op; one that is not here is refused by name."""
