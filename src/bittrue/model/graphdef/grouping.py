"""Which nodes make up a layer, told by their names: TensorFlow names a node after the scopes that it was made in.

A scope that computes something itself is a layer; one that only holds others is a model; a node that was made in no
scope is a layer by itself. The scopes that hold all nodes are left out of the names. Layers that would have to wait
for one another (because a scope was entered twice, say) are taken apart again into their nodes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["layers_of", "scopes_of"]

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")

Reads = Mapping[str, Sequence[str]]


def scopes_of(node: str) -> tuple[str, ...]:
    """The path of a node, without what TensorFlow calls the functions that it was inlined from."""
    path = tuple(node.split("/"))
    while len(path) > 1 and _CALL.fullmatch(path[0]):
        path = path[1:]
    return path


def layers_of(reads: Reads) -> dict[str, str]:
    """The name of the layer that each node belongs to. ``reads``: for each node, the nodes that it reads, in order."""
    short = _shortened(list(reads))
    direct = {path[:-1] for path in short.values()}
    found = {node: _layer(path, direct) for node, path in short.items()}
    while tangled := _tangled(reads, found):
        found = {node: "/".join(short[node]) if layer in tangled else layer for node, layer in found.items()}
    return found


def _shortened(nodes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths of the nodes, without the scopes that hold all of them, unless that leaves no scope."""
    paths = {node: scopes_of(node) for node in nodes}
    depth = 0
    while _holds_all(list(paths.values()), depth):
        depth += 1
    return {node: path[depth:] for node, path in paths.items()}


def _holds_all(paths: Sequence[tuple[str, ...]], depth: int) -> bool:
    """Whether one scope holds all nodes, and others inside it."""
    shared = len({path[: depth + 1] for path in paths}) == 1 and all(len(path) > depth + 1 for path in paths)
    return shared and any(len(path) > depth + 2 for path in paths)


def _layer(path: tuple[str, ...], direct: set[tuple[str, ...]]) -> str:
    scopes = (path[:end] for end in range(1, len(path)))
    return "/".join(next((scope for scope in scopes if scope in direct), path))


def _tangled(reads: Reads, layers: Mapping[str, str]) -> set[str]:
    """Layers of several nodes that take part in a circle."""
    forward: dict[str, set[str]] = {layer: set() for layer in layers.values()}
    for node, sources in reads.items():
        for source in sources:
            if source in layers and layers[source] != layers[node]:
                forward[layers[node]].add(layers[source])
    backward: dict[str, set[str]] = {layer: set() for layer in forward}
    for layer, needed in forward.items():
        for source in needed:
            backward[source].add(layer)
    several = {layer for layer, count in Counter(layers.values()).items() if count > 1}
    return _left(forward, backward) & _left(backward, forward) & several


def _left(needs: Mapping[str, set[str]], readers: Mapping[str, Iterable[str]]) -> set[str]:
    """What stays when all that needs nothing is taken away, again and again."""
    missing = {layer: len(sources) for layer, sources in needs.items()}
    free = [layer for layer, count in missing.items() if count == 0]
    while free:
        layer = free.pop()
        del missing[layer]
        for reader in readers[layer]:
            missing[reader] -= 1
            if missing[reader] == 0:
                free.append(reader)
    return set(missing)
