"""Bittrue: the same model, the same numbers, in Python and in the browser.

Importing this package is cheap: TensorFlow, browsers' drivers and the rest are loaded by what needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "BittrueError": "bittrue.errors",
    "Run": "bittrue.pipeline",
    "Target": "bittrue.runtimes.target",
    "certify": "bittrue.pipeline",
    "check": "bittrue.pipeline",
    "check_examples": "bittrue.pipeline",
    "check_models": "bittrue.pipeline",
    "compare": "bittrue.pipeline",
    "convert": "bittrue.pipeline",
    "demo": "bittrue.pipeline",
    "doctor": "bittrue.pipeline",
    "explain": "bittrue.pipeline",
    "export": "bittrue.pipeline",
    "lint": "bittrue.pipeline",
    "load_trace": "bittrue.tracefile",
    "trace": "bittrue.pipeline",
    "twin": "bittrue.pipeline",
}

__all__ = [
    "BittrueError",
    "Run",
    "Target",
    "__version__",
    "certify",
    "check",
    "check_examples",
    "check_models",
    "compare",
    "convert",
    "demo",
    "doctor",
    "explain",
    "export",
    "lint",
    "load_trace",
    "trace",
    "twin",
]

if TYPE_CHECKING:
    from bittrue import exact as exact
    from bittrue.errors import BittrueError
    from bittrue.pipeline import (
        Run,
        certify,
        check,
        check_examples,
        check_models,
        compare,
        convert,
        demo,
        doctor,
        explain,
        export,
        lint,
        trace,
        twin,
    )
    from bittrue.runtimes.target import Target
    from bittrue.tracefile import load as load_trace


def __getattr__(name: str) -> Any:
    if name == "exact":
        return import_module("bittrue.exact")
    if name not in _WHERE:
        raise AttributeError(f"module 'bittrue' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), "load" if name == "load_trace" else name)


def __dir__() -> list[str]:
    return __all__
