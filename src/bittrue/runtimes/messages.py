"""What an agent can say: one class for each type of frame in docs/protocol.md, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bittrue.traces import Kind

__all__ = [
    "CheckMade",
    "Done",
    "Environment",
    "Failed",
    "Hello",
    "Message",
    "ModelBuilt",
    "PhaseBegun",
    "Piece",
    "Predicted",
    "Refused",
]


@dataclass(frozen=True)
class Hello:
    """The agent's first frame."""

    agent: str
    user_agent: str


@dataclass(frozen=True)
class PhaseBegun:
    """What the agent does from now on; ``window`` of ``windows`` where a capture takes several passes."""

    phase: str
    window: int | None
    windows: int | None


@dataclass(frozen=True)
class Environment:
    """What answered: the backend, its version and adapter, and everything else that can move a bit."""

    backend: str
    asked: str
    version: str
    adapter: str | None
    software: bool | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class ModelBuilt:
    """The model as the agent built it. ``nbytes`` is the size of all activations to come, if known."""

    layers: tuple[Mapping[str, Any], ...]
    nbytes: int | None
    windows: int | None


@dataclass(frozen=True)
class Piece:
    """Bytes ``offset`` … of a tensor of ``total`` bytes."""

    kind: Kind
    path: tuple[str, ...]
    nodes: tuple[int, ...]
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    total: int
    payload: memoryview

    @property
    def identity(self) -> tuple[object, ...]:
        """Everything but the position: the same for all pieces of one tensor."""
        return self.kind, self.path, self.nodes, self.index, self.dtype, self.shape


@dataclass(frozen=True)
class CheckMade:
    """One experiment on the run itself."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Failed:
    """The session has failed; the last frame."""

    code: str
    message: str
    phase: str | None
    layer: str | None
    asked: str | None
    answered: str | None


@dataclass(frozen=True)
class Done:
    """All was sent; the last frame. ``timings`` are in milliseconds, ``memory`` in bytes."""

    timings: Mapping[str, Any]
    memory: Any


@dataclass(frozen=True)
class Predicted:
    """All outputs of a request to a job that stays were sent."""

    request: int


@dataclass(frozen=True)
class Refused:
    """A request to a job that stays cannot be answered; the next one may be."""

    request: int
    message: str


Message = Hello | PhaseBegun | Environment | ModelBuilt | Piece | CheckMade | Failed | Done | Predicted | Refused
