"""Channels first or last: the ops have channels last, so a layer that has not is transposed before and after."""

from __future__ import annotations

from ..formula import Formula, Value

__all__ = ["back", "channels_first", "channels_last"]


def channels_first(formula: Formula) -> bool:
    """Whether the layer's option ``data_format`` says so."""
    return formula.options.choice("data_format", "channels_last", "channels_last", "channels_first") == "channels_first"


def channels_last(x: Value, spatial: int, first: bool) -> Value:
    """``x`` with its channels moved behind ``spatial`` axes, if they come ``first``."""
    return x.transposed(0, *range(2, spatial + 2), 1) if first else x


def back(y: Value, spatial: int, first: bool) -> Value:
    """The inverse of `channels_last`."""
    return y.transposed(0, spatial + 1, *range(1, spatial + 1)) if first else y
