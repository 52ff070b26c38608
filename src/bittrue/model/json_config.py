"""The JSON configuration inside a model file, parsed without trusting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bittrue.errors import ModelError

__all__ = ["first_line", "parse_config"]

_LONGEST = 300


def parse_config(raw: bytes | str, where: str, path: Path) -> dict[str, Any]:
    """The JSON object in ``raw``. Raises ModelError where it is no JSON, nested too deeply, or no model's."""
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path}: its {where} is not readable as JSON ({error}); save the model again", path=str(path)
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise ModelError(f"{path}: its {where} describes no model", path=str(path))
    return config


def first_line(error: Exception) -> str:
    """What ``error`` says first, short enough for a sentence: Keras quotes whole configurations in its messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
