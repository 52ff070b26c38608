"""What a cause is, and which there are."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import ClassVar, Protocol, TypeVar

from bittrue.errors import BittrueError

from ..evidence import Evidence
from ..result import Finding

__all__ = ["Cause", "cause", "explain", "known_causes"]


class Cause(Protocol):
    """An explanation with its experiment. ``name`` is unique; ``order``: cheap and common ones first."""

    name: ClassVar[str]
    order: ClassVar[int]

    def test(self, evidence: Evidence) -> Finding | None:
        """What the experiment shows; None where the cause does not apply or explains nothing."""
        ...


_CAUSES: dict[str, Cause] = {}
_Class = TypeVar("_Class", bound=type[Cause])


def cause(made: _Class) -> _Class:
    """Registers a class of causes. Raises ValueError if another has its name."""
    if made.name in _CAUSES:
        raise ValueError(f"two causes are called {made.name!r}")
    _CAUSES[made.name] = made()
    return made


@cache
def known_causes() -> tuple[Cause, ...]:
    """Every cause of this package, in the order in which they are tried."""
    package = import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{__package__}.{module.name}")
    return tuple(sorted(_CAUSES.values(), key=lambda found: (found.order, found.name)))


def explain(evidence: Evidence) -> tuple[Finding, ...]:
    """What the causes find, proven ones first. The first proven one ends the search: one experiment explains it.

    An experiment that does not fit the layer (a `BittrueError`, or shapes that NumPy refuses) finds nothing.
    """
    offered: list[Finding] = []
    for candidate in known_causes():
        try:
            finding = candidate.test(evidence)
        except (BittrueError, ValueError, IndexError):
            continue
        if finding is not None and finding.proven:
            return (finding, *offered)
        offered += [finding] if finding is not None else []
    return tuple(offered)
