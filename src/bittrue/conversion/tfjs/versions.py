"""Which TensorFlow.js has what.

Read off the released packages 1.7.2, 2.0.0, 2.8.6, 3.0.0, 3.21.0, 4.0.0, 4.10.0 and 4.22.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from bittrue.errors import UsageError

__all__ = ["SINCE", "Version", "known", "parse_version"]

Version = tuple[int, int, int]

_OLDEST: Version = (1, 7, 2)

SINCE: Mapping[str, Version] = MappingProxyType(
    {
        "swish": (2, 8, 6),
        "ConvLSTM2D": (2, 8, 6),
        "ConvLSTM2DCell": (2, 8, 6),
        "Conv3DTranspose": (3, 21, 0),
        "CategoryEncoding": (4, 0, 0),
        "Resizing": (4, 0, 0),
        "CenterCrop": (4, 10, 0),
        "RandomWidth": (4, 10, 0),
        "Rescaling": (3, 21, 0),
        "mish": (3, 21, 0),
        "gelu": (4, 22, 0),
        "BroadcastTo": (2, 8, 6),
        "SelectV2": (2, 8, 6),
        "half_pixel_centers": (2, 8, 6),
    }
)
"""Classes, activations and nodes that 1.7.2 lacks, and the first of the releases looked at that has them."""


def parse_version(text: str) -> Version:
    """``"4.22.0"`` as numbers, a pre-release counting as its release. Raises UsageError for what is no version."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?", text)
    if match is None:
        raise UsageError(f"{text!r} is no version of TensorFlow.js; write it like 4.22.0")
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise UsageError(f"TensorFlow.js {text} is too old: {oldest} is the oldest that Bittrue writes for")
    return version


def known(name: str, version: Version) -> bool:
    """Whether TensorFlow.js of ``version`` has the class or activation called ``name``."""
    return SINCE.get(name, _OLDEST) <= version
