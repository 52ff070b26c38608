"""Where the nodes of one call of one layer are written, in terms that the lowerings of its ops share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from bittrue.errors import Unsupported
from bittrue.graph.model import LayerNode
from bittrue.ops import Shape, TensorSpec

from ..defects import present
from ..layer_config import refused
from ..versions import Version
from .attributes import Attribute, held, type_of, whole
from .nodes import Nodes, Tensor

__all__ = ["Dimension", "Scope", "Sizes"]

_INT32 = np.dtype(np.int32)
_MOST = 4  # axes that every kernel of every backend takes


@dataclass(frozen=True)
class Dimension:
    """The size of ``axis`` of a tensor, which is known when the model runs and not before."""

    tensor: Tensor
    axis: int


Sizes = Sequence[int | Dimension]
"""A shape to be had; -1, at most once, is what is left."""


class Scope:
    """The call of ``layer`` whose nodes begin with ``prefix``, written for TensorFlow.js of ``version``."""

    def __init__(self, nodes: Nodes, prefix: str, layer: LayerNode, version: Version) -> None:
        self.nodes = nodes
        self.prefix = prefix
        self.layer = layer
        self.version = version

    def refused(self, because: str) -> Unsupported:
        """The error for what this layer needs and TensorFlow.js has not."""
        return refused(self.layer, because)

    def node(
        self,
        op: str,
        inputs: Sequence[Tensor],
        shape: Shape,
        attributes: Mapping[str, Attribute] | None = None,
        types: Sequence[str] = ("T",),
    ) -> Tensor:
        """A node whose output has ``shape`` and the dtype of the first input, which ``types`` name as attributes."""
        dtype = inputs[0].spec.dtype
        typed = {name: type_of(dtype) for name in types}
        name = self.nodes.name(f"{self.prefix}/{op}")
        return self.nodes.add(op, name, inputs, {**typed, **(attributes or {})}, TensorSpec(tuple(shape), dtype))

    def cast(self, x: Tensor, dtype: np.dtype[np.generic]) -> Tensor:
        """``x`` as ``dtype``; itself where TensorFlow.js holds it so already.

        Truth values are a comparison with 0: TensorFlow.js's wasm backend drops the fractions first.
        """
        if held(x.spec.dtype) == held(dtype):
            return x
        if dtype == np.bool_ and present("wasm-cast-bool", self.version):
            zero = self.nodes.constant(np.asarray(0, held(x.spec.dtype)))
            compared = self.node("NotEqual", (x, zero), x.spec.shape)
            return Tensor(compared.node, TensorSpec(x.spec.shape, dtype))
        attributes = {"SrcT": type_of(x.spec.dtype), "DstT": type_of(dtype)}
        name = self.nodes.name(f"{self.prefix}/Cast")
        made = self.nodes.add("Cast", name, (x,), attributes, TensorSpec(x.spec.shape, dtype))
        if held(dtype) != "float32" or not present("webgpu-cast-transpose", self.version):
            return made
        return self.node("Mul", (made, self.nodes.constant(np.asarray(1, np.float32))), x.spec.shape)

    def sizes(self, x: Tensor) -> list[int | Dimension]:
        """The sizes of ``x``, those not known before as they will be."""
        return [Dimension(x, axis) if size is None else size for axis, size in enumerate(x.spec.shape)]

    def reshape(self, x: Tensor, sizes: Sizes) -> Tensor:
        """The elements of ``x`` as ``sizes``, worked out as the model runs only if more than one is not known."""
        shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in sizes)
        if shape == x.spec.shape and shape.count(None) < 2:
            return x
        unknown = sum(size is None for size in shape)
        target = self.nodes.ints([size or 0 if size is not None else -1 for size in shape])
        if unknown > 1:
            target = self._measured(sizes)
        return self.node("Reshape", (x, target), self._filled(x, shape), types=("T",))

    @staticmethod
    def _filled(x: Tensor, shape: Shape) -> Shape:
        """``shape`` with its one unknown worked out, if all of x's sizes are known."""
        if None in x.spec.shape or shape.count(None) != 1:
            return shape
        total, rest = 1, 1
        for size in x.spec.shape:
            total *= size or 0
        for size in shape:
            rest *= 1 if size is None else size
        return tuple(total // rest if size is None and rest else size for size in shape)

    def _measured(self, sizes: Sizes) -> Tensor:
        """A vector of ``sizes``, put together as the model runs."""
        pieces: list[Tensor] = []
        fixed: list[int] = []
        for size in sizes:
            if isinstance(size, int):
                fixed.append(size)
                continue
            pieces += self._listed(fixed)
            fixed = []
            pieces.append(self.size(size))
        pieces += self._listed(fixed)
        return self.concatenated(pieces, 0)

    def _listed(self, sizes: Sequence[int]) -> list[Tensor]:
        return [self.nodes.constant(np.asarray(sizes, np.int32))] if sizes else []

    def shape_of(self, x: Tensor) -> Tensor:
        """The sizes of ``x`` as a vector, when the model runs."""
        name = self.nodes.name(f"{self.prefix}/Shape")
        attributes = {"T": type_of(x.spec.dtype), "out_type": type_of(_INT32)}
        return self.nodes.add("Shape", name, (x,), attributes, TensorSpec((x.spec.rank,), _INT32))

    def size(self, dimension: Dimension) -> Tensor:
        """A vector of one size, when the model runs."""
        at = dimension.axis
        return self.sliced(self.shape_of(dimension.tensor), [(0, at, at + 1, 1)], (1,))

    def concatenated(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """``tensors`` joined along ``axis``, which counts from the front."""
        if len(tensors) == 1:
            return tensors[0]
        sizes = [tensor.spec.shape[axis] for tensor in tensors]
        shape = list(tensors[0].spec.shape)
        shape[axis] = None if None in sizes else sum(size or 0 for size in sizes)
        inputs = (*tensors, self.nodes.ints(axis))
        return self.node("ConcatV2", inputs, tuple(shape), {"N": whole(len(tensors))})

    def transposed(self, x: Tensor, permutation: Sequence[int]) -> Tensor:
        """Axis i of the result is axis ``permutation[i]`` of ``x``."""
        if list(permutation) == list(range(x.spec.rank)):
            return x
        shape = tuple(x.spec.shape[axis] for axis in permutation)
        wide = [axis for axis in permutation if x.spec.shape[axis] != 1]
        if wide == sorted(wide) and shape.count(None) < 2:
            return self.reshape(x, [-1 if size is None else size for size in shape])
        if held(x.spec.dtype) != "float32" and x.spec.rank > 2 and present("webgpu-transpose-int", self.version):
            moved = self.transposed(self.cast(x, np.dtype(np.float32)), permutation)
            return Tensor(self.cast(moved, x.spec.dtype).node, TensorSpec(shape, x.spec.dtype))
        return self.node("Transpose", (x, self.nodes.ints(list(permutation))), shape)

    def sliced(self, x: Tensor, cuts: Sequence[tuple[int, int | None, int | None, int]], shape: Shape) -> Tensor:
        """Stretches of some axes, each (axis, start, stop, step) as Python has it; ``shape`` is the result's."""
        rank = x.spec.rank
        start, stop, step = [0] * rank, [0] * rank, [1] * rank
        masks = [2**rank - 1, 2**rank - 1]
        for axis, low, high, by in cuts:
            start[axis], stop[axis], step[axis] = low or 0, high or 0, by
            for which, bound in enumerate((low, high)):
                masks[which] -= 0 if bound is None else 2**axis
        numbers = [self.nodes.ints(values) for values in (start, stop, step)]
        attributes = {"Index": type_of(_INT32), "begin_mask": whole(masks[0]), "end_mask": whole(masks[1])}
        others = {name: whole(0) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
        return self.node("StridedSlice", (x, *numbers), shape, {**attributes, **others})

    def padded(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
        """``x`` with (low, high) of ``value`` at the ends of every axis."""
        if not any(map(any, widths)):
            return x
        if x.spec.rank > _MOST and x.spec.shape.count(None) < 2 and present("gpu-pad-rank-5", self.version):
            return self._padded_in_turn(x, widths, value)
        shape = tuple(n if n is None else n + sum(pair) for n, pair in zip(x.spec.shape, widths, strict=True))
        amounts = self.nodes.ints([list(pair) for pair in widths])
        filling = self.nodes.parameter(np.asarray(value, held(x.spec.dtype)))
        return self.node("PadV2", (x, amounts, filling), shape)

    def _padded_in_turn(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        """The same axis by axis, all before it and all behind it joined."""
        for axis, pair in enumerate(widths):
            if any(pair):
                sizes: list[int | None] = list(x.spec.shape)
                own = sizes[axis]
                flat = self.reshape(x, [_joined(sizes[:axis]), _joined([own]), _joined(sizes[axis + 1 :])])
                sizes[axis] = None if own is None else own + sum(pair)
                wide = self.padded(flat, ((0, 0), pair, (0, 0)), value)
                x = self.reshape(wide, [-1 if size is None else size for size in sizes])
        return x


def _joined(sizes: Sequence[int | None]) -> int:
    """The size of several axes made one, -1 for what is left."""
    return -1 if None in sizes else prod(size or 0 for size in sizes)
