"""Many examples through one model on many targets, a batch at a time; what was done is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bittrue.errors import UsageError
from bittrue.runtimes.target import Target

from .pairing import alignment_notes, fed_to, weight_notes
from .running import Candidate, Run, Session

if TYPE_CHECKING:
    from bittrue.inputs.examples import Batch, Examples
    from bittrue.model import OpenedModel
    from bittrue.report.data import ReportData
    from bittrue.report.examples import BatchOnTarget
    from bittrue.report.many import ManyExamples

__all__ = ["Places", "check_batches", "closer_look"]

_IDENTITY = "examples.json"
_SCHEMA = "bittrue/examples-of/1"


@dataclass(frozen=True)
class Places:
    """What is run where, ``size`` examples at a time. ``other`` is the model that the targets run, if another one."""

    opened: OpenedModel
    description: str
    size: int
    reference: Target
    targets: Sequence[Target]
    run: Run
    other: OpenedModel | None = None


def check_batches(places: Places, read: Callable[[], Examples]) -> ManyExamples:
    """Run all examples that ``read`` opens; keep of each what `bittrue.report.examples` says.

    A target that fails is left out of the batches that follow. Where ``run.save`` is set, each batch leaves a file
    there, and a later call with the same models, inputs, batches and targets runs those alone that not all targets
    delivered. Raises UsageError where the folder holds batches of another run.
    """
    from bittrue.report.many import ManyExamples

    run, weights = places.run, _weights(places.opened)
    store = _Store.of(places, weights) if run.save else None
    fed = hashlib.sha256()
    with read() as examples, _Stream(places) as stream:
        for batch in examples.batches(places.size):
            run.progress.phase("examples", f"{batch.start + 1} to {batch.stop} of {examples.count}")
            fed.update(batch.sha256.encode())
            known = store.read(batch) if store else None
            if known is not None:
                stream.take(*known)
                continue
            made = stream.run(batch)
            if store is not None:
                store.write(batch, made, stream.notes)
        run.progress.done("examples")
        return ManyExamples(
            places.opened.graph.name,
            places.description,
            examples.count,
            places.size,
            str(places.reference),
            stream.over_examples(),
            fed.hexdigest(),
            weights,
            str(places.other.path) if places.other else None,
            stream.notes,
        )


def closer_look(places: Places, read: Callable[[], Examples], found: ManyExamples) -> ReportData | None:
    """The batch with the most serious verdict once more, with everything; None where nothing was run."""
    worst = found.worst.worst_batch if found.worst else None
    if worst is None:
        return None
    with read() as examples, _Stream(places) as stream:
        batch = next(one for one in examples.batches(places.size) if one.start == worst.start)
        place = f"{places.description}, examples {batch.start + 1} to {batch.stop} of {found.count}"
        data = stream.report(batch, place, places.targets)
    return replace(data, notes=(*data.notes, *found.notes), candidate=found.candidate)


class _Stream:
    """The batches of a run, as they come."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._kept: dict[str, list[BatchOnTarget]] = {str(target): [] for target in places.targets}
        self._stack = ExitStack()
        self.failures: dict[str, str] = {}
        self.notes: tuple[str, ...] = ()

    def __enter__(self) -> _Stream:
        run = replace(self._places.run, save=None)
        self._session = self._stack.enter_context(Session(self._places.opened, run))
        self._other = self._stack.enter_context(Session(self._places.other, run)) if self._places.other else None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def report(self, batch: Batch, description: str, targets: Sequence[Target]) -> ReportData:
        """One batch on ``targets``, compared."""
        from bittrue.inputs import load_inputs

        session, reference = self._session, self._places.reference
        if self._other is None:
            return session.report("check", batch.inputs, description, reference, targets)
        fed = load_inputs(fed_to(self._other.graph, batch.inputs), self._other.graph)
        return session.report("check", batch.inputs, description, reference, targets, Candidate(self._other, fed))

    def run(self, batch: Batch) -> dict[str, BatchOnTarget]:
        """Run one batch on the targets that have not failed, and keep what it says."""
        from bittrue.report.examples import summary_of

        wanted = [target for target in self._places.targets if str(target) not in self.failures]
        if not wanted:
            return {}
        data = self.report(batch, self._places.description, wanted)
        made: dict[str, BatchOnTarget] = {}
        for outcome in data.targets:
            if outcome.comparison is None:
                self.failures[outcome.target] = outcome.sentence
            else:
                made[outcome.target] = summary_of(data, outcome, self._session.graph, batch.start, batch.names)
        self.take(made, self.notes or self._aligned(data))
        return made

    def _aligned(self, data: ReportData) -> tuple[str, ...]:
        first, other = self._places.opened, self._places.other
        if other is None or not any(outcome.comparison for outcome in data.targets):
            return ()
        return (
            *alignment_notes(data, str(first.path), str(other.path)),
            *weight_notes(first.graph, other.graph),
        )

    def take(self, made: dict[str, BatchOnTarget], notes: Sequence[str] = ()) -> None:
        """Keep what was made of a batch, now or earlier."""
        self.notes = self.notes or tuple(notes)
        for target, kept in made.items():
            self._kept[target].append(kept)

    def over_examples(self) -> tuple[Any, ...]:
        """Every target with its batches."""
        from bittrue.report.examples import TargetOverExamples

        return tuple(
            TargetOverExamples(target, tuple(batches), self.failures.get(target, ""))
            for target, batches in self._kept.items()
        )


