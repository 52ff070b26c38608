"""A straight line of nodes as it is written: TensorFlow says what shape each tensor has, and of some their values.

Whole numbers, truth values and single numbers that follow from constants and shapes are worked out as they are met, by
TensorFlow's own kernels, so that counters and conditions are known however long the line becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bittrue.graph.nodegraph import Source
from bittrue.ops import TensorSpec
from bittrue.traces import Array

from ..framework import import_tensorflow
from ..graphdef.known import Numbers, follow, numbers_of
from ..graphdef.protobuf import node_of

__all__ = ["ADVICE", "Obstacle", "StraightLine"]

ADVICE = "export the model again with sequences of a fixed length, or convert the .keras file that it was made from"

_MOST = 4096  # elements of a tensor whose values are followed
_SHAPES = frozenset({"Rank", "Shape", "Size"})


class Obstacle(Exception):
    """Why a graph cannot be written as a straight line; ``str`` says it as the end of a sentence."""


class StraightLine:
    """The nodes written so far, in a graph of TensorFlow's that is never run.

    ``library`` are the functions that nodes may name, ``names`` those that are not to be given away, ``most`` the
    number of nodes at which it is enough.
    """

    def __init__(self, library: Any, names: Sequence[str], most: int) -> None:
        tf = import_tensorflow()
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.graph_util.import_graph_def(_only(tf, library), name="")
        self._most = most
        self._taken = set(names)
        self._large: dict[str, Any] = {}
        self._constants: dict[Source, Array] = {}
        self._numbers: dict[Source, Numbers] = {}
        self._shared: dict[Any, tuple[Any, ...]] = {}
        self._written = 0

    def add(self, node: Any, operands: Sequence[Any], name: str | None = None) -> tuple[Any, ...]:
        """The tensors of a copy of ``node`` (a NodeDef) on ``operands``.

        With a ``name`` it is one of several copies: the same computation on the same operands is written once. Raises
        Obstacle where there are too many nodes.
        """
        key = None if name is None else (node.op, tuple(map(_source, operands)), _attributes_key(node))
        if key is not None and key in self._shared:
            return self._shared[key]
        made = self._folded(node, self._created(node, operands, name or node.name, exact=name is None))
        if key is not None and not self.graph.op_def_for_type(node.op).is_stateful:
            self._shared[key] = made
        return made

    def constant(self, value: Array, name: str) -> Any:
        """A constant tensor."""
        tf = import_tensorflow()
        node = tf.compat.v1.NodeDef(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        node.attr["dtype"].type = node.attr["value"].tensor.dtype
        return self.add(node, (), name)[0]

    def make(self, op: str, operands: Sequence[Any], name: str, **attributes: Any) -> tuple[Any, ...]:
        """The tensors of a new node; ``attributes`` are whole numbers or dtypes."""
        tf = import_tensorflow()
        node = tf.compat.v1.NodeDef(name=name, op=op)
        for key, value in attributes.items():
            if isinstance(value, int):
                node.attr[key].i = value
            else:
                node.attr[key].type = value.as_datatype_enum
        return self.add(node, operands, name)

    def known(self, tensor: Any) -> Array | None:
        """The value of a tensor, None where it is known only as the model runs, or large."""
        return self._constants.get(_source(tensor))

    def count(self) -> None:
        """One more node of a loop is met. Raises Obstacle where that is enough."""
        self._written += 1
        if self._written > self._most:
            raise Obstacle(f"written out, its loops take more than {self._most:,} nodes; make the sequences shorter")

    def graph_def(self) -> Any:
        """All nodes, the large constants with their values again."""
        made = self.graph.as_graph_def()
        made.ClearField("library")
        for node in made.node:
            if node.name in self._large:
                node.CopyFrom(self._large[node.name])
        return made

    def _created(self, node: Any, operands: Sequence[Any], wanted: str, *, exact: bool) -> tuple[Any, ...]:
        name = wanted if exact else self._free(wanted)
        op, attributes = node.op, {key: value for key, value in node.attr.items() if not key.startswith("_")}
        if op == "Const" and _elements(node) > _MOST:
            self._large[name] = node
            tensor = node.attr["value"].tensor
            op, attributes = "Placeholder", {"dtype": attributes["dtype"], "shape": _shape_attribute(tensor)}
        made = self.graph.create_op(op, list(operands), name=f"{name}/", attrs=attributes, compute_device=False)
        return tuple(made.outputs)

    def _free(self, wanted: str) -> str:
        name, count = wanted, 0
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def _folded(self, node: Any, made: tuple[Any, ...]) -> tuple[Any, ...]:
        """``made``, in whose place constants stand where their values are known."""
        if not made or made[0].op.type == "Placeholder":
            return made
        if node.op == "Const":
            self._note(made[0], _evaluated(made[0]))
            return made
        self._follow(made)
        return tuple(self._as_constant(tensor) for tensor in made)

    def _as_constant(self, tensor: Any) -> Any:
        value = self._worked_out(tensor)
        if value is None:
            return tensor
        self._note(tensor, value)
        if value.dtype.kind not in "iub" and value.size != 1:
            return tensor
        found = self.constant(value, f"{tensor.op.name}/value")
        self._note(found, value)
        return found

    def _worked_out(self, tensor: Any) -> Array | None:
        numbers = self._numbers.get(_source(tensor))
        if numbers is not None and all(isinstance(item, int) for item in numbers.ravel()):
            return np.array(numbers.tolist(), tensor.dtype.as_numpy_dtype).reshape(numbers.shape)
        op = tensor.op
        if op.op_def.is_stateful or not op.inputs:
            return None
        if any(_source(one) not in self._constants for one in op.inputs):
            return None
        size = tensor.shape.num_elements()
        return None if size is None or size > _MOST else _evaluated(tensor)

    def _follow(self, made: tuple[Any, ...]) -> None:
        """Sizes of which only some are known: they may be taken apart again."""
        op = made[0].op
        given = [self._numbers.get(_source(tensor)) for tensor in op.inputs]
        if op.type not in _SHAPES and (not given or None in [None if one is None else 0 for one in given]):
            return
        specs = {_source(one): _spec(one) for one in op.inputs if one.shape.rank is not None}
        node = replace(node_of(op.node_def), inputs=tuple(map(_source, op.inputs)))
        for tensor, found in zip(made, follow(node, given, _present(specs)) or (), strict=False):
            self._numbers[_source(tensor)] = found

    def _note(self, tensor: Any, value: Array | None) -> None:
        if value is None:
            return
        self._constants[_source(tensor)] = value
        numbers = numbers_of(value)
        if numbers is not None:
            self._numbers[_source(tensor)] = numbers


def _only(tf: Any, library: Any) -> Any:
    return tf.compat.v1.GraphDef(library=library)


def _source(tensor: Any) -> Source:
    return tensor.op.name, tensor.value_index


def _attributes_key(node: Any) -> Any:
    return tuple(
        sorted((key, value.SerializeToString(deterministic=True)) for key, value in node.attr.items() if key[0] != "_")
    )


def _elements(node: Any) -> int:
    sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
    return int(np.prod(sizes, dtype=np.int64))


def _shape_attribute(tensor: Any) -> Any:
    tf = import_tensorflow()
    return tf.compat.v1.AttrValue(shape=tensor.tensor_shape)


def _evaluated(tensor: Any) -> Array | None:
    """TensorFlow's own folding of constants: the value, None where it has none."""
    from tensorflow.python.client.pywrap_tf_session import TF_TryEvaluateConstant_wrapper as evaluate

    with tensor.graph._c_graph.get() as graph:
        found = evaluate(graph, tensor._as_tf_output())
    return None if found is None else np.asarray(found)


def _spec(tensor: Any) -> TensorSpec | None:
    try:
        dtype = np.dtype(tensor.dtype.as_numpy_dtype)
    except (TypeError, NotImplementedError):
        return None
    return TensorSpec(tuple(tensor.shape.as_list()), dtype)


def _present(specs: dict[Source, TensorSpec | None]) -> dict[Source, TensorSpec]:
    return {source: spec for source, spec in specs.items() if spec is not None}
