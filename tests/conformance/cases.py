"""What a case of the campaign is: one class or activation, its options, and the tensors that it is called on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Feed", "Made", "Shared"]


@dataclass(frozen=True)
class Feed:
    """A tensor that a case is fed: its shape without the batch, its dtype, and what is in it.

    ``kind``: ``normal`` numbers, ``image`` numbers from 0 to 255, ``below`` whole numbers below ``limit``, ``truth``
    values, ``steps`` (truth values, true at first and then not), ``words`` (text).
    """

    shape: tuple[int, ...]
    kind: str = "normal"
    limit: int = 0
    batched: bool = True

    @property
    def dtype(self) -> str:
        """The dtype of the model's input."""
        return {"below": "int32", "truth": "bool", "steps": "bool", "words": "string"}.get(self.kind, "float32")


@dataclass(frozen=True)
class Made:
    """An option whose value is a layer: its class and its options."""

    class_name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.class_name}({given})"


@dataclass(frozen=True)
class Shared:
    """An argument of a call that is the tensor number ``at`` among those that the case is fed."""

    at: tuple[int, ...]

    def __repr__(self) -> str:
        return "tensor" if len(self.at) == 1 else f"{len(self.at)} tensors"


@dataclass(frozen=True)
class Case:
    """``subject`` with ``options``, called on ``feeds`` with the arguments ``call``.

    ``kind``: ``layer`` (a class of keras.layers) or ``function`` (of keras.activations, called on a tensor). ``joined``
    says that the tensors are handed over as one list, ``positional`` how many are not named in ``call``.
    ``required`` are the options that every case of the subject has; they are not part of its name.
    """

    kind: str
    subject: str
    feeds: tuple[Feed, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    required: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = False
    positional: int = 1

    @property
    def name(self) -> str:
        """The subject and what is not as usual, as one would write it."""
        options = {**self.required, **self.options} if self.kind == "layer" else self.options
        words = [f"{name}={value!r}" for name, value in options.items()]
        words += [f"call {name}={value!r}" for name, value in self.call.items()]
        function = "" if self.kind == "layer" else "activations."
        return f"{function}{self.subject}({', '.join(words)})"

    @property
    def key(self) -> str:
        """A short name that no other case has, and that a layer may bear."""
        facts = [self.kind, self.name, repr(self.feeds), self.joined]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:10]
        return f"{self.subject}_{digest}"
