"""Collect what every layer returns while a Keras model runs in its own way.

The model's own ``predict`` stays as it is: the ``call`` of every layer is watched, and the model returns what
was seen beside its outputs. So the tensors come out of the same compiled function, in the same form, that
computes the prediction; nothing walks the graph a second time, which would change bits and masks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bittrue.traces import Key, Kind

from .keras_stream import Stream

__all__ = ["CallSite", "Hooks", "call_sites", "functional"]


@dataclass(frozen=True)
class CallSite:
    """One call of one layer, nested models unrolled; ``call`` as in `bittrue.graph.model.LayerCall`.

    ``is_input`` says that the layer computes nothing and stands for an input of its model. ``specs`` are the
    (shape, dtype) of its outputs as Keras knows them, None for sizes that vary.
    """

    path: tuple[str, ...]
    nodes: tuple[int, ...]
    call: int
    is_input: bool
    specs: tuple[tuple[tuple[int | None, ...], str], ...]

    @property
    def name(self) -> str:
        """The path joined by "/": the ``layer`` of a `Key`."""
        return "/".join(self.path)


def functional(model: Any) -> Any | None:
    """The graph of Keras nodes that runs inside ``model``, None for a layer or a subclassed model."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _executed(graph: Any) -> Iterator[tuple[Any, int, Any]]:
    """(operation, which of its calls in this graph, node) in the order in which Keras runs them."""
    nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
    members = {id(node) for node in nodes}
    for node in nodes:
        if node.operation is None or node.is_input:
            continue
        mine = [id(other) for other in node.operation._inbound_nodes if id(other) in members]
        yield node.operation, mine.index(id(node)), node


def call_sites(model: Any) -> list[CallSite]:
    """Every call of every layer in execution order, nested models entered before they themselves return."""
    found = list(_sites(functional(model), (), ()))
    numbers: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    for path, nodes, _ in sorted(found, key=lambda site: site[1]):
        numbers[path, nodes] = counts.get(path, 0)
        counts[path] = numbers[path, nodes] + 1
    return [CallSite(path, nodes, numbers[path, nodes], node.is_input, _specs(node)) for path, nodes, node in found]


def _sites(
    graph: Any, path: tuple[str, ...], nodes: tuple[int, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[int, ...], Any]]:
    for tensor in graph.inputs:
        operation, index, _ = tensor._keras_history
        yield (*path, operation.name), (*nodes, 0), operation._inbound_nodes[index]
    for operation, call, node in _executed(graph):
        here, there = (*path, operation.name), (*nodes, call)
        inner = functional(operation)
        if inner is not None:
            yield from _sites(inner, here, there)
        yield here, there, node


def _specs(node: Any) -> tuple[tuple[tuple[int | None, ...], str], ...]:
    return tuple((tuple(tensor.shape), str(tensor.dtype)) for tensor in node.outputs)


@dataclass
class _Frame:
    """One execution of one graph: how often each of its operations has run so far, and which call comes next."""

    path: tuple[str, ...]
    nodes: tuple[int, ...]
    order: dict[int, list[int]]
    done: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Any, path: tuple[str, ...] = (), nodes: tuple[int, ...] = ()) -> _Frame:
        order: dict[int, list[int]] = {}
        for operation, call, _ in _executed(graph):
            order.setdefault(id(operation), []).append(call)
        return cls(path, nodes, order)

    def next_call(self, operation: Any) -> int | None:
        """Which call of ``operation`` in this graph is now being made, None for one that is not of this graph."""
        calls = self.order.get(id(operation), [])
        position = self.done.get(id(operation), 0)
        self.done[id(operation)] = position + 1
        return calls[position] if position < len(calls) else None


