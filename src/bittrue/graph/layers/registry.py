"""Which class of layer is expanded by which formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.ops import TensorSpec

from ..expansion import Expansion
from ..formula import Formula, Value
from ..model import Call, LayerNode
from ..nodegraph import NODES
from .traced import expand_body

__all__ = [
    "Expander",
    "expand",
    "expand_within",
    "expands",
    "expands_operation",
    "is_known",
    "known_classes",
    "known_operations",
]

Expander = Callable[[Formula], Value | tuple[Value, ...]]

_EXPANDERS: dict[str, Expander] = {}
_OPERATIONS: dict[str, Expander] = {}
_OPERATION_MODULES = ("keras.src.ops.", "keras.src.activations.", "keras.ops")
_STAND_IN_RANKS = (4, 3, 2, 5, 1)


def expands(*class_names: str) -> Callable[[Expander], Expander]:
    """Registers a formula for Keras layers of ``class_names``."""

    return _registers(_EXPANDERS, class_names)


def expands_operation(*class_names: str) -> Callable[[Expander], Expander]:
    """Registers a formula for operations of keras.ops, by the names of their classes (``Matmul``, ``GetItem``)."""
    return _registers(_OPERATIONS, class_names)


def _registers(table: dict[str, Expander], class_names: Sequence[str]) -> Callable[[Expander], Expander]:
    def register(expander: Expander) -> Expander:
        for name in class_names:
            if name in table:
                raise ValueError(f"{name} has two expansions")
            table[name] = expander
        return expander

    return register


def known_classes() -> Mapping[str, Expander]:
    """The layer classes that have an expansion, by Keras's name; whether their options do too is `expand`'s to say."""
    return dict(sorted(_EXPANDERS.items()))


def known_operations() -> Mapping[str, Expander]:
    """The same for the operations of keras.ops, which are nodes of a Functional model as layers are."""
    return dict(sorted(_OPERATIONS.items()))


def expand(layer: LayerNode, specs: Sequence[TensorSpec] | None = None, call: int = 0) -> Expansion:
    """What the ``call``-th call of ``layer`` means, as ops.

    ``specs`` are those of the tensors it is called on (positional, then keyword). Without them the number of
    axes is guessed where it matters: enough to know whether the layer can be expressed, and the expansion
    refuses tensors of other ranks. Raises Unsupported, naming layer and option, for a class that is unknown,
    an option that is not expressed, or a nested model (whose layers are expanded one by one), and ModelError
    for tensors or weights that do not fit.
    """
    expander = _expander(layer)
    made = layer.calls[call] if layer.calls else Call(())
    if specs is not None:
        return _expanded(expander, layer, made, specs)
    count = len(made.inputs) + len(made.keyword_inputs) if layer.calls else 1
    return _guessed(expander, layer, made, count)


def is_known(layer: LayerNode) -> bool:
    """Whether the layer's class has an expansion at all; a nested model's layers are asked one by one."""
    try:
        _expander(layer)
    except Unsupported:
        return layer.subgraph is not None
    return True


def expand_within(formula: Formula) -> tuple[Value, ...]:
    """What the layer of ``formula``, which is inside another one, returns. Raises as `expand` does."""
    outputs = _expander(formula.layer)(formula)
    formula.check_all_read()
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _expander(layer: LayerNode) -> Expander:
    if layer.module == NODES:
        from ..nodes import expand_nodes  # which stands on the formulas of layers

        return expand_nodes
    # A custom class may bear a layer's name without being one.
    table = _OPERATIONS if layer.module.startswith(_OPERATION_MODULES) else _EXPANDERS
    found = table.get(layer.class_name) if layer.module.partition(".")[0] == "keras" else None
    if layer.bodies:
        return partial(expand_body, within=expand_within)
    if found is None or layer.subgraph is not None:
        kind = f"{layer.module}.{layer.class_name}"
        because = f": {layer.obstacle}" if layer.obstacle else ""
        raise Unsupported(f"layer {layer.name!r} of class {kind} has no expansion into ops{because}", layer=layer.name)
    return found


def _expanded(expander: Expander, layer: LayerNode, call: Call, specs: Sequence[TensorSpec]) -> Expansion:
    formula = Formula.of(layer, call, specs)
    return formula.finished(expander(formula))


def _guessed(expander: Expander, layer: LayerNode, call: Call, count: int) -> Expansion:
    error: ModelError | None = None
    for rank in _STAND_IN_RANKS:
        specs = [TensorSpec((None,) * rank, np.dtype(np.float32))] * count
        try:
            return _expanded(expander, layer, call, specs)
        except Unsupported:
            raise
        except ModelError as refusal:
            error = error or refusal
    assert error is not None
    raise error
