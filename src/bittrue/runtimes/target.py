"""The grammar of targets: ``engine[/runtime]:backend[@version][+FLAG=VALUE…]``.

``chrome:webgl``, ``firefox:wasm@4.22.0``, ``chrome/tfjs:webgpu``,
``chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true`` or ``chrome:webgl+f16`` for short,
``keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0``. The engine ``device`` is a page on a phone, a tablet or another computer,
which a person opens there; a list of targets takes ``device`` alone for ``device:webgl`` and ``device:wasm``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from bittrue.errors import TargetError

__all__ = ["BACKENDS", "BROWSERS", "HALF_TEXTURES", "Target", "parse_targets"]

BROWSERS = ("chrome", "edge", "firefox")
_WEB = ("webgl", "cpu", "wasm", "webgpu", "exact")
BACKENDS: dict[str, tuple[str, ...]] = {
    "chrome": _WEB,
    "edge": _WEB,
    "firefox": _WEB,
    "device": _WEB,
    "node": ("cpu", "wasm", "exact"),
    "keras": ("tensorflow", "jax", "torch"),
    "python": ("exact",),
    "tensorflow": ("cpu",),
}
"""The backends that each engine may have; whether they are present here is `bittrue doctor`'s to say."""

_ALIASES = {"chromium": "chrome", "msedge": "edge", "tf": "tensorflow"}
_RUNTIMES = {
    "chrome": "tfjs",
    "edge": "tfjs",
    "firefox": "tfjs",
    "device": "tfjs",
    "node": "tfjs",
    "keras": "keras",
    "tensorflow": "tensorflow",
}
HALF_TEXTURES = ("WEBGL_FORCE_F16_TEXTURES", "true")
"""The flag, with its value, that makes TensorFlow.js store every tensor in half-float textures; ``+f16`` for short."""

_WHOLE_DEVICE = ("device:webgl", "device:wasm")
"""What ``device`` stands for: its graphics processor, and its CPU."""

_FORM = "engine:backend[@version][+FLAG=VALUE], for example chrome:webgl or keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0"
_PATTERN = re.compile(
    r"(?P<engine>[a-z]+)(?:/(?P<runtime>[a-z-]+))?:(?P<backend>[a-z0-9]+)"
    r"(?:@(?P<version>\d+(?:\.\d+)*(?:-[0-9A-Za-z.]+)?))?(?P<flags>(?:\+f16|\+[A-Za-z_]\w*=[^+=\s]+)*)"
)


@dataclass(frozen=True, order=True)
class Target:
    """Where a model runs. ``runtime`` and ``version`` are None for the artifact's default.

    ``flags`` are (name, value) pairs as written: TensorFlow.js environment flags for browsers and Node,
    environment variables of the process for Keras and TensorFlow. ``keras`` runs Keras models, ``tensorflow`` (or
    ``tf``) models that are graphs of TensorFlow's own nodes, with its CPU kernels.
    """

    engine: str
    backend: str
    runtime: str | None = None
    version: str | None = None
    flags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, spec: str) -> Target:
        """Raises TargetError, with the nearest right one, for anything that is not a target."""
        match = _PATTERN.fullmatch(spec.strip())
        if match is None:
            raise _unknown(spec, f"{spec!r} is not a target: the form is {_FORM}")
        engine = _ALIASES.get(match["engine"], match["engine"])
        if engine not in BACKENDS:
            raise _unknown(spec, f"{spec!r} is not a target: no engine is called {match['engine']!r}")
        if match["backend"] not in BACKENDS[engine]:
            known = ", ".join(BACKENDS[engine])
            raise _unknown(spec, f"{spec!r} is not a target: {engine} has the backends {known}")
        runtime = match["runtime"]
        exact = match["backend"] == "exact"
        own = "exact" if exact else _RUNTIMES[engine]
        if runtime not in (None, own):
            where = f"{engine}:exact" if exact else engine
            raise _unknown(spec, f"{spec!r} is not a target: {where} runs {own}, not {runtime}")
        flags = tuple((name, value) for name, value in _flags(match["flags"]))
        if exact and (flags or match["version"]):
            raise _unknown(spec, f"{spec!r} is not a target: exact has one version and no flags")
        if HALF_TEXTURES in flags and match["backend"] != "webgl":
            raise _unknown(spec, f"{spec!r} is not a target: half-float textures (+f16) are webgl's alone")
        if len({name for name, _ in flags}) != len(flags):
            raise _unknown(spec, f"{spec!r} is not a target: a flag is given twice")
        return cls(engine, match["backend"], runtime, match["version"], flags)

    def __str__(self) -> str:
        runtime = f"/{self.runtime}" if self.runtime else ""
        version = f"@{self.version}" if self.version else ""
        flags = "".join(f"+{name}={value}" for name, value in self.flags)
        return f"{self.engine}{runtime}:{self.backend}{version}{flags}"

    @property
    def is_browser(self) -> bool:
        """Whether a browser has to be opened for it."""
        return self.engine in BROWSERS

    @property
    def is_device(self) -> bool:
        """Whether a person opens its page, somewhere else."""
        return self.engine == "device"

    @property
    def is_half(self) -> bool:
        """Whether it is asked to store tensors in half-float textures."""
        return HALF_TEXTURES in self.flags

    @property
    def is_keras(self) -> bool:
        """Whether Python runs it."""
        return self.engine in ("keras", "tensorflow")

    @property
    def is_exact(self) -> bool:
        """Whether the exact runtime runs it, whose bits are the same everywhere."""
        return self.backend == "exact"

    def at(self, version: str | None) -> Target:
        """The same target at ``version`` of its runtime, unless it names one already."""
        return self if self.version or self.is_keras or self.is_exact or not version else replace(self, version=version)


def parse_targets(specs: list[str] | tuple[str, ...], tfjs: str | None = None) -> list[Target]:
    """Targets from command-line words, commas allowed, without repetitions, in the order given."""
    given = [word.strip() for spec in specs for word in spec.split(",") if word.strip()]
    words = [word for one in given for word in (_WHOLE_DEVICE if one == "device" else (one,))]
    return list(dict.fromkeys(Target.parse(word).at(tfjs) for word in words))


def _flags(text: str) -> list[list[str]]:
    return [list(HALF_TEXTURES) if part == "f16" else part.split("=", 1) for part in text.split("+") if part]


def _unknown(spec: str, message: str) -> TargetError:
    known = [f"{engine}:{backend}" for engine, backends in BACKENDS.items() for backend in backends]
    word = re.split(r"[@+]", spec.strip().lower())[0]
    same_engine = [name for name in known if name.split(":")[0] == word.split(":")[0]]
    near = difflib.get_close_matches(word, same_engine or known, n=1, cutoff=0.0 if same_engine else 0.5)
    hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
    return TargetError(message + hint, spec=spec, nearest=near[0] if near else None)
