"""The hashes of the exact model beside saved traces, so that a report from files alone can show them.

They speak of one model and one input, whose bits are recorded with them: beside other traces they are passed over.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bittrue.errors import TraceError
from bittrue.tracefile import replacing
from bittrue.traces import Trace

from .data import ExactProof

__all__ = ["PROOF", "read_proof", "write_proof"]

PROOF = "exact.json"
"""What stands beside saved traces, where the exact model was run too."""

_SCHEMA = "bittrue/exact-proof/1"
_LARGEST = 2**20  # bytes of a proof that is read


def write_proof(proof: ExactProof, reference: Trace, folder: Path) -> None:
    """Keep ``proof`` in ``folder``, as one about the model and the input of ``reference``."""
    text = json.dumps({"schema": _SCHEMA, **_subject(reference), **asdict(proof)}, indent=1)
    with replacing((folder / PROOF).resolve()) as whole:
        whole.write((text + "\n").encode())


def read_proof(folder: Path, reference: Trace) -> ExactProof | None:
    """The proof in ``folder``; None where there is none, or one about another model or input than ``reference``'s.

    Raises TraceError for a file that is no proof.
    """
    path = folder / PROOF
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != _SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}")
        if any(data[name] != digest for name, digest in _subject(reference).items()):
            return None
        return ExactProof(_texts(data["hashes"]), _texts(data["failures"]), int(data["values"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(
            f"{path} holds no hashes of an exact model ({error}); delete it, or run the demo again"
        ) from error


def _subject(reference: Trace) -> dict[str, str]:
    """Which model on which input: the bits of both."""
    return {f"{kind}s_sha256": reference.digest(kind) for kind in ("weight", "input")}


def _texts(found: Any) -> dict[str, str]:
    if not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise ValueError("hashes and sentences are text")
    return dict(found)
