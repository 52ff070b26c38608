"""Short-time Fourier transforms, as the convolutions that they are."""

from __future__ import annotations

import numpy as np

from bittrue.ops import Concat, Conv, Pad
from bittrue.traces import Array

from ..formula import Formula, Value
from .layout import channels_first
from .registry import expands

__all__: list[str] = []

_EPSILON = 1e-7  # Keras's own, below which powers and magnitudes are not taken


@expands("STFTSpectrogram")
def stft_spectrogram(formula: Formula) -> Value:
    """Windows of each channel times the kernels of the transform, by ``mode`` as parts, power, magnitude or its log."""
    options, first = formula.options, channels_first(formula)
    options.inert("fft_length", "window", "periodic", "scaling")
    mode = options.choice("mode", "log", "log", "magnitude", "psd", "real", "imag", "stft", "angle")
    if mode == "angle":
        raise options.refused("mode", "needs the arc tangent of two numbers, which is not expressed")
    x = formula.x if first else formula.x.transposed(0, 2, 1)
    parts = [_framed(formula, x, f"{part}_kernel") for part in ("real", "imag") if mode not in _ONE_PART.get(part, ())]
    return _arranged(formula, _of_mode(formula, mode, parts), first)


_ONE_PART = {"real": ("imag",), "imag": ("real",)}


def _framed(formula: Formula, x: Value, kernel: str) -> Value:
    """x (batch, channels, time) in windows times ``kernel``: (batch, channels, windows, frequencies)."""
    channels, steps = x.size(1), x.size(2)
    if channels is None or steps is None:
        raise formula.refused("the length of its sequences is not known")
    length = formula.options.whole("frame_length")
    given = formula.options.raw("frame_step", None)
    stride = length // 2 if given is None else int(given)
    padding = formula.options.choice("padding", "valid", "valid", "same")
    flat = x.reshaped([-1, steps, 1], keep=0)
    y = formula.apply(Conv((stride,), padding), flat, formula.weight(kernel))
    return y.reshaped([-1, channels, y.size(1) or 0, y.size(2) or 0], keep=0)


def _of_mode(formula: Formula, mode: str, parts: list[Value]) -> Value:
    if mode in ("real", "imag"):
        return parts[0]
    if mode == "stft":
        return formula.apply(Concat(-1), *parts)
    power = parts[0].function("square") + parts[1].function("square")
    if mode == "psd":
        # Every frequency but the first and the last stands for its negative as well.
        inner = power.sliced(-1, 1, -1)
        return power + formula.apply(Pad(((0, 0), (0, 0), (0, 0), (1, 1))), inner)
    magnitude = power.maximum(_EPSILON).function("sqrt")
    return magnitude if mode == "magnitude" else magnitude.maximum(_EPSILON).function("log")


def _arranged(formula: Formula, y: Value, first: bool) -> Value:
    """(batch, channels, windows, frequencies) as the options have it."""
    if formula.options.flag("expand_dims", False):
        return y if first else y.transposed(0, 2, 3, 1)
    channels, windows, frequencies = (y.size(axis) or 0 for axis in (1, 2, 3))
    if first:
        return y.transposed(0, 1, 3, 2).reshaped([channels * frequencies, windows])
    return y.transposed(0, 2, 1, 3).reshaped([windows, channels * frequencies])


@expands("MelSpectrogram")
def mel_spectrogram(formula: Formula) -> Value:
    """Magnitudes of the windows' transforms on the mel scale, in decibels if ``power_to_db``."""
    options, x = formula.options, formula.x
    if x.rank != 2 or x.size(1) is None:
        raise formula.refused("it takes anything but a batch of sequences of known length")
    options.inert("min_power", "ref_power", "top_db")  # read where they count
    length = options.whole("fft_length", 2048)
    stride = options.whole("sequence_stride", 512)
    given = options.raw("sequence_length", None)
    y = _transformed(formula, x, length, stride, length if given is None else int(given))
    exponent = options.number("mag_exp", 2.0)
    if exponent not in (1.0, 2.0):
        raise options.refused("mag_exp", "is not expressed, only 1 or 2")
    y = y if exponent == 2.0 else y.function("sqrt")
    y = y @ formula.constant(_mel_weights(formula, length // 2 + 1))
    return (_decibels(formula, y) if options.flag("power_to_db", True) else y).transposed(0, 2, 1)


def _transformed(formula: Formula, x: Value, length: int, stride: int, window: int) -> Value:
    """The power of every window of x (batch, time), mirrored at its ends: (batch, windows, frequencies)."""
    edge = length // 2
    mirrored = formula.apply(Concat(1), x.sliced(1, edge, 0, -1), x, x.sliced(1, -2, -edge - 2, -1))
    real, imaginary = (
        formula.apply(Conv((stride,)), mirrored.expanded(-1), formula.constant(kernel))
        for kernel in _fourier(formula, length, window)
    )
    return real.function("square") + imaginary.function("square")


def _fourier(formula: Formula, length: int, window: int) -> tuple[Array, Array]:
    """Kernels (length, 1, frequencies) of the real and the imaginary part, their window put in."""
    kind = formula.options.choice("window", "hann", "hann", "hamming")
    share = 0.5 if kind == "hann" else 0.54
    at = np.arange(window)
    weights = share - (1 - share) * np.cos(2 * np.pi * at / window)
    low = (length - window) // 2
    whole = np.pad(weights, (low, length - window - low))[:, None]
    angles = 2 * np.pi * np.outer(np.arange(length), np.arange(length // 2 + 1)) / length
    return (whole * np.cos(angles))[:, None], (-whole * np.sin(angles))[:, None]


def _mel_weights(formula: Formula, bins: int) -> Array:
    """(frequencies, bands): triangles, even on the mel scale 2595·log10(1 + f/700)."""
    options = formula.options
    rate = float(options.raw("sampling_rate", 16000))
    count, low = options.whole("num_mel_bins", 128), options.number("min_freq", 20.0)
    given = options.raw("max_freq", None)
    high = rate / 2 if given is None else float(given)
    first, last = (float(edge) for edge in _mel(np.array([low, high])))
    edges = np.linspace(first, last, count + 2)
    places = _mel(np.linspace(0.0, rate / 2, bins))[1:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    return np.pad(np.maximum(0.0, np.minimum(rising, falling)), ((1, 0), (0, 0)))


def _mel(frequency: Array) -> Array:
    return np.asarray(1127.0 * np.log1p(frequency / 700.0))


def _decibels(formula: Formula, y: Value) -> Value:
    """10·log10(y / reference), no more than ``top_db`` below the largest of the whole batch."""
    options = formula.options
    least, reference = options.number("min_power", 1e-10), options.number("ref_power", 1.0)
    scale = float(10.0 / np.log(10.0))
    level = y.maximum(least).function("log") * scale - scale * float(np.log(max(abs(reference), least)))
    largest = level.reduced("max", [0, 1, 2])
    return level.maximum(largest - options.number("top_db", 80.0))
