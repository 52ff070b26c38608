"""What is computed everywhere: a model with its inputs, the ways in which it is computed, and what they must give.

A *way* is one of ``every`` (the results of all operations, then the outputs), ``whole`` (the outputs for the batch),
``parts`` (one example, then two, then the rest), ``alone`` (each example), ``worker``, ``2 threads`` and so on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bittrue.exact.engine import ExactModel
from bittrue.exact.file import ExactFile
from bittrue.exact.oracle import canonical, evaluate
from bittrue.exact.plan import Named, Plan
from bittrue.traces import Array

__all__ = [
    "Subject",
    "Ways",
    "by_oracle",
    "described",
    "differences",
    "every_value",
    "fingerprint",
    "in_python",
    "part",
    "rows",
]

Ways = Mapping[str, Sequence[str]]
"""By way, the tensors as `described` has them."""


@dataclass(frozen=True)
class Subject:
    """A plan, its constants and inputs. ``splits``: whether its examples do not depend on one another; ``worker``:
    whether it is computed in a worker too, where there are workers; ``threads``: by how many it is computed too."""

    plan: Plan
    constants: dict[str, Array]
    inputs: dict[str, Array]
    splits: bool = True
    worker: bool = False
    threads: tuple[int, ...] = ()


def every_value(plan: Plan) -> list[int]:
    """The numbers of the results of all operations, then of the outputs."""
    first = len(plan.inputs) + len(plan.constants)
    return [*range(first, first + len(plan.operations)), *(item.value for item in plan.outputs)]


def described(tensor: Array) -> str:
    """A tensor in one line: dtype, shape, and the SHA-256 of its bits."""
    shape = ",".join(map(str, tensor.shape))
    return f"{tensor.dtype.name}[{shape}] {hashlib.sha256(np.ascontiguousarray(tensor).tobytes()).hexdigest()}"


def fingerprint(lines: Iterable[str]) -> str:
    """128 bits, in hexadecimal, of tensors as `described` has them."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def rows(inputs: Mapping[str, Array]) -> int:
    """Examples in the batch; 0 if the inputs have not one number of them."""
    sizes = {len(x) for x in inputs.values()}
    return sizes.pop() if len(sizes) == 1 else 0


def part(inputs: Mapping[str, Array], start: int, stop: int) -> dict[str, Array]:
    """Some examples of the batch."""
    return {name: x[start:stop] for name, x in inputs.items()}


def by_oracle(plan: Plan, constants: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[Array]:
    """The results of all operations, then the outputs."""
    values = [canonical(value) for value in evaluate(plan, constants, inputs)]
    return [values[number] for number in every_value(plan)]


def in_python(subject: Subject) -> dict[str, list[str]]:
    """Every way that there is in Python."""
    plan, inputs = subject.plan, subject.inputs
    all_of_it = tuple(Named(str(at), value) for at, value in enumerate(every_value(plan)))
    model = _model(subject, replace(plan, outputs=all_of_it))
    found = {"every": [described(tensor) for tensor in _predicted(model, inputs)]}
    del model  # before there is a second copy of the weights
    usual = _model(subject, plan)
    found["whole"] = [described(tensor) for tensor in _predicted(usual, inputs)]
    if subject.splits:
        found |= {way: _joined(usual, inputs, sizes) for way, sizes in _SPLITS.items()}
    del usual
    for count in subject.threads:
        shared = _model(subject, plan, count)
        found[f"{count} threads"] = [described(tensor) for tensor in _predicted(shared, inputs)]
        del shared
    return found


def _model(subject: Subject, plan: Plan, threads: int = 1) -> ExactModel:
    return ExactModel(ExactFile(plan, subject.constants, ""), threads=threads)


def _predicted(model: ExactModel, inputs: Mapping[str, Array]) -> list[Array]:
    made = model.predict(inputs)
    return made if isinstance(made, list) else [made]


def _one_two_rest(count: int) -> Iterator[int]:
    yield from (size for size in (1, 2, count) if size)


_SPLITS: dict[str, Callable[[int], Iterator[int]]] = {
    "parts": _one_two_rest,
    "alone": lambda count: iter([1] * count),
}
"""Sizes of the parts of a batch; those that would reach beyond its end are cut there."""


def _joined(model: ExactModel, inputs: Mapping[str, Array], sizes: Callable[[int], Iterator[int]]) -> list[str]:
    count, start, made = rows(inputs), 0, []
    for size in sizes(count):
        if start < count:
            made.append(_predicted(model, part(inputs, start, start + size)))
        start += size
    return [described(np.concatenate(tensors)) for tensors in zip(*made, strict=True)]


def differences(subject: Subject, wanted: Sequence[str], found: Ways, expected: Iterable[str]) -> list[str]:
    """What is not as ``wanted`` (`every` of it), each in a sentence: the way, and the operation that differs first.

    ``expected``: the ways that must be there.
    """
    said = [f"{way}: it is missing" for way in expected if way not in found]
    names = [f"operation {at} ({step.name}, layer {step.layer!r})" for at, step in enumerate(subject.plan.operations)]
    names += [f"output {item.name!r}" for item in subject.plan.outputs]
    for way, lines in found.items():
        start = 0 if way == "every" else len(subject.plan.operations)
        if len(lines) != len(wanted) - start:
            said.append(f"{way}: {len(lines)} tensors for {len(wanted) - start}")
            continue
        pairs = zip(names[start:], lines, wanted[start:], strict=True)
        differing = [(name, line, right) for name, line, right in pairs if line != right]
        if differing:
            name, line, right = differing[0]
            said.append(f"{way}: {len(differing)} of {len(lines)} tensors differ, first {name}: {line} for {right}")
    return said
