"""Every conformance case as an exact model with weights and inputs of our own, whose hashes are a golden file.

A case is a layer, an operation or a sequence of tests/graph, or a model of special_models. Its hash covers the result
of every operation of its plan and every output: dtypes, shapes and bits. ``python tests/exact/golden_cases.py`` writes
golden_cases.json anew, by the oracle, which changes only with the semantics or with what a case is lowered to.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from drawn import kernel, truths, uniform, whole
from golden_models import MODELS as OWN
from golden_models import Built
from special_models import MODELS as SPECIAL
from subjects import by_oracle, described, fingerprint, part, rows

from bittrue.exact.plan import codes
from bittrue.graph.model import Graph
from bittrue.traces import Array

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))

import layer_cases
import operation_cases
import sequence_cases

__all__ = ["GOLDEN", "KERAS", "LABELS", "built", "golden", "graph_of_case"]

GOLDEN = Path(__file__).with_name("golden_cases.json")

KerasCase = tuple[Callable[..., Any], tuple[tuple[Any, ...], ...], float]
"""What is built of symbolic inputs, the inputs' shapes with their dtypes, and how large their numbers are at most."""


def _layer(case: layer_cases.Case) -> KerasCase:
    name, options, shapes = case

    def build(k: Any, *symbols: Any) -> Any:
        return getattr(k.layers, name)(**options)(list(symbols) if len(symbols) > 1 else symbols[0])

    return build, shapes, 4.0


def _numbered(kind: str, cases: Iterable[tuple[str, KerasCase]]) -> dict[str, KerasCase]:
    """By unique labels: the second of one name is called so."""
    seen: Counter[str] = Counter()
    found = {}
    for name, case in cases:
        seen[name] += 1
        found[f"{kind}/{name}" + (f" #{seen[name]}" if seen[name] > 1 else "")] = case
    return found


KERAS: dict[str, KerasCase] = {
    **_numbered("layer", ((layer_cases.label(case), _layer(case)) for case in layer_cases.CASES)),
    **_numbered("operation", ((name, (build, shapes, 2.0)) for name, build, shapes in operation_cases.CASES)),
    **_numbered("sequence", ((name, (build, shapes, 2.0)) for name, build, shapes in sequence_cases.CASES)),
}
_PLANS: dict[str, Callable[[], Built]] = {**{f"model/{name}": build for name, build in OWN.items()}, **SPECIAL}
LABELS = (*_PLANS, *KERAS)


def graph_of_case(label: str) -> tuple[Graph, list[Array]]:
    """A case of Keras as a graph, with its inputs."""
    import keras

    from bittrue.model.reading import graph_of

    build, shapes, size = KERAS[label]
    inputs = [_input(f"{label}/in{at}", shape, size) for at, shape in enumerate(shapes)]
    symbols = [keras.Input(x.shape[1:], dtype=x.dtype.name, name=f"in{at}") for at, x in enumerate(inputs)]
    model = keras.Model(symbols, build(keras, *symbols))
    for at, variable in enumerate(model.weights):
        variable.assign(_weight(f"{label}/{at}", variable))
    return graph_of(model), inputs


def _input(name: str, shape: tuple[Any, ...], size: float) -> Array:
    if shape[-1] == operation_cases.INT:
        return whole(name, shape[:-1], 4)
    if shape[-1] == operation_cases.BOOL:
        return truths(name, shape[:-1])
    return uniform(name, shape, -size, size)


def _weight(name: str, variable: Any) -> Array:
    shape = tuple(variable.shape)
    if "float" not in str(variable.dtype):
        return np.zeros(shape, str(variable.dtype))  # a count that no prediction reads
    if "variance" in variable.name:
        return uniform(name, shape, 0.5, 2.0)
    return kernel(name, shape, int(np.prod(shape[:-1])), 1.0) if len(shape) > 1 else uniform(name, shape, -1.5, 1.5)


def built(label: str) -> Built:
    """The plan of a case, its constants and inputs."""
    if label in _PLANS:
        return _PLANS[label]()
    from bittrue.exact.export import lowered

    graph, inputs = graph_of_case(label)
    plan, constants = lowered(graph)
    return plan, constants, {item.name: x for item, x in zip(plan.inputs, inputs, strict=True)}


@cache
def golden() -> tuple[dict[str, str], frozenset[str]]:
    """The hash of every case, and the cases whose batch cannot be split."""
    content = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content["hashes"], frozenset(content["inseparable"])


def _outputs(case: Built, inputs: dict[str, Array]) -> list[Array]:
    return by_oracle(case[0], case[1], inputs)[-len(case[0].outputs) :]


def separable(case: Built, whole_outputs: Sequence[Array]) -> bool:
    """Whether the specification gives the same outputs to examples alone as to the batch."""
    count = rows(case[2])
    if count < 2 or any(x.ndim == 0 for x in whole_outputs):
        return False
    try:
        alone = [_outputs(case, part(case[2], at, at + 1)) for at in range(count)]
    except (ValueError, IndexError):
        return False  # shapes of this very batch are part of the plan
    joined = [np.concatenate([one[at] for one in alone]) for at in range(len(whole_outputs))]
    return all(described(a) == described(b) for a, b in zip(joined, whole_outputs, strict=True))


def sane(label: str, outputs: Iterable[Array]) -> None:
    """NaN and infinities hide what they are made of: only special values are meant to give them. Raises ValueError."""
    for output in outputs:
        if label in KERAS and output.dtype == np.float32 and not np.isfinite(output).all():
            raise ValueError(f"{label}: an output of shape {output.shape} holds numbers that are not finite")


def main() -> None:
    """Write the golden file. Raises ValueError where an operation of the specification is in no case."""
    hashes, inseparable, met = {}, [], set()
    for label in LABELS:
        case = built(label)
        tensors = by_oracle(*case)
        outputs = tensors[-len(case[0].outputs) :]
        sane(label, outputs)
        hashes[label] = fingerprint(map(described, tensors))
        inseparable += [] if separable(case, outputs) else [label]
        met |= {step.name for step in case[0].operations}
    if met != set(codes()):
        raise ValueError(
            f"no case has the operations {', '.join(sorted(set(codes()) - met))}: add one to special_models.py"
        )
    content = {"inseparable": sorted(inseparable), "hashes": dict(sorted(hashes.items()))}
    GOLDEN.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    print(f"{len(hashes)} cases of {len(met)} operations, {len(inseparable)} of them whole only")


if __name__ == "__main__":
    main()
