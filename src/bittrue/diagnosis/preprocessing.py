"""What one side did to its input that the other did not: order of channels or axes, scale and offset, 8-bit rounding.

Most mismatches are made before the first layer. Two input tensors are compared by trying every arrangement that images
suffer (channels permuted, channel axis first or last, mirrored, height and width swapped) and fitting, for each, one
affine map a channel by least squares. The arrangement with the least residual is applied again in float32: what it
reproduces to the bit is proven, what it only comes close to is said to be close.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from bittrue.floats import ulp_distance
from bittrue.traces import Array

__all__ = ["InputTransform", "explain_inputs"]

_FEW_CHANNELS = 4
_FEWEST_ROWS = 16  # a map of two numbers a channel fits any two values of it
_MOST_VALUES = 2**20  # beyond which the fit is made on a sample; what it finds is applied to all
_NEAR = 2.0**-18  # relative; fits of float32 values come this close to the numbers that made them
_EXPLAINS = 1e-2  # of the candidate's own spread may remain for a transform to be offered at all
_BETTER = 0.5  # a stranger arrangement must leave less than this share of a simpler one's residual
_WHOLE = 1e-3  # of a step of 8 bits: nearer than this to a whole number of steps is one
_REFITS, _FAR = 3, 4.0  # times the median residual beyond which a value is left out of the next fit
_CLOSE_ULPS = 4  # a scale and an offset round twice, in either of two orders

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_SCALES = (1.0, 255.0, 127.5, 128.0, 256.0, 2.0, *_IMAGENET_STD, *(255 * std for std in _IMAGENET_STD))
_OFFSETS = (
    *(0.0, 1.0, 0.5, 2.0, 127.5, 128.0, *_CAFFE_MEAN),
    *(mean / std for mean, std in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)),
    *(mean * 255 for mean in _IMAGENET_MEAN),
)
"""What preprocessing is made of in practice: 8-bit ranges, symmetric ranges, the means and deviations of ImageNet."""


@dataclass(frozen=True)
class InputTransform:
    """How the candidate's input follows from the reference's: arranged, times ``scale``, plus ``offset`` by channel.

    ``arrangement`` says in words how the axes or channels were moved ("" if not). ``equal`` of ``values`` elements are
    reproduced to the bit, ``close`` within 4 ULP; ``residual`` is what remains, as the root mean square over that of
    the candidate about its mean. ``divided``: by 1/scale, which rounds otherwise than a product.
    """

    arrangement: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    values: int
    equal: int
    close: int
    residual: float
    eight_bit: bool
    divided: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether nothing was moved, scaled or shifted."""
        return not self.arrangement and set(self.scale) == {1.0} and set(self.offset) == {0.0}

    @property
    def proven(self) -> bool:
        """Whether it reproduces every value of the candidate, to the bit or to the rounding of two operations."""
        return self.close == self.values

    def __str__(self) -> str:
        steps = [self.arrangement] if self.arrangement else []
        if set(self.scale) != {1.0}:
            by = tuple(1 / factor for factor in self.scale) if self.divided else self.scale
            steps.append(f"{'divided' if self.divided else 'multiplied'} by {_listed(by)}")
        if set(self.offset) != {0.0}:
            steps.append(f"plus {_listed(self.offset)}")
        if self.eight_bit:
            steps.append("rounded to 8 bits")
        made = f"the candidate's input is the reference's {', then '.join(steps) or 'unchanged'}"
        return f"{made}: {self.equal:,} of {self.values:,} values reproduced to the bit, {self.close:,} within 4 ULP"


def explain_inputs(reference: Array, candidate: Array) -> InputTransform | None:
    """The transform that makes ``candidate`` of ``reference``, None where no simple one does.

    Both are (batch, …) tensors of numbers, any dtype; they need not have the same shape, only as many elements.
    """
    if reference.size != candidate.size or reference.size < 2 or reference.ndim != candidate.ndim:
        return None
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        return None
    if np.ptp(candidate) == 0 != np.ptp(reference):
        return None  # a constant is "times 0" of anything
    best: tuple[float, str, Array] | None = None
    for words, moved in _arrangements(reference, candidate.shape):
        found = _residual(_sampled(moved), _sampled(candidate))
        if best is None or found < _BETTER * best[0] - _NEAR:
            best = found, words, moved
        if best[0] <= _NEAR:
            break
    if best is None or best[0] > _EXPLAINS:
        return None
    return _verified(best[1], best[2], candidate)


