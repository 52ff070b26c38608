"""The operations of keras.ops that sum products, as nodes of a Functional model."""

from __future__ import annotations

from collections.abc import Sequence

from bittrue.ops import Einsum

from ..formula import Formula, Value
from .operations_elementwise import required
from .registry import expands_operation

__all__ = ["einsum"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@expands_operation("Matmul")
def matmul(formula: Formula) -> Value:
    """The product of matrices, leading axes broadcast; a vector is a row on the left and a column on the right."""
    a, b = formula.operand(0, "x1"), formula.operand(1, "x2")
    if b.rank > 1:
        return a @ b if a.rank > 1 or b.rank == 2 else (a.expanded(0) @ b).squeezed(-2)
    return (a.expanded(0) @ b.expanded(1)).squeezed(0, 1) if a.rank == 1 else (a @ b.expanded(1)).squeezed(-1)


@expands_operation("Einsum")
def einsum_operation(formula: Formula) -> Value:
    """Einsum of one tensor or two."""
    values = [formula.operand(at, f"operand {at}") for at in range(len(formula.call.args))]
    return einsum(formula, str(required(formula, "subscripts")), values)


def einsum(formula: Formula, subscripts: str, values: Sequence[Value]) -> Value:
    """``subscripts`` with one or two operands, with an ellipsis or without. Raises Unsupported for what has none."""
    terms, output = _spelt_out(subscripts.replace(" ", ""), values)
    repeated = any(len(set(term)) != len(term) for term in [*terms, output])
    if len(terms) != len(values) or len(values) > 2 or repeated or "." in "".join(terms):
        raise formula.refused(f"its equation {subscripts!r} is not one of one or two operands without repetitions")
    if len(values) == 2:
        return formula.apply(Einsum(f"{','.join(terms)}->{output}"), *values)
    (term,), (value,) = terms, values
    gone = [axis for axis, letter in enumerate(term) if letter not in output]
    left = [letter for letter in term if letter in output]
    value = value.reduced("sum", gone, keepdims=False) if gone else value
    return value.transposed(*(left.index(letter) for letter in output))


def _spelt_out(subscripts: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """The terms of the operands and of the output, with letters in place of an ellipsis."""
    left, arrow, output = subscripts.partition("->")
    terms = left.split(",")
    counts = {value.rank - len(term) + 3 for term, value in zip(terms, values, strict=False) if "..." in term}
    free = [letter for letter in _LETTERS if letter not in subscripts]
    # Ellipses of different lengths broadcast, which the op does not do: their dots stay, and are refused.
    dots = "".join(free[: counts.pop()]) if len(counts) == 1 else "..."
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        output = ("..." if "..." in left else "") + "".join(sorted(x for x in letters if letters.count(x) == 1))
    return [term.replace("...", dots) for term in terms], output.replace("...", dots)
