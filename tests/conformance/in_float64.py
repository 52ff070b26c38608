"""The exact answer against Keras itself, computing in float64: where it really does, they agree to float64's rounding.

Keras is told to compute in float64 throughout (floatx and the policy of all layers), and still some of its layers do
not: resizes go through float32 kernels, and numbers of the configuration are rounded to float32 on the way. There the
two agree to float32's rounding alone, which is said and not counted as agreement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from tests.conformance.building import build
from tests.conformance.cases import Case
from tests.conformance.judging import bounded, worst

from bittrue.errors import ModelError, Unsupported
from bittrue.model import open_model
from bittrue.ops import Axioms
from bittrue.traces import Array

__all__ = ["EPSILON", "Compared", "compared", "keras_in_float64"]

EPSILON = 2.0**-52
_FLOAT64 = replace(
    Axioms(), unit_roundoff=2.0**-53, smallest_normal=2.0**-1022, largest=float(np.finfo(np.float64).max)
)


@dataclass(frozen=True)
class Compared:
    """``state``: ``float64`` (they agree to its rounding), ``float32`` (to that one's alone), ``wrong``, ``refused``
    (there is no exact answer) or ``illegal`` (Keras refuses the case, or refuses it in float64).

    ``relative`` is the largest distance in parts of the tensor's largest element, ``ratio`` in parts of the bound of
    float64.
    """

    case: Case
    state: str
    relative: float = 0.0
    ratio: float = 0.0
    reason: str = ""


@contextmanager
def keras_in_float64() -> Iterator[None]:
    """Everything that is built here computes in float64, as far as Keras has it so."""
    import keras

    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)


def compared(case: Case) -> Compared:
    """Keras's answer in float64 beside the exact one, on the same weights and inputs."""
    import keras

    with keras_in_float64():
        try:
            built = build(case, floats="float64")
            found = keras.tree.flatten(built.model(dict(built.inputs), training=False))
        except Exception as error:  # whatever Keras raises, it refuses the case
            return Compared(case, "illegal", reason=str(error)[:200])
    outputs: list[Array] = [np.asarray(item) for item in found]
    try:
        graph = open_model(built.model).graph
        ratio, relative = worst(bounded(graph, built.inputs, _FLOAT64), outputs)
        if ratio <= 1:
            return Compared(case, "float64", relative, ratio)
        wide = worst(bounded(graph, built.inputs, Axioms()), outputs)[0]
    except (Unsupported, ModelError) as error:
        return Compared(case, "refused", reason=str(error)[:200])
    return Compared(case, "float32" if wide <= 1 else "wrong", relative, ratio)
