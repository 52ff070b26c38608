"""``[tool.bittrue]`` of pyproject.toml: targets, tolerances by layer, known deviations. Read strictly.

::

    [tool.bittrue]
    targets = ["chrome:webgl", "chrome:wasm"]
    at_most = "rounding"

    [[tool.bittrue.tolerances]]
    layers = "attention*"
    relative = 1e-5

    [[tool.bittrue.deviations]]
    layers = "gelu"
    targets = "chrome:webgl*"
    at_most = "approximation"
    reason = "the backend computes erf by a polynomial"
    expires = 2030-06-30
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bittrue.diagnosis import Verdict
from bittrue.errors import TargetError, UsageError
from bittrue.report.expectations import Deviation, Expectations, Tolerance
from bittrue.runtimes.target import parse_targets

__all__ = ["Settings", "find_settings", "read_settings", "verdict_named"]

_ALIASES = {"bits": "identical", "precision": "reduced precision"}
_TOP = ("targets", "at_most", "tolerances", "deviations")
_TOLERANCE = ("layers", "targets", "at_most", "absolute", "relative", "ulp")
_BOUNDS = ("at_most", "absolute", "relative", "ulp")


@dataclass(frozen=True)
class Settings:
    """What a project has settled. ``path`` is the file, None where there is none; ``at_most`` None: not said."""

    path: Path | None = None
    targets: tuple[str, ...] = ()
    at_most: Verdict | None = None
    tolerances: tuple[Tolerance, ...] = ()
    deviations: tuple[Deviation, ...] = ()

    @property
    def limits(self) -> bool:
        """Whether they say anything of what is allowed."""
        return self.at_most is not None or bool(self.tolerances or self.deviations)

    def expectations(self, at_most: Verdict, *, bits: bool = False) -> Expectations:
        """What is allowed, with ``at_most`` where no tolerance fits."""
        return Expectations(at_most, self.tolerances, self.deviations, bits)


def find_settings(start: Path) -> Settings:
    """The settings of the nearest pyproject.toml at or above ``start`` that has ``[tool.bittrue]``; empty if none has.

    Raises UsageError for one that cannot be read.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            found = read_settings(path)
            if found.path is not None:
                return found
    return Settings()


def read_settings(path: Path) -> Settings:
    """The settings in one file; ``path`` None where it has no ``[tool.bittrue]``.

    Raises UsageError for a file that cannot be read, and for anything in the table that is not known or not right.
    """
    tool = _document(path).get("tool")
    table = tool.get("bittrue") if isinstance(tool, dict) else None
    if table is None:
        return Settings()
    top = _Table(table, path, "[tool.bittrue]", _TOP)
    return Settings(
        path,
        top.targets("targets"),
        top.verdict("at_most"),
        tuple(_tolerance(part) for part in top.tables("tolerances", _TOLERANCE)),
        tuple(_deviation(part) for part in top.tables("deviations", (*_TOLERANCE, "reason", "expires"))),
    )


def verdict_named(text: str) -> Verdict:
    """The verdict that ``text`` names: as reports write it, ``bits`` or ``precision``. Raises UsageError."""
    word = text.strip().lower().replace("-", " ")
    word = "non-finite" if word == "non finite" else _ALIASES.get(word, word)
    known = [str(verdict) for verdict in Verdict]
    if word not in known:
        raise UsageError(f"{text!r} is no verdict{_nearest(word, known)}")
    return Verdict(word)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}; correct it") from error


def _tolerance(table: _Table) -> Tolerance:
    if not any(name in table.values for name in _BOUNDS):
        raise table.wrong(f"allows nothing: give it one of {', '.join(_BOUNDS)}")
    return Tolerance(
        table.patterns("layers"),
        table.patterns("targets"),
        table.verdict("at_most"),
        *(table.bound(name) for name in _BOUNDS[1:]),
    )


def _deviation(table: _Table) -> Deviation:
    for name in ("layers", "reason", "expires"):
        if name not in table.values:
            raise table.wrong(f"has no {name}; a known deviation needs layers, a reason and the day that it expires on")
    reason = table.values["reason"]
    if not isinstance(reason, str) or not reason.strip():
        raise table.wrong("has a reason that is no text; say why the deviation is accepted")
    return Deviation(_tolerance(table), reason.strip(), table.day("expires"))


class _Table:
    """A table of the file, whose every key is known; each reader raises UsageError for a value of the wrong kind."""

    def __init__(self, values: Any, path: Path, where: str, known: tuple[str, ...]) -> None:
        self.path = path
        self.where = where
        if not isinstance(values, dict):
            raise self.wrong("is no table; write its settings below a line of that name")
        self.values: Mapping[str, Any] = values
        for name in values:
            if name not in known:
                raise self.wrong(f"has no setting {name!r}{_nearest(name, known)}")

    def wrong(self, what: str) -> UsageError:
        """An error that says where."""
        return UsageError(f"{self.path}: {self.where} {what}")

    def tables(self, name: str, known: tuple[str, ...]) -> Iterator[_Table]:
        """The tables of an array of tables."""
        found = self.values.get(name, [])
        if not isinstance(found, list):
            raise self.wrong(f"has {name} that are no list; write each below [[tool.bittrue.{name}]]")
        for number, values in enumerate(found, 1):
            yield _Table(values, self.path, f"[[tool.bittrue.{name}]] number {number}", known)

    def words(self, name: str) -> tuple[str, ...]:
        """A text, or a list of them."""
        value = self.values.get(name, [])
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            raise self.wrong(f"has {name} = {value!r}, where a text or a list of texts belongs")
        return tuple(words)

    def patterns(self, name: str) -> tuple[str, ...]:
        """As `words`; everything where there is none."""
        found = self.words(name)
        if name in self.values and not found:
            raise self.wrong(f"has no pattern in {name}, so that it fits nothing; leave it out for all")
        return found or ("*",)

    def targets(self, name: str) -> tuple[str, ...]:
        """Targets, each of which is one."""
        try:
            return tuple(map(str, parse_targets(self.words(name))))
        except TargetError as error:
            raise self.wrong(f"has a target that is none: {error}") from error

    def verdict(self, name: str) -> Verdict | None:
        """A verdict's name."""
        if name not in self.values:
            return None
        try:
            return verdict_named(str(self.values[name]))
        except UsageError as error:
            raise self.wrong(f"has {name} = {self.values[name]!r}: {error}") from error

    def bound(self, name: str) -> float | None:
        """A number, 0 or above."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self.wrong(f"has {name} = {value!r}, where a number of 0 or above belongs")
        return float(value)

    def day(self, name: str) -> date:
        """A day, as TOML writes it."""
        value = self.values[name]
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.wrong(f"has {name} = {value!r}, where a day belongs, without quotes: 2030-06-30")
        return value


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
