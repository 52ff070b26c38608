"""What Keras's layers take when an option is not given, read off their signatures.

``python scripts/keras_defaults.py`` writes src/bittrue/conversion/tfjs/keras-defaults.json from the Keras that is
installed. An option without a default is absent there: whatever its value, somebody chose it.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src/bittrue/conversion/tfjs/keras-defaults.json"


def defaults() -> dict[str, Any]:
    """``{"keras": version, "layers": {class: {option: default}}}``, aliases under the one name that Keras saves."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    classes = {kind.__name__: kind for kind in vars(keras.layers).values() if inspect.isclass(kind)}
    known = {name: kind for name, kind in classes.items() if getattr(keras.layers, name, None) is kind}
    public = set(known.values())
    return {"keras": keras.__version__, "layers": {name: _of(kind, public) for name, kind in sorted(known.items())}}


def _of(kind: Any, public: set[Any]) -> dict[str, Any]:
    """The class's own defaults, and those of its public bases, to which it hands on what it does not name."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if "__init__" in vars(base) and base in public:
            for entry in inspect.signature(base.__init__).parameters.values():
                found[entry.name] = entry.default
    return {name: default for name, default in found.items() if _is_json(default)}


def _is_json(default: Any) -> bool:
    return default is None or isinstance(default, bool | int | float | str | list | tuple)


def text() -> str:
    """The file's content: a class a line."""
    found = defaults()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(options)}" for name, options in found["layers"].items())
    return f'{{\n "keras": {json.dumps(found["keras"])},\n "layers": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8", newline="\n")
