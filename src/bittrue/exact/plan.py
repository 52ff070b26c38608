"""The plan of an exact model: a straight line of named operations, its JSON, and the words that the module reads.

What each operation computes is written in spec.md. Values are numbered: the inputs, then the constants, then the
results of the operations, in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from math import isfinite
from typing import Any

from bittrue.errors import ArtifactError

__all__ = ["DTYPES", "SEMANTICS", "Constant", "Input", "Named", "Operation", "Plan", "codes", "program"]

SEMANTICS = "bittrue-exact-1"
"""The version of spec.md that a model names; another one is refused."""

DTYPES = ("float32", "int32", "bool")
_QUANTIZED = ("uint8", "uint16")
_PROGRAM_VERSION = 1
_MOST_AXES = 8
_WORD = 2**31


@dataclass(frozen=True)
class Input:
    """What the model is fed under ``name``; None is any size."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Constant:
    """A weight or a table: the tensor of the file that is called ``name``. ``affine``: scale and minimum of one that is
    stored in 8 or 16 bits (spec.md, 2.3)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: tuple[float, float] | None = None


@dataclass(frozen=True)
class Operation:
    """One operation. ``layer`` is the path of the layer that it belongs to; ``body`` and ``results`` are a scan's."""

    name: str
    operands: tuple[int, ...]
    attributes: tuple[int, ...] = ()
    layer: str = ""
    body: tuple[Operation, ...] = ()
    results: tuple[int, ...] = ()

    def words(self) -> list[int]:
        """The operation as the module reads it."""
        attributes = list(self.attributes)
        if self.name == "scan":
            attributes += [len(self.body), *(word for step in self.body for word in step.words()), *self.results]
        return [*codes()[self.name], len(self.operands), len(attributes), *self.operands, *attributes]


