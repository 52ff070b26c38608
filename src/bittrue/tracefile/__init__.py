"""Traces on disk: safetensors with the run's provenance, and the plain JSON of nested lists as import and export.

A trace file is a safetensors file (one tensor a record, named by `Key`, in execution order) whose
``__metadata__`` holds the version of the format, the provenance, the checks and whether the run was complete.
Any safetensors reader opens it.
"""

from __future__ import annotations

from .document import load, read_document, write_document
from .reader import read_trace
from .writer import TraceWriter, replacing, write_trace

__all__ = ["TraceWriter", "load", "read_document", "read_trace", "replacing", "write_document", "write_trace"]
