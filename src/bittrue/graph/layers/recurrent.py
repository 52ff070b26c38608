"""Recurrent layers: a cell, written once, looped over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..formula import Formula, Value
from ..loops import scan
from ..model import Call, LayerNode
from .activations import activated
from .operations_elementwise import as_truth
from .registry import expands

__all__: list[str] = []

Step = Callable[[Formula, Value, Sequence[Value]], tuple[Value, list[Value]]]
"""A cell: its formula, the input at one step and its states give its output and its new states."""


def _gates(z: Value, units: int, count: int) -> list[Value]:
    return [z.sliced(-1, at * units, (at + 1) * units) for at in range(count)]


def _units(cell: Formula) -> int:
    cell.options.inert("dropout", "recurrent_dropout", "seed", "implementation", "unit_forget_bias", "use_cudnn")
    return cell.options.whole("units")


def _recurrent(cell: Formula, x: Value) -> Value:
    return activated(cell, x, "recurrent_activation", "sigmoid")


def simple_step(cell: Formula, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
    """h = activation(x @ kernel + bias + h @ recurrent_kernel)."""
    _units(cell)
    z = x @ cell.weight("kernel")
    if cell.options.flag("use_bias", True):
        z = z + cell.weight("bias")
    h = activated(cell, z + states[0] @ cell.weight("recurrent_kernel"), default="tanh")
    return h, [h]


def lstm_step(cell: Formula, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
    """i, f, g, o from x and h; c = f · c + i · activation(g); h = o · activation(c)."""
    h, c = states
    z = x @ cell.weight("kernel") + h @ cell.weight("recurrent_kernel")
    if cell.options.flag("use_bias", True):
        z = z + cell.weight("bias")
    i, f, g, o = _gates(z, _units(cell), 4)
    c = _recurrent(cell, f) * c + _recurrent(cell, i) * activated(cell, g, default="tanh")
    h = _recurrent(cell, o) * activated(cell, c, default="tanh")
    return h, [h, c]


def gru_step(cell: Formula, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
    """z and r from x and h; h = z · h + (1 - z) · candidate, which r resets after or before the product."""
    (h,) = states
    units, biased = _units(cell), cell.options.flag("use_bias", True)
    reset_after = cell.options.flag("reset_after", True)
    recurrent, of_x = cell.weight("recurrent_kernel"), x @ cell.weight("kernel")
    if biased:
        bias = cell.weight("bias")
        of_x = of_x + (bias.sliced(0, 0, 1) if reset_after else bias)
    of_h = h @ (recurrent if reset_after else recurrent.sliced(1, 0, 2 * units))
    if biased and reset_after:
        of_h = of_h + cell.weight("bias").sliced(0, 1, 2)
    (xz, xr, xc), (hz, hr) = _gates(of_x, units, 3), _gates(of_h, units, 2)
    z, r = _recurrent(cell, xz + hz), _recurrent(cell, xr + hr)
    if reset_after:
        reset = r * of_h.sliced(-1, 2 * units, 3 * units)
    else:
        reset = (r * h) @ recurrent.sliced(1, 2 * units, 3 * units)
    candidate = activated(cell, xc + reset, default="tanh")
    h = z * h + (cell.constant(1.0) - z) * candidate
    return h, [h]


_STEPS: Mapping[str, tuple[Step, int]] = {
    "GRU": (gru_step, 1),
    "GRUCell": (gru_step, 1),
    "LSTM": (lstm_step, 2),
    "LSTMCell": (lstm_step, 2),
    "SimpleRNN": (simple_step, 1),
    "SimpleRNNCell": (simple_step, 1),
}
"""By class: what a step computes, and how many states it has, the first of which is its output."""


@dataclass(frozen=True)
class _Cell:
    """A cell of a recurrent layer; ``layer`` is None where it is the layer itself."""

    step: Step
    sizes: tuple[int, ...]
    layer: LayerNode | None = None
    first_weight: int = 0

    def run(self, inside: Formula, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        """One step, in the formula of the loop's body."""
        if self.layer is None:
            return self.step(inside, x, states)
        formula = inside.inner(self.layer, Call(()), (), self.first_weight)
        result = self.step(formula, x, states)
        formula.check_all_read()
        return result


@expands("LSTM", "GRU", "SimpleRNN")
def recurrent(formula: Formula) -> tuple[Value, ...]:
    """A cell looped over the steps."""
    step, states = _STEPS[formula.layer.class_name]
    return _looped(formula, [_Cell(step, (_units(formula),) * states)])


