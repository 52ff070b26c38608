"""Which op is lowered by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bittrue.ops import Op

from .attributes import held
from .nodes import Tensor
from .scope import Scope

__all__ = ["lower", "lowered_ops", "lowers"]

_Op = TypeVar("_Op", bound=Op)
_Lowering = Callable[..., Tensor]

_LOWERINGS: dict[type[Op], Callable[..., Tensor]] = {}


def lowers(kind: type[_Op]) -> Callable[[_Lowering], _Lowering]:
    """Registers what writes an op of ``kind``: a function of the scope, the op and its operands."""

    def register(lowering: _Lowering) -> _Lowering:
        if kind in _LOWERINGS:
            raise ValueError(f"{kind.__name__} has two lowerings")
        _LOWERINGS[kind] = lowering
        return lowering

    return register


def lower(scope: Scope, op: Op, operands: Sequence[Tensor]) -> Tensor:
    """The nodes that compute ``op``. Raises Unsupported, naming the layer, for what TensorFlow.js has no nodes for."""
    lowering = _LOWERINGS.get(type(op))
    if lowering is None:
        raise scope.refused(f"its op {op.name} has no counterpart among the nodes of a graph-model")
    (spec,) = op.infer(*(tensor.spec for tensor in operands))
    if held(spec.dtype) is None:
        raise scope.refused(f"it computes {spec.dtype.name} tensors, which TensorFlow.js does not have")
    made = lowering(scope, op, *operands)
    assert len(made.spec.shape) == spec.rank, (op, made.spec, spec)
    shape = tuple(a if a is not None else b for a, b in zip(spec.shape, made.spec.shape, strict=True))
    return Tensor(made.node, type(spec)(shape, spec.dtype), made.value)


def lowered_ops() -> Mapping[str, Any]:
    """The ops that have a lowering, by name."""
    return {kind.__name__: lowering for kind, lowering in sorted(_LOWERINGS.items(), key=lambda item: item[0].__name__)}