def _arrangements(reference: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Every arrangement that gives the candidate's shape, with its words, the simplest first."""
    rank = reference.ndim
    layouts = [("", reference)]
    if rank >= 3:
        layouts.append(("with the channel axis moved first", np.moveaxis(reference, -1, 1)))
        layouts.append(("with the channel axis moved last", np.moveaxis(reference, 1, -1)))
    if rank == 4:
        layouts.append(("with height and width swapped", np.swapaxes(reference, 1, 2)))
    for (words, moved), mirror in product(layouts, (None, *range(1, max(rank - 1, 1)))):
        if moved.shape != shape or (mirror is not None and rank < 3):
            continue
        mirrored = moved if mirror is None else np.flip(moved, mirror)
        how = words if mirror is None else _joined(words, f"mirrored along axis {mirror}")
        for order in _orders(moved.shape[-1]):
            if order is None:
                yield how, mirrored
            else:
                yield _joined(how, _order_words(order)), mirrored[..., list(order)]


def _orders(channels: int) -> Iterator[tuple[int, ...] | None]:
    yield None
    if 2 <= channels <= _FEW_CHANNELS:
        identity = tuple(range(channels))
        reverse = identity[::-1]
        yield reverse
        yield from (order for order in permutations(identity) if order not in (identity, reverse))


def _order_words(order: tuple[int, ...]) -> str:
    if order == (2, 1, 0):
        return "with its channels reversed (BGR for RGB)"
    return f"with its channels in the order {list(order)}"


def _joined(words: str, more: str) -> str:
    return f"{words}, {more}" if words else more


def _sampled(array: Array) -> Array:
    """(n, channels) in float64, of at most 2²⁰ values taken evenly; one channel where n would prove nothing."""
    many = array.ndim > 1 and array.size >= _FEWEST_ROWS * array.shape[-1]
    rows = array.reshape(-1, array.shape[-1]) if many else array.reshape(-1, 1)
    step = -(-array.size // _MOST_VALUES)
    return rows[::step].astype(np.float64)


def _fit(x: Array, y: Array) -> tuple[Array, Array]:
    """Slope and intercept of ``y`` on ``x``, column by column; a constant column keeps the slope 1."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    spread = ((x - mean_x) ** 2).sum(axis=0)
    joint = ((x - mean_x) * (y - mean_y)).sum(axis=0)
    slope = np.where(spread > 0, joint / np.where(spread > 0, spread, 1), 1.0)
    return slope, mean_y - slope * mean_x


def _robust_fit(x: Array, y: Array) -> tuple[Array, Array]:
    """The same without the values that a first fit leaves far off: a few wrong ones must not bend the map."""
    slope, intercept = _fit(x, y)
    for _ in range(_REFITS):
        off = np.abs(y - (x * slope + intercept))
        kept = off <= _FAR * np.median(off, axis=0) + np.finfo(np.float32).eps * np.abs(y).max()
        columns = [
            _fit(x[kept[:, c], c : c + 1], y[kept[:, c], c : c + 1])
            if kept[:, c].sum() > 1
            else (slope[c], intercept[c])
            for c in range(x.shape[1])
        ]
        slope, intercept = (np.array([float(np.squeeze(column[i])) for column in columns]) for i in (0, 1))
    return slope, intercept


def _residual(x: Array, y: Array) -> float:
    slope, intercept = _fit(x, y)
    spread = float(np.sqrt(np.mean((y - y.mean()) ** 2)))
    left = float(np.sqrt(np.mean((y - (x * slope + intercept)) ** 2)))
    return left / spread if spread > 0 else (0.0 if left == 0 else 1.0)


def _verified(words: str, moved: Array, candidate: Array) -> InputTransform:
    """The fit with its numbers made round where they are meant to be, and what it reproduces in float32."""
    slope, intercept = _robust_fit(_sampled(moved), _sampled(candidate))
    slope, intercept = _shared(slope), _shared(intercept, scale=np.abs(candidate).max())
    slope = np.where(np.abs(slope) * np.ptp(moved) <= _NEAR * np.ptp(candidate), 0.0, slope)
    fitted = tuple(map(float, slope)), tuple(map(float, intercept))
    meant = tuple(map(_round_scale, slope)), tuple(map(_round_offset, intercept))
    target = candidate.astype(np.float32)
    made, other = (
        max(
            (_made(moved, *numbers, candidate, divide) for divide in (False, True)[: 1 + _divisible(numbers[0])]),
            key=lambda made: made.score(target),
        )
        for numbers in (meant, fitted)
    )
    if other.score(target)[0] == target.size > made.score(target)[0]:
        made = other  # odd numbers that give every value are those that were used
    near = made.near(target)
    return InputTransform(
        words,
        made.scale,
        made.offset,
        candidate.size,
        int((made.values == target).sum()),
        int(near.sum()),
        _residual(_sampled(made.values), _sampled(candidate)),
        made.eight_bit,
        made.divided,
    )


@dataclass(frozen=True)
class _Made:
    """One way to apply a fit, and what it gives."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    divided: bool
    values: Array
    eight_bit: bool

    def near(self, target: Array) -> Array:
        """Where it comes within 4 ULP: of the value, or of the largest number that was added up to it."""
        unit = np.spacing(np.abs(np.asarray(self.offset, np.float32)).max() + np.abs(target).max())
        off = np.abs(self.values.astype(np.float64) - target)
        return np.asarray((ulp_distance(self.values, target) <= _CLOSE_ULPS) | (off <= _CLOSE_ULPS * unit))

    def score(self, target: Array) -> tuple[int, int]:
        return int(self.near(target).sum()), int((self.values == target).sum())


def _divisible(scale: tuple[float, ...]) -> bool:
    """Whether people could have divided by 1/scale: a channel that is constant has been multiplied by nothing."""
    return all(abs(factor) > np.finfo(np.float32).tiny for factor in scale)


def _made(moved: Array, scale: tuple[float, ...], offset: tuple[float, ...], candidate: Array, divide: bool) -> _Made:
    return _Made(scale, offset, divide, *_apply(moved, scale, offset, candidate, divide))


def _apply(
    moved: Array, scale: tuple[float, ...], offset: tuple[float, ...], candidate: Array, divide: bool
) -> tuple[Array, bool]:
    factor, shift = np.asarray(scale), np.asarray(offset, np.float32)
    values = moved.astype(np.float32)
    scaled = values / (1 / factor).astype(np.float32) if divide else values * factor.astype(np.float32)
    made = scaled + shift
    off = np.abs(made - candidate).max()
    for unit in (1.0, 1 / 255):  # a canvas and an 8-bit resize leave whole numbers, or those over 255
        steps = candidate / unit
        rounded = (np.rint(made / unit) * unit).astype(np.float32)
        whole = np.abs(steps - np.rint(steps)).max() < _WHOLE
        if whole and off > _WHOLE * unit and np.abs(rounded - candidate).max() <= _WHOLE * unit:
            return rounded, True
    return made, False


def _shared(values: Array, scale: float = 1.0) -> Array:
    """One number for all channels where they hardly differ."""
    middle = np.median(values)
    reach = _NEAR * max(abs(float(middle)), float(scale))
    return np.full_like(values, middle) if np.abs(values - middle).max() <= reach else values


def _round_scale(value: float) -> float:
    """The number that was meant: a known one, its reciprocal, or a quotient of two; else as fitted."""
    for top, bottom in product(_SCALES, _SCALES):
        for sign in (1, -1):
            if abs(value - sign * top / bottom) <= _NEAR * top / bottom:
                return sign * top / bottom
    return float(value)


def _round_offset(value: float) -> float:
    for known in (sign * known for known in _OFFSETS for sign in (1, -1)):
        if abs(value - known) <= _NEAR * max(1.0, abs(known)):
            return known
    return float(value)


def _listed(numbers: tuple[float, ...]) -> str:
    if len(set(numbers)) == 1:
        return _named(numbers[0])
    return "(" + ", ".join(map(_named, numbers)) + ") by channel"


def _named(number: float) -> str:
    """A number as people write it: 1/255 rather than 0.00392157."""
    for bottom in (255.0, 127.5, 128.0, 256.0):
        if abs(number * bottom - 1) < _NEAR:
            return f"1/{bottom:g}"
    return f"{number:.9g}"
