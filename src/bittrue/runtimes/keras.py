"""Keras as a target: in this process where that is the same, in a process of its own where switches differ."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bittrue.errors import BittrueError, TargetError, TargetUnavailable, UsageError
from bittrue.graph.model import Graph
from bittrue.tracefile import TraceWriter
from bittrue.traces import Check, Key, Provenance, Record, Trace

from .base import Inputs, NullProgress, Progress, TraceOptions
from .target import Target

__all__ = ["KerasRuntime"]

_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_DEFAULTS = TraceOptions()


class KerasRuntime:
    """Runs a Keras model on ``keras:tensorflow``, ``keras:jax`` or ``keras:torch``.

    ``model_path`` is a file that `bittrue.model.open_model` reads, ``graph`` what it found there, ``live`` the
    model as a Python object where there is one. A target with flags (environment variables, which frameworks
    read when they start) or with another backend than this process runs gets a process of its own; a model that
    has no file is saved to a temporary one for it. ``trust`` lets the file execute code that it brings along,
    ``custom`` are classes and functions of the user's own that it may name, or where they are (``module:Class``).

    Raises TargetError for flags that are no environment variables, UsageError with neither file nor model.
    """

    def __init__(
        self,
        target: Target,
        model_path: str | Path | None,
        graph: Graph,
        *,
        live: Any = None,
        progress: Progress | None = None,
        trust: bool = False,
        custom: Sequence[Any] = (),
    ) -> None:
        if model_path is None and live is None:
            raise UsageError(f"{target} needs a model file or a live Keras model; give one of them")
        _check_flags(target)
        self.target = target
        self._path = None if model_path is None else Path(model_path)
        self._graph = graph
        self._live = live
        self._progress = progress or NullProgress()
        self._trust = trust
        self._custom = tuple(custom)

    def __enter__(self) -> Self:
        """Raises TargetUnavailable where the backend, or the version asked for, is not installed."""
        _check_installed(self.target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing outlives a call of `trace`."""

    def trace(self, inputs: Inputs, options: TraceOptions = _DEFAULTS) -> Trace:
        """Predict on ``inputs`` and capture every call of every layer.

        Raises UsageError for a layer that the model does not have, TargetFailure where the model cannot run,
        TargetDied where its process ends early. With ``options.save``, what had arrived is kept there.
        """
        target = str(self.target)
        with TraceWriter(options.save) as writer:
            recorder = Recorder(target, writer, self._progress)
            try:
                if self._runs_here():
                    provenance, checks = self._here(inputs, options, recorder)
                else:
                    provenance, checks = self._elsewhere(inputs, options, recorder)
            except BaseException as error:
                if options.save and recorder.provenance and writer.keys:
                    writer.finish(recorder.provenance, complete=False)
                    if isinstance(error, BittrueError):
                        error.args = (f"{error}; what had arrived is in {options.save}",)
                raise
            return writer.finish(provenance, checks)

    def _runs_here(self) -> bool:
        """Whether this process runs the right backend already, or would if Keras were imported now."""
        if self.target.flags:
            return False
        from bittrue.model.framework import import_keras

        return bool(import_keras().backend.backend() == self.target.backend)

    def _opened(self) -> Any:
        from bittrue.model import open_model

        return open_model(self._path, trust=self._trust, custom=self._custom).keras()

    def _here(self, inputs: Inputs, options: TraceOptions, recorder: Recorder) -> tuple[Provenance, tuple[Check, ...]]:
        from bittrue.model.framework import deep_recursion

        from .keras_session import KerasSession

        recorder.phase("loading")
        model = self._live if self._live is not None else self._opened()
        with deep_recursion():
            return KerasSession(str(self.target), model, self._graph, inputs, options, recorder).run()

    def _elsewhere(
        self, inputs: Inputs, options: TraceOptions, recorder: Recorder
    ) -> tuple[Provenance, tuple[Check, ...]]:
        from .keras_process import Source, run_in_process

        source = self._path if self._path is not None else self._live
        from bittrue.model.custom import spelled

        model = Source(source, self._trust or self._path is None, tuple(map(spelled, self._custom)))
        return run_in_process(self.target, model, inputs, options, recorder)


class Recorder:
    """The sink that writes a trace and tells the progress. ``last`` is the last layer whose output is whole."""

    def __init__(self, target: str, writer: TraceWriter, progress: Progress) -> None:
        self.provenance: Provenance | None = None
        self.last: str | None = None
        self.writer = writer
        self._target = target
        self._progress = progress

    def environment(self, provenance: Provenance) -> None:
        """What the model runs on."""
        self.provenance = provenance

    def phase(self, what: str) -> None:
        """The session is now doing ``what``."""
        self._progress.phase(self._target, what)

    def record(self, record: Record, total: int | None) -> None:
        """Write a whole record."""
        self.writer.add(record)
        self.arrived(record.key, record.nbytes, total)
        self.whole(record.key)

    def arrived(self, key: Key, nbytes: int, total: int | None) -> None:
        """``nbytes`` more bytes of the record ``key`` are written."""
        self._progress.record(self._target, key.layer, nbytes, total)

    def whole(self, key: Key) -> None:
        """The record ``key`` is whole."""
        if key.kind == "output":
            self.last = key.layer


def _check_flags(target: Target) -> None:
    for name, value in target.flags:
        if not _ENVIRONMENT_NAME.fullmatch(name):
            message = (
                f"{target}: flags of a Keras target are environment variables such as TF_ENABLE_ONEDNN_OPTS=0, "
                f"and {name}={value} is none; write its name in capitals"
            )
            raise TargetError(message, spec=str(target))
        if name == "KERAS_BACKEND":
            message = f"{target}: the backend stands after the colon; write keras:{value} instead of KERAS_BACKEND"
            raise TargetError(message, spec=str(target), nearest=f"keras:{value}")


def _check_installed(target: Target) -> None:
    package = target.backend
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        remedy = f"pip install {package}"
        message = f"{target} needs the package {package}, which is not installed; run: {remedy}"
        raise TargetUnavailable(message, target=str(target), remedy=remedy)
    if target.version is None:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version(package)
    except PackageNotFoundError:
        return
    if installed != target.version:
        remedy = f"pip install {package}=={target.version}"
        message = f"{target} asks for {package} {target.version} and {installed} is installed; run: {remedy}"
        raise TargetUnavailable(message, target=str(target), remedy=remedy)
