"""What a model file may name without being trusted: Keras's own classes and functions, and nothing that runs code.

A Keras file is a configuration from which Keras imports classes by name and into some of which it feeds
marshalled or pickled functions. All of it is read here as plain JSON first, before Keras sees the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bittrue.errors import UntrustedCode

from .custom import known_custom

__all__ = ["refuse_foreign_code"]

_RUNS_CODE = {
    "Lambda": "a Lambda layer carries Python code",
    "__lambda__": "it carries marshalled Python code",
    "__typespec__": "it names a type of another package",
    "TFSMLayer": "it loads and runs a SavedModel",
    "TorchModuleWrapper": "it unpickles a PyTorch module",
    "JaxLayer": "it carries a function",
    "FlaxLayer": "it carries a module",
}
_HOMES = "layers|models|engine|initializers|regularizers|constraints|activations|dtype_policies|losses|metrics"
_OWN_MODULE = re.compile(
    rf"(tf_)?keras(\.src)?(\.({_HOMES}|mixed_precision|optimizers|quantizers|random|ops)(\..*)?)?"
    r"|keras\.src\.applications\.\w+"  # ConvNeXt brings two layers of its own along
)
_FUNCTION_MODULE = re.compile(r"builtins|keras(\.src)?\.(activations|initializers|losses|metrics|ops)(\..*)?")
_PLAIN = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "slice"})
_TRUST = "open it with trust only if you know who made the file, or replace the layer by one of Keras's own"
_REMEDY = f"if you have its source, name it with --custom module:Class; else {_TRUST}"


def refuse_foreign_code(config: Any, path: Path) -> None:
    """Raise UntrustedCode if ``config`` (parsed JSON) names anything that is not Keras's own, or that runs code.

    What `bittrue.model.custom` knows at this place may be named.
    """
    for layer, entry in _objects(config, "?"):
        because = _reason(entry)
        if because is not None:
            what = f"layer {layer!r} ({_class_of(entry)})" if layer != "?" else f"{_class_of(entry)}"
            remedy = _REMEDY if _may_have_source(entry) else _TRUST
            raise UntrustedCode(f"{path}: {what} is refused, because {because}; {remedy}", path=str(path))


def _may_have_source(entry: Mapping[str, Any]) -> bool:
    """Whether it is a class or a function that the user may have written."""
    bare = _class_of(entry).rpartition(">")[2]
    return bare not in _RUNS_CODE or (bare == "Lambda" and _function_of(entry) is not None)


def _function_of(entry: Mapping[str, Any]) -> str | None:
    """The name of the function that a Lambda layer calls, if it has one and not only code."""
    config = entry.get("config")
    function = config.get("function") if isinstance(config, Mapping) else None
    named = isinstance(function, Mapping) and function.get("class_name") == "function"
    name = function.get("config") if named and isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


def _objects(config: Any, layer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every serialised object in ``config``, with the name of the innermost layer around it. No recursion."""
    waiting = [(config, layer)]
    while waiting:
        value, layer = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, layer) for item in value)
        elif isinstance(value, Mapping):
            layer = _name_of(value) or layer
            if "class_name" in value:
                yield layer, value
            waiting.extend((item, layer) for item in value.values())


def _name_of(entry: Mapping[str, Any]) -> str | None:
    config = entry.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) and "class_name" in entry and _class_of(entry) != "DTypePolicy" else None


def _class_of(entry: Mapping[str, Any]) -> str:
    name = entry["class_name"]
    return name if isinstance(name, str) else repr(name)


def _reason(entry: Mapping[str, Any]) -> str | None:
    name = _class_of(entry)
    bare = name.rpartition(">")[2]
    if _is_known(entry, name):
        return None
    if bare in _RUNS_CODE:
        return _RUNS_CODE[bare]
    if name == "function":
        return _function_reason(entry)
    if name in _PLAIN:
        return None
    config = entry.get("config")
    if isinstance(config, Mapping) and isinstance(config.get("vocabulary"), str):
        return "its vocabulary is the path of another file"
    return _origin_reason(entry, name)


def _is_known(entry: Mapping[str, Any], name: str) -> bool:
    """Whether the user has said where to find it."""
    known = known_custom()
    if name == "function":
        return entry.get("config") in known if isinstance(entry.get("config"), str) else False
    if name == "Lambda":
        return _function_of(entry) in known
    registered = entry.get("registered_name")
    return name in known or (isinstance(registered, str) and registered in known)


def _function_reason(entry: Mapping[str, Any]) -> str | None:
    module, name = entry.get("module"), entry.get("config")
    if isinstance(module, str) and _FUNCTION_MODULE.fullmatch(module) and isinstance(name, str):
        return None if ">" not in str(entry.get("registered_name")) else f"{name} is a custom function"
    return f"{name} of {module} is no function of Keras's own"


def _origin_reason(entry: Mapping[str, Any], name: str) -> str | None:
    registered = str(entry.get("registered_name") or name)
    if ">" in name or ">" in registered:
        return f"{registered} is a custom class"
    if "module" not in entry:  # the format of Keras 2, where a class is looked up by name among Keras's own
        return None
    module = entry["module"]
    if isinstance(module, str) and _OWN_MODULE.fullmatch(module):
        return None
    return f"it is a custom class of {module or 'an unknown module'}"
