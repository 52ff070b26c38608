"""What a model is fed: made up, read from a file, or given as arrays; checked against what the model takes."""

from __future__ import annotations

from .images import Preprocessing, parse_preprocessing
from .load import describe_inputs, load_inputs

__all__ = ["Preprocessing", "describe_inputs", "load_inputs", "parse_preprocessing"]
