"""Runs of small models without any framework: every layer exact, then rounded once, unless a fault is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from tests.graph.graphs import call, dense, entry, model

from bittrue.diagnosis.wiring import load, wire
from bittrue.graph.evaluate import layer_truth
from bittrue.graph.model import Graph, TensorRef
from bittrue.traces import Array, Check, Key, Provenance, Record, Trace

__all__ = ["SIZE", "chain", "provenance", "run", "x_of"]

Fault = Callable[[Array], Array]
SIZE = 16


def provenance(target: str) -> Provenance:
    engine, backend = target.split(":")
    runtime = "keras" if engine == "keras" else "tfjs"
    return Provenance(target, runtime, backend, "1", software=True if backend == "webgl" else None)


def run(
    graph: Graph,
    inputs: Mapping[str, Array],
    target: str = "node:wasm",
    faults: Mapping[str, Fault] | None = None,
    checks: tuple[Check, ...] = (),
    without: tuple[str, ...] = (),
) -> Trace:
    """A trace of ``graph``; ``faults`` change what a layer returns, by name; ``without`` leaves records out."""
    records = {key: Record.of(key, array) for key, array in ((Key("input", n), a) for n, a in inputs.items())}
    trace = Trace(provenance(target), records, checks)
    for path, node in graph.walk():
        for index, weight in enumerate(node.weights):
            key = Key("weight", "/".join(path), 0, index)
            records[key] = Record.of(key, weight.value)
    for wired in wire(graph):
        sources = [load(source, trace) for source in wired.operands or wired.passes]
        made = sources if wired.passes else layer_truth(wired.call.layer, sources, wired.call.nodes[-1])
        for at, value in enumerate(made):
            key = Key("output", wired.call.name, wired.call.call, at)
            rounded = value.astype(np.float32) if value.dtype.kind == "f" else value.astype(np.int32)
            fault = (faults or {}).get(wired.call.name)
            records[key] = Record.of(key, fault(rounded) if fault else rounded)
    kept = [record for record in records.values() if record.key.layer not in without]
    return Trace.of(provenance(target), kept, checks=checks)


def chain(depth: int = 4, seed: int = 0, activation: str = "linear") -> Graph:
    """Dense layers d0, d1, … one after the other, weights uniform in [-1, 1)."""
    generator = np.random.default_rng(seed)
    layers, last = [], TensorRef("x")
    for at in range(depth):
        kernel = generator.uniform(-1, 1, (SIZE, SIZE)).astype(np.float32)
        bias = generator.uniform(-1, 1, SIZE).astype(np.float32)
        layers.append(dense(f"d{at}", kernel, call(last), bias=bias, activation=activation))
        last = TensorRef(f"d{at}")
    return model([entry("x", SIZE)], layers, last)


def x_of(seed: int = 0, rows: int = 2) -> dict[str, Array]:
    return {"x": np.random.default_rng(seed).normal(size=(rows, SIZE)).astype(np.float32)}
