"""An expansion as nodes: what graph-models and shimmed layers are both made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bittrue.graph.expansion import Constant, Expansion, InputRef, NodeRef, Ref, WeightRef, constant_dtype
from bittrue.ops import Op

from .lowering import Scope, Tensor, lower
from .lowering.attributes import held

__all__ = ["write_expansion"]

Lower = Callable[[Scope, Op, Sequence[Tensor]], Tensor]


def write_expansion(
    scope: Scope,
    expansion: Expansion,
    operands: Sequence[Tensor],
    weight: Callable[[WeightRef], Tensor],
    lower: Lower = lower,
) -> list[Tensor]:
    """The outputs of ``expansion`` on ``operands``; ``lower`` writes its ops in ``scope``, ``weight`` finds weights.

    Raises Unsupported, naming the layer, for what TensorFlow.js has no nodes for.
    """
    results: list[Tensor] = []

    def tensor(ref: Ref, dtype: str) -> Tensor:
        match ref:
            case InputRef(index):
                return operands[index]
            case NodeRef(index):
                return results[index]
            case WeightRef():
                return weight(ref)
            case Constant(value):
                kind = dtype if value.dtype.kind == "f" else held(value.dtype)
                return scope.nodes.constant(np.asarray(value, kind))

    for node in expansion.nodes:
        given = [None if isinstance(ref, Constant) else tensor(ref, "") for ref in node.inputs]
        dtype = constant_dtype(tuple(one and one.spec for one in given))
        results.append(lower(scope, node.op, [tensor(ref, dtype) for ref in node.inputs]))
    return [tensor(ref, "float32") for ref in expansion.outputs]
