"""Many examples through one model on many targets, a batch at a time; what was done is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bittrue.errors import UsageError
from bittrue.runtimes.target import Target

from .running import Run, Session

if TYPE_CHECKING:
    from bittrue.inputs.examples import Batch, Examples
    from bittrue.model import OpenedModel
    from bittrue.report.data import ReportData
    from bittrue.report.examples import BatchOnTarget
    from bittrue.report.many import ManyExamples

__all__ = ["check_batches", "closer_look"]

_IDENTITY = "examples.json"
_SCHEMA = "bittrue/examples-of/1"


def check_batches(
    opened: OpenedModel,
    read: Callable[[], Examples],
    description: str,
    size: int,
    reference: Target,
    targets: Sequence[Target],
    run: Run,
) -> ManyExamples:
    """Run all examples that ``read`` opens, ``size`` at a time; keep of each what `bittrue.report.examples` says.

    A target that fails is left out of the batches that follow. Where ``run.save`` is set, each batch leaves a file
    there, and a later call with the same model, inputs, batches and targets runs those alone that not all targets
    delivered. Raises UsageError where the folder holds batches of another run.
    """
    from bittrue.report.many import ManyExamples

    store = _Store.of(opened, description, size, reference, targets, run) if run.save else None
    with read() as examples, Session(opened, replace(run, save=None)) as session:
        stream = _Stream(session, description, reference, list(targets))
        for batch in examples.batches(size):
            run.progress.phase("examples", f"{batch.start + 1} to {batch.stop} of {examples.count}")
            known = store.read(batch) if store else None
            if known is not None:
                stream.take(known)
                continue
            made = stream.run(batch)
            if store is not None:
                store.write(batch, made)
        run.progress.done("examples")
        return ManyExamples(
            opened.graph.name, description, examples.count, size, str(reference), stream.over_examples()
        )


def closer_look(
    opened: OpenedModel,
    read: Callable[[], Examples],
    found: ManyExamples,
    description: str,
    size: int,
    reference: Target,
    targets: Sequence[Target],
    run: Run,
) -> ReportData | None:
    """The batch with the most serious verdict once more, with everything; None where nothing was run."""
    worst = found.worst.worst_batch if found.worst else None
    if worst is None:
        return None
    with read() as examples, Session(opened, replace(run, save=None)) as session:
        batch = next(one for one in examples.batches(size) if one.start == worst.start)
        place = f"{description}, examples {batch.start + 1} to {batch.stop} of {found.count}"
        return session.report("check", batch.inputs, place, reference, targets)


class _Stream:
    """The batches of a run, as they come."""

    def __init__(self, session: Session, description: str, reference: Target, targets: list[Target]) -> None:
        self._session = session
        self._description = description
        self._reference = reference
        self._targets = targets
        self._kept: dict[str, list[BatchOnTarget]] = {str(target): [] for target in targets}
        self.failures: dict[str, str] = {}

    def run(self, batch: Batch) -> dict[str, BatchOnTarget]:
        """Run one batch on the targets that have not failed, and keep what it says."""
        from bittrue.report.examples import summary_of

        wanted = [target for target in self._targets if str(target) not in self.failures]
        if not wanted:
            return {}
        data: ReportData = self._session.report("check", batch.inputs, self._description, self._reference, wanted)
        made: dict[str, BatchOnTarget] = {}
        for outcome in data.targets:
            if outcome.comparison is None:
                self.failures[outcome.target] = outcome.sentence
            else:
                made[outcome.target] = summary_of(data, outcome, self._session.graph, batch.start, batch.names)
        self.take(made)
        return made

    def take(self, made: dict[str, BatchOnTarget]) -> None:
        """Keep what was made of a batch, now or earlier."""
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
    def of(
        cls, opened: OpenedModel, description: str, size: int, reference: Target, targets: Sequence[Target], run: Run
    ) -> _Store:
        """The folder, made or found again. Raises UsageError where it is another run's."""
        assert run.save is not None
        identity = {
            "schema": _SCHEMA,
            "weights_sha256": _weights(opened),
            "input": description,
            "batch_size": size,
            "reference": str(reference),
            "targets": [str(target) for target in targets],
            "explained": run.explain,
        }
        store = cls(run.save, tuple(map(str, targets)))
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

    def read(self, batch: Batch) -> dict[str, BatchOnTarget] | None:
        """What an earlier run made of these very tensors on all targets; None where there is nothing of use."""
        from bittrue.report.examples import BatchOnTarget

        try:
            data = json.loads(self._path(batch).read_text(encoding="utf-8"))
            if data["sha256"] != batch.sha256 or set(data["targets"]) != set(self.targets):
                return None
            return {target: BatchOnTarget.from_data(made) for target, made in data["targets"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is made again, and written over

    def write(self, batch: Batch, made: dict[str, BatchOnTarget]) -> None:
        """Keep a batch."""
        targets = {target: one.as_data() for target, one in made.items()}
        _write(self._path(batch), {"sha256": batch.sha256, "targets": targets})

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