@dataclass(frozen=True)
class Named:
    """The value that the ``index``-th output of the ``call``-th call of a layer, or an output of the model, is."""

    name: str
    value: int
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class Plan:
    """A model that is ready to run but for its constants. ``layers`` are what its layers returned, for tracing."""

    name: str
    inputs: tuple[Input, ...]
    constants: tuple[Constant, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Named, ...]
    layers: tuple[Named, ...] = ()
    semantics: str = field(default=SEMANTICS)

    def to_json(self) -> str:
        """The plan as it stands in a file's metadata."""
        document: dict[str, Any] = {
            "semantics": self.semantics,
            "name": self.name,
            "inputs": [[item.name, list(item.shape), item.dtype] for item in self.inputs],
            "constants": [item.name for item in self.constants],
            "operations": [_listed(step) for step in self.operations],
            "outputs": [[item.name, item.value] for item in self.outputs],
            "layers": [[item.name, item.call, item.index, item.value] for item in self.layers],
        }
        quantized = {item.name: list(item.affine) for item in self.constants if item.affine}
        if quantized:
            document["quantized"] = quantized
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, tensors: Mapping[str, tuple[tuple[int, ...], str]]) -> Plan:
        """The plan of ``text``. ``tensors`` are shapes and dtypes of the file's tensors.

        Raises ArtifactError for another version of the semantics and for everything that is not a plan.
        """
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise TypeError("not an object")
            found = document.get("semantics")
            if found != SEMANTICS:
                raise ArtifactError(
                    f"the model keeps to the semantics {found!r}, but this runtime to {SEMANTICS!r}: "
                    "export it again with this version of Bittrue"
                )
            return _plan(document, tensors)
        except (KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
            raise ArtifactError(f"the model's plan is malformed ({error}): export it again") from error


def _listed(step: Operation) -> list[Any]:
    row: list[Any] = [step.name, list(step.operands), list(step.attributes), step.layer]
    return [*row, [_listed(inner) for inner in step.body], list(step.results)] if step.name == "scan" else row


def _plan(document: Mapping[str, Any], tensors: Mapping[str, tuple[tuple[int, ...], str]]) -> Plan:
    inputs = tuple(_input(*row) for row in document["inputs"])
    quantized = {name: _affine(*numbers) for name, numbers in document.get("quantized", {}).items()}
    constants = tuple(_constant(name, *tensors[name], quantized.pop(name, None)) for name in document["constants"])
    if quantized:
        raise ValueError(f"it quantises {next(iter(quantized))!r}, which is none of its constants")
    known = len(inputs) + len(constants)
    operations: list[Operation] = []
    for row in document["operations"]:
        operations.append(_operation(row, known + len(operations)))
    limit = known + len(operations)
    outputs = tuple(Named(_text(name), _number(value, limit)) for name, value in document["outputs"])
    layers = tuple(
        Named(_text(name), _number(value, limit), _number(call), _number(index))
        for name, call, index, value in document["layers"]
    )
    if not outputs or not inputs or len({item.name for item in inputs}) != len(inputs):
        raise ValueError("it has no inputs or outputs, or two inputs of one name")
    return Plan(_text(document["name"]), inputs, constants, tuple(operations), outputs, layers)


def _input(name: Any, shape: Any, dtype: Any) -> Input:
    if dtype not in DTYPES or len(shape) > _MOST_AXES:
        raise ValueError(f"an input of {dtype} with {len(shape)} axes")
    return Input(_text(name), tuple(None if size is None else _number(size) for size in shape), dtype)


def _constant(name: Any, shape: tuple[int, ...], dtype: str, affine: tuple[float, float] | None) -> Constant:
    if (dtype in _QUANTIZED) != (affine is not None):
        raise ValueError(
            f"the constant {name!r} is stored as {dtype}, {'without' if affine is None else 'with'} a scale"
        )
    return Constant(str(name), shape, "float32" if affine else dtype, affine)


def _affine(scale: Any, minimum: Any) -> tuple[float, float]:
    if not all(_is_number(value) for value in (scale, minimum)):
        raise ValueError(f"{scale!r} and {minimum!r} are no scale and minimum")
    return float(scale), float(minimum)


def _is_number(value: Any) -> bool:
    """JSON does not tell 1.0 from 1."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**1023
    return isinstance(value, float) and isfinite(value)


def _operation(row: Sequence[Any], known: int, inside: bool = False) -> Operation:
    name, operands, attributes, layer, *rest = row
    if name not in codes() or (name == "scan") != (len(rest) == 2) or (inside and rest):
        raise ValueError(f"no operation is called {name!r}")
    numbers = tuple(_number(value, known) for value in operands)
    words = tuple(_number(value, low=-_WORD) for value in attributes)
    if not numbers:
        raise ValueError(f"{name} has no operands")
    body: list[Operation] = []
    if rest:
        for inner in rest[0]:
            body.append(_operation(inner, len(numbers) + len(body), inside=True))
        if len(words) != 2:
            raise ValueError("a scan has two attributes")
    results = tuple(_number(value, len(numbers) + len(body)) for value in (rest[1] if rest else ()))
    if rest and len(results) != words[1]:
        raise ValueError("a scan has as many results as states")
    return Operation(name, numbers, words, _text(layer), tuple(body), results)


def _number(value: Any, limit: int = _WORD, low: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < limit:
        raise ValueError(f"{value!r} is not a whole number from {low} to {limit - 1}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a name")
    return value


@cache
def codes() -> Mapping[str, tuple[int, int]]:
    """Code and function of each operation by its name."""
    text = (resources.files("bittrue.exact") / "operations.json").read_text(encoding="utf-8")
    return {name: (code, function) for name, (code, function) in json.loads(text).items()}


def program(plan: Plan, addresses: Sequence[int], outputs: Sequence[int]) -> list[int]:
    """The words that the module loads: ``plan`` with its constants at ``addresses`` and the values it shall return."""
    return list(_words(plan, addresses, outputs))


def _words(plan: Plan, addresses: Sequence[int], outputs: Sequence[int]) -> Iterator[int]:
    yield from (_PROGRAM_VERSION, len(plan.inputs), len(plan.constants), len(plan.operations), len(outputs))
    for item in plan.inputs:
        yield from (DTYPES.index(item.dtype), len(item.shape))
    for constant, address in zip(plan.constants, addresses, strict=True):
        yield from (DTYPES.index(constant.dtype), len(constant.shape), *constant.shape, address)
    for step in plan.operations:
        yield from step.words()
    yield from outputs
