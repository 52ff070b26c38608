"""Which class of layer is expanded by which formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bittrue.errors import ModelError, Unsupported
from bittrue.ops import TensorSpec

from ..expansion import Expansion
from ..formula import Formula, Value
from ..model import Call, LayerNode

__all__ = ["Expander", "expand", "expands", "known_classes"]

Expander = Callable[[Formula], Value | tuple[Value, ...]]

_EXPANDERS: dict[str, Expander] = {}
_STAND_IN_RANKS = (4, 3, 2, 5, 1)


def expands(*class_names: str) -> Callable[[Expander], Expander]:
    """Registers a formula for Keras layers of ``class_names``."""

    def register(expander: Expander) -> Expander:
        for name in class_names:
            if name in _EXPANDERS:
                raise ValueError(f"{name} has two expansions")
            _EXPANDERS[name] = expander
        return expander

    return register


def known_classes() -> Mapping[str, Expander]:
    """The layer classes that have an expansion, by Keras's name; whether their options do too is `expand`'s to say."""
    return dict(sorted(_EXPANDERS.items()))


def expand(layer: LayerNode, specs: Sequence[TensorSpec] | None = None, call: int = 0) -> Expansion:
    """What the ``call``-th call of ``layer`` means, as ops.

    ``specs`` are those of the tensors it is called on (positional, then keyword). Without them the number of
    axes is guessed where it matters: enough to know whether the layer can be expressed, and the expansion
    refuses tensors of other ranks. Raises Unsupported, naming layer and option, for a class that is unknown,
    an option that is not expressed, or a nested model (whose layers are expanded one by one), and ModelError
    for tensors or weights that do not fit.
    """
    expander = _EXPANDERS.get(layer.class_name) if _is_layer(layer) else None
    if expander is None or layer.subgraph is not None:
        raise Unsupported(
            f"layer {layer.name!r} of class {layer.module}.{layer.class_name} has no expansion into ops; "
            "replace it by layers that are known here",
            layer=layer.name,
        )
    made = layer.calls[call] if layer.calls else Call(())
    if specs is not None:
        return _expanded(expander, layer, made, specs)
    count = len(made.inputs) + len(made.keyword_inputs) if layer.calls else 1
    return _guessed(expander, layer, made, count)


def _is_layer(layer: LayerNode) -> bool:
    # An operation (keras.src.ops.…) or a custom class may bear a layer's name without being one.
    root = layer.module.partition(".")[0]
    return root == "keras" and ".ops" not in layer.module


def _expanded(expander: Expander, layer: LayerNode, call: Call, specs: Sequence[TensorSpec]) -> Expansion:
    formula = Formula(layer, call, specs)
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
