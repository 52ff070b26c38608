"""Whether several targets computed the same bits, tensor by tensor, over many inputs: what a certificate states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bittrue.errors import ComparisonError
from bittrue.floats import bits_hex
from bittrue.traces import Array, Key, Provenance, Record, Trace

__all__ = ["Certificate", "Certifier", "FirstDifference", "HashedTensor", "InputSet"]


@dataclass(frozen=True)
class InputSet:
    """One set of inputs that every target was given. ``sha256`` (hexadecimal): of names, dtypes, shapes and bits."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    sha256: str

    @classmethod
    def of(cls, name: str, tensors: Mapping[str, Array]) -> InputSet:
        """The set of these tensors, by input name."""
        total = hashlib.sha256()
        for key in sorted(tensors):
            _feed(total, key, tensors[key])
        return cls(name, {key: array.shape for key, array in tensors.items()}, total.hexdigest())


@dataclass(frozen=True)
class HashedTensor:
    """One tensor of the model over all input sets.

    ``sha256`` has a hexadecimal hash for each target, over key, dtype, shape and bits in the order of the sets, or None
    where a target did not have the tensor in every set. ``tensors`` counts the sets, ``values`` the elements in all.
    """

    key: Key
    dtype: str
    tensors: int
    values: int
    sha256: Mapping[str, str | None]

    @property
    def identical(self) -> bool:
        """Whether all targets have it, with the same bits."""
        return None not in self.sha256.values() and len(set(self.sha256.values())) == 1


@dataclass(frozen=True)
class FirstDifference:
    """The first element, in the order of execution, that two targets do not agree on.

    ``index`` is None where the tensors differ as a whole (missing, another shape or dtype); ``what`` says how.
    """

    input_set: str
    key: Key
    targets: tuple[str, str]
    index: tuple[int, ...] | None
    what: str


@dataclass(frozen=True)
class Certificate:
    """What was run where, and whether every bit of every tensor was the same.

    ``provenances`` by target, in the order asked for; ``failed_checks`` are experiments on the runs themselves that
    failed (a prediction that capturing changed, for example), as sentences.
    """

    inputs: tuple[InputSet, ...]
    provenances: Mapping[str, Provenance]
    tensors: tuple[HashedTensor, ...]
    first_difference: FirstDifference | None
    failed_checks: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether all targets produced the same tensors, and in each the same bits."""
        return self.first_difference is None and all(tensor.identical for tensor in self.tensors)

    @property
    def tensor_count(self) -> int:
        """Tensors that each target produced, over all input sets."""
        return sum(tensor.tensors for tensor in self.tensors)

    @property
    def value_count(self) -> int:
        """Elements of all those tensors."""
        return sum(tensor.values for tensor in self.tensors)

    @property
    def digests(self) -> Mapping[str, str]:
        """One SHA-256 (hexadecimal) a target, over the hashes of all its tensors."""
        return {target: self._digest(target) for target in self.provenances}

    def _digest(self, target: str) -> str:
        total = hashlib.sha256()
        for tensor in sorted(self.tensors, key=lambda found: found.key):
            total.update(f"{tensor.key} {tensor.sha256[target]}\n".encode())
        return total.hexdigest()


@dataclass
class _Running:
    """One tensor as the sets go by."""

    dtype: str
    sets: int = 0
    values: int = 0
    hashes: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)


class Certifier:
    """Takes the traces of one input set after another, and holds one pair of tensors at a time."""

    def __init__(self, targets: Sequence[str]) -> None:
        if len(targets) < 2:
            raise ComparisonError("a certificate needs two targets at least: name another one with --in")
        self._targets = tuple(targets)
        self._inputs: list[InputSet] = []
        self._provenances: dict[str, Provenance] = {}
        self._running: dict[Key, _Running] = {}
        self._first: FirstDifference | None = None
        self._failed: list[str] = []

    def add(self, inputs: InputSet, traces: Mapping[str, Trace]) -> None:
        """Take what every target made of ``inputs``. Raises ComparisonError where a target is missing."""
        missing = [target for target in self._targets if target not in traces]
        if missing:
            raise ComparisonError(f"{missing[0]} has no trace of the inputs {inputs.name!r}")
        self._inputs.append(inputs)
        for target in self._targets:
            trace = traces[target]
            self._provenances.setdefault(target, trace.provenance)
            failed = [check for check in trace.checks if check.passed is False]
            self._failed += [f"{target}, inputs {inputs.name}: {check.detail}" for check in failed]
        for key in _keys([traces[target] for target in self._targets]):
            self._tensor(inputs, key, [traces[target].records.get(key) for target in self._targets])

    def _tensor(self, inputs: InputSet, key: Key, records: Sequence[Record | None]) -> None:
        first = next(record for record in records if record is not None)
        running = self._running.setdefault(key, _Running(first.dtype.name))
        running.sets += 1
        running.values += first.size
        base: Array | None = None
        for target, record in zip(self._targets, records, strict=True):
            array = None if record is None else record.load()
            if array is not None:
                _feed(running.hashes.setdefault(target, hashlib.sha256()), str(key), array)
                running.seen[target] = running.seen.get(target, 0) + 1
            if target == self._targets[0]:
                base = array
            elif self._first is None:
                self._first = _difference(inputs.name, key, (self._targets[0], target), base, array)

    def finish(self) -> Certificate:
        """The certificate. Raises ComparisonError where nothing was compared."""
        if not any(key.kind == "output" for key in self._running):
            raise ComparisonError("no layer's output was captured on any target, so nothing can be certified")
        tensors = tuple(
            HashedTensor(key, running.dtype, running.sets, running.values, self._hashes(running))
            for key, running in self._running.items()
        )
        return Certificate(tuple(self._inputs), dict(self._provenances), tensors, self._first, tuple(self._failed))

    def _hashes(self, running: _Running) -> dict[str, str | None]:
        whole = {target for target, count in running.seen.items() if count == running.sets}
        return {target: running.hashes[target].hexdigest() if target in whole else None for target in self._targets}


def _keys(traces: Sequence[Trace]) -> Iterator[Key]:
    """Every record of any trace in the order of execution, which a prediction ends; what the first lacks comes last."""
    found = dict.fromkeys(key for trace in traces for key in trace.records)
    return iter(sorted(found, key=lambda key: key.kind == "prediction"))


def _feed(total: Any, name: str, array: Array) -> None:
    total.update(f"{name} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
    total.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)


def _difference(
    inputs: str, key: Key, targets: tuple[str, str], one: Array | None, other: Array | None
) -> FirstDifference | None:
    if one is None or other is None:
        if one is other:
            return None
        return FirstDifference(inputs, key, targets, None, f"{targets[one is not None]} did not produce it")
    if one.shape != other.shape or one.dtype != other.dtype:
        what = f"{one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
        return FirstDifference(inputs, key, targets, None, what)
    differs = np.flatnonzero((_words(one) != _words(other)).reshape(one.size, -1).any(axis=1))
    if not len(differs):
        return None
    index = tuple(int(axis) for axis in np.unravel_index(differs[0], one.shape))
    left, right = (f"{array[index]!s} ({bits_hex(array[index])})" for array in (one, other))
    what = f"{left} and {right}; {len(differs):,} of {one.size:,} values differ"
    return FirstDifference(inputs, key, targets, index, what)


def _words(array: Array) -> Array:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).reshape(flat.size, -1) if flat.size else np.zeros((0, 1), np.uint8)
