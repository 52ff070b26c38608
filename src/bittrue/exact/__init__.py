"""The exact runtime: one WebAssembly module that gives the same bits in Python, browsers and Node.

``load("model.safetensors").predict(x)`` runs what ``bittrue export`` wrote; spec.md says what is computed.
"""

from __future__ import annotations

from .engine import ExactModel, load
from .plan import SEMANTICS

__all__ = ["SEMANTICS", "ExactModel", "load"]
