"""In which order Keras keeps the operations of a Functional model: by depth, then as they are met from the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bittrue.graph.model import TensorRef

from .keras_facts import NeedsKeras

__all__ = ["ordered"]

Node = tuple[str, int]
"""A call of an operation; an input layer's own is number 0."""


def ordered(
    parents: Mapping[Node, Sequence[Node]], inputs: Sequence[TensorRef], outputs: Sequence[TensorRef]
) -> list[str]:
    """The operations' names in Keras's order. ``parents``: for each call those that made its tensors, as it takes them.

    Raises NeedsKeras where calls form a circle, or a call exists that no output needs.
    """
    visit = _Visit(parents)
    for ref in outputs:
        visit.reach((ref.layer, ref.call))
    entries = {ref.layer for ref in inputs}
    strays = [name for name, call in parents if (name, call) not in visit.finished and name not in entries]
    if strays:
        raise NeedsKeras(f"the call of {strays[0]} that no output needs")
    depths = _depths(parents, visit.order)
    met = dict(visit.met)
    for ref in inputs:
        if ref.layer not in depths:
            depths[ref.layer], met[ref.layer] = 0, -1
    return sorted(depths, key=lambda name: (-depths[name], met[name]))


class _Visit:
    """A walk in depth from the outputs, without recursion. ``order``: calls after those that they need."""

    def __init__(self, parents: Mapping[Node, Sequence[Node]]) -> None:
        self.order: list[Node] = []
        self.finished: set[Node] = set()
        self.met: dict[str, int] = {}
        self._parents = parents

    def reach(self, node: Node) -> None:
        if node in self.finished:
            return
        under_way: dict[Node, Iterator[Node]] = {node: self._begun(node)}
        while under_way:
            current, waiting = next(reversed(under_way.items()))
            needed = next((one for one in waiting if one not in self.finished), None)
            if needed is None:
                del under_way[current]
                self.finished.add(current)
                self.order.append(current)
            elif needed in under_way:
                raise NeedsKeras(f"the circle through {needed[0]}")
            else:
                under_way[needed] = self._begun(needed)

    def _begun(self, node: Node) -> Iterator[Node]:
        if node not in self._parents:
            raise NeedsKeras(f"the call {node[1]} of {node[0]}, which does not exist")
        self.met.setdefault(node[0], len(self.met))
        return iter(self._parents[node])


def _depths(parents: Mapping[Node, Sequence[Node]], order: Sequence[Node]) -> dict[str, int]:
    """How far each operation is from the outputs; one called several times, at its farthest call."""
    calls: dict[Node, int] = {}
    names: dict[str, int] = {}
    for node in reversed(order):
        depth = max(calls.setdefault(node, 0), names.get(node[0], 0))
        names[node[0]] = calls[node] = depth
        for needed in parents[node]:
            calls[needed] = max(depth + 1, calls.get(needed, 0))
    return names
