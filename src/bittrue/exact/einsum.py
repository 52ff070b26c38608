"""Einstein sums as matrix products: axes in order, merged, multiplied, split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from bittrue.errors import Unsupported
from bittrue.ops import TensorSpec

from .drafting import Draft, Tensor

__all__ = ["einsum"]

_AXES = 8


@dataclass(frozen=True)
class _Letters:
    """The axes of an equation by their part in it, and where the size of each can be read: (operand, axis)."""

    batch: str
    rows: str
    depth: str
    columns: str
    sizes: Mapping[str, int | None]
    places: Mapping[str, tuple[int, int]]


def einsum(draft: Draft, equation: str, a: Tensor, b: Tensor, spec: TensorSpec) -> Tensor:
    """``equation`` of two operands as one product; what is summed runs in the order of the first operand's axes."""
    left, out = equation.split("->")
    first, second = left.split(",")
    a, first = _summed(draft, a, first, second + out)
    b, second = _summed(draft, b, second, first + out)
    letters = _letters(first, second, out, a, b)
    rows = letters.rows if not letters.batch else _one(letters.rows)
    x = _arranged(draft, a, first, [*letters.batch, *rows, letters.depth], letters, (a, b))
    y = _arranged(draft, b, second, [*letters.batch, letters.depth, letters.columns], letters, (a, b))
    groups = [*letters.batch, *rows, letters.columns]
    product = draft.add("matmul", [x, y], spec=TensorSpec(_sizes(groups, letters), spec.dtype))
    made = "".join(groups)
    split = _reshaped(draft, product, groups, list(made), letters, (a, b))
    order = tuple(made.index(letter) for letter in out)
    return split if order == tuple(range(len(out))) else draft.add("transpose", [split], order, spec)


def _one(letters: str) -> list[str]:
    return [letters]


def _summed(draft: Draft, x: Tensor, term: str, elsewhere: str) -> tuple[Tensor, str]:
    """Without the axes that nothing else names, which are added up first."""
    axes = [at for at, letter in enumerate(term) if letter not in elsewhere]
    if not axes:
        return x, term
    kept = [at for at in range(len(term)) if at not in axes]
    spec = TensorSpec(tuple(x.shape[at] for at in kept), x.spec.dtype)
    return draft.add("reduce_sum", [x], [0, *axes], spec), "".join(term[at] for at in kept)


def _letters(first: str, second: str, out: str, a: Tensor, b: Tensor) -> _Letters:
    sizes: dict[str, int | None] = {}
    places: dict[str, tuple[int, int]] = {}
    for which, (term, x) in enumerate(((first, a), (second, b))):
        for at, (letter, size) in enumerate(zip(term, x.shape, strict=True)):
            if sizes.get(letter) is None:
                sizes[letter] = size
                places[letter] = (which, at)
    both = set(first) & set(second)
    return _Letters(
        "".join(letter for letter in out if letter in both),
        "".join(letter for letter in first if letter not in both),
        "".join(letter for letter in first if letter in both and letter not in out),
        "".join(letter for letter in second if letter not in both),
        sizes,
        places,
    )


def _sizes(groups: Sequence[str], letters: _Letters) -> tuple[int | None, ...]:
    def size(group: str) -> int | None:
        known = [letters.sizes[letter] for letter in group]
        return None if None in known else prod(n for n in known if n is not None)

    return tuple(map(size, groups))


def _arranged(
    draft: Draft, x: Tensor, term: str, groups: Sequence[str], letters: _Letters, like: tuple[Tensor, Tensor]
) -> Tensor:
    """``x`` with its axes in the order of ``groups``, each group one axis."""
    order = tuple(term.index(letter) for group in groups for letter in group)
    if order != tuple(range(len(term))):
        spec = TensorSpec(tuple(x.shape[axis] for axis in order), x.spec.dtype)
        x = draft.add("transpose", [x], order, spec)
    return _reshaped(draft, x, ["".join(term[axis]) for axis in order], groups, letters, like)


def _reshaped(
    draft: Draft,
    x: Tensor,
    now: Sequence[str],
    wanted: Sequence[str],
    letters: _Letters,
    like: tuple[Tensor, Tensor],
) -> Tensor:
    if list(now) == list(wanted):
        return x
    sizes = _sizes(wanted, letters)
    attributes = []
    for group, size in zip(wanted, sizes, strict=True):
        operand, axis = letters.places[group] if len(group) == 1 else (0, 0)
        # An unknown size is that of an operand's axis; of one merged axis it is what is left.
        attributes.append(size if size is not None else -1 if len(group) > 1 else -2 - _AXES * (1 + operand) - axis)
    if attributes.count(-1) > 1:
        raise Unsupported(f"layer {draft.layer!r} cannot be exported: it merges several axes of unknown sizes")
    likes = [] if min(attributes, default=0) >= -1 else list(like)
    return draft.add("reshape", [x, *likes], attributes, TensorSpec(sizes, x.spec.dtype))
