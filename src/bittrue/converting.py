"""Writing a model in another form: for TensorFlow.js, as an exact model, or the answer to whether it can be.

Each function here is an everyday command, as those of `bittrue.pipeline` are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bittrue.errors import ModelError, Unsupported, UsageError

if TYPE_CHECKING:
    from bittrue.conversion.tfjs import Artifact, Form
    from bittrue.conversion.tfjs.lint import Lint
    from bittrue.conversion.tfjs.quantization import Quantize
    from bittrue.exact.plan import Plan
    from bittrue.exact.quantized import Quantized
    from bittrue.model import OpenedModel
    from bittrue.traces import Array

__all__ = ["Exported", "as_nodes", "convert", "export", "lint"]


@dataclass(frozen=True)
class Exported:
    """An exact model that was written. ``notes``: a sentence for each thing that is not as in the model."""

    plan: Plan
    notes: tuple[str, ...] = ()


def convert(
    model: Any,
    out: Path,
    *,
    tfjs: str | None = None,
    form: Form = "auto",
    quantize: Sequence[str] = (),
    shims: bool = False,
    trust: bool = False,
    custom: Sequence[Any] = (),
) -> Artifact:
    """Write ``model`` for TensorFlow.js into the folder ``out``; refuses what cannot be faithful.

    ``form``: ``layers-model`` or ``graph-model``; ``auto`` is the first where every layer can be expressed in it, and
    the artifact's ``reason`` says which layer decided otherwise.
    ``quantize``: ``float16``, ``uint16`` or ``uint8``, each with ``:PATTERN`` of weight names where it is not for all;
    of several that fit a weight, the last.
    ``shims``: a layers-model nonetheless, with a module beside it that registers the layers TensorFlow.js lacks.
    ``custom``: classes and functions of the user's own that the model names, or where they are (``module:Class``).
    """
    from bittrue.conversion.tfjs import convert as write
    from bittrue.conversion.tfjs import parse_quantize
    from bittrue.model import open_model
    from bittrue.runtimes.tfjs import BUNDLED

    rules = [parse_quantize(text) for text in quantize]
    opened = open_model(model, trust=trust, custom=custom)

    def written(one: OpenedModel) -> Artifact:
        version = tfjs or BUNDLED
        return write(one.graph, Path(out), version=version, form=form, quantize=rules, shims=shims, nodes=one.nodes)

    try:
        return written(opened)
    except Unsupported as refusal:
        traced = None if form == "layers-model" or shims else as_nodes(opened)
        if traced is None:
            raise
        return replace(written(traced), reason=str(refusal))


def export(
    model: Any, out: Path, *, quantize: Sequence[str] = (), trust: bool = False, custom: Sequence[Any] = ()
) -> Exported:
    """Write ``model`` as an exact model, which gives the same bits in Python, browsers and Node.

    `bittrue.exact.load` and the npm package run it. ``quantize`` and ``custom`` as in `convert`; without a pattern the
    weights of two axes or more are quantised. Layers of another real precision than float32 are computed in float32, as
    everything is; a note says so. Raises Unsupported, naming the layer, for what the exact runtime does not have.
    """
    from bittrue.conversion.tfjs import parse_quantize
    from bittrue.conversion.tfjs.precision import in_float32, precision_notes
    from bittrue.exact.export import export as write
    from bittrue.model import open_model

    rules = [parse_quantize(text) for text in quantize]
    graph = open_model(model, trust=trust, custom=custom).graph
    plan = write(in_float32(graph), Path(out), quantize=partial(_quantized, rules) if rules else None)
    return Exported(plan, tuple(note.replace("TensorFlow.js", "the exact runtime") for note in precision_notes(graph)))


def _quantized(rules: Sequence[Quantize], constants: Mapping[str, Array]) -> Mapping[str, Quantized]:
    """What ``rules`` make of the constants of an exact model."""
    import numpy as np

    from bittrue.conversion.tfjs.quantization import chosen, quantise
    from bittrue.conversion.tfjs.versions import parse_version
    from bittrue.exact.quantized import Quantized
    from bittrue.runtimes.tfjs import BUNDLED

    found: dict[str, str] = {}
    for rule in rules:
        names = [name for name, array in constants.items() if array.ndim > 1 or rule.pattern != "*"]
        found |= chosen(names, [rule], parse_version(BUNDLED))
    made = {name: quantise(name, constants[name], dtype) for name, dtype in found.items()}
    return {
        name: Quantized(stored.view(np.float16) if how.dtype == "float16" else stored, how.scale, how.minimum)
        for name, (stored, how) in made.items()
    }


def as_nodes(opened: OpenedModel) -> OpenedModel | None:
    """The model as TensorFlow traces it, if it has layers without an expansion into ops; None where that is of no use.

    Where it is but an option of a layer that has none, the nodes must say what it means: each must have an expansion.
    """
    from bittrue.conversion.tfjs.graph_model import write_graph
    from bittrue.conversion.tfjs.specs import known_specs
    from bittrue.conversion.tfjs.versions import parse_version
    from bittrue.graph.layers import is_known
    from bittrue.runtimes.tfjs import BUNDLED

    if opened.nodes is not None:
        return None
    if any(not is_known(layer) for _, layer in opened.graph.walk()):
        return opened.traced()
    try:
        if not known_specs(opened.graph)[1]:
            return None
        traced = opened.traced()
        write_graph(traced.graph, parse_version(BUNDLED))
    except (ModelError, UsageError):
        return None
    return traced


def lint(model: Any, *, tfjs: str | None = None, trust: bool = False, custom: Sequence[Any] = ()) -> Lint:
    """What TensorFlow.js would reject or silently compute differently, and what `convert` does about it."""
    from bittrue.conversion.tfjs.lint import lint as examine_model
    from bittrue.conversion.tfjs.lint_nodes import lint_nodes
    from bittrue.model import open_model
    from bittrue.runtimes.tfjs import BUNDLED

    opened = open_model(model, trust=trust, custom=custom)
    if opened.nodes is not None:
        return lint_nodes(opened.graph, opened.nodes, version=tfjs or BUNDLED)
    found = examine_model(opened.graph, version=tfjs or BUNDLED)
    traced = as_nodes(opened) if found.form is None else None
    if traced is None or traced.nodes is None:
        return found
    by_nodes = lint_nodes(traced.graph, traced.nodes, version=tfjs or BUNDLED)
    return found if by_nodes.form is None else by_nodes
