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
    return {"keras": keras.__version__, "layers": {name: _of(kind) for name, kind in sorted(known.items())}}


def _of(kind: Any) -> dict[str, Any]:
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {entry.name: entry.default for entry in parameters if entry.default is not inspect.Parameter.empty}


def text() -> str:
    """The file's content: a class a line."""
    found = defaults()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(options)}" for name, options in found["layers"].items())
    return f'{{\n "keras": {json.dumps(found["keras"])},\n "layers": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8", newline="\n")
