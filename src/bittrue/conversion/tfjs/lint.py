"""What TensorFlow.js would reject or silently compute differently in a model as Keras wrote it, and what is done.

Nothing is run: the graph is held against what the classes of TensorFlow.js read (`facts`), what is known to be
needed (`rules`), and the converter itself, whose refusals are all findings here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bittrue.errors import Unsupported
from bittrue.graph.model import Graph, LayerNode

from .facts import facts, tfjs_spelling
from .graph_model import write_graph
from .layer_config import Written, activation_name
from .layers_model import fitted, only_tensors, write_model
from .lint_graph import graph_remedy
from .lint_model import model_findings
from .lint_options import ACTIVATION_KEYS, Issue, Kind, issues_of
from .precision import in_float32
from .rules import INERT, INERT_ENDINGS, RULES
from .specs import Specs, inputs_of, known_specs, used_layers
from .versions import Version, parse_version
from .wrapping import inner_layers, write

__all__ = ["Finding", "Lint", "lint"]


@dataclass(frozen=True)
class Finding:
    """One thing that TensorFlow.js would not do as Keras does.

    ``layer``: its path, empty for the model as a whole. ``option``: the key of its configuration, None for the
    layer as such. ``effect``: what TensorFlow.js does with Keras's own configuration, and ``why``. ``remedy``: what
    the converter does about it; ``repaired`` says whether a faithful layers-model comes of it.
    """

    layer: str
    class_name: str
    kind: Kind
    option: str | None
    effect: str
    why: str
    remedy: str
    repaired: bool


@dataclass(frozen=True)
class Lint:
    """All findings on one model, for TensorFlow.js of ``version``; ``read_from`` is the release that was asked.

    ``form`` is what the converter would write: a graph-model where a layers-model would not be faithful, None where
    neither is.
    """

    model: str
    version: str
    read_from: str
    layers: int
    form: Literal["layers-model", "graph-model"] | None
    findings: tuple[Finding, ...]

    @property
    def convertible(self) -> bool:
        """Whether the model can be written as a layers-model that is faithful."""
        return all(finding.repaired for finding in self.findings)


def lint(graph: Graph, *, version: str = "4.22.0") -> Lint:
    """What TensorFlow.js of ``version`` makes of ``graph``. Raises UsageError for what is no version."""
    numbers = parse_version(version)
    as_kept, graph = graph, in_float32(graph)
    found = [*_graph_findings(as_kept, graph, numbers, ()), *_model_wide(graph)]
    if all(finding.repaired for finding in found):
        found += _left_over(graph, numbers)
    layers = sum(1 for _ in graph.walk())
    return Lint(graph.name, version, facts().tfjs, layers, _form(graph, numbers, found), tuple(found))


def _form(graph: Graph, version: Version, found: Sequence[Finding]) -> Literal["layers-model", "graph-model"] | None:
    if all(finding.repaired for finding in found):
        return "layers-model"
    try:
        write_graph(graph, version)
    except Unsupported:
        return None
    return "graph-model"


def _model_wide(graph: Graph) -> Iterator[Finding]:
    layers = {"/".join(path): layer for path, layer in graph.walk()}
    for path, issue, remedy, repaired in model_findings(graph):
        yield _finding(path, layers[path].class_name if path else graph.kind, issue, remedy, repaired)


def _left_over(graph: Graph, version: Version) -> Iterator[Finding]:
    """What the converter refuses although nothing above has said so."""
    try:
        write_model(graph, version)
    except Unsupported as error:
        issue = Issue("hazard", None, "it is not known to load and to agree", str(error))
        name = next((layer.class_name for _, layer in graph.walk() if layer.name == error.layer), graph.kind)
        yield _finding(error.layer or "", name, issue, "no layers-model", False)


def _graph_findings(as_kept: Graph, graph: Graph, version: Version, path: tuple[str, ...]) -> Iterator[Finding]:
    """Findings on ``graph``, whose layers are looked at ``as_kept`` and written in float32."""
    specs, unknown = known_specs(graph)
    used = used_layers(graph)
    for kept, layer in zip(as_kept.layers, graph.layers, strict=True):
        here = (*path, layer.name)
        if layer.name not in used:
            continue
        if layer.subgraph is not None and kept.subgraph is not None:
            yield from _graph_findings(kept.subgraph, layer.subgraph, version, here)
        else:
            issues = tuple(issues_of(kept, version))
            yield from _layer_findings(layer, issues, "/".join(here), specs, unknown, version)


def _layer_findings(
    layer: LayerNode,
    issues: Sequence[Issue],
    path: str,
    specs: Specs,
    unknown: Mapping[str, Unsupported],
    version: Version,
) -> Iterator[Finding]:
    outcome = _outcome(layer, specs, unknown, version)
    if isinstance(outcome, Unsupported):
        reason = _reason(outcome)
        instead = graph_remedy(layer, specs, version)
        remedy = f"no layers-model: {reason}" + (f"; {instead}" if instead else "")
        for issue in issues or [Issue("hazard", None, "it is not known to load and to agree", reason)]:
            yield _finding(path, layer.class_name, issue, remedy, False)
        return
    for issue in issues:
        yield _finding(path, layer.class_name, issue, _remedy(layer, issue, outcome), True)
    yield from _rewritten(layer, path, outcome, {issue.option for issue in issues})


def _outcome(
    layer: LayerNode, specs: Specs, unknown: Mapping[str, Unsupported], version: Version
) -> Written | Unsupported:
    """What the converter makes of the layer, as far as its inputs are known."""
    try:
        written = write(layer, version)
        for call in layer.calls:
            only_tensors(layer, call)
        if layer.name in unknown:
            raise unknown[layer.name]
        known = all(ref in specs for call in layer.calls for ref in inputs_of(call))
        return fitted(layer, specs, version) if known else written
    except Unsupported as error:
        return error


def _reason(error: Unsupported) -> str:
    """The error less the name of the layer, which the finding gives."""
    return str(error).partition(": ")[2] or str(error)


def _finding(path: str, class_name: str, issue: Issue, remedy: str, repaired: bool) -> Finding:
    return Finding(path, class_name, issue.kind, issue.option, issue.effect, issue.why, remedy, repaired)


def _remedy(layer: LayerNode, issue: Issue, written: Written) -> str:
    key = issue.option
    if key == "dtype":
        return "written in float32"
    if written.class_name != layer.class_name:
        return f"written as {_shown(written)}"
    if key is None:
        return "written as TensorFlow.js reads it"
    if key.partition(".")[0] in inner_layers(layer):
        return "written by the same rules as a layer that stands alone"
    rules = [rule for rule in RULES[layer.class_name] if rule.tfjs == layer.class_name]
    names = {rule.rename[key] for rule in rules if key in rule.rename}
    name = next((name for name in names if name in written.config), key)
    if key.endswith(INERT_ENDINGS) and name in written.config:
        return "written as Zeros: the weights that follow replace it"
    if name not in written.config:
        inert = key in INERT or key.endswith(INERT_ENDINGS)
        return "left out: it does nothing at inference" if inert else "left out"
    return f"written as {name}={written.config[name]!r}"


def _shown(written: Written) -> str:
    """The class with what sets it apart: ``LeakyReLU(alpha=0.2)``."""
    same = {"name", "trainable"}
    options = (f"{key}={value!r}" for key, value in written.config.items() if key not in same)
    return f"{written.class_name}({', '.join(options)})"


_QUIET: dict[str, tuple[Kind, str]] = {
    "Concatenate": ("different", "it takes any negative axis for the last one"),
    "Flatten": ("rejected", "it does not flatten what has two axes already"),
    "InputLayer": ("rewritten", "it has no integers but int32"),
    "Reshape": ("hazard", "it works out a -1 only when it runs, and layers after it cannot be built"),
}
"""What is rewritten for the tensors a layer is called with, and what would become of it otherwise."""


def _rewritten(layer: LayerNode, path: str, written: Written, told: set[str | None]) -> Iterator[Finding]:
    """What is written differently although no option has been found at fault."""
    changed = (
        [] if written.class_name != layer.class_name else [key for key in _changed(layer, written) if key not in told]
    )
    for key in changed:
        kind, why = _QUIET.get(layer.class_name, ("rewritten", "it is spelled out for the shapes of this model"))
        issue = Issue(kind, key, f"{key}={layer.config[key]!r} is read as it stands", why)
        yield _finding(path, layer.class_name, issue, f"written as {key}={written.config[key]!r}", True)
    if written.class_name != layer.class_name and not told:
        kind, why = _QUIET.get(layer.class_name, ("rewritten", "another class does the same at inference"))
        issue = Issue(kind, None, "it cannot stay as it is", why)
        yield _finding(path, layer.class_name, issue, f"written as {_shown(written)}", True)
    for weight, name in zip(layer.weights, written.weights, strict=True) if not inner_layers(layer) else ():
        if name != f"{layer.name}/{weight.name}":
            effect = f"Provided weight data has no target variable: {layer.name}/{weight.name}"
            issue = Issue("rejected", None, effect, "it calls that weight otherwise")
            yield _finding(path, layer.class_name, issue, f"written as {name}", True)


def _changed(layer: LayerNode, written: Written) -> list[str]:
    inner = inner_layers(layer)
    shared = [key for key in written.config if key in layer.config and key not in inner]
    shared = [key for key in shared if not key.endswith(INERT_ENDINGS)]
    return [key for key in shared if not _alike(key, layer.config[key], written.config[key])]


def _alike(key: str, before: Any, after: Any) -> bool:
    if key in ACTIVATION_KEYS:
        return bool(tfjs_spelling(activation_name(before)) == after)
    return bool(before == after)
