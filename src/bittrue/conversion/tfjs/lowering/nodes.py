"""The nodes of a graph-model in the making, and the tensors that some of them stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bittrue.ops import TensorSpec
from bittrue.traces import Array

from .attributes import Attribute, type_of

__all__ = ["INHERITED", "Nodes", "Tensor"]

INHERITED = frozenset(
    {
        *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
        *("toLocaleString", "toString", "valueOf"),
    }
)
"""Names under which every object of JavaScript has something: TensorFlow.js takes it for what it looks up by name."""

_ALIEN = re.compile(r"[^A-Za-z0-9_.\-/]")


@dataclass(frozen=True)
class Tensor:
    """What the node called ``node`` delivers. ``value`` is set where it is a number from the configuration."""

    node: str
    spec: TensorSpec
    value: Array | None = None


class Nodes:
    """Collects nodes in an order in which each follows what it reads, and the arrays behind the constants."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.arrays: dict[str, Array] = {}
        self._names: set[str] = set()
        self._constants: dict[tuple[str, str, tuple[int, ...], bytes], Tensor] = {}

    def name(self, wanted: str) -> str:
        """A name like ``wanted`` that is free: letters, digits and ``_.-/`` alone, and no digit in front.

        TensorFlow.js reads a colon as the number of an output, and JavaScript lists numbers before other keys. Nor is
        it one of `INHERITED`.
        """
        base = _ALIEN.sub("_", wanted)
        base = base if base[:1].isalpha() and base not in INHERITED else f"n{base}"
        free, count = base, 0
        while free.casefold() in self._names:
            count += 1
            free = f"{base}_{count}"
        self._names.add(free.casefold())
        return free

    def add(
        self, op: str, name: str, inputs: Sequence[Tensor], attributes: Mapping[str, Attribute], spec: TensorSpec
    ) -> Tensor:
        """A node of TensorFlow's operation ``op`` with an output of ``spec``. ``name`` must be free, as from `name`."""
        node: dict[str, Any] = {"name": name, "op": op}
        if inputs:
            node["input"] = [tensor.node for tensor in inputs]
        self.listed.append({**node, "attr": dict(attributes)})
        return Tensor(name, spec)

    def weight(self, wanted: str, value: Array) -> Tensor:
        """A node for a weight: its exact bits, under a name like ``wanted``."""
        name = self.name(wanted)
        self.arrays[name] = value
        spec = TensorSpec.of(value)
        self.add("Const", name, (), {"dtype": type_of(spec.dtype)}, spec)
        return Tensor(name, spec)

    def constant(self, value: Array) -> Tensor:
        """A node for an array of float32, int32 or bool that is computed with; equal ones share one."""
        return self._shared(value, "constant")

    def parameter(self, value: Array) -> Tensor:
        """The same for what TensorFlow.js itself reads of a node, such as axes, shapes and what to pad with.

        Never one that is computed with: that has gone to the GPU, and to wait for it there is slow on webgl and
        loses the device on webgpu.
        """
        return self._shared(value, "parameter")

    def ints(self, values: Sequence[int] | Sequence[Sequence[int]] | int) -> Tensor:
        """A parameter of whole numbers."""
        return self.parameter(np.asarray(values, np.int32))

    def _shared(self, value: Array, role: str) -> Tensor:
        key = (role, value.dtype.name, value.shape, value.tobytes())
        if key not in self._constants:
            made = self.weight(f"constants/{role}", value)
            self._constants[key] = Tensor(made.node, made.spec, value)
        return self._constants[key]