@expands("RNN")
def rnn(formula: Formula) -> tuple[Value, ...]:
    """A cell, or several stacked, looped over the steps."""
    cell = formula.options.raw("cell", None)
    stacked = isinstance(cell, Mapping) and cell.get("class_name") == "StackedRNNCells"
    given = cell["config"].get("cells", []) if stacked else [cell]
    starts = [at for at, weight in enumerate(formula.layer.weights) if weight.name == "kernel"]
    if len(starts) != len(given):
        raise formula.refused(f"it has {len(given)} cells, but weights of {len(starts)}")
    ends = [*starts[1:], len(formula.layer.weights)]
    return _looped(formula, [_cell(formula, *item) for item in zip(given, starts, ends, strict=True)])


def _cell(formula: Formula, serialised: Any, start: int, end: int) -> _Cell:
    known = isinstance(serialised, Mapping) and str(serialised.get("module")).partition(".")[0] == "keras"
    if not known or serialised.get("class_name") not in _STEPS:
        raise formula.options.refused("cell", "is or holds a cell that Bittrue does not know")
    name, config = str(serialised["class_name"]), serialised["config"]
    step, states = _STEPS[name]
    layer = LayerNode(formula.layer.name, name, "keras.layers", config, formula.layer.weights[start:end], ())
    return _Cell(step, (int(config["units"]),) * states, layer, start)


def _looped(formula: Formula, cells: Sequence[_Cell]) -> tuple[Value, ...]:
    """What the layer returns: the outputs or the last one, then the states if they are asked for."""
    options = formula.options
    options.only("stateful", False)
    x, mask = formula.argument(0, "sequences"), formula.mask()
    backwards, zeroed = options.flag("go_backwards", False), options.flag("zero_output_for_mask", False)
    if options.flag("unroll", False) and mask is not None and zeroed and backwards:
        raise options.refused("unroll", "makes Keras zero the outputs of other steps than the mask leaves out")
    truth = None if mask is None else as_truth(mask)
    if truth is not None and truth.rank == 2:
        truth = truth.expanded(-1)
    if backwards:
        x = x.sliced(1, None, None, -1)
        truth = None if truth is None else truth.sliced(1, None, None, -1)
    sequence, *states = _run(formula, cells, x, truth, held=truth is not None and not zeroed)
    if truth is not None and zeroed:
        sequence = truth.where(sequence, 0.0)
    y = sequence if options.flag("return_sequences", False) else _last(sequence)
    return (y, *map(_last, states)) if options.flag("return_state", False) else (y,)


def _last(sequence: Value) -> Value:
    return sequence.sliced(1, -1, None).squeezed(1)


def _run(formula: Formula, cells: Sequence[_Cell], x: Value, mask: Value | None, held: bool) -> list[Value]:
    """The outputs of every step, then each state after every step.

    Where the mask leaves a step out, states stay as they were, and the output, if it is ``held``, is the last one.
    """
    sizes = [size for cell in cells for size in cell.sizes]
    outputs = cells[-1].sizes[:1] if held else ()
    zeros = [np.zeros((1, size)) for size in outputs]

    def body(inside: Formula, slices: Sequence[Value], before: Sequence[Value]) -> list[Value]:
        states = list(before[len(outputs) :])
        y, after = _stacked(inside, cells, slices[0], states)
        if len(slices) == 1:
            return after
        kept = [slices[1].where(new, old) for new, old in zip(after, states, strict=True)]
        return [slices[1].where(y, before[0]), *kept] if held else kept

    sequences = [x] if mask is None else [x, mask]
    widths = [*outputs, *sizes]
    together = scan(formula, sequences, [*zeros, *_initial(formula, sizes)], body)
    parts = [together.sliced(-1, *places) for places in pairwise(accumulate(widths, initial=0))]
    return parts if held else [parts[len(sizes) - len(cells[-1].sizes)], *parts]


def _stacked(inside: Formula, cells: Sequence[_Cell], x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
    """One step of all cells, each on the output of the one before."""
    after: list[Value] = []
    for cell in cells:
        x, new = cell.run(inside, x, states[len(after) : len(after) + len(cell.sizes)])
        after += new
    return x, after


def _initial(formula: Formula, sizes: Sequence[int]) -> list[Value]:
    given = formula.argument(1, "initial_state")
    if given is None:
        return [formula.constant(np.zeros((1, size))) for size in sizes]
    flat = list(_leaves(given))
    if len(flat) != len(sizes):
        raise formula.refused(f"it is given {len(flat)} initial states, where it has {len(sizes)}")
    return [formula.value(item, "initial_state") for item in flat]


def _leaves(item: Any) -> list[Any]:
    return [leaf for inner in item for leaf in _leaves(inner)] if isinstance(item, list | tuple) else [item]
