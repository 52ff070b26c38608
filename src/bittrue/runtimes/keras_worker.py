"""The process in which a Keras model runs with an environment of its own: ``python -m bittrue.runtimes.keras_worker``.

It reads one line of JSON from its standard input (what to run) and answers on its standard output: lines of
JSON, each followed by as many raw bytes as its ``nbytes`` says. A ``record`` is followed by ``data`` until it
is whole. It ends when its standard input does, so that it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import IO, Any

import numpy as np

from bittrue.errors import BittrueError, TargetFailure
from bittrue.traces import Provenance, Record

from .base import TraceOptions
from .keras_process import as_message, provenance_message

__all__ = ["main"]

_PIECE = 4 * 2**20


class PipeSink:
    """The sink that sends a session's results to the process that asked for them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def say(self, message: dict[str, Any], payload: memoryview | bytes = b"") -> None:
        """Send one message."""
        self._stream.write(json.dumps({**message, "nbytes": len(payload)}).encode() + b"\n")
        self._stream.write(payload)
        self._stream.flush()

    def environment(self, provenance: Provenance) -> None:
        """What the model runs on."""
        self.say({"type": "environment", "provenance": provenance_message(provenance)})

    def phase(self, what: str) -> None:
        """The session is now doing ``what``."""
        self.say({"type": "phase", "phase": what})

    def record(self, record: Record, total: int | None) -> None:
        """Send a whole record, in pieces."""
        header = {"key": str(record.key), "dtype": record.dtype.name, "shape": list(record.shape), "total": total}
        self.say({"type": "record", **header})
        data = np.ascontiguousarray(record.load()).reshape(-1).view(np.uint8).data
        for first in range(0, len(data), _PIECE):
            self.say({"type": "data"}, data[first : first + _PIECE])


def main() -> int:
    """Run what standard input asks for; the exit status."""
    sink = PipeSink(_private_stdout())
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        _run(request, sink)
    except BittrueError as error:
        sink.say(as_message(error))
        return 1
    except Exception as error:
        message = f"{request['target']} failed ({type(error).__name__}): {error}"
        sink.say(as_message(TargetFailure(message, target=request["target"])))
        return 1
    return 0


def _run(request: dict[str, Any], sink: PipeSink) -> None:
    from bittrue.model import open_model
    from bittrue.model.framework import deep_recursion
    from bittrue.tracefile import read_trace

    from .keras_session import KerasSession
    from .tensorflow_session import TensorFlowSession

    sink.phase("loading")
    opened = open_model(request["model"], trust=request["trust"], custom=request.get("custom", ()))
    inputs = {record.key.layer: record.load() for record in read_trace(request["inputs"])}
    options = TraceOptions(layers=request["layers"], runs=request["runs"], budget=request["budget"])
    target, graph = request["target"], opened.graph
    session: KerasSession | TensorFlowSession
    if opened.nodes is not None:
        session = TensorFlowSession(target, opened.nodes, graph, inputs, options, sink)
    else:
        session = KerasSession(target, opened.keras(), graph, inputs, options, sink)
    with deep_recursion():
        provenance, checks = session.run()
    sink.say(
        {
            "type": "done",
            "provenance": provenance_message(provenance),
            "checks": [vars(check) for check in checks],
        }
    )


def _private_stdout() -> IO[bytes]:
    """The standard output for our messages alone; whatever else prints goes to the standard error."""
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return private


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
