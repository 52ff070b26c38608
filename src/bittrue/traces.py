"""The waist of the hourglass: what one run of a model produced.

Everything that *produces* a record of a run (a browser, Node, Keras, a saved file, the float64
evaluation) and everything that *consumes* one (comparison, diagnosis, reports) meet in `Trace`, and know
nothing of each other. Tensors are lazy: a record knows its dtype and shape, and loads its bits when asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Check", "Key", "Kind", "Provenance", "Record", "Trace"]

Array = NDArray[Any]

Kind = Literal["input", "weight", "output", "mask", "state", "prediction"]
"""What a record holds.

- ``input``: a tensor the model was fed; ``layer`` is the input's name.
- ``weight``: a weight as the runtime holds it; ``index`` counts the layer's weights in Keras's order.
- ``output``: what one call of a layer returned; ``index`` counts its outputs.
- ``mask`` / ``state``: what the call received beside its inputs; ``index`` counts them.
- ``prediction``: what the model returned when nothing was captured; ``index`` counts the model's outputs.
"""


@dataclass(frozen=True, order=True)
class Key:
    """Which tensor of a run a record is. ``layer`` is the path of names, joined by "/" in nested models."""

    kind: Kind
    layer: str
    call: int = 0
    index: int = 0

    def __str__(self) -> str:
        """Unique and parseable: ``output:dense_3:0:0``. A layer's name may itself contain colons."""
        return f"{self.kind}:{self.layer}:{self.call}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Inverse of ``str``. Raises ValueError on anything else."""
        kind, _, rest = text.partition(":")
        layer, call, index = rest.rsplit(":", 2)
        if kind not in Kind.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"unknown kind of record {kind!r}")
        return cls(kind, layer, int(call), int(index))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Record:
    """One tensor of one call of one layer, with its raw bits.

    ``load`` returns the tensor, of exactly ``shape`` and ``dtype``; it may read a file and may be called
    again. Nothing is downcast, clipped, averaged or sampled before it is stored.
    """

    key: Key
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    load: Callable[[], Array] = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: Key, array: Array) -> Record:
        """A record that holds its tensor in memory."""
        return cls(key, array.dtype, array.shape, lambda: array)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True)
class Check:
    """One experiment on the run itself, e.g. that capturing did not change the prediction.

    ``passed`` is None where the experiment could not be made; ``detail`` is a sentence either way.
    """

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Provenance:
    """Everything that can move a bit, as it was found and not as it was asked for.

    ``target`` is the specification that was asked for, ``backend`` the backend that answered.
    ``adapter`` names the graphics adapter or renderer, None where there is none; ``software`` says
    whether it is emulated on the CPU. ``details`` holds the rest by name (browser, user_agent, os, cpu,
    float_precision, threads, flags, timings in seconds, …), JSON values only.
    """

    target: str
    runtime: str
    backend: str
    version: str
    adapter: str | None = None
    software: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """What one run produced, in execution order.

    ``complete`` is False where the run ended early; ``records`` then holds all that arrived whole.
    """

    provenance: Provenance
    records: Mapping[Key, Record]
    checks: tuple[Check, ...] = ()
    complete: bool = True

    @classmethod
    def of(cls, provenance: Provenance, records: Iterator[Record] | list[Record], **rest: Any) -> Trace:
        """A trace over records in the order given. Raises ValueError if two have the same key."""
        table: dict[Key, Record] = {}
        for record in records:
            if record.key in table:
                raise ValueError(f"two records are both {record.key}")
            table[record.key] = record
        return cls(provenance, MappingProxyType(table), **rest)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records.values())

    def __getitem__(self, key: Key) -> Record:
        return self.records[key]

    def __len__(self) -> int:
        return len(self.records)

    def of_kind(self, kind: Kind) -> list[Record]:
        """The records of one kind, in execution order."""
        return [record for record in self if record.key.kind == kind]

    def digest(self, kind: Kind = "output") -> str:
        """SHA-256 (hexadecimal) over the records of one kind: keys, dtypes, shapes and every bit.

        Two runs with the same digest produced the same bits in every layer. One tensor is held at a time.
        """
        total = hashlib.sha256()
        for record in sorted(self.of_kind(kind), key=lambda found: found.key):
            total.update(f"{record.key} {record.dtype.str} {record.shape}\n".encode())
            total.update(np.ascontiguousarray(record.load()).reshape(-1).view(np.uint8).data)
        return total.hexdigest()

    @property
    def nbytes(self) -> int:
        """Total size of all records in bytes."""
        return sum(record.nbytes for record in self)
