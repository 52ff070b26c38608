"""TensorFlow 1's loops: what a node inside of one reads from outside has to enter the loop's frame first.

TensorFlow keeps the constants of a loop's body in the loop's frame by control inputs. TensorFlow.js has no use for
those, so that in a graph-model such a constant stands outside, where TensorFlow would not let the body read it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence

from bittrue.errors import ModelError
from bittrue.graph.nodegraph import Node, Source, attribute

__all__ = ["entered"]

Frame = tuple[str, ...]
"""The names of the loops that something is in, the outermost first."""

_DEEPEST = 20


def entered(nodes: Sequence[Node], types: Mapping[str, str]) -> Iterator[Node]:
    """The ``nodes``, and before each what brings the constants that it reads into its frame.

    ``types`` are the types of the constants and inputs by name, as TensorFlow calls them (``DT_FLOAT``). Raises
    ModelError for loops within loops without end.
    """
    if not any(node.op == "Enter" for node in nodes):
        yield from nodes
        return
    entering = _Entering(nodes, types)
    for node in nodes:
        inputs = []
        for source in node.inputs:
            yield from entering.steps(source, node)
            inputs.append(entering.inside(source, node))
        yield Node(node.name, node.op, tuple(inputs), node.attributes)


class _Entering:
    """The nodes that bring constants into frames, each made once."""

    def __init__(self, nodes: Sequence[Node], types: Mapping[str, str]) -> None:
        self._frames = _Frames(nodes)
        self._types = types
        self._numbers: dict[Frame, int] = {}
        self._made: set[Source] = set()

    def steps(self, source: Source, reader: Node) -> Iterator[Node]:
        """What ``source`` has to go through, from outside, to be read by ``reader``, as far as it is not there yet."""
        frame = self._frame(source, reader)
        for depth, loop in enumerate(frame, 1):
            entry = self._named(source, frame[:depth])
            if entry not in self._made:
                self._made.add(entry)
                name = {"s": base64.b64encode(loop.encode()).decode()}
                attributes = {"T": {"type": self._types[source[0]]}, "frame_name": name, "is_constant": {"b": True}}
                yield Node(entry[0], "Enter", (self._named(source, frame[: depth - 1]),), attributes)

    def inside(self, source: Source, reader: Node) -> Source:
        """What ``reader`` reads in the place of ``source``."""
        return self._named(source, self._frame(source, reader))

    def _frame(self, source: Source, reader: Node) -> Frame:
        return self._frames.read[reader.name] if source[0] in self._types else ()

    def _named(self, source: Source, frame: Frame) -> Source:
        number = self._numbers.setdefault(frame, len(self._numbers) + 1)
        return (f"{source[0]}/entered_{number}", 0) if frame else source


class _Frames:
    """In which frame each of the nodes reads, and in which the tensors are that it makes.

    What only constants lead to is in the frame of its readers: were it outside, TensorFlow itself would have had it
    enter.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.read: dict[str, Frame] = {node.name: () for node in nodes}
        self._made = dict(self.read)
        self._around: dict[str, Frame] = {}
        self._ops = {node.name: node.op for node in nodes}
        changed = True
        while changed:
            changed = False
            for node in (*nodes, *reversed(nodes)):  # along the edges and against them, so that a few rounds do
                changed = self._settle(node) or changed

    def _settle(self, node: Node) -> bool:
        """Whether there was something to learn about ``node`` and what it reads."""
        sources = [name for name, _ in node.inputs if name in self._made]
        inside = max([self.read[node.name], *(self._made[name] for name in sources)], key=len)
        if node.op == "Enter":
            loop = str(attribute(node, "frame_name", "s"))
            # One loop is entered from one frame, whatever else of it is constant.
            inside = self._around[loop] = max(self._around.get(loop, ()), inside, key=len)
            made = (*inside, loop)
        else:
            made = inside[:-1] if node.op == "Exit" else inside
        if len(made) > _DEEPEST:
            raise ModelError(f"its loops at node {node.name!r:.200} do not end, or lie more than {_DEEPEST} deep")
        learnt = [self._read_within(name, inside) for name in sources]
        known = (inside, made) == (self.read[node.name], self._made[node.name])
        self.read[node.name], self._made[node.name] = inside, made
        return any(learnt) or not known

    def _read_within(self, name: str, frame: Frame) -> bool:
        """What the node ``name`` makes is read in ``frame``."""
        if len(self._made[name]) >= len(frame) or self._ops[name] == "Enter":
            return False
        if self._ops[name] == "Exit":
            if not self.read[name]:
                return False
            self._around[self.read[name][-1]] = frame
            self.read[name] = (*frame, self.read[name][-1])
        else:
            self.read[name] = frame
        self._made[name] = frame
        return True