class Hooks:
    """While active, the model returns ``{"outputs": …, "captured": {str(key): tensor}}`` instead of its outputs.

    ``sites`` are the calls to collect. With ``shapes`` the tensors' shapes are collected in their place, and with
    ``stream`` nothing is: each tensor goes there as it is computed; ``sizes`` are then the bytes of the outputs of
    each call. ``skipped`` names tensors that no trace can hold (strings, ragged and sparse ones); ``scalars`` the keys
    whose tensor has no axis and is returned with one of size 1, because ``predict`` concatenates along the first axis.
    """

    def __init__(
        self,
        model: Any,
        sites: list[CallSite],
        *,
        shapes: bool = False,
        stream: Stream | None = None,
        sizes: Mapping[CallSite, int | None] = MappingProxyType({}),
    ) -> None:
        self.scalars: set[str] = set()
        self.skipped: set[str] = set()
        self._model = model
        self._wanted = {(site.path, site.nodes): site for site in sites}
        self._shapes = shapes
        self._stream = stream
        self._sizes = sizes
        self._frames: list[_Frame | None] = []
        self._captured: dict[str, Any] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Watch the model's layers for as long as the block lasts."""
        with ExitStack() as stack:
            stack.enter_context(_replaced(self._model, self._root))
            for operation in _operations(functional(self._model)):
                stack.enter_context(_replaced(operation, functools.partial(self._watched, operation)))
            compiled, self._model.predict_function = self._model.predict_function, None
            try:
                yield
            finally:
                self._model.predict_function = compiled

    def _root(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._frames = [_Frame.of(functional(self._model))]
        self._captured = {}
        if self._stream is not None:
            self._stream.begin()
        self._collect_inputs(functional(self._model), (), (), args)
        outputs = call(*args, **kwargs)
        return {"outputs": outputs, "captured": self._captured}

    def _watched(self, operation: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        frame = self._frames[-1] if self._frames else None
        number = frame.next_call(operation) if frame is not None else None
        if frame is None or number is None:
            return call(*args, **kwargs)
        path, nodes = (*frame.path, operation.name), (*frame.nodes, number)
        inner = functional(operation)
        # What a layer calls inside itself belongs to that layer: no frame, nothing is collected.
        self._frames.append(None if inner is None else _Frame.of(inner, path, nodes))
        if inner is not None:
            self._collect_inputs(inner, path, nodes, args)
        try:
            outputs = call(*args, **kwargs)
        finally:
            self._frames.pop()
        site = self._wanted.get((path, nodes))
        if site is not None:
            self._collect(site, outputs, kwargs)
        if site is None or inner is not None or self._stream is None:
            return outputs  # a nested model returns what its own layers did, and they have waited already
        return self._stream.gated((args, kwargs), outputs, self._sizes.get(site))

    def _collect_inputs(self, graph: Any, path: tuple[str, ...], nodes: tuple[int, ...], args: tuple[Any, ...]) -> None:
        """What a model is given, in the dtype in which its first layers see it."""
        import keras

        for reference, tensor in zip(graph.inputs, _given(graph, args), strict=False):
            site = self._wanted.get(((*path, reference._keras_history[0].name), (*nodes, 0)))
            if site is not None and tensor is not None:
                self._keep("output", site, keras.ops.convert_to_tensor(tensor, dtype=reference.dtype))

    def _collect(self, site: CallSite, outputs: Any, kwargs: dict[str, Any]) -> None:
        for name, value in kwargs.items():
            if name == "mask" or name.endswith("_mask"):
                self._keep("mask", site, value)
            elif name == "initial_state":
                self._keep("state", site, value)
        self._keep("output", site, outputs)

    def _keep(self, kind: Kind, site: CallSite, value: Any) -> None:
        import keras

        for index, tensor in enumerate(_flat(value)):
            key = str(Key(kind, site.name, site.call, index))
            if tensor is None:
                continue
            if not _is_dense(tensor):
                self.skipped.add(key)
            elif self._stream is not None:
                self._stream.watch(key, tensor)
            elif self._shapes:
                self._captured[key] = keras.ops.convert_to_tensor(keras.ops.shape(tensor), "int32")
            elif len(tensor.shape) == 0:
                self.scalars.add(key)
                self._captured[key] = keras.ops.reshape(tensor, (1,))
            else:
                self._captured[key] = tensor


def _given(graph: Any, args: tuple[Any, ...]) -> list[Any]:
    """The model's inputs in the order of ``graph.inputs``."""
    import keras

    given = args[0] if args else []
    if isinstance(given, dict) and not isinstance(graph._inputs_struct, dict):
        return [given.get(reference.name) for reference in graph.inputs]
    return list(keras.tree.flatten(given))


def _flat(value: Any) -> Iterator[Any]:
    """The tensors of a nested structure, None kept, so that an index means a position."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(value[key])
    else:
        yield value


def _is_dense(tensor: Any) -> bool:
    import keras

    kind = type(tensor).__name__
    if not keras.ops.is_tensor(tensor) or "Sparse" in kind or "Ragged" in kind or "BCOO" in kind:
        return False
    return bool(keras.backend.standardize_dtype(tensor.dtype) != "string")


def _operations(graph: Any) -> list[Any]:
    """Every operation once, those of nested models included."""
    found: dict[int, Any] = {}
    for operation, _, _ in _executed(graph):
        found[id(operation)] = operation
        inner = functional(operation)
        if inner is not None:
            found.update((id(nested), nested) for nested in _operations(inner))
    return list(found.values())


@contextmanager
def _replaced(operation: Any, hook: Callable[..., Any]) -> Iterator[None]:
    """``operation`` calls ``hook(original, *args, **kwargs)`` in place of its own method."""
    name = "quantized_call" if getattr(operation, "quantization_mode", None) is not None else "call"
    original = getattr(operation, name)
    own = operation.__dict__.get(name)

    @functools.wraps(original)
    def hooked(*args: Any, **kwargs: Any) -> Any:
        return hook(original, *args, **kwargs)

    # Past Keras's __setattr__, which tracks what layers are given and may be locked.
    operation.__dict__[name] = hooked
    try:
        yield
    finally:
        if own is None:
            del operation.__dict__[name]
        else:
            operation.__dict__[name] = own
