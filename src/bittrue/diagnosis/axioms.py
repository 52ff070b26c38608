"""What each backend's arithmetic promises, where that is written, and what has to be assumed beyond it.

A bound is proof only of what it starts from. ``axioms`` are the promises made rigorous; ``assumes`` says what nobody
promises and the bound takes for granted: it is printed with every verdict that rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from bittrue.ops import Allowance, Axioms
from bittrue.traces import Provenance

__all__ = ["ARITHMETICS", "Arithmetic", "arithmetic_of", "in_dtype", "in_format"]

_NEAREST = 2.0**-24
_EITHER_NEIGHBOUR = 2.0**-23  # "correctly rounded" in GLSL and WGSL leaves the direction open: less than one ulp


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of one backend. ``source`` is where the promise stands.

    ``assumes`` are assumptions about everything, ``assumes_functions`` those that matter only where a layer has
    elementary functions, ``assumes_products`` those for convolutions and matrix products.
    """

    name: str
    axioms: Axioms
    source: str
    assumes: tuple[str, ...] = ()
    assumes_functions: tuple[str, ...] = ()
    assumes_products: tuple[str, ...] = ()

    @property
    def expected(self) -> Axioms:
        """The same for the calibrated expectation: roundings go to the nearest, as hardware has it by default."""
        nearest = min(self.axioms.unit_roundoff, _NEAREST) if self.axioms.unit_roundoff < 2e-7 else None
        return self.axioms if nearest is None else replace(self.axioms, unit_roundoff=nearest)

    def assumptions(self, ops: frozenset[str]) -> tuple[str, ...]:
        """The assumptions that matter for a layer whose expansion has ``ops``, by class name."""
        found = list(self.assumes)
        if ops & _FUNCTIONS:
            found += self.assumes_functions
        if ops & _PRODUCTS:
            found += self.assumes_products
        return tuple(found)


_FUNCTIONS = frozenset({"Unary", "Softmax", "Scan", "Normalize"})
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Einsum", "Scan"})

_LIBRARY = (
    "elementary functions within 4 ulp of the value, and within 4 ulp of 1 where a formula cancels (tanh, expm1, …): "
    "what ordinary vector libraries reach, promised by none"
)
_NO_FAST_CONVOLUTION = "convolutions and products sum products (no Winograd, FFT or Strassen form)"

_JS_FUNCTIONS = {  # one rounding of a float64 result, whose own error is far below half an ulp of float32
    "cos": Allowance(1, 0),
    "exp": Allowance(1, 0),
    "expm1": Allowance(1, 1e-8),  # exp(x) - 1 in float64, where a kernel writes it so
    "log": Allowance(1, 0),
    "log1p": Allowance(1, 0),
    "power": Allowance(1, 0),
    "rsqrt": Allowance(1, 0),
    "sigmoid": Allowance(1, 0),
    "sin": Allowance(1, 0),
    "softplus": Allowance(5, 0),  # below ln(2^-23) + 2 it is exp(x): off by up to e^x / 2 of itself
    "tanh": Allowance(1, 0),
}

# In ulp of float32, which is half of what `Allowance` counts where the unit roundoff is 2^-23.
_WGSL_FUNCTIONS = {
    "cos": Allowance(0, 2048),  # 2^-11 absolute, within ±π
    "exp": Allowance(1.5, 0, 1.0),  # 3 + 2|x| ulp
    "expm1": Allowance(2.5, 2.5, 1.0),  # exp(x) - 1
    "log": Allowance(1.5, 2),  # 3 ulp, or 2^-21 absolute near 1
    "log1p": Allowance(2.5, 4),  # log(1 + x)
    # exp2(t) at t = y · log2(x): 3 + 2|t| ulp, and what t is off by: log2's 3 ulp, or 2^-21 near 1, and one rounding
    "power": Allowance(1.5, 0, 2.4),
    "rsqrt": Allowance(1, 0),
    "sigmoid": Allowance(5, 5),
    "softplus": Allowance(8, 8),
    "erf": Allowance(8, 8),
    "sin": Allowance(0, 2048),
    "tanh": Allowance(0, 42),  # 1e-5 absolute
}

_GPU = Axioms(
    unit_roundoff=_EITHER_NEIGHBOUR,
    division=5.0,  # 2.5 ulp; a root is 1 / inverseSqrt, 2 ulp more
    function=Allowance(4.0),
    functions=MappingProxyType(_WGSL_FUNCTIONS),
)