@dataclass(frozen=True)
class _Store:
    """The folder of a run's batches: one file each, named after its first example, written whole or not at all."""

    folder: Path
    targets: tuple[str, ...]

    @classmethod
    def of(cls, places: Places, weights: str) -> _Store:
        """The folder, made or found again. Raises UsageError where it is another run's."""
        run = places.run
        assert run.save is not None
        identity = {
            "schema": _SCHEMA,
            "weights_sha256": weights,
            "input": places.description,
            "batch_size": places.size,
            "reference": str(places.reference),
            "targets": [str(target) for target in places.targets],
            "explained": run.explain,
        }
        if places.other is not None:
            identity["candidate_sha256"] = _weights(places.other)
        store = cls(run.save, tuple(map(str, places.targets)))
        store._claim(identity)
        return store

    def _claim(self, identity: dict[str, Any]) -> None:
        path = self.folder / _IDENTITY
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _write(path, identity)
            elif json.loads(path.read_text(encoding="utf-8")) != identity:
                raise UsageError(
                    f"{self.folder} holds batches of another run (model, inputs, batch size or targets differ); name "
                    "another folder with --save"
                )
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be used ({error}); name another folder with --save") from error

    def read(self, batch: Batch) -> tuple[dict[str, BatchOnTarget], list[str]] | None:
        """What an earlier run made of these very tensors on all targets, and its notes; None for nothing of use."""
        from bittrue.report.examples import BatchOnTarget

        try:
            data = json.loads(self._path(batch).read_text(encoding="utf-8"))
            if data["sha256"] != batch.sha256 or set(data["targets"]) != set(self.targets):
                return None
            made = {target: BatchOnTarget.from_data(one) for target, one in data["targets"].items()}
            return made, [str(note) for note in data["notes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is made again, and written over

    def write(self, batch: Batch, made: dict[str, BatchOnTarget], notes: Sequence[str]) -> None:
        """Keep a batch."""
        targets = {target: one.as_data() for target, one in made.items()}
        _write(self._path(batch), {"sha256": batch.sha256, "targets": targets, "notes": list(notes)})

    def _path(self, batch: Batch) -> Path:
        return self.folder / f"examples-{batch.start:08d}.json"


def _write(path: Path, data: Any) -> None:
    from bittrue.tracefile import replacing

    with replacing(path.resolve()) as whole:
        whole.write((json.dumps(data) + "\n").encode())  # for this module alone: an infinite ratio stays one


def _weights(opened: OpenedModel) -> str:
    """SHA-256 over the model's weights and where they stand."""
    total = hashlib.sha256()
    for path, layer in opened.graph.walk():
        for weight in layer.weights:
            value = np.ascontiguousarray(weight.value)
            total.update(f"{'/'.join(path)} {layer.class_name} {value.dtype.str} {value.shape}\n".encode())
            total.update(value.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
