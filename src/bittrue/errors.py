"""Every exception that Bittrue raises on purpose.

::

    BittrueError
    ├── UsageError                 what was asked for is not possible as asked          (exit code 2)
    │   ├── TargetError            a target that no grammar or table knows; carries the nearest right one
    │   └── InputError             an input tensor of the wrong name, shape, dtype or content
    ├── ModelError                 a model file that is missing, damaged or not a model (exit code 2)
    │   ├── UntrustedCode          a model that would execute code it brings along
    │   └── Unsupported            a layer or option that cannot be expressed faithfully
    ├── ArtifactError              a converted model that is malformed or hostile       (exit code 2)
    ├── TraceError                 a trace that cannot be read or written               (exit code 2)
    ├── ComparisonError            nothing to compare, or not comparable                (exit code 2)
    └── TargetFailure              a target did not deliver                             (exit code 3)
        ├── TargetUnavailable      browser, runtime or package is not on this machine; carries the remedy
        ├── BackendFallback        another backend answered than the one asked for
        ├── ProtocolError          the other side broke the wire protocol
        ├── TargetCancelled        a person at the device said no
        └── TargetDied             crashed, hung, was closed or lost its graphics context mid-run

Each message is one sentence that says what, where and what to do. The command line prints it and exits
with ``exit_code``; nothing below the command line prints or exits.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArtifactError",
    "BackendFallback",
    "BittrueError",
    "ComparisonError",
    "InputError",
    "ModelError",
    "ProtocolError",
    "TargetCancelled",
    "TargetDied",
    "TargetError",
    "TargetFailure",
    "TargetUnavailable",
    "TraceError",
    "Unsupported",
    "UntrustedCode",
    "UsageError",
]


class BittrueError(Exception):
    """Base of all errors raised on purpose. ``exit_code`` is what the command line exits with."""

    exit_code: ClassVar[int] = 2


class UsageError(BittrueError):
    """What was asked for is not possible as asked."""


class TargetError(UsageError):
    """A target specification that means nothing. ``nearest`` is the closest valid one, if any is close."""

    def __init__(self, message: str, *, spec: str, nearest: str | None = None) -> None:
        super().__init__(message)
        self.spec = spec
        self.nearest = nearest


class InputError(UsageError):
    """An input tensor of the wrong name, shape, dtype or content. ``name`` is the input's name, if known."""

    def __init__(self, message: str, *, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class ModelError(BittrueError):
    """A model file that is missing, damaged or not a model. ``path`` is the file as the user gave it."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class UntrustedCode(ModelError):
    """A model that would execute code it brings along; refused unless the user trusts it."""


class Unsupported(ModelError):
    """A layer or option that cannot be expressed faithfully. ``layer`` is the layer's name."""

    def __init__(self, message: str, *, layer: str | None = None, path: str | None = None) -> None:
        super().__init__(message, path=path)
        self.layer = layer


class ArtifactError(BittrueError):
    """A converted model that is malformed, incomplete or hostile."""


class TraceError(BittrueError):
    """A trace that cannot be read or written. ``path`` is the file."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ComparisonError(BittrueError):
    """Nothing to compare, or two things that cannot be compared."""


class TargetFailure(BittrueError):
    """A target did not deliver. ``target`` is its specification."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.target = target


class TargetUnavailable(TargetFailure):
    """A browser, runtime or package is not on this machine. ``remedy`` says what to install."""

    def __init__(self, message: str, *, target: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message, target=target)
        self.remedy = remedy


class BackendFallback(TargetFailure):
    """Another backend answered than the one asked for."""

    def __init__(self, message: str, *, asked: str, answered: str, target: str | None = None) -> None:
        super().__init__(message, target=target)
        self.asked = asked
        self.answered = answered


class ProtocolError(TargetFailure):
    """The other side broke the wire protocol (docs/protocol.md)."""


class TargetCancelled(TargetFailure):
    """A person at the device cancelled the run there."""


class TargetDied(TargetFailure):
    """The target crashed, hung, was closed or lost its graphics context mid-run.

    ``after`` is the last layer whose record arrived whole, None if none did.
    """

    def __init__(self, message: str, *, target: str | None = None, after: str | None = None) -> None:
        super().__init__(message, target=target)
        self.after = after
