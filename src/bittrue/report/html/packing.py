"""Data for the page: tables by column names, and JSON that no markup can break out of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["as_script", "packed"]

_FEW = 3  # rows below which a table is no shorter
_DIGITS = 7  # significant ones of a figure; tensors' own values are text


def packed(value: Any) -> Any:
    """Lists of objects with the same properties as one list of names and rows of values; undone by data.js.

    Where a property is such an object in every row, or null, its name is ``[name, *names of its properties]``.
    """
    if isinstance(value, Mapping):
        return {str(key): packed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        rows = list(value)
        names = _shared_names(rows)
        if names is None:
            return [packed(item) for item in rows]
        heads, cells = _table(rows, names)
        return {"$": heads, "=": cells}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _table(rows: list[Any], names: list[str]) -> tuple[list[Any], list[list[Any]]]:
    heads: list[Any] = []
    columns: list[list[Any]] = []
    for name in names:
        column = [row[name] for row in rows]
        given = [value for value in column if value is not None]
        inner = _shared_names(given)
        if inner is None:
            heads.append(name)
            columns.append([packed(value) for value in column])
            continue
        below, cells = _table(given, inner)
        following = iter(cells)
        heads.append([name, *below])
        columns.append([None if value is None else next(following) for value in column])
    return heads, [list(row) for row in zip(*columns, strict=True)]


def _shared_names(rows: list[Any]) -> list[str] | None:
    if len(rows) < _FEW or not all(isinstance(row, Mapping) for row in rows):
        return None
    names = list(rows[0])
    return names if names and all(list(row) == names for row in rows) else None


def as_script(value: Any) -> str:
    """JSON as the content of a script element: ``<`` is escaped, so that nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
