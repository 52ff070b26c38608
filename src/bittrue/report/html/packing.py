"""Data for the page: tables by column names, and JSON that no markup can break out of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["as_script", "packed"]

_FEW = 3  # rows below which a table is no shorter
_DIGITS = 7  # significant ones of a figure; tensors' own values are text


def packed(value: Any) -> Any:
    """Lists of objects with the same properties as one list of names and rows of values; undone by data.js."""
    if isinstance(value, Mapping):
        return {str(key): packed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        rows = list(value)
        names = _shared_names(rows)
        if names is None:
            return [packed(item) for item in rows]
        return {"$": names, "=": [[packed(row[name]) for name in names] for row in rows]}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _shared_names(rows: list[Any]) -> list[str] | None:
    if len(rows) < _FEW or not all(isinstance(row, Mapping) for row in rows):
        return None
    names = list(rows[0])
    return names if names and all(list(row) == names for row in rows) else None


def as_script(value: Any) -> str:
    """JSON as the content of a script element: ``<`` is escaped, so that nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