_TABLE = (
    Arithmetic(
        "keras:tensorflow",
        Axioms(),
        "IEEE 754 binary32 in Eigen's CPU kernels; TensorFlow sets flush-to-zero in its worker threads",
        assumes_functions=(_LIBRARY,),
    ),
    Arithmetic(
        "keras:tensorflow+onednn",
        Axioms(),
        "IEEE 754 binary32 in oneDNN's CPU kernels; oneDNN documents no order of summation",
        assumes_functions=(_LIBRARY,),
        assumes_products=(f"oneDNN: {_NO_FAST_CONVOLUTION}, in binary32 throughout",),
    ),
    Arithmetic(
        "keras:jax",
        Axioms(),
        "IEEE 754 binary32 as XLA compiles it for the CPU",
        assumes_functions=(_LIBRARY,),
        assumes_products=(f"XLA: {_NO_FAST_CONVOLUTION}",),
    ),
    Arithmetic(
        "keras:torch",
        Axioms(),
        "IEEE 754 binary32 in ATen's CPU kernels",
        assumes_functions=(_LIBRARY,),
        assumes_products=(f"oneDNN or MKL: {_NO_FAST_CONVOLUTION}",),
    ),
    Arithmetic(
        "exact:exact",
        Axioms(),
        "Bittrue's exact runtime: IEEE 754 binary32 in WebAssembly, functions in binary64 rounded once, as specified",
    ),
    Arithmetic(
        "tfjs:cpu",
        Axioms(functions=MappingProxyType(dict(_JS_FUNCTIONS) | {"erf": Allowance(1, 0)})),
        "ECMA-262: numbers are binary64, a Float32Array rounds once to the nearest; Math.* is implementation-defined",
        assumes_functions=("Math.* is within a millionth of a float32 ulp, as in fdlibm, which engines use",),
    ),
    Arithmetic(
        "tfjs:wasm",
        Axioms(),
        "WebAssembly: f32 operations are IEEE 754 binary32, to nearest, subnormals kept",
        assumes_functions=(f"XNNPACK and the backend's own polynomials: {_LIBRARY}",),
        assumes_products=(f"XNNPACK: {_NO_FAST_CONVOLUTION}",),
    ),
    Arithmetic(
        "tfjs:webgl",
        _GPU,
        "GLSL ES 3.00, highp: + - * correctly rounded in either direction, division 2.5 ulp, subnormals may be flushed",
        assumes_functions=(
            "GLSL ES 3.00 promises nothing for exp, log, pow, sin, tanh or sqrt: assumed as accurate as WGSL asks "
            "of the same hardware (exp 3 + 2|x| ulp, log 3 ulp or 2^-21, tanh 1e-5, sin and cos 2^-11)",
        ),
    ),
    Arithmetic(
        "tfjs:webgpu",
        _GPU,
        "WGSL, accuracy of f32: + - * correctly rounded in either direction, x / y 2.5 ulp, exp 3 + 2|x| ulp, "
        "log 3 ulp or 2^-21, inverseSqrt 2 ulp, tanh 1e-5, pow as exp2(y log2(x)), sin and cos 2^-11; "
        "subnormals may be flushed",
        assumes_functions=(
            "arguments within the ranges for which WGSL promises: sin and cos within ±π, divisors within 2^±126",
        ),
    ),
)

ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType({found.name: found for found in _TABLE})
"""The arithmetics by name."""

_UNKNOWN = Arithmetic(
    "unknown",
    Axioms(),
    "none: what computed it is not known",
    assumes=("IEEE 754 binary32, as nothing is known of what computed it",),
    assumes_functions=(_LIBRARY,),
    assumes_products=(_NO_FAST_CONVOLUTION,),
)


def arithmetic_of(provenance: Provenance) -> Arithmetic:
    """The arithmetic that a run's backend promises; for an accelerator in Python the same with a further assumption."""
    name = f"{provenance.runtime}:{provenance.backend}"
    if name == "tensorflow:cpu":
        name = "keras:tensorflow"  # the same kernels
    if name == "keras:tensorflow" and provenance.details.get("onednn"):
        name += "+onednn"
    found = ARITHMETICS.get(name, _UNKNOWN)
    if provenance.runtime == "keras" and provenance.adapter is not None:
        further = f"{provenance.adapter} computes in binary32 (no TF32)"
        return replace(found, assumes=(*found.assumes, further))
    return found


_FORMATS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "float16": (2.0**-11, 2.0**-14, 65504.0),
        "bfloat16": (2.0**-8, 2.0**-126, float(np.float32(3.3895314e38))),
        "float64": (2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max)),
    }
)


def in_dtype(arithmetic: Arithmetic, dtype: np.dtype[Any]) -> Arithmetic:
    """The arithmetic in the format of ``dtype``, for a layer whose policy asks for another than float32."""
    return in_format(arithmetic, dtype.name) if dtype.name in _FORMATS else arithmetic


def in_format(arithmetic: Arithmetic, name: str) -> Arithmetic:
    """The same arithmetic in ``float16``, ``bfloat16`` or ``float64``: with its unit roundoff and range."""
    unit, smallest, largest = _FORMATS[name]
    axioms = replace(arithmetic.axioms, unit_roundoff=unit, smallest_normal=smallest, largest=largest)
    return replace(arithmetic, name=f"{arithmetic.name} in {name}", axioms=axioms)
