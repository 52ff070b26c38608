"""Why a layer is off: one module a cause, each with the experiment that would confirm it.

To add one: a module in this package with a class over `Cause`, decorated with `cause`. It is found by itself.
"""

from .registry import Cause, cause, explain, known_causes

__all__ = ["Cause", "cause", "explain", "known_causes"]
