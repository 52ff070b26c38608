"""The files of a minimal case, and whether the case alone still shows what it was cut out for."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bittrue.errors import BittrueError, UsageError
from bittrue.graph.model import TensorRef
from bittrue.runtimes.target import Target
from bittrue.runtimes.tfjs import BUNDLED, tfjs_files
from bittrue.traces import Array

from .case import Case, redacted

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

__all__ = ["Written", "reproduce"]

_SEEDS = 4
"""Random inputs and weights that are tried before it is said that none show the fault."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Written:
    """``folder`` with the case; ``alone`` says what the case by itself shows, in a sentence."""

    folder: Path
    files: tuple[str, ...]
    alone: str


def reproduce(case: Case, folder: Path, *, saved: Path | None = None, redact: bool = False) -> Written:
    """Write ``case`` into ``folder`` as a page, a script and their data.

    ``saved`` is the converted model that ran, if it was kept: the layer is configured as it was there. With ``redact``
    inputs and weights are random ones that still show the fault. Raises UsageError where none do, Unsupported for a
    layer that TensorFlow.js cannot be given by itself, and UsageError for a folder that cannot be written.
    """
    _made(folder)
    work = folder / "model"
    if redact:
        case = _redacted(case, work, saved)
    artifact = _converted(case, work, saved)
    alone = _alone(case, artifact)
    files = [*_data(case, artifact, folder), *_runtime(case, folder)]
    for name, text in (
        ("index.html", _page(case)),
        ("repro.py", _text("script.py.txt")),
        ("README.md", _readme(case, alone)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        files.append(name)
    shutil.rmtree(work)
    return Written(folder, tuple(sorted(files)), alone)


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror or error}; name another") from error


def _converted(case: Case, work: Path, saved: Path | None) -> Artifact:
    """A model of the layer alone, its options as the page that ran was given them."""
    from bittrue.conversion.tfjs import convert
    from bittrue.conversion.tfjs.artifact import MODEL_JSON, read_artifact, read_document

    shutil.rmtree(work, ignore_errors=True)
    artifact = convert(case.graph(), work, version=case.provenance.version or BUNDLED)
    given = None if saved is None else _entry(read_document(saved), case.path)
    document = read_document(work)
    mine = _entry(document, (case.layer.name,))
    if given is None or mine is None or artifact.format != "layers-model":
        return artifact
    mine["config"], mine["class_name"] = given["config"], given["class_name"]
    document.get("userDefinedMetadata", {}).get("bittrue", {}).pop("sha256", None)
    (work / MODEL_JSON).write_text(json.dumps(document), encoding="utf-8")
    return read_artifact(work)


def _entry(document: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    """The layer at ``path`` of a ``model.json``."""
    found: Any = document.get("modelTopology", {}).get("model_config")
    for name in path:
        config = found.get("config") if isinstance(found, dict) else None
        layers = config.get("layers", []) if isinstance(config, dict) else config
        found = next((item for item in layers or [] if item.get("config", {}).get("name") == name), None)
    return found if isinstance(found, dict) and "class_name" in found else None


def _run(case: Case, artifact: Artifact) -> tuple[Array, ...]:
    """What the case's target makes of the layer alone. Raises a BittrueError where it cannot be had."""
    from bittrue.runtimes.host import Host

    target = Target.parse(case.provenance.target)
    if target.is_keras or target.engine in ("python", "tensorflow"):
        raise UsageError(f"{target} runs no page")
    graph = case.graph()
    with Host() as host, host.runtime(target, artifact, graph) as runtime:
        trace = runtime.trace(case.inputs)
    records = [record for record in trace.of_kind("output") if record.key.layer == case.layer.name]
    return tuple(record.load() for record in records)


def _alone(case: Case, artifact: Artifact) -> str:
    target = case.provenance.target
    try:
        outputs = _run(case, artifact)
    except BittrueError as error:
        return f"The case alone was not run here: {error}"
    total = sum(y.size for y in case.outputs)
    same = sum(
        int(np.count_nonzero((a == b) | ((a != a) & (b != b)))) if a.shape == b.shape else 0
        for a, b in zip(case.outputs, outputs, strict=False)
    )
    out = case.outside(outputs)
    said = f"{target} alone returns {same} of {total} values as recorded, {out} of them outside of what rounding allows"
    if same < total and not out:
        return f"{said}: what was wrong needs more than this layer (the page, the whole model), and is not shown by it."
    return f"{said}."


def _redacted(case: Case, work: Path, saved: Path | None) -> Case:
    """A case on random data that its target still computes wrongly."""
    for seed in range(_SEEDS):
        made = redacted(case, seed)
        outputs = _run(made, _converted(made, work, saved))
        if made.outside(outputs):
            return replace(made, outputs=outputs)
    shutil.rmtree(work, ignore_errors=True)
    raise UsageError(
        f"none of {_SEEDS} sets of random weights and inputs shows the fault on {case.provenance.target}: it lies in "
        "the values themselves or outside of this layer; write the case without --redact"
    )


def _data(case: Case, artifact: Artifact, folder: Path) -> list[str]:
    from bittrue.conversion.tfjs.artifact import read_document

    document = read_document(artifact.where)
    groups = document.get("weightsManifest", [])
    content = b"".join((artifact.folder / path).read_bytes() for group in groups for path in group["paths"])
    values = {
        "format": artifact.format,
        "target": case.provenance.target,
        "backend": case.provenance.backend,
        "layer": f"{'/'.join(case.path)} ({case.layer.class_name})",
        "modelTopology": document["modelTopology"],
        "weightSpecs": [spec for group in groups for spec in group["weights"]],
        "weightData": base64.b64encode(content).decode("ascii"),
        "inputs": [{"name": name, **_packed(array)} for name, array in case.inputs.items()],
        "outputs": [
            {**_packed(y), "exact": _packed(value), "bound": _packed(np.broadcast_to(bound, value.shape))}
            for y, (value, bound) in zip(case.outputs, case.exact, strict=False)
        ],
    }
    (folder / "case.js").write_text(f"globalThis.CASE = {json.dumps(values)};\n", encoding="utf-8")
    np.savez(folder / "case.npz", **dict(_arrays(case)))  # type: ignore[arg-type]
    (folder / "layer.json").write_text(json.dumps(_layer(case), indent=1, default=str), encoding="utf-8")
    return ["case.js", "case.npz", "layer.json"]


def _packed(array: Array) -> dict[str, Any]:
    wide = array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8) else array
    raw = np.ascontiguousarray(wide).astype(wide.dtype.newbyteorder("<"))
    return {
        "dtype": raw.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(raw.tobytes()).decode("ascii"),
    }


def _arrays(case: Case) -> Iterator[tuple[str, Array]]:
    yield from case.inputs.items()
    for at, weight in enumerate(case.layer.weights):
        yield f"weight_{at}", weight.value
    for at, (y, (value, bound)) in enumerate(zip(case.outputs, case.exact, strict=False)):
        yield from ((f"output_{at}", y), (f"exact_{at}", value), (f"bound_{at}", np.broadcast_to(bound, value.shape)))


def _layer(case: Case) -> dict[str, Any]:
    call = case.layer.calls[0]
    return {
        "class_name": case.layer.class_name,
        "module": case.layer.module,
        "config": dict(case.layer.config),
        "args": [_plain(item) for item in call.args],
        "kwargs": {key: _plain(value) for key, value in call.kwargs.items()},
        "weights": [weight.name for weight in case.layer.weights],
        "target": case.provenance.target,
    }


def _plain(item: Any) -> Any:
    if isinstance(item, TensorRef):
        return {"input": item.layer}
    return [_plain(inner) for inner in item] if isinstance(item, list | tuple) else item


def _runtime(case: Case, folder: Path) -> list[str]:
    """TensorFlow.js beside the page: the page asks nobody for anything."""
    files = tfjs_files(case.provenance.version or BUNDLED)
    names = [*files.scripts(case.provenance.backend)]
    if case.provenance.backend == "wasm":
        names += [path.name for path in files.folder.glob("*.wasm")]
    for name in names:
        shutil.copyfile(files.folder / name, folder / name)
    return names


def _page(case: Case) -> str:
    files = tfjs_files(case.provenance.version or BUNDLED)
    scripts = "\n".join(f'    <script src="{name}"></script>' for name in files.scripts(case.provenance.backend))
    return _text("page.html").replace("    <!-- TensorFlow.js -->", scripts)


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _readme(case: Case, alone: str) -> str:
    out, size = case.outside(case.outputs), sum(y.size for y in case.outputs)
    return _text("readme.txt").format(
        layer="/".join(case.path),
        class_name=case.layer.class_name,
        target=case.provenance.target,
        version=case.provenance.version,
        outside=f"{out} of {size}",
        alone=alone,
    )
